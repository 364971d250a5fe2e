"""One command line, understood: what cli.py hands to a command."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    OptionValue: TypeAlias = "bool | int | str | list[str]"


class Request:
    """A command with its options and arguments; every option that was not given has its default.

    `options` maps the long name without dashes (`"pid-file"`) to what was given, and only what was
    given. The typed readers below add the defaults: False, 0, "" and [], unless the table says
    otherwise. `started_at` is when the command saw the program run, in seconds on CLOCK_MONOTONIC.
    Asking for an option that the command does not have is a KeyError, hence a bug.
    """

    __slots__ = (
        "args",
        "cgroup_manager",
        "command",
        "debug",
        "defaults",
        "log",
        "log_format",
        "options",
        "root",
        "rootless",
        "started_at",
        "systemd_cgroup",
    )

    def __init__(
        self,
        command: str,
        *,
        root: str = "",
        log: str = "",
        log_format: str = "text",
        debug: bool = False,
        systemd_cgroup: bool = False,
        cgroup_manager: str = "",
        rootless: str = "auto",
        options: dict[str, OptionValue] | None = None,
        defaults: dict[str, OptionValue] | None = None,
        args: list[str] | None = None,
    ) -> None:
        self.command = command
        self.root = root
        self.log = log
        self.log_format = log_format
        self.debug = debug
        self.systemd_cgroup = systemd_cgroup
        self.cgroup_manager = cgroup_manager
        self.rootless = rootless
        self.started_at = 0.0
        self.options = options or {}
        self.defaults = defaults or {}
        self.args = args or []

    def given(self, name: str) -> bool:
        """Was the option on the command line, whatever its value?"""
        return name in self.options

    def _value(self, name: str) -> OptionValue:
        return self.options[name] if name in self.options else self.defaults[name]

    def flag(self, name: str) -> bool:
        value = self._value(name)
        assert isinstance(value, bool)
        return value

    def number(self, name: str) -> int:
        value = self._value(name)
        assert isinstance(value, int)
        return value

    def text(self, name: str) -> str:
        value = self._value(name)
        assert isinstance(value, str)
        return value

    def texts(self, name: str) -> list[str]:
        value = self._value(name)
        assert isinstance(value, list)
        return value
