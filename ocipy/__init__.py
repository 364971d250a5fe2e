"""ocipy: an OCI container runtime that explains itself.

As a library it has the names of `__all__`, all documented in docs/library.md:

    import ocipy

    config = ocipy.Config.for_program(["/bin/echo", "hello"], rootfs="/srv/busybox")
    print(ocipy.run(config).stdout)

They are loaded when they are first asked for: the commands need none of them, and time to start.
"""

from __future__ import annotations

__version__ = "0.1.0"

_HOMES = {
    "Bundle": "library.bundle",
    "Completed": "library.process",
    "Config": "library.config",
    "ConfigError": "errors",
    "ConfigFaults": "errors",
    "Container": "library.container",
    "ContainerNotFoundError": "state.store",
    "Exit": "library.process",
    "HookError": "errors",
    "OcipyError": "errors",
    "Plan": "library.plan",
    "Process": "library.process",
    "StateError": "errors",
    "StepError": "errors",
    "UnsupportedError": "errors",
    "UsageError": "errors",
    "run": "library.container",
}

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.errors import (
        ConfigError,
        ConfigFaults,
        HookError,
        OcipyError,
        StateError,
        StepError,
        UnsupportedError,
        UsageError,
    )
    from ocipy.library.bundle import Bundle
    from ocipy.library.config import Config
    from ocipy.library.container import Container, run
    from ocipy.library.plan import Plan
    from ocipy.library.process import Completed, Exit, Process
    from ocipy.state.store import ContainerNotFoundError

__all__ = [
    "Bundle",
    "Completed",
    "Config",
    "ConfigError",
    "ConfigFaults",
    "Container",
    "ContainerNotFoundError",
    "Exit",
    "HookError",
    "OcipyError",
    "Plan",
    "Process",
    "StateError",
    "StepError",
    "UnsupportedError",
    "UsageError",
    "__version__",
    "run",
]


if not TYPE_CHECKING:  # type checkers shall know what there is not

    def __getattr__(name: str) -> object:
        """Import what is asked for (PEP 562)."""
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module 'ocipy' has no attribute {name!r}")
        value = getattr(__import__(f"ocipy.{home}", fromlist=[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__
