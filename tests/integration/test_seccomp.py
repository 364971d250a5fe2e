"""Filters at work in a real kernel. What each rule compiles to is asked in tests/unit/spawn."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import REPOSITORY
from tests.integration.system_calls import call_program, caller

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.containers import Container

__all__ = ["call_program", "caller"]
pytestmark = pytest.mark.requires("seccomp")

SIGSYS = 31
KILLED = f"status {128 + SIGSYS}"
NATIVE = "SCMP_ARCH_X86_64" if os.uname().machine == "x86_64" else "SCMP_ARCH_AARCH64"


def profile(default: str, *rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"defaultAction": f"SCMP_ACT_{default}", "syscalls": list(rules), **more}


def rule(names: str, action: str, **more: Any) -> dict[str, Any]:
    return {"names": names.split(), "action": f"SCMP_ACT_{action}", **more}


def dockers_profile() -> dict[str, Any]:
    with open(f"{REPOSITORY}/tests/unit/golden/configs/docker-run.json", encoding="utf-8") as file:
        seccomp = json.load(file)["linux"]["seccomp"]
    assert isinstance(seccomp, dict)
    return seccomp


def test_without_a_profile_there_is_no_filter(container: Container) -> None:
    assert "Seccomp:\t0" in container.sh("cat /proc/self/status")


@pytest.mark.parametrize("no_new_privileges", [True, False])
@pytest.mark.parametrize("uid", [0, 1000])
def test_dockers_profile(
    container: Container, caller: Callable[..., str], no_new_privileges: bool, uid: int
) -> None:
    container.linux["seccomp"] = dockers_profile()
    container.process["noNewPrivileges"] = no_new_privileges
    container.process["user"] = {"uid": uid, "gid": uid}
    answers = caller(
        "grep -w Seccomp: /proc/self/status",
        "call unshare 0x10000000",
        "call keyctl 0 0 0",
        "call clone3 0 0",
        "call 5000",
    )
    expected = [-errno.EPERM, -errno.EPERM, -errno.ENOSYS, -errno.ENOSYS]
    assert answers.split() == ["Seccomp:", "2", *map(str, expected)]


def test_the_capabilities_are_the_asked_ones_without_no_new_privileges(
    container: Container,
) -> None:
    """Loading a filter takes CAP_SYS_ADMIN then, which must not be left over."""
    status = "grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status"
    for user in (0, 1000):
        container.process["user"] = {"uid": user, "gid": user}
        container.process["noNewPrivileges"] = False
        container.linux.pop("seccomp", None)
        without = container.lines(status)
        container.linux["seccomp"] = dockers_profile()
        assert container.lines(status) == without


@pytest.mark.parametrize(
    ("action", "more", "expected"),
    [
        ("ERRNO", {}, str(-errno.EPERM)),
        ("ERRNO", {"errnoRet": errno.ENOSPC}, str(-errno.ENOSPC)),
        ("ERRNO", {"errnoRet": 0}, "0"),
        ("KILL", {}, KILLED),
        ("KILL_THREAD", {}, KILLED),
        ("KILL_PROCESS", {}, KILLED),
        ("TRAP", {}, KILLED),
        # seccomp(2): without a tracer the call is not made, and fails with ENOSYS.
        ("TRACE", {}, str(-errno.ENOSYS)),
        ("LOG", {}, "0"),
        ("ALLOW", {}, "0"),
    ],
)
def test_actions(
    container: Container,
    caller: Callable[..., str],
    action: str,
    more: dict[str, int],
    expected: str,
) -> None:
    container.linux["seccomp"] = profile("ALLOW", rule("personality", action, **more))
    assert caller("call personality 0") == expected
    assert caller("call getuid") == "0"


def test_arguments(container: Container, caller: Callable[..., str]) -> None:
    def when(index: int, op: str, value: int, two: int = 0) -> dict[str, Any]:
        condition = {"index": index, "op": f"SCMP_CMP_{op}", "value": value, "valueTwo": two}
        return rule("getpriority", "ERRNO", errnoRet=77, args=[condition])

    # getpriority(2): with which = 9 the call itself answers EINVAL.
    refused, made = str(-77), str(-errno.EINVAL)
    calls = [f"call getpriority 9 {who}" for who in (4, 5, 6)]
    for op, expected in {
        "EQ": [made, refused, made],
        "NE": [refused, made, refused],
        "LT": [refused, made, made],
        "LE": [refused, refused, made],
        "GT": [made, made, refused],
        "GE": [made, refused, refused],
    }.items():
        container.linux["seccomp"] = profile("ALLOW", when(1, op, 5))
        assert caller(*calls).split() == expected, op
    container.linux["seccomp"] = profile("ALLOW", when(1, "MASKED_EQ", 0xF0, 0x20))
    answers = caller("call getpriority 9 0x2f", "call getpriority 9 0x3f")
    assert answers.split() == [refused, made]


@pytest.mark.requires("personality-linux32")
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="int 0x80 is x86")
def test_sub_architectures(container: Container, caller: Callable[..., str]) -> None:
    getsid_x86 = 147
    container.linux["seccomp"] = profile("ALLOW", rule("getsid", "ERRNO", errnoRet=77))
    assert caller("call getsid 0") == "-77"
    assert caller(f"call32 {getsid_x86} 0") == KILLED
    container.linux["seccomp"]["architectures"] = [NATIVE, "SCMP_ARCH_X86"]
    assert caller("call getsid 0") == "-77"
    assert caller(f"call32 {getsid_x86} 0") == "-77"
    assert caller("call32 24") == "0", "getuid"


@pytest.mark.parametrize(
    "flags",
    [
        ["SECCOMP_FILTER_FLAG_LOG"],
        ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"],
        ["SECCOMP_FILTER_FLAG_TSYNC"],
        ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC"],
        ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
    ],
)
@pytest.mark.runc_deviates("1.1 has none")
def test_flags(container: Container, caller: Callable[..., str], flags: list[str]) -> None:
    container.linux["seccomp"] = profile("ALLOW", rule("sync", "ERRNO"), flags=flags)
    assert caller("call sync") == str(-errno.EPERM)


def test_no_flags(container: Container, caller: Callable[..., str]) -> None:
    container.linux["seccomp"] = profile("ALLOW", rule("sync", "ERRNO"), flags=[])
    assert caller("call sync") == str(-errno.EPERM)


@pytest.mark.runc_deviates("1.1 has no flags")
def test_spec_allow_keeps_the_mitigation_off(container: Container) -> None:
    """Both ways, where the processor has the bug and the kernel leaves it to prctl(2)."""

    def speculation() -> str:
        text = "Speculation_Store_Bypass"
        return container.sh(f"grep {text} /proc/self/status || echo none")

    plain = speculation()
    container.linux["seccomp"] = profile("ALLOW", rule("sync", "ERRNO"))
    assert speculation() == plain
    container.linux["seccomp"]["flags"] = ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]
    assert speculation() == plain


def test_exec_gets_the_filter(container: Container) -> None:
    container.linux["seccomp"] = dockers_profile()
    container.up()
    status = container.exec("grep", "Seccomp", "/proc/self/status").out
    assert "Seccomp:\t2" in status
    assert "Seccomp_filters:\t1" in status


@pytest.mark.runc_deviates("goes on with a Go program under the filter")
def test_a_filter_that_allows_only_what_the_program_needs(
    container: Container, caller: Callable[..., str]
) -> None:
    """None of our own system calls have to be allowed: execve(2) is all that comes after it."""
    startup = "execve brk arch_prctl set_tid_address set_robust_list rseq prlimit64 readlink"
    needed = f"{startup} readlinkat getrandom mprotect newfstatat fstat write exit_group ioctl"
    container.linux["seccomp"] = profile("KILL_PROCESS", rule(f"{needed} getuid", "ALLOW"))
    assert caller("call getuid") == "0"
    assert caller("call sync") == KILLED


@pytest.mark.parametrize("action", ["KILL_PROCESS", "ERRNO"])
@pytest.mark.parametrize("command", ["run", "start", "exec"])
@pytest.mark.runc_deviates("only says that it has stopped; its state has another form")
def test_a_filter_under_which_nothing_can_start(
    container: Container, action: str, command: str
) -> None:
    """Init can neither execute the program, nor say so, nor (ERRNO) even exit."""
    container.args("/bin/true")
    if command == "exec":
        container.up()
        config = f"{container.runtime.root}/{container.id}/config.json"
        with open(config, encoding="utf-8") as file:
            saved = json.load(file)
        saved["linux"]["seccomp"] = profile(action)
        with open(config, "w", encoding="utf-8") as file:
            json.dump(saved, file)
        call = container.exec("/bin/true", check=False)
        assert call.status == 255
    else:
        container.linux["seccomp"] = profile(action)
        if command == "start":
            container.create()
        call = container.start(check=False) if command == "start" else container.run(check=False)
        assert call.status == 1
    assert "died before the program started" in call.err
    assert "seccomp" in call.err


# -- the cache


def cache(container: Container) -> str:
    if not container.runtime.is_ocipy:
        pytest.skip("the cache is ocipy's own")
    return f"{container.runtime.root}/.@seccomp"


def test_a_filter_is_compiled_once(container: Container, caller: Callable[..., str]) -> None:
    container.linux["seccomp"] = profile("ALLOW", rule("sync", "ERRNO"))
    assert caller("call sync") == str(-errno.EPERM)
    (entry,) = os.listdir(cache(container))
    before = os.stat(f"{cache(container)}/{entry}")
    assert caller("call sync") == str(-errno.EPERM)
    after = os.stat(f"{cache(container)}/{entry}")
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert os.stat(cache(container)).st_mode & 0o777 == 0o700


def test_a_damaged_filter_is_not_used(container: Container, caller: Callable[..., str]) -> None:
    directory = cache(container)
    container.linux["seccomp"] = profile("ALLOW", rule("sync", "ERRNO"))
    caller("call sync")
    (entry,) = os.listdir(directory)
    allow_everything = b"\x06\0\0\0\0\0\xff\x7f"
    with open(f"{directory}/{entry}", "r+b") as file:
        file.seek(32)
        file.write(allow_everything)
    assert caller("call sync") == str(-errno.EPERM)


def test_list_does_not_take_the_cache_for_a_container(container: Container) -> None:
    container.linux["seccomp"] = profile("ALLOW", rule("sync", "ERRNO"))
    container.sh("true")
    assert os.path.isdir(cache(container))
    listed = container.runtime.call("list", "--quiet").succeeded().out.split()
    assert listed == []


# -- what is refused


@pytest.mark.parametrize(
    ("pointer", "text", "seccomp"),
    [
        ("/syscalls/0/action", "listenerPath", profile("ALLOW", rule("mount", "NOTIFY"))),
        ("/defaultAction", "SCMP_ACT_NOTIFY", profile("NOTIFY", listenerPath="/x")),
        ("/defaultAction", "SCMP_ACT_NO", profile("NO")),
        ("/architectures/0", "SCMP_ARCH_Z80", profile("ALLOW", architectures=["SCMP_ARCH_Z80"])),
        ("/flags/0", "", profile("ALLOW", flags=["SECCOMP_FILTER_FLAG_NO"])),
    ],
    ids=["no listener", "default notify", "action", "architecture", "flag"],
)
def test_rejected(container: Container, pointer: str, text: str, seccomp: dict[str, Any]) -> None:
    container.linux["seccomp"] = seccomp
    call = container.is_rejected(f"/linux/seccomp{pointer}")
    assert text in call.message or not container.runtime.is_ocipy


@pytest.mark.parametrize(
    ("pointer", "text", "seccomp"),
    [
        ("/defaultErrnoRet", "takes no errno", profile("ALLOW", defaultErrnoRet=1)),
        ("/syscalls/0/errnoRet", "takes no errno", profile("ERRNO", rule("a", "KILL", errnoRet=1))),
        ("/syscalls/0/names", "", profile("ERRNO", rule("", "ALLOW"))),
        ("/listenerMetadata", "listenerPath", profile("ALLOW", listenerMetadata="x")),
        ("/architectures", "byte order", profile("ALLOW", architectures=["SCMP_ARCH_PPC"])),
    ],
    ids=["default errno", "errno", "names", "metadata", "byte order"],
)
@pytest.mark.runc_deviates("takes them, or only fails at start")
def test_rejected_here(
    container: Container, pointer: str, text: str, seccomp: dict[str, Any]
) -> None:
    container.linux["seccomp"] = seccomp
    container.is_rejected(f"/linux/seccomp{pointer}", text)


def test_libseccomp_is_named_in_the_version(runtime_program: str) -> None:
    done = subprocess.run([runtime_program, "--version"], capture_output=True, text=True)
    assert "libseccomp: " in done.stdout
