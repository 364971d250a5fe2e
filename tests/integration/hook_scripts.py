"""Hooks that write down when, where and how they were called."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from tests.bundles import write_file

if TYPE_CHECKING:
    from tests.integration.containers import Container

KINDS = (
    "prestart",
    "createRuntime",
    "createContainer",
    "startContainer",
    "poststart",
    "poststop",
)

SCRIPT = """#!/bin/sh
# $1 is the hook's name, $2 how it ends.
cd {directory}
cat > state.$1
tr '\\0' '\\n' < /proc/self/environ > env.$1
for n in mnt net pid uts; do readlink /proc/self/ns/$n; done > namespaces.$1
echo $1 >> order
case $2 in
  "") ;;
  hang) exec sleep 1000 ;;
  hang-with-child) sleep 1000 & exec sleep 1001 ;;
  *) echo "a reason on stderr" >&2; exit $2 ;;
esac
"""


class Hooks:
    """The hooks of one container. All of them are one script that knows the hook's name."""

    def __init__(self, container: Container, directory: str) -> None:
        # The name is what a leftover process's command line shows.
        self.directory = f"{directory}/hooks"
        os.mkdir(self.directory)
        # Root of a user namespace must be able to write down things as well.
        os.chmod(self.directory, 0o777)
        write_file(f"{self.directory}/order", "", 0o666)
        self.script = f"{self.directory}/hook"
        write_file(self.script, SCRIPT.format(directory=self.directory), 0o755)
        container.config["hooks"] = {}
        self.config: dict[str, list[dict[str, Any]]] = container.config["hooks"]
        # startContainer hooks are looked up in the container: give it the same script there.
        container.bundle.add_mount(self.directory, "bind", self.directory, "bind")

    def add(self, kind: str, name: str = "", ending: str = "", **members: Any) -> dict[str, Any]:
        """Add a hook of this kind; it logs as `name`, or else as its kind."""
        hook: dict[str, Any] = {"path": self.script, "args": ["hook", name or kind, ending]}
        hook["env"] = ["PATH=/usr/bin:/bin"]
        hook.update(members)
        self.config.setdefault(kind, []).append(hook)
        return hook

    @property
    def order(self) -> list[str]:
        """The names of the hooks that have run."""
        return self._read("order").split()

    def state(self, name: str) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self._read(f"state.{name}"))
        return state

    def environment(self, name: str) -> list[str]:
        return self._read(f"env.{name}").splitlines()

    def namespaces(self, name: str) -> dict[str, str]:
        return dict(
            line.rstrip("]").split(":[") for line in self._read(f"namespaces.{name}").split()
        )

    def _read(self, name: str) -> str:
        try:
            with open(f"{self.directory}/{name}", encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return ""
