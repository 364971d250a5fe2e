"""Options in the forms that callers use, `--version`, `--help`, `spec` and `--config`."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
from typing import TYPE_CHECKING

import pytest

from tests.integration.containers import Call, Container, Runtime

if TYPE_CHECKING:
    from collections.abc import Callable

runc_deviates = pytest.mark.runc_deviates


@pytest.fixture
def raw(runtime: Runtime) -> Callable[..., Call]:
    """Call the program with exactly these arguments, as `--root` is one of the options to try."""
    runtime.global_options = []
    return runtime.call


def test_version(raw: Callable[..., Call], runtime: Runtime) -> None:
    """As dockerd parses it: `NAME version X`, `commit: C`, `spec: V`."""
    out = raw("--version").succeeded().out
    name = "runc" if runtime.is_runc else "ocipy"
    assert re.search(rf"^{name} version \d+\.\d+\.\d+\S*$", out, re.MULTILINE), out
    assert re.search(r"^spec: 1\.\d+\.\d+(-dev)?$", out, re.MULTILINE), out
    assert re.search(r"^commit: \S+$", out, re.MULTILINE), out
    assert raw("-v").out == out


@pytest.mark.parametrize("arguments", ["--help", "-h", "help", "create --help", "kill -h"])
def test_help(raw: Callable[..., Call], arguments: str) -> None:
    out = raw(*arguments.split()).succeeded().out
    assert "USAGE" in out.upper()
    named = "--bundle" if "create" in arguments else "signal" if "kill" in arguments else "create"
    assert named in out


def test_unknown_command(raw: Callable[..., Call]) -> None:
    call = raw("nosuch")
    assert call.status == 3, call
    assert "nosuch" in call.err


@pytest.mark.parametrize("arguments", ["--nosuch state x", "state --nosuch x", "state -x y"])
def test_unknown_option(raw: Callable[..., Call], arguments: str) -> None:
    call = raw(*arguments.split())
    assert call.status == 1, call
    assert re.search("nosuch|-x", call.err + call.out), call


@pytest.mark.parametrize(
    "before",
    [
        "--root ROOT create --bundle BUNDLE",
        "--root=ROOT create --bundle=BUNDLE",
        "-root ROOT create -bundle BUNDLE",
        "-root=ROOT create -bundle=BUNDLE",
        "--root ROOT create -b BUNDLE",
        "--root ROOT create -b=BUNDLE",
        "--log /dev/null --log-format=json --root ROOT create --no-pivot=false -b BUNDLE",
        "--debug=false --root ROOT create --no-new-keyring --bundle BUNDLE --pid-file PIDFILE",
        "--rootless=false --root ROOT create --no-new-keyring=true --bundle BUNDLE",
        "--rootless auto --root ROOT create --preserve-fds 0 --bundle BUNDLE --",
    ],
)
def test_option_forms(
    raw: Callable[..., Call], container: Container, runtime: Runtime, before: str
) -> None:
    container.bundle.write()
    words = before.replace("BUNDLE", container.bundle.path).replace("ROOT", runtime.root)
    words = words.replace("PIDFILE", f"{container.bundle.path}/pid")
    raw(*words.split(), container.id).succeeded()
    runtime.global_options = ["--root", runtime.root]
    assert container.status == "created"


def test_the_last_of_equal_options_counts(container: Container) -> None:
    container.run("--bundle", "/nonexistent", "--bundle", container.bundle.path)


@pytest.mark.parametrize("value", ["maybe", "yes please"])
def test_a_wrong_boolean(container: Container, value: str) -> None:
    call = container.run(f"--detach={value}", check=False)
    assert call.status == 1, call
    assert value in call.err + call.out


def test_an_option_without_its_value(runtime: Runtime) -> None:
    call = runtime.call("create", "--bundle")
    assert call.status == 1
    # podman looks for one of these texts in the output of such a call.
    assert re.search("flag needs an argument|requires an argument", call.out + call.err), call


@pytest.mark.parametrize("verb", ["create", "run", "start", "state", "delete"])
def test_too_many_arguments(container: Container, runtime: Runtime, verb: str) -> None:
    call = runtime.call(verb, container.id, "another", cwd=container.bundle.path)
    assert call.status == 1, call
    assert not runtime.holds(container.id)


def test_spec_makes_a_bundle_that_runs(container: Container, runtime: Runtime) -> None:
    runtime.call("spec", "--bundle", container.bundle.path).succeeded()
    runtime.call("spec", "--bundle", container.bundle.path).failed("exist")
    with open(f"{container.bundle.path}/config.json", encoding="utf-8") as file:
        config = json.load(file)
    assert config["process"]["args"] == ["sh"]
    assert config["process"]["terminal"] is True
    assert config["root"] == {"path": "rootfs", "readonly": True}
    assert config["process"]["noNewPrivileges"] is True
    kinds = {ns["type"] for ns in config["linux"]["namespaces"]}
    assert {"pid", "network", "ipc", "uts", "mount"} <= kinds
    config["process"]["terminal"] = False
    container.bundle.config = config
    config["linux"]["cgroupsPath"] = f"/{container.id}"
    assert container.sh("id -u; hostname").split()[0] == "0"


def test_spec_that_cannot_be_written(runtime: Runtime, directory: str) -> None:
    """Half of a config.json would be in the way of the next attempt."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    with open("/dev/null", "w", encoding="utf-8") as null:
        call = runtime.call("spec", cwd=directory, preexec_fn=limit, stderr=null)
    assert call.status == 1, call
    if not runtime.is_runc:
        assert not os.path.exists(f"{directory}/config.json")
        runtime.call("spec", cwd=directory).succeeded()


def test_spec_rootless(container: Container, runtime: Runtime, directory: str) -> None:
    runtime.call("spec", "--rootless", cwd=directory).succeeded()
    with open(f"{directory}/config.json", encoding="utf-8") as file:
        config = json.load(file)
    kinds = {ns["type"] for ns in config["linux"]["namespaces"]}
    assert "user" in kinds
    assert "network" not in kinds
    assert config["linux"]["uidMappings"][0]["size"] == 1


@runc_deviates("has no --config")
def test_config_from_another_file(container: Container, directory: str) -> None:
    path = f"{directory}/other.json"
    container.args("/bin/echo", "from the other file")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(container.config, file)
    container.args("/bin/false")
    assert container.run("--config", path).out == "from the other file\n"


@runc_deviates("has no --config")
@pytest.mark.parametrize("verb", ["run", "create"])
def test_config_from_stdin(container: Container, runtime: Runtime, verb: str) -> None:
    container.args("/bin/cat")
    config = json.dumps(container.config)
    read_end, write_end = os.pipe()
    os.write(write_end, config.encode())
    os.close(write_end)
    try:
        call = runtime.call(
            verb, "--config", "-", "--bundle", container.bundle.path, container.id, stdin=read_end
        ).succeeded()
    finally:
        os.close(read_end)
    assert call.out == "", "the container does not get what was left of stdin"


def test_pid_file(container: Container) -> None:
    path = f"{container.bundle.path}/init.pid"
    container.create("--pid-file", path)
    with open(path, encoding="utf-8") as file:
        # Without a newline: conmon and containerd parse the whole content as a number.
        assert file.read() == str(container.pid)


def test_a_pid_file_that_cannot_be_written(container: Container, runtime: Runtime) -> None:
    call = container.create("--pid-file", "/nonexistent/pid", check=False)
    call.failed("/nonexistent")
    assert not runtime.holds(container.id)


def test_no_environment(container: Container, runtime: Runtime) -> None:
    """podman calls `kill` and `delete` with nothing but XDG_RUNTIME_DIR, conmon with nothing."""
    container.script("exec sleep 1000").bundle.write()
    runtime.call("create", "--bundle", container.bundle.path, container.id, env={}).succeeded()
    pid = container.pid
    container.start(env={})
    runtime.call("kill", container.id, "9", env={"XDG_RUNTIME_DIR": "/run"}).succeeded()
    container.wait(pid)
    container.delete(env={})


def test_python_variables_of_the_caller_change_nothing(
    container: Container, directory: str
) -> None:
    """A runtime written in Python must not run what its caller's environment names."""
    for name in ("json", "os", "sitecustomize", "usercustomize", "errno", "encodings", "time"):
        with open(f"{directory}/{name}.py", "w", encoding="utf-8") as file:
            file.write(f"open('{directory}/evil', 'w'); raise SystemExit(3)\n")
    env = dict(os.environ) | {
        "PYTHONPATH": directory,
        "PYTHONHOME": directory,
        "PYTHONSTARTUP": f"{directory}/json.py",
        "PYTHONINSPECT": "1",
    }
    container.bundle.write()
    container.run(env=env, cwd=directory)
    assert not os.path.exists(f"{directory}/evil")


def test_a_deleted_working_directory(container: Container, directory: str) -> None:
    """A caller whose directory is gone still gets its container stopped and deleted."""
    container.up()
    pid = container.pid
    gone = f"{directory}/gone"
    os.mkdir(gone)
    program = container.runtime.program
    for verb in (f"kill {container.id} KILL", f"delete --force {container.id}"):
        os.makedirs(gone, exist_ok=True)
        call = Call(
            ["/bin/sh", "-c", f"cd {gone} && rmdir {gone} && exec {program} "
             f"--root {container.runtime.root} {verb}"],
            directory,
        )  # fmt: skip
        call.begin()
        call.wait().succeeded()
    container.wait(pid)


def test_root_is_made_with_its_parents(container: Container, runtime: Runtime) -> None:
    runtime.root += "/deep/er"
    runtime.global_options = ["--root", runtime.root]
    container.create()
    mode = os.stat(f"{runtime.root}/{container.id}").st_mode & 0o777
    assert mode & 0o066 == 0, f"others can read the state: {mode:o}"
    container.delete("--force")
