"""ocipy called by a user without privileges: as `spec --rootless` has it, no helper, no cgroup."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.bundles import with_namespace, write_file
from tests.integration.consoles import ConsoleSocket
from tests.integration.containers import Call, wait_until
from tests.integration.hook_scripts import Hooks

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.containers import Container, Runtime

pytestmark = pytest.mark.requires("user-namespaces")

USER = 12345
AS_USER: dict[str, Any] = {"user": USER, "group": USER, "extra_groups": [USER + 1]}


@pytest.fixture
def call(container: Container, runtime: Runtime, directory: str) -> Callable[..., Call]:
    """Return a function that calls the runtime as the user, who owns the bundle and the root."""
    try:
        subprocess.run([runtime.program, "--version"], check=True, capture_output=True, **AS_USER)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"other users cannot run {runtime.program}: {error}")
    linux = container.linux
    linux["namespaces"] = [ns for ns in linux["namespaces"] if ns["type"] != "network"]
    linux["namespaces"].append({"type": "user"})
    linux["uidMappings"] = [{"containerID": 0, "hostID": USER, "size": 1}]
    linux["gidMappings"] = [{"containerID": 0, "hostID": USER, "size": 1}]
    del linux["cgroupsPath"]
    mounts = [m for m in container.config["mounts"] if m["type"] != "sysfs"]
    for mount in mounts:
        # As `spec --rootless` has it: there is no group 5 in the user namespace.
        mount["options"] = [option for option in mount["options"] if option != "gid=5"]
    container.config["mounts"] = mounts
    os.makedirs(runtime.root)
    os.chown(runtime.root, USER, USER)
    for top, _, _ in os.walk(container.bundle.path):
        os.chown(top, USER, USER)

    def call(verb: str, *words: str, **options: Any) -> Call:
        return runtime.call(verb, *words, **AS_USER, **options)

    return call


def test_run(container: Container, call: Callable[..., Call]) -> None:
    container.script("id -u; id -g; cat /proc/self/uid_map; touch /mine")
    container.bundle.write()
    run = call("run", "--bundle", container.bundle.path, container.id).succeeded()
    assert run.out.split() == ["0", "0", "0", str(USER), "1"]
    assert os.stat(f"{container.bundle.rootfs}/mine").st_uid == USER


def test_life_with_exec(container: Container, call: Callable[..., Call]) -> None:
    """exec finds no cgroup to join, as nobody had permitted one."""
    container.script("echo up; exec sleep 1000")
    container.bundle.write()
    created = call("create", "--bundle", container.bundle.path, container.id).succeeded()
    call("start", container.id).succeeded()
    wait_until(lambda: created.out == "up\n", "the container runs")
    assert call("exec", container.id, "/bin/id", "-u").succeeded().out == "0\n"
    pid = container.pid
    call("kill", container.id, "KILL").succeeded()
    container.wait(pid)
    call("delete", container.id).succeeded()


def test_groups_that_nobody_may_set(container: Container, call: Callable[..., Call]) -> None:
    """setgroups(2) is denied where a map was made without privileges (user_namespaces(7))."""
    container.process["user"]["additionalGids"] = [0]
    write_file(f"{container.bundle.rootfs}/etc/marker", "")
    container.bundle.write()
    call("run", "--bundle", container.bundle.path, container.id).failed("groups")


# -- what a user namespace cannot do is refused before anything is made


@pytest.mark.parametrize(
    ("mount", "without", "texts"),
    [
        (
            {"destination": "/sys", "type": "sysfs", "source": "sysfs"},
            "network",
            ("sysfs shows the network namespace", "rbind"),
        ),
        (
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue"},
            "ipc",
            ("mqueue shows the ipc namespace",),
        ),
        (
            {"destination": "/proc", "type": "proc", "source": "proc"},
            "pid",
            ("proc shows the pid namespace",),
        ),
        (
            {
                "destination": "/dev/pts",
                "type": "devpts",
                "source": "devpts",
                "options": ["newinstance", "gid=5"],
            },
            "",
            ("gid=5", "no mapping"),
        ),
        (
            {"destination": "/mnt", "type": "ext4", "source": "/dev/none"},
            "",
            ("ext4 cannot be mounted in a user namespace",),
        ),
        (
            {
                "destination": "/mnt",
                "type": "bind",
                "source": "/",
                "options": ["bind"],
                "uidMappings": [{"containerID": 0, "hostID": 3000, "size": 1}],
                "gidMappings": [{"containerID": 0, "hostID": 3000, "size": 1}],
            },
            "",
            ("an id-mapped mount needs CAP_SYS_ADMIN in the host's user namespace",),
        ),
    ],
    ids=lambda value: value.get("type", "") if isinstance(value, dict) else "",
)
def test_mounts_that_are_not_allowed(
    container: Container, call: Callable[..., Call], mount: dict[str, Any], without: str, texts: Any
) -> None:
    namespaces = container.linux["namespaces"]
    container.linux["namespaces"] = [ns for ns in namespaces if ns["type"] != without]
    mounts = container.config["mounts"]
    container.config["mounts"] = [
        m for m in mounts if m["destination"] != mount["destination"] and m["type"] != mount["type"]
    ] + [mount]
    container.bundle.write()
    refused = call("create", "--bundle", container.bundle.path, container.id)
    assert refused.status == 1, refused
    if container.runtime.is_ocipy:
        refused.failed("/mounts/", *texts)
    assert not container.runtime.holds(container.id)


@pytest.mark.runc_deviates("1.1 passes over what it does not know")
@pytest.mark.parametrize(
    ("field", "value", "texts"),
    [
        ("netDevices", {"lo": {"name": "other"}}, ("operation not permitted", "CAP_NET_ADMIN")),
        ("intelRdt", {"closID": "rootless", "schemata": ["MB:0=50"]}, ()),
    ],
    ids=["netDevices", "intelRdt"],
)
def test_what_takes_privileges_on_the_host(
    container: Container, call: Callable[..., Call], field: str, value: object, texts: Any
) -> None:
    """What the kernel refuses, or the host has not, is said with the field; nothing is left."""
    container.linux[field] = value
    with_namespace(container.config, "network")
    container.bundle.write()
    refused = call("create", "--bundle", container.bundle.path, container.id)
    refused.failed(f"/linux/{field}", *texts)
    assert not container.runtime.holds(container.id)


def test_without_a_user_namespace(container: Container, call: Callable[..., Call]) -> None:
    linux = container.linux
    linux["namespaces"] = [ns for ns in linux["namespaces"] if ns["type"] != "user"]
    del linux["uidMappings"], linux["gidMappings"]
    container.bundle.write()
    refused = call("create", "--bundle", container.bundle.path, container.id)
    refused.failed("rootless container requires user namespaces")


# -- hooks, terminals, the default state root


@pytest.mark.runc_deviates("1.1 runs poststart hooks before it knows that the program has started")
def test_hooks(container: Container, call: Callable[..., Call], directory: str) -> None:
    os.mkdir(f"{directory}/hooks")
    os.chmod(f"{directory}/hooks", 0o777)
    hooks = Hooks(container, f"{directory}/hooks")
    for kind in ("createRuntime", "createContainer", "startContainer", "poststart", "poststop"):
        hooks.add(kind)
    container.script("true")
    container.bundle.write()
    call("run", "--bundle", container.bundle.path, container.id).succeeded()
    order = "createRuntime createContainer startContainer poststart poststop".split()
    assert hooks.order == order


def test_terminal(container: Container, call: Callable[..., Call], directory: str) -> None:
    container.process["terminal"] = True
    container.script("tty; stty size; test -t 0 && echo done")
    container.bundle.write()
    path = f"{directory}/console"
    receiver = ConsoleSocket(path)
    os.chmod(path, 0o777)
    options = ("--bundle", container.bundle.path, "--console-socket", path)
    call("create", *options, container.id).succeeded()
    with receiver.receive() as terminal:
        receiver.close()
        call("start", container.id).succeeded()
        assert "/dev/pts/0" in terminal.read_until("done")
    call("delete", "--force", container.id).succeeded()


def test_spec_and_default_state_root(
    container: Container, runtime: Runtime, call: Callable[..., Call], directory: str
) -> None:
    """`spec --rootless` as it is, with the state below XDG_RUNTIME_DIR."""
    runtime_dir = f"{directory}/run"
    os.mkdir(runtime_dir)
    bundle = container.bundle.path
    config = f"{bundle}/config.json"
    if os.path.exists(config):
        os.remove(config)
    for path in (runtime_dir, bundle):
        os.chown(path, USER, USER)
    environment = os.environ | {"XDG_RUNTIME_DIR": runtime_dir}
    runtime.global_options.clear()

    def as_user(*words: str) -> Call:
        return runtime.call(*words, **AS_USER, env=environment)

    as_user("spec", "--rootless", "--bundle", bundle).succeeded()
    with open(config, encoding="utf-8") as file:
        made = json.load(file)
    mounts = {mount["destination"]: mount for mount in made["mounts"]}
    # What a user namespace cannot have is replaced, as by runc.
    assert mounts["/sys"]["type"] == "none"
    assert "rbind" in mounts["/sys"]["options"]
    assert "gid=5" not in mounts["/dev/pts"]["options"]
    assert "resources" not in made["linux"]
    assert "network" not in [ns["type"] for ns in made["linux"]["namespaces"]]
    for field in ("uidMappings", "gidMappings"):
        assert made["linux"][field] == [{"containerID": 0, "hostID": USER, "size": 1}]
    made["process"].update(args=["/bin/sleep", "1000"], terminal=False)
    write_file(config, json.dumps(made))
    as_user("create", "--bundle", bundle, container.id).succeeded()
    name = os.path.basename(runtime.program)
    assert os.path.isdir(f"{runtime_dir}/{name}/{container.id}")
    as_user("start", container.id).succeeded()
    assert as_user("exec", container.id, "/bin/echo", "hello").succeeded().out == "hello\n"
    as_user("kill", container.id, "KILL").succeeded()
    as_user("delete", "--force", container.id).succeeded()
    assert not os.path.isdir(f"{runtime_dir}/{name}/{container.id}")


# -- several ids, by newuidmap(1)

TABLES = """
mount --bind {directory}/passwd /etc/passwd
mount --bind {directory}/subid /etc/subuid
mount --bind {directory}/subid /etc/subgid
{more}
exec setpriv --reuid {user} --regid {user} --clear-groups "$@"
"""


@pytest.fixture
def with_tables(
    container: Container, runtime: Runtime, call: Callable[..., Call], directory: str
) -> Callable[..., Call]:
    """Return a function that runs the container as a user who has an entry in /etc/subuid.

    The tables are put over those of the host in a mount namespace of the call's own.
    """
    write_file(f"{directory}/passwd", f"root:x:0:0::/:/bin/sh\nmaps:x:{USER}:{USER}::/:/bin/sh\n")
    for field in ("uidMappings", "gidMappings"):
        container.linux[field].append({"containerID": 1, "hostID": 300000, "size": 1000})

    def run(subid: str = "maps:300000:65536\n", more: str = "") -> Call:
        write_file(f"{directory}/subid", subid)
        container.bundle.write()
        shell = TABLES.format(directory=directory, user=USER, more=more)
        enter = ["unshare", "--mount", "--propagation=private", "sh", "-ec", shell, "sh"]
        command = [*enter, runtime.program, "--root", runtime.root, "run"]
        called = Call([*command, "--bundle", container.bundle.path, container.id], directory)
        called.begin()
        return called.wait()

    return run


@pytest.mark.requires("program:newuidmap")
def test_ids_of_subuid(container: Container, with_tables: Callable[..., Call]) -> None:
    container.script("cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; chown 7:8 /x")
    write_file(f"{container.bundle.rootfs}/x", "")
    os.chown(f"{container.bundle.rootfs}/x", USER, USER)
    lines = [line.split() for line in with_tables().succeeded().out.splitlines()]
    maps = [["0", str(USER), "1"], ["1", "300000", "1000"]]
    assert lines == [*maps, *maps, ["allow"]], "setgroups(2) is denied only for one's own id alone"
    status = os.stat(f"{container.bundle.rootfs}/x")
    assert (status.st_uid, status.st_gid) == (300006, 300007)


@pytest.mark.requires("program:newuidmap")
@pytest.mark.parametrize(
    ("subid", "more", "text"),
    [
        ("other:300000:65536\n", "", "/etc/subuid has no entry for maps"),
        ("maps:300500:65536\n", "", "gives maps 300500-366035, not 300000-300999"),
        (
            "maps:300000:65536\n",
            "cp /usr/bin/newuidmap {directory}/copy; chmod 755 {directory}/copy; "
            "mount --bind {directory}/copy /usr/bin/newuidmap",
            "newuidmap is neither setuid root nor has it cap_setuid",
        ),
    ],
    ids=["no entry", "another range", "no setuid"],
)
def test_ids_that_are_not_ours(
    container: Container,
    with_tables: Callable[..., Call],
    directory: str,
    subid: str,
    more: str,
    text: str,
) -> None:
    container.args("/bin/true")
    failed = with_tables(subid, more.format(directory=directory))
    assert failed.status == 1, failed
    if container.runtime.is_ocipy:
        failed.failed(text)


def test_no_user_namespaces(
    container: Container, call: Callable[..., Call], runtime: Runtime
) -> None:
    """The limit is the user namespace's own, so that it can be 0 here without anybody's harm."""
    container.script("echo ran")
    container.bundle.write()
    for field in ("uidMappings", "gidMappings"):
        container.linux[field][0]["hostID"] = 0
    container.bundle.write()
    shell = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"'
    enter = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", shell, "sh"]
    command = [*enter, runtime.program, "--root", f"{runtime.root}/0", "run"]
    called = Call([*command, "--bundle", container.bundle.path, container.id], runtime.directory)
    called.begin(**AS_USER)
    failed = called.wait()
    assert failed.status == 1, failed
    if runtime.is_ocipy:
        failed.failed("user.max_user_namespaces is 0", "sysctl")
