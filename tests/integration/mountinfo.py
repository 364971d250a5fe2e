"""Reading /proc/PID/mountinfo; proc(5)."""

from __future__ import annotations


class Mount:
    """One line; `options` are the mount's own, `super_options` its file system's."""

    def __init__(self, line: str) -> None:
        fields = line.split(" ")
        dash = fields.index("-")
        self.root, self.target = fields[3], fields[4]
        self.options = set(fields[5].split(","))
        self.propagation = {field.partition(":")[0] for field in fields[6:dash]}
        self.fstype, self.source = fields[dash + 1 : dash + 3]
        self.super_options = set(fields[dash + 3].strip().split(","))
        self.line = line

    def __repr__(self) -> str:
        return f"<{self.line.strip()}>"


def parse(text: str) -> dict[str, Mount]:
    """Return mounts by target; of several on one target the last, which is the visible one."""
    mounts = [Mount(line) for line in text.splitlines()]
    return {mount.target: mount for mount in mounts}


def of_process(pid: int | str) -> dict[str, Mount]:
    with open(f"/proc/{pid}/mountinfo", encoding="utf-8") as file:
        return parse(file.read())
