"""What comes from the caller: environment, working directory, home, names and paths.

A runtime that is root is often called in a directory, with a home and with variables that others
have chosen. And ids, users and paths are strings that have come a long way.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.attacks.verdict import against
from tests.integration.containers import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.attacks.verdict import Attack
    from tests.integration.containers import Call, Container, Runtime

EVIL = "open({mark!r}, 'a').write(__name__ + ' ')\n"
MODULES = ("json", "os", "sitecustomize", "usercustomize", "errno", "time", "ocipy", "cffi")


@pytest.fixture
def hostile_caller(directory: str) -> dict[str, Any]:
    """Options of Popen: a directory, a home and variables that would have Python run other code."""
    mark = f"{directory}/executed"
    evil = f"{directory}/evil"
    site = f"{evil}/.local/lib/python3.{sys.version_info.minor}/site-packages"
    os.makedirs(site)
    for place in (evil, site):
        for name in MODULES:
            with open(f"{place}/{name}.py", "w", encoding="utf-8") as file:
                file.write(EVIL.format(mark=mark))
    with open(f"{site}/evil.pth", "w", encoding="utf-8") as file:
        file.write(f"import os; open({mark!r}, 'a').write('pth ')\n")
    env = dict(os.environ) | {
        "HOME": evil,
        "PYTHONPATH": evil,
        "PYTHONUSERBASE": f"{evil}/.local",
        "PYTHONSTARTUP": f"{evil}/json.py",
        "PYTHONBREAKPOINT": "json.loads",
        "PYTHONWARNINGS": "error",
        "PYTHONPYCACHEPREFIX": evil,
        "PYTHONDUMPREFSFILE": mark,
        "LD_PRELOAD": "",
    }
    return {"env": env, "cwd": evil}


@against("not-isolated")
@pytest.mark.parametrize("verb", ["run", "create", "exec", "state", "features"])
def test_modules_of_the_callers(
    container: Container,
    runtime: Runtime,
    hostile_caller: dict[str, Any],
    directory: str,
    attack: Attack,
    verb: str,
) -> None:
    if verb in ("exec", "state"):
        container.up()
    if verb == "features":
        call = runtime.call("features", **hostile_caller)
    elif verb == "exec":
        call = container.exec("/bin/true", check=False, **hostile_caller)
    elif verb == "state":
        call = container.verb("state", check=False, **hostile_caller)
    elif verb == "run":
        call = container.args("/bin/true").run(check=False, **hostile_caller)
    else:
        call = container.create(check=False, **hostile_caller)
    executed = os.path.exists(f"{directory}/executed")
    if not attack.is_weakened:
        call.succeeded()
    attack.succeeded(executed, call)


@pytest.mark.parametrize(
    "home", [None, "", "/nonexistent", "/dev/null", "/proc/self/fd", "relative"]
)
@pytest.mark.parametrize("cwd", ["/", "/proc/self/fd", "/dev"])
def test_a_home_that_is_none(container: Container, home: str | None, cwd: str) -> None:
    """Nothing is looked for there, so nothing is missed."""
    env = {name: value for name, value in os.environ.items() if name != "HOME"}
    if home is not None:
        env["HOME"] = home
    container.process["env"] = ["PATH=/bin"]
    assert container.sh("echo $HOME", env=env, cwd=cwd) in ("/root", "/")


ODD_IDS = [
    "../escaped",
    "..",
    ".",
    "a/b",
    "/tmp",
    "",
    "a b",
    "a\nb",
    "a%b",
    "ü",
    "\u202e",
    "a;b",
    "$a",
]
ODD_IDS += ["-", "--", "a\\b", "a\tb", "*", "~", "@", "\x7f", "a\udcffb", "a" * 256]


@against("any-name")
@pytest.mark.parametrize("verb", ["run", "create"])
def test_ids_that_lead_elsewhere(
    container: Container, runtime: Runtime, directory: str, attack: Attack, verb: str
) -> None:
    """An id becomes a name below the state root."""
    container.args("/bin/true")
    container.bundle.write()
    del container.linux["cgroupsPath"]
    runtime.call("list")
    before = set(os.listdir(directory))
    seen = []
    for path in ("../escaped", "../../../../../../../../" + f"{directory}/escaped2".lstrip("/")):
        call = runtime.call(verb, "--bundle", container.bundle.path, path)
        seen.append(call)
        if verb == "create":
            seen.append(runtime.call("state", path))
    left = set(os.listdir(directory)) - before
    if verb == "create":
        for path in (
            "../escaped",
            "../../../../../../../../" + f"{directory}/escaped2".lstrip("/"),
        ):
            runtime.call("delete", "--force", path)
    attack.succeeded(left or any(call.status == 0 for call in seen), (left, seen))


@pytest.mark.parametrize("verb", ["create", "exec", "delete"])
@pytest.mark.parametrize("name", ODD_IDS, ids=ascii)
def test_ids_with_odd_characters(
    container: Container, runtime: Runtime, verb: str, name: str
) -> None:
    """Refused by all, with an error that cannot be mistaken for another line."""
    container.args("/bin/true")
    container.bundle.write()
    words = {
        "create": ["--bundle", container.bundle.path],
        "run": ["--bundle", container.bundle.path],
    }
    after = {"exec": ["/bin/true"], "kill": ["KILL"]}
    call = runtime.call(verb, *words.get(verb, []), "--", name, *after.get(verb, []))
    if name in ("-", "--") and call.status == 0:
        # They are letters of an id as runc has it.
        runtime.call("delete", "--force", "--", name)
        return
    assert call.status not in (0, None), call
    assert call.err.count("\n") == 1, call


@against("loose-ids")
@pytest.mark.parametrize("user", ["-1", "0x0", "+0", "0_0", "0b0", "-2:5"])
def test_users_that_are_no_numbers(container: Container, attack: Attack, user: str) -> None:
    """CVE-2026-30892: a number that is parsed loosely is root."""
    container.process["user"] = {"uid": 1000, "gid": 1000}
    container.up()
    call = container.exec("/bin/id", "-u", options=[f"--user={user}"], check=False)
    attack.succeeded(call.out == "0\n", call)


def odd_name() -> str:
    """Every byte that a name can have, in valid and invalid UTF-8."""
    return os.fsdecode(bytes(code for code in range(1, 256) if code != ord("/")))


@pytest.mark.parametrize("option", [[], ["--no-pivot"]], ids=["pivot", "no-pivot"])
@pytest.mark.parametrize("verb", ["run", "create"])
def test_paths_with_every_character(
    container: Container,
    make_container: Callable[[], Container],
    directory: str,
    option: list[str],
    verb: str,
) -> None:
    """Bundle, root, source of a bind and pid file may be called anything at all."""
    path = f"{directory}/{odd_name()}"
    os.rename(container.bundle.path, path)
    container.bundle.path, container.bundle.rootfs = path, f"{path}/rootfs"
    # A config is UTF-8, so what it names is.
    source = "".join(map(chr, range(1, 128))).replace("/", "") + "\u0085\u2028\u202e\U0001f4a9"
    os.mkdir(f"{path}/{source}")
    with open(f"{path}/{source}/file", "w", encoding="utf-8") as file:
        file.write("bound")
    container.bundle.add_mount("/mnt", "bind", source, "bind")
    container.script("echo up; cat /mnt/file; exec sleep 1000")
    container.bundle.write()
    pid_file = f"{path}/pid-{odd_name()[:100]}"
    call: Call = container.runtime.call(
        verb, "--bundle", path, "--pid-file", pid_file, *option,
        *(["--detach"] if verb == "run" else []), container.id,
    ).succeeded()  # fmt: skip
    with open(pid_file, encoding="utf-8") as file:
        assert int(file.read()) == container.pid
    if verb == "create":
        container.start()
    wait_until(lambda: "bound" in call.out, "what is bound in the output")


def test_the_launcher_refuses_set_user_id(runtime: Runtime) -> None:
    """Every argument and variable would be an attacker's."""
    with open(runtime.program, "rb") as file:
        content = file.read()
    path = f"{runtime.directory}/suid"
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, 0o4755)
    done = subprocess.run([path, "--version"], capture_output=True, text=True, user=12345)
    assert done.returncode != 0
    assert "set-user-ID" in done.stderr


@pytest.mark.parametrize("build_name", ["unchanged", "installation-not-looked-at"], indirect=True)
@pytest.mark.parametrize("kind", ["module", "init", "package", "parent", "owner"])
def test_an_installation_that_others_can_write_to(
    runtime: Runtime, directory: str, attack: Attack, build_name: str, kind: str
) -> None:
    """`features` says so: nothing that ocipy does could help."""
    attack.is_weakened = build_name != "unchanged"
    copy = shutil.copytree(os.path.dirname(runtime.program), f"{directory}/copy")
    runtime.program = f"{copy}/ocipy"
    package = f"{copy}/tree/ocipy"

    def reported() -> str:
        features = json.loads(runtime.call("features").succeeded().out)
        return str(features["annotations"]["io.github.ocipy.installation.writable-by-others"])

    paths = {
        "module": f"{package}/cli.py",
        "init": f"{package}/_native/ocipy-init",
        "package": package,
        "parent": f"{copy}/tree",
        "owner": f"{package}/errors.py",
    }
    path = paths[kind]
    assert path not in reported()
    if kind == "owner":
        os.chown(path, 12345, 12345)
    else:
        os.chmod(path, os.stat(path).st_mode | (0o020 if kind == "init" else 0o002))
    text = reported()
    attack.succeeded(f"{path}: " not in text, text)
