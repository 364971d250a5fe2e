"""runtime.md and runtime-linux.md: the operations, the state, errors, and the dev links."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

from conformance.case import Section

if TYPE_CHECKING:
    from conformance.room import Room

SPEC = Section("runtime.md")
LINUX = Section("runtime-linux.md")
VERBS = ["state", "create", "start", "kill", "delete"]
SEMVER = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")


@SPEC.family(
    "operations.{0}.without-id", "MUST", "operations", "{0} without an ID is an error", VERBS
)
def without_id(room: Room, verb: str) -> None:
    room.write_config()
    options = ["--bundle", room.bundle] if verb == "create" else []
    room.refused(room.call(verb, *options))
    room.equal(os.listdir(room.state_root), [], "in the state root")


@SPEC.family("operations.{0}.unknown-id", "MUST", "operations", "{0} of a container that is not there is an error",
             [verb for verb in VERBS if verb != "create"])  # fmt: skip
def unknown_id(room: Room, verb: str) -> None:
    room.refused(room.call(verb, room.id, *(["KILL"] if verb == "kill" else [])))


@SPEC.must("operations.create.without-bundle", "create", "create without a bundle is an error")
def without_bundle(room: Room) -> None:
    # runc's command line takes the working directory for it: so that has none.
    room.refused(room.call("create", room.id, cwd=room.state_root))
    room.nothing_is_left()


@SPEC.must("operations.create.creates", "create", "create makes a container")
def creates(room: Room) -> None:
    room.create()
    room.equal(room.state()["status"], "created", "status")


@SPEC.must(
    "operations.create.not-unique", "create", "an ID in use is an error, and nothing new is made"
)
def not_unique(room: Room) -> None:
    room.create()
    before = room.state()
    room.refused(room.try_create())
    room.equal(room.state(), before, "the state of the first")


@SPEC.family("operations.create.invalid-id.{1}", "MUST", "create", "an ID that is not valid is an error: {1}",
             [("", "empty"), ("a/b", "slash"), ("..", "dots"), (".", "dot"),
              ("../../escape", "climbing")])  # fmt: skip
def invalid_id(room: Room, container_id: str, _: str) -> None:
    room.id = container_id
    room.refused(room.try_create())
    room.equal(os.listdir(room.state_root), [], "in the state root")


@SPEC.must("operations.create.not-run", "lifecycle", "create does not run the program")
def not_run(room: Room) -> None:
    room.script("echo ran")
    room.create()
    with open(f"/proc/{room.pid}/cmdline", encoding="utf-8") as file:
        room.holds("echo ran" not in file.read(), "the program runs")
    room.equal(room.read_output(), "", "output")


@SPEC.must("operations.create.properties", "create", "create applies what is not of the process")
def properties(room: Room) -> None:
    room.config["hostname"] = "applied"
    room.mount("/mnt", "tmpfs", "tmpfs")
    room.create()
    with open(f"/proc/{room.pid}/mountinfo", encoding="utf-8") as file:
        room.holds(" /mnt " in file.read(), "/mnt is not mounted")


@SPEC.must("operations.create.args-later", "create", "process.args is not applied before start")
def args_later(room: Room) -> None:
    room.process["args"] = ["/bin/sleep", "1000"]
    room.create()
    room.holds(os.readlink(f"/proc/{room.pid}/exe") != "/bin/busybox", "sleep runs")


@SPEC.must(
    "operations.create.config-later", "lifecycle", "what becomes of config.json later has no effect"
)
def config_later(room: Room) -> None:
    room.script("echo first")
    room.create()
    room.script("echo second")
    room.write_config()
    room.start()
    room.wait()
    room.equal(room.read_output().strip(), "first")


@SPEC.must("operations.create.config-gone", "lifecycle", "config.json is not needed after create")
def config_gone(room: Room) -> None:
    room.create()
    os.unlink(f"{room.bundle}/config.json")
    room.start()
    room.wait()
    room.delete()


@SPEC.may(
    "operations.create.validates",
    "create",
    "the configuration may be checked before anything is made",
)
def validates(room: Room) -> None:
    room.process["cwd"] = "relative"
    room.set("/linux/resources/pids/limit", "many")
    room.rejects("/process/cwd")


@SPEC.must("operations.start.runs", "start", "start runs the program")
def start_runs(room: Room) -> None:
    room.equal(room.run("echo ran"), "ran")


@SPEC.family("operations.start.{0}", "MUST", "start", "start of a {0} container is an error without effect",
             ["running", "stopped"])  # fmt: skip
def start_again(room: Room, status: str) -> None:
    room.up()
    if status == "stopped":
        room.kill()
        room.wait()
    before = room.state()
    room.refused(room.call("start", room.id))
    room.equal(room.state(), before, "the state")


@SPEC.must("operations.start.without-process", "start", "start without a process is an error")
def without_process(room: Room) -> None:
    del room.config["process"]
    answer = room.try_create()
    if answer.status == 0:
        with open(f"{room.directory}/pid", encoding="utf-8") as file:
            room.pid = int(file.read())
        room.refused(room.call("start", room.id))


@SPEC.must("operations.create.without-process", "create", "process is needed at start only")
def create_without_process(room: Room) -> None:
    del room.config["process"]
    room.create()
    room.equal(room.state()["status"], "created", "status")


@SPEC.family("operations.kill.{0}", "MUST", "kill", "kill sends {0} to the container's process",
             ["TERM", "USR1", "HUP", "INT", "QUIT", "10", "SIGUSR1"])  # fmt: skip
def kill(room: Room, name: str) -> None:
    short = {"10": "USR1", "SIGUSR1": "USR1"}.get(name, name)
    room.script(f"trap 'echo got; exit 3' {short}; echo up; while :; do sleep 0.05; done")
    room.create()
    room.start()
    room.until(lambda: "up" in room.read_output(), "the trap")
    room.kill(name)
    room.equal(room.wait(), 3, "exit status")
    room.holds("got" in room.read_output(), "the signal did not arrive")


@SPEC.must("operations.kill.created", "kill", "kill works on a container that is created")
def kill_created(room: Room) -> None:
    room.create()
    room.kill()
    room.wait()
    room.equal(room.state()["status"], "stopped", "status")


@SPEC.must(
    "operations.kill.stopped", "kill", "kill of a stopped container is an error without effect"
)
def kill_stopped(room: Room) -> None:
    room.create()
    room.start()
    room.wait()
    before = room.state()
    room.refused(room.call("kill", room.id, "KILL"))
    room.equal(room.state(), before, "the state")


@SPEC.must(
    "operations.kill.invalid-signal",
    "kill",
    "a signal that does not exist is an error without effect",
)
def kill_invalid(room: Room) -> None:
    room.up()
    room.refused(room.call("kill", room.id, "BANANA"))
    room.equal(room.state()["status"], "running", "status")


@SPEC.must("operations.delete.stopped", "delete", "delete removes what create has made")
def delete_stopped(room: Room) -> None:
    room.run("true")
    room.nothing_is_left()
    room.refused(room.call("state", room.id))


@SPEC.must(
    "operations.delete.running",
    "delete",
    "delete of a running container is an error without effect",
)
def delete_running(room: Room) -> None:
    room.up()
    before = room.state()
    room.refused(room.call("delete", room.id))
    room.equal(room.state(), before, "the state")


@SPEC.must(
    "operations.delete.created",
    "delete",
    "delete of a created container is an error without effect",
)
def delete_created(room: Room) -> None:
    room.create()
    before = room.state()
    room.refused(room.call("delete", room.id))
    room.equal(room.state(), before, "the state")


@SPEC.must("operations.delete.foreign", "delete", "what the container did not make is not deleted")
def delete_foreign(room: Room) -> None:
    path = room.file("data/file", "foreign\n")
    room.mount("/mnt", "none", f"{room.directory}/data", "bind")
    room.run("echo inside >/mnt/other")
    room.holds(os.path.exists(path), f"{path} is gone")
    room.holds(os.path.exists(f"{room.directory}/data/other"), "what was written is gone")
    room.holds(os.path.exists(f"{room.rootfs}/bin/sh"), "the root file system is gone")


@SPEC.must(
    "operations.delete.foreign-namespace", "delete", "a namespace that was joined is not ended"
)
def delete_foreign_namespace(room: Room) -> None:
    # A namespace that was joined belongs to somebody else.
    import subprocess

    sleeper = subprocess.Popen(["unshare", "--ipc", "sleep", "1000"])
    try:
        ours = os.readlink("/proc/self/ns/ipc")
        room.until(lambda: os.readlink(f"/proc/{sleeper.pid}/ns/ipc") != ours, "its namespace")
        path = f"/proc/{sleeper.pid}/ns/ipc"
        room.namespace("ipc", path)
        before = os.readlink(path)
        room.equal(room.run("readlink /proc/self/ns/ipc"), before, "namespace")
        room.equal(os.readlink(path), before, "namespace afterwards")
        room.equal(sleeper.poll(), None, "status of its process")
    finally:
        sleeper.kill()
        sleeper.wait()


@SPEC.may("operations.delete.id-again", "delete", "a deleted container's ID may be used again")
def id_again(room: Room) -> None:
    room.run("true")
    room.equal(room.run("echo again"), "again")


@SPEC.must(
    "operations.scope",
    "scope-of-a-container",
    "who has created a container can use every operation",
)
def scope(room: Room) -> None:
    room.up()
    room.equal(room.state()["status"], "running", "status")
    room.end()


# -- the state


def _state_of(room: Room, status: str) -> dict[str, Any]:
    if status == "created":
        room.create()
    else:
        room.up()
        if status == "stopped":
            room.kill()
            room.wait()
    return room.state()


@SPEC.family(
    "state.{0}.status", "MUST", "state", "the state says {0}", ["created", "running", "stopped"]
)
def state_status(room: Room, status: str) -> None:
    room.equal(_state_of(room, status)["status"], status, "status")


@SPEC.family("state.{0}.form", "MUST", "state", "the state of a {0} container has the form of the schema",
             ["created", "running", "stopped"])  # fmt: skip
def state_form(room: Room, status: str) -> None:
    room.config["annotations"] = {"com.example.key": "value"}
    state = _state_of(room, status)
    room.holds(SEMVER.fullmatch(state["ociVersion"]), f"ociVersion {state['ociVersion']!r}")
    room.equal(state["id"], room.id, "id")
    room.equal(state["bundle"], room.bundle, "bundle")
    room.equal(state["annotations"]["com.example.key"], "value", "annotation")
    room.holds(isinstance(state.get("pid", 0), int), f"pid {state.get('pid')!r}")


@SPEC.family(
    "state.{0}.pid",
    "MUST",
    "state",
    "the pid of a {0} container is its process's",
    ["created", "running"],
)
def state_pid(room: Room, status: str) -> None:
    room.equal(_state_of(room, status)["pid"], room.pid, "pid")


@SPEC.must("state.bundle-absolute", "state", "bundle is an absolute path")
def state_bundle(room: Room) -> None:
    room.write_config()
    with open(f"{room.directory}/output", "w") as out:
        room.ok(room.call("create", "--bundle", "bundle", "--pid-file", f"{room.directory}/pid", room.id,
                          cwd=room.directory, stdout=out))  # fmt: skip
    room.equal(room.state()["bundle"], room.bundle, "bundle")


@SPEC.may(
    "state.without-annotations", "state", "without annotations the property is absent or empty"
)
def state_without(room: Room) -> None:
    room.create()
    room.holds(not room.state().get("annotations"), "there are annotations")


@SPEC.must("state.unchanged", "query-state", "asking does not change anything")
def state_unchanged(room: Room) -> None:
    room.up()
    room.equal(room.state(), room.state(), "the state")


@SPEC.may("state.crash", "lifecycle", "a process may end by crashing")
def state_crash(room: Room) -> None:
    room.script("kill -SEGV $$; exit 9")
    # Of pid 1 the kernel takes no signal from inside that it has not asked for.
    room.without_namespace("pid")
    room.create()
    room.start()
    room.equal(room.wait(), 128 + 11, "exit status")
    room.equal(room.state()["status"], "stopped", "status")


@SPEC.may("state.exit-status", "lifecycle", "a process may end with an error")
def state_exit(room: Room) -> None:
    room.script("exit 9")
    room.create()
    room.start()
    room.equal(room.wait(), 9, "exit status")
    room.equal(room.state()["status"], "stopped", "status")


# -- errors and warnings


@SPEC.must("errors.create-undone", "errors", "a create that fails leaves nothing")
def create_undone(room: Room) -> None:
    # The last mount cannot be made: until then everything has been.
    room.mount("/mnt", "none", f"{room.directory}/nowhere", "bind")
    room.rejects(f"/mounts/{len(room.config['mounts']) - 1}/source")


@SPEC.must("errors.create-again", "errors", "after a create that failed the same ID can be created")
def create_again(room: Room) -> None:
    entry = room.mount("/mnt", "none", f"{room.directory}/later", "bind")
    room.rejects(f"/mounts/{len(room.config['mounts']) - 1}/source")
    os.mkdir(entry["source"])
    room.accepts()


@SPEC.must("warnings.continue", "warnings", "an operation goes on after a warning")
def warning_continues(room: Room) -> None:
    room.process["capabilities"]["bounding"].append("CAP_BANANA")
    room.equal(room.run("echo went on"), "went on")


# -- runtime-linux.md


@LINUX.must("descriptors.default", "file-descriptors", "only the three standard streams are open")
def descriptors(room: Room) -> None:
    extra = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(extra, True)
    try:
        room.script("ls /proc/self/fd")
        room.write_config()
        room.output = f"{room.directory}/output"
        with open(room.output, "w") as out:
            room.ok(room.call("create", "--bundle", room.bundle, "--pid-file", f"{room.directory}/pid",
                              room.id, stdout=out, pass_fds=(extra,)))  # fmt: skip
    finally:
        os.close(extra)
    with open(f"{room.directory}/pid", encoding="utf-8") as file:
        room.pid = int(file.read())
    room.start()
    room.wait()
    # ls itself has the directory open.
    room.equal(room.read_output().split(), ["0", "1", "2", "3"], "descriptors")


@LINUX.may(
    "descriptors.more", "file-descriptors", "more descriptors may be passed, for socket activation"
)
def more_descriptors(room: Room) -> None:
    # Descriptor 3 is somebody else's in this process: it is put back afterwards.
    taken = os.dup(3) if os.path.exists("/proc/self/fd/3") else -1
    read, write = os.pipe()
    os.write(write, b"activated\n")
    os.close(write)
    if read != 3:
        os.dup2(read, 3)
        os.close(read)
    room.script("cat <&3")
    try:
        room.write_config()
        room.output = f"{room.directory}/output"
        with open(room.output, "w") as out:
            answer = room.call("create", "--preserve-fds", "1", "--bundle", room.bundle, "--pid-file",
                               f"{room.directory}/pid", room.id, stdout=out, pass_fds=(3,))  # fmt: skip
    finally:
        if taken < 0:
            os.close(3)
        else:
            os.dup2(taken, 3, inheritable=False)
            os.close(taken)
    room.ok(answer)
    with open(f"{room.directory}/pid", encoding="utf-8") as file:
        room.pid = int(file.read())
    room.start()
    room.wait()
    room.equal(room.read_output().strip(), "activated")


LINKS = [("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"),
         ("stderr", "/proc/self/fd/2")]  # fmt: skip


@LINUX.family("dev-links.{0}", "MUST", "dev-symbolic-links", "/dev/{0} is a link to {1}", LINKS)
def dev_links(room: Room, name: str, target: str) -> None:
    room.equal(room.run(f"readlink /dev/{name}"), target)


@SPEC.must("state.json", "query-state", "the state is one JSON object")
def state_json(room: Room) -> None:
    room.create()
    text = room.call("state", room.id).out
    room.holds(isinstance(json.loads(text), dict), text)
