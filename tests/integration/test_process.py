"""`process`: environment, arguments, directory, user, limits; config.md#process."""

from __future__ import annotations

import os
import resource
import signal
from typing import Any

import pytest

from tests.bundles import PATH
from tests.integration.containers import Container
from tests.integration.namespaces import map_ids

runc_deviates = pytest.mark.runc_deviates


def test_environment_is_exactly_what_is_asked_for(container: Container) -> None:
    container.process["env"] = [PATH, "A=1", "EMPTY=", "EQUAL=a=b", "UTF=\N{SNOWMAN}"]
    container.args("/bin/cat", "/proc/self/environ")
    out = container.run(env={**os.environ, "LEAK": "from the host"}).out
    variables = out.rstrip("\0").split("\0")
    # runc adds HOME where the config has none; nothing else may be there.
    assert [v for v in variables if not v.startswith("HOME=")] == container.process["env"]


@pytest.mark.parametrize(("uid", "home"), [(0, "/root"), (1000, "/home"), (4321, "/")])
def test_home_comes_from_the_images_passwd(container: Container, uid: int, home: str) -> None:
    container.process["user"] = {"uid": uid, "gid": 0}
    container.process["env"] = [PATH]
    assert container.sh("echo $HOME") == home


def test_home_of_the_config_stays(container: Container) -> None:
    container.process["env"] = [PATH, "HOME=/mine"]
    assert container.sh("echo $HOME") == "/mine"


def test_arguments_are_passed_as_they_are(container: Container) -> None:
    words = ["a b", "", "'\"$HOME", "\N{SNOWMAN}", "-x", "line\nbreak", "x" * 100_000]
    container.args("/bin/sh", "-c", 'for a; do printf "<%s>" "$a"; done', "sh", *words)
    assert container.run().out == "".join(f"<{word}>" for word in words)


def test_argv0_is_args0(container: Container) -> None:
    container.args("true").process["args"] = ["cat", "/proc/self/cmdline"]
    assert container.run().out == "cat\0/proc/self/cmdline\0"


def test_lookup_uses_the_path_of_the_config(container: Container) -> None:
    container.bundle.add_script("first/tool", "echo first")
    container.bundle.add_script("second/tool", "echo second")
    container.bundle.add_file("zeroth/tool", "not executable")
    container.process["env"] = ["PATH=/nonexistent:/zeroth:/second:/first"]
    assert container.args("tool").run(env={**os.environ, "PATH": "/first"}).out == "second\n"


def test_a_relative_program_is_found_from_cwd(container: Container) -> None:
    container.bundle.add_script("work/tool", "echo found")
    container.process["cwd"] = "/work"
    assert container.args("./tool").run().out == "found\n"


def test_a_program_that_is_a_link_stays_in_the_rootfs(container: Container) -> None:
    os.symlink("/bin/echo", f"{container.bundle.rootfs}/usr/bin/link")
    container.args("/usr/bin/link", "from the image")
    os.unlink(f"{container.bundle.rootfs}/bin/echo")
    container.bundle.add_script("bin/echo", "/bin/busybox echo image")
    assert container.run().out == "image\n"


def test_cwd(container: Container) -> None:
    os.mkdir(f"{container.bundle.rootfs}/work")
    container.process["cwd"] = "/work"
    assert container.sh("pwd; readlink /proc/self/cwd") == "/work\n/work"


def test_cwd_is_created(container: Container) -> None:
    container.process["cwd"] = "/new/deep/directory"
    assert container.sh("pwd") == "/new/deep/directory"


def test_cwd_through_a_link_of_the_image(container: Container) -> None:
    os.symlink("/target", f"{container.bundle.rootfs}/link")
    os.mkdir(f"{container.bundle.rootfs}/target")
    container.process["cwd"] = "/link"
    assert container.sh("readlink /proc/self/cwd") == "/target"


def test_cwd_that_only_the_user_can_enter(container: Container) -> None:
    """As with a home on NFS: the user's own rights must do where root's do not."""
    os.mkdir(f"{container.bundle.rootfs}/own", 0o700)
    os.chown(f"{container.bundle.rootfs}/own", 1000, 1000)
    container.process.update(cwd="/own", user={"uid": 1000, "gid": 1000})
    assert container.sh("pwd") == "/own"


def test_cwd_is_a_file(container: Container) -> None:
    container.process["cwd"] = "/etc/passwd"
    call = container.run(check=False)
    assert call.status not in (0, None)
    assert "not a directory" in call.err


@pytest.mark.parametrize("fd", range(3, 12))
def test_cwd_cannot_be_a_leaked_descriptor(container: Container, fd: int) -> None:
    """CVE-2024-21626: no descriptor of the runtime leads out of the container."""
    container.process["cwd"] = f"/proc/self/fd/{fd}"
    call = container.script("pwd; ls -a | head -3").run(check=False)
    assert call.status not in (0, None), call


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ({"uid": 0, "gid": 0}, "0 0 0"),
        ({"uid": 1000, "gid": 2000}, "1000 2000 2000"),
        ({"uid": 1000, "gid": 1000, "additionalGids": [5, 2000]}, "1000 1000 5 1000 2000"),
        ({"uid": 0, "gid": 0, "additionalGids": [0]}, "0 0 0"),
        ({"uid": 2147483647, "gid": 2147483647}, "2147483647 2147483647 2147483647"),
        pytest.param(
            {"uid": 4294967294, "gid": 4294967294},
            "4294967294 4294967294 4294967294",
            marks=runc_deviates("takes ids up to 2147483647"),
        ),
    ],
)
def test_user(container: Container, user: dict[str, Any], expected: str) -> None:
    container.process["user"] = user
    uid, gid, *groups = container.sh("id -u; id -g; id -G").split()
    assert [uid, gid, *sorted(groups, key=int)] == expected.split()


def test_a_hundred_groups(container: Container) -> None:
    groups = list(range(3000, 3100))
    container.process["user"] = {"uid": 1, "gid": 1, "additionalGids": groups}
    line = container.sh("grep ^Groups: /proc/self/status")
    assert [int(word) for word in line.split()[1:]] == groups


@pytest.mark.parametrize("umask", [0o77, 0o0, 0o27])
def test_umask(container: Container, umask: int) -> None:
    container.process["user"]["umask"] = umask
    assert int(container.sh("umask"), 8) == umask


def test_umask_is_0022_by_default(container: Container) -> None:
    previous = os.umask(0o077)
    try:
        assert container.sh("umask") == "0022"
    finally:
        os.umask(previous)


def test_rlimits(container: Container) -> None:
    container.process["rlimits"] = [
        {"type": "RLIMIT_NOFILE", "soft": 512, "hard": 1024},
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
        {"type": "RLIMIT_STACK", "soft": 1048576, "hard": 8388608},
        {"type": "RLIMIT_MSGQUEUE", "soft": 4096, "hard": 8192},
    ]
    lines = container.lines("cat /proc/self/limits")
    limits = {line[:25].strip(): line[25:].split()[:2] for line in lines}
    assert limits["Max open files"] == ["512", "1024"]
    assert limits["Max core file size"] == ["0", "0"]
    assert limits["Max stack size"] == ["1048576", "8388608"]
    assert limits["Max msgqueue size"] == ["4096", "8192"]


RLIMITS = """AS CORE CPU DATA FSIZE LOCKS MEMLOCK MSGQUEUE NICE NOFILE NPROC RSS RTPRIO RTTIME
SIGPENDING STACK"""


def test_every_rlimit_is_known(container: Container) -> None:
    """Each is set to what the runtime has already, which needs no privilege."""
    numbers = {
        "AS": 9, "CORE": 4, "CPU": 0, "DATA": 2, "FSIZE": 1, "LOCKS": 10, "MEMLOCK": 8,
        "MSGQUEUE": 12, "NICE": 13, "NOFILE": 7, "NPROC": 6, "RSS": 5, "RTPRIO": 14, "RTTIME": 15,
        "SIGPENDING": 11, "STACK": 3,
    }  # fmt: skip
    unlimited = 2**64 - 1
    container.process["rlimits"] = [
        {
            "type": f"RLIMIT_{name}",
            "soft": unlimited if soft < 0 else soft,
            "hard": unlimited if hard < 0 else hard,
        }
        for name in RLIMITS.split()
        for soft, hard in [resource.getrlimit(numbers[name])]
    ]
    container.run()


def test_unset_rlimits_are_inherited(container: Container) -> None:
    with open("/proc/self/limits", encoding="utf-8") as file:
        ours = file.read().splitlines()
    theirs = container.lines("cat /proc/self/limits")
    assert [line.split() for line in theirs] == [line.split() for line in ours]


def test_rlimit_above_the_hard_limit(container: Container) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    value = hard + 1000
    container.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": value, "hard": value}]
    with open("/proc/sys/fs/nr_open", encoding="utf-8") as file:
        refused = value > int(file.read()) or not can_raise_limits()
    call = container.run(check=False)
    assert (call.status != 0) == refused, call


def test_rlimits_in_a_user_namespace(container: Container) -> None:
    """By the host, if it may raise limits (set_rlimit_from_outside): init in there may not."""
    map_ids(container)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1] + (1 if can_raise_limits() else -1)
    container.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 99, "hard": hard}]
    assert container.sh("ulimit -Sn; ulimit -Hn").split() == ["99", str(hard)]


def can_raise_limits() -> bool:
    with open("/proc/self/status", encoding="utf-8") as status:
        caps = next(int(line.split()[1], 16) for line in status if line.startswith("CapEff"))
    return bool(caps >> 24 & 1)


@pytest.mark.parametrize("value", [True, False])
def test_no_new_privileges(container: Container, value: bool) -> None:
    container.process["noNewPrivileges"] = value
    assert container.sh("grep NoNewPrivs /proc/self/status").split()[1] == str(int(value))


def test_no_new_privileges_is_false_by_default(container: Container) -> None:
    del container.process["noNewPrivileges"]
    assert container.sh("grep NoNewPrivs /proc/self/status").split()[1] == "0"


def test_pid_1_and_its_session(container: Container) -> None:
    """The process is pid 1 of its namespace, leads its session, and sees nobody else."""
    container.script("echo $$; cut -d' ' -f1,4-6 /proc/self/stat; ls -d /proc/[0-9]*")
    first, stat, *pids = container.run().out.split("\n")
    assert first == "1"
    assert stat.split()[1:] == ["1", "1", "1"] or stat.split()[1:3] == ["1", "1"]
    assert set(pids) - {""} <= {"/proc/1"} | {f"/proc/{n}" for n in range(2, 9)}


@pytest.mark.parametrize("verb", ["run", "create"])
def test_the_runtimes_signal_handling_stays_its_own(
    container: Container, request: pytest.FixtureRequest, verb: str
) -> None:
    """A Python program ignores SIGPIPE, a foreground `run` blocks what it forwards, and what its
    caller ignores is none of the container's business."""
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    request.addfinalizer(lambda: signal.signal(signal.SIGUSR1, before))
    container.args("/bin/grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status")
    if verb == "run":
        call = container.run()
    else:
        call = container.create()
        pid = container.pid
        container.start()
        container.wait(pid)
    masks = {line.split()[0]: int(line.split()[1], 16) for line in call.out.splitlines()}
    assert masks == {"SigBlk:": 0, "SigIgn:": 0, "SigCgt:": 0}


def test_command_name_and_memory_maps_hold_nothing_of_the_runtime(container: Container) -> None:
    container.args("/bin/sh", "-c", "cat /proc/1/comm; cat /proc/1/maps; readlink /proc/1/exe")
    out = container.run().out
    assert out.startswith(("sh\n", "cat\n"))
    assert out.rstrip().endswith("/bin/busybox")
    assert "ocipy" not in out
    assert "memfd" not in out
