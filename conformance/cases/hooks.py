"""config.md#posix-platform-hooks: what each kind gets, where it runs, and what its failure means."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from conformance import leftovers
from conformance.case import Section
from conformance.fields import HOOKS

if TYPE_CHECKING:
    from conformance.room import Room

SPEC = Section("config.md")
LIFE = Section("runtime.md")
ANCHOR = "posix-platform-hooks"
# Where the path is looked up, and where the hook runs.
RESOLVES_INSIDE = ("startContainer",)
RUNS_INSIDE = ("createContainer", "startContainer")
SECTION = {
    "prestart": "prestart", "createRuntime": "createruntime-hooks",
    "createContainer": "createcontainer-hooks", "startContainer": "startcontainer-hooks",
    "poststart": "poststart", "poststop": "poststop",
}  # fmt: skip
ROWS = [(kind, SECTION[kind]) for kind in HOOKS]
# createContainer runs in the container's mount namespace, but before the root is changed.
CREATE_KINDS = HOOKS[:3]


def log(room: Room, kind: str) -> str:
    """Return the path that a hook of this kind can write to, as it sees it."""
    return f"/mnt/{kind}" if kind in RESOLVES_INSIDE else f"{room.directory}/out/{kind}"


def written(room: Room, kind: str) -> str:
    path = f"{room.directory}/out/{kind}"
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8") as file:
        return file.read()


def hook(room: Room, kind: str, script: str) -> dict[str, Any]:
    """Add a hook that runs a shell script; `$OUT` is a file of its kind; return its entry."""
    if not os.path.isdir(f"{room.directory}/out"):
        os.makedirs(f"{room.directory}/out")
        room.mount("/mnt", "none", f"{room.directory}/out", "bind")
    text = f"OUT={log(room, kind)}\n{script}"
    shell = "/bin/sh"
    entry = {"path": shell, "args": ["sh", "-c", text], "env": ["PATH=/bin:/usr/bin:/sbin"]}
    room.config.setdefault("hooks", {}).setdefault(kind, []).append(entry)
    return entry


def live(room: Room) -> None:
    """A whole life."""
    room.script("true")
    room.create()
    room.start()
    room.wait()
    room.delete()


@SPEC.family("hooks.{0}.called", "MUST", "{1}", "{0} hooks are called", ROWS)
def called(room: Room, kind: str, _: str) -> None:
    hook(room, kind, "echo $$ >>$OUT")
    live(room)
    room.equal(len(written(room, kind).split()), 1, "calls")


@SPEC.family("hooks.{0}.order", "MUST", ANCHOR, "{0} hooks are called in the listed order", ROWS)
def order(room: Room, kind: str, _: str) -> None:
    for number in range(4):
        hook(room, kind, f"echo {number} >>$OUT")
    live(room)
    room.equal(written(room, kind).split(), list("0123"), "order")


WHEN = {
    "prestart": "create", "createRuntime": "create", "createContainer": "create",
    "startContainer": "start", "poststart": "start", "poststop": "delete",
}  # fmt: skip


@SPEC.family("hooks.{0}.operation", "MUST", "{1}", "{0} hooks are part of their operation", ROWS)
def operation(room: Room, kind: str, _: str) -> None:
    hook(room, kind, "echo called >>$OUT")
    room.script("exec sleep 1000")
    verbs = {"create": room.create, "start": room.start, "delete": room.delete}
    for verb, call in verbs.items():
        if verb == "delete":
            room.kill()
            room.wait()
        before = written(room, kind)
        call()
        room.equal(
            bool(written(room, kind)) and not before, verb == WHEN[kind], f"called by {verb}"
        )


@SPEC.family("hooks.{0}.state", "MUST", ANCHOR, "{0} hooks get the state on stdin", ROWS)
def state(room: Room, kind: str, _: str) -> None:
    hook(room, kind, "cat >$OUT")
    room.config["annotations"] = {"com.example.key": "value"}
    live(room)
    found = json.loads(written(room, kind))
    room.equal(found["id"], room.id, "id")
    room.equal(os.path.realpath(found["bundle"]), room.bundle, "bundle")
    room.equal(found.get("annotations", {}).get("com.example.key"), "value", "annotation")
    room.holds(found["ociVersion"].count(".") >= 2, f"ociVersion {found['ociVersion']!r}")


STATUS = {
    "prestart": ("creating",), "createRuntime": ("creating",), "createContainer": ("creating",),
    "startContainer": ("created",), "poststart": ("running",), "poststop": ("stopped",),
}  # fmt: skip


@LIFE.family(
    "hooks.{0}.status", "MUST", "state", "the status that {0} hooks get is the true one", ROWS
)
def status(room: Room, kind: str, _: str) -> None:
    hook(room, kind, "cat >$OUT")
    room.script("exec sleep 1000")
    room.create()
    room.start()
    room.kill()
    room.wait()
    room.delete()
    found = json.loads(written(room, kind))["status"]
    room.holds(found in STATUS[kind], f"status {found!r}")


@LIFE.family("hooks.{0}.pid", "MUST", "state", "the pid that {0} hooks get is that of their namespace",
             [row for row in ROWS if row[0] != "poststop"])  # fmt: skip
def pid(room: Room, kind: str, _: str) -> None:
    hook(room, kind, "cat >$OUT")
    live(room)
    found = json.loads(written(room, kind)).get("pid")
    room.equal(found, 1 if kind in RUNS_INSIDE else room.pid, "pid")


@SPEC.family(
    "hooks.{0}.namespace", "MUST", "{1}", "{0} hooks are executed in the right namespaces", ROWS
)
def namespace(room: Room, kind: str, _: str) -> None:
    hook(room, kind, "for n in mnt pid ipc uts; do readlink /proc/self/ns/$n; done >$OUT")
    live(room)
    found = written(room, kind).split()
    ours = [os.readlink(f"/proc/self/ns/{name}") for name in ("mnt", "pid", "ipc", "uts")]
    room.equal(len(found), 4, "namespaces")
    for mine, its in zip(ours, found, strict=True):
        room.equal(mine != its, kind in RUNS_INSIDE, f"{its} is another than {mine}")


@SPEC.family(
    "hooks.{0}.path-resolves",
    "MUST",
    "{1}",
    "the path of {0} hooks resolves in the right namespace",
    ROWS,
)
def path_resolves(room: Room, kind: str, _: str) -> None:
    # A program that only one side has.
    entry = hook(room, kind, "")
    if kind in RESOLVES_INSIDE:
        room.file(
            "bundle/rootfs/conformance-hook", f"#!/bin/sh\necho inside >{log(room, kind)}\n", 0o755
        )
        entry["path"] = "/conformance-hook"
    else:
        entry["path"] = room.file("hook", f"#!/bin/sh\necho outside >{log(room, kind)}\n", 0o755)
    entry["args"] = ["hook"]
    live(room)
    room.equal(written(room, kind).strip(), "inside" if kind in RESOLVES_INSIDE else "outside")


@SPEC.family(
    "hooks.{0}.relative-path", "MUST", ANCHOR, "the path of {0} hooks must be absolute", ROWS
)
def relative_path(room: Room, kind: str, _: str) -> None:
    hook(room, kind, "true")["path"] = "bin/true"
    room.rejects(f"/hooks/{kind}/0/path")


@SPEC.family("hooks.{0}.timeout-{2}", "MUST", ANCHOR, "a timeout of {2} seconds in {0} hooks is an error",
             [(*row, value) for row in ROWS for value in (0, -1)])  # fmt: skip
def timeout_invalid(room: Room, kind: str, _: str, value: int) -> None:
    hook(room, kind, "true")["timeout"] = value
    room.rejects(f"/hooks/{kind}/0/timeout")


@SPEC.family(
    "hooks.{0}.args-env", "MUST", ANCHOR, "{0} hooks get their args and env, and no others", ROWS
)
def args_env(room: Room, kind: str, _: str) -> None:
    entry = hook(room, kind, 'echo "$0" "$1" "$2" >$OUT; env >>$OUT')
    entry["args"] += ["zero", "one", "two words"]
    entry["env"] = ["PATH=/bin:/usr/bin", "KEY=value", "EMPTY="]
    os.environ["CONFORMANCE_SECRET"] = "1"
    try:
        live(room)
    finally:
        del os.environ["CONFORMANCE_SECRET"]
    lines = written(room, kind).splitlines()
    room.equal(lines[:1], ["zero one two words"], "arguments")
    room.holds({"KEY=value", "EMPTY="} <= set(lines), f"environment {lines}")
    room.holds("CONFORMANCE_SECRET=1" not in lines, "a variable of the runtime is there")


@SPEC.family(
    "hooks.{0}.timeout", "MUST", ANCHOR, "a {0} hook is aborted after its timeout", ROWS[:5]
)
def timeout(room: Room, kind: str, _: str) -> None:
    # Much longer than a case may take: a runtime that waits for it fails.
    hook(room, kind, "exec sleep 1000")["timeout"] = 1
    _fails(room, kind)


def _fails(room: Room, kind: str) -> None:
    """The operation of this kind of hook must generate an error; what runs then is ended."""
    room.script("exec sleep 1000")
    if WHEN[kind] == "create":
        room.refused(room.try_create())
        return
    room.create()
    room.refused(room.call("start", room.id))


@LIFE.family(
    "lifecycle.{0}-fails.error", "MUST", "lifecycle", "a failed {0} hook is an error", ROWS[:5]
)
def failure_error(room: Room, kind: str, _: str) -> None:
    hook(room, kind, "exit 7")
    _fails(room, kind)


@LIFE.family("lifecycle.{0}-fails.stopped", "MUST", "lifecycle",
             "a failed {0} hook stops and destroys the container", ROWS[:5])  # fmt: skip
def failure_destroys(room: Room, kind: str, _: str) -> None:
    hook(room, kind, "exit 7")
    _fails_or_not(room, kind)
    room.nothing_is_left()


@LIFE.family("lifecycle.{0}-fails.poststop", "MUST", "lifecycle",
             "a failed {0} hook has the poststop hooks run", ROWS[:5])  # fmt: skip
def failure_poststop(room: Room, kind: str, _: str) -> None:
    hook(room, kind, "exit 7")
    hook(room, "poststop", "echo called >>$OUT")
    _fails_or_not(room, kind)
    room.equal(written(room, "poststop").strip(), "called", "poststop")


@LIFE.family("lifecycle.{0}-fails.no-more", "MUST", "lifecycle",
             "after a failed {0} hook the next hooks of its kind are not run", ROWS[:5])  # fmt: skip
def failure_no_more(room: Room, kind: str, _: str) -> None:
    hook(room, kind, "exit 7")
    hook(room, kind, "echo called >>$OUT")
    _fails_or_not(room, kind)
    room.equal(written(room, kind), "", "the second hook's output")


def _fails_or_not(room: Room, kind: str) -> None:
    """As _fails(); whether an error is generated is another case's question."""
    room.script("exec sleep 1000")
    answer = room.try_create()
    if answer.status == 0:
        with open(f"{room.directory}/pid", encoding="utf-8") as file:
            room.pid = int(file.read())
        room.call("start", room.id)


@LIFE.must("lifecycle.startContainer-fails.not-run", "lifecycle",
           "after a failed startContainer hook the program is not run")  # fmt: skip
def start_container_not_run(room: Room) -> None:
    hook(room, "startContainer", "exit 7")
    room.script("echo ran; exec sleep 1000")
    room.create()
    room.call("start", room.id)
    room.equal(room.read_output(), "", "output of the program")


@LIFE.must(
    "lifecycle.poststop-fails.continues",
    "lifecycle",
    "a failed poststop hook: the others still run",
)
def poststop_continues(room: Room) -> None:
    hook(room, "poststop", "exit 7")
    hook(room, "poststop", "echo called >>$OUT")
    live(room)
    room.equal(written(room, "poststop").strip(), "called", "the second hook")
    room.nothing_is_left()


@LIFE.must(
    "lifecycle.poststop-fails.warning", "lifecycle", "a failed poststop hook is logged as a warning"
)
def poststop_warning(room: Room) -> None:
    hook(room, "poststop", "exit 7")
    room.create()
    room.start()
    room.wait()
    answer = room.call("delete", room.id)
    room.equal(answer.status, 0, "status of delete")
    room.holds(answer.err.strip(), "nothing is logged")


@SPEC.must(
    "hooks.prestart.before-createRuntime",
    "prestart",
    "prestart hooks come before createRuntime hooks",
)
def prestart_first(room: Room) -> None:
    for kind in ("createRuntime", "prestart"):
        hook(room, kind, f"echo {kind} >>{room.directory}/out/all")
    live(room)
    room.equal(written(room, "all").split(), ["prestart", "createRuntime"], "order")


@SPEC.must("hooks.createContainer.after-createRuntime", "createcontainer-hooks",
           "createContainer hooks come after createRuntime hooks")  # fmt: skip
def create_container_after(room: Room) -> None:
    for kind in ("createContainer", "createRuntime"):
        hook(room, kind, f"echo {kind} >>{room.directory}/out/all")
    live(room)
    room.equal(written(room, "all").split(), ["createRuntime", "createContainer"], "order")


@SPEC.family("hooks.{0}.environment-made", "MUST", "{1}",
             "{0} hooks come after the namespaces and mounts, before pivot_root", ROWS[:3])  # fmt: skip
def environment_made(room: Room, kind: str, _: str) -> None:
    # The root is still the host's: the bundle's path leads somewhere. The mounts are made.
    look = f"test -d {room.bundle} && echo old root"
    if kind in RUNS_INSIDE:
        look += f"; grep -c ' {room.rootfs}/proc ' /proc/self/mountinfo"
    else:
        look += "; pid=$(tr -d ' \\n' | sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/')"
        look += f"; grep -c ' {room.rootfs}/proc ' /proc/$pid/mountinfo"
    hook(room, kind, f"{{ {look}; }} >$OUT 2>&1")
    live(room)
    room.equal(written(room, kind).split("\n")[:2], ["old root", "1"], "seen by the hook")


@SPEC.must("hooks.startContainer.before-the-program", "startcontainer-hooks",
           "startContainer hooks come before the program")  # fmt: skip
def start_container_before(room: Room) -> None:
    hook(room, "startContainer", "echo hook >>/mnt/all")
    room.run("echo program >>/mnt/all")
    room.equal(written(room, "all").split(), ["hook", "program"], "order")


@SPEC.must(
    "hooks.poststart.after-the-program",
    "poststart",
    "poststart hooks come after the program is executed",
)
def poststart_after(room: Room) -> None:
    hook(room, "poststart", "pid=$(tr -d ' \\n' | sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/')\n"
                            "tr '\\0' ' ' </proc/$pid/cmdline >$OUT")  # fmt: skip
    room.process["args"] = ["/bin/sleep", "1000"]
    room.create()
    room.start()
    room.equal(written(room, "poststart").strip(), "/bin/sleep 1000", "the process then")


@SPEC.must(
    "hooks.poststop.after-deletion", "poststop", "poststop hooks come after the container is gone"
)
def poststop_after(room: Room) -> None:
    roots = " ".join(leftovers.cgroup_roots())
    hook(room, "poststop", f"find {roots} -maxdepth 1 -name '{room.tag}*' | wc -l >$OUT")
    live(room)
    room.equal(written(room, "poststop").strip(), "0", "cgroups of the container")


@SPEC.family("hooks.empty.{0}", "MAY", ANCHOR, "{0} may be an empty array", ROWS)
def empty(room: Room, kind: str, _: str) -> None:
    room.config["hooks"] = {kind: []}
    room.accepts()


@SPEC.family(
    "hooks.missing-program.{0}",
    "MUST",
    ANCHOR,
    "a {0} hook that cannot be executed has failed",
    ROWS[:5],
)
def missing_program(room: Room, kind: str, _: str) -> None:
    hook(room, kind, "")["path"] = "/nowhere/hook"
    _fails(room, kind)
