"""Plan: every step that making a container would take, before any of them is taken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ocipy.commands.plan import plan_of
from ocipy.library.bundle import Source, opened
from ocipy.plan.describe import plan_difference, plan_to_json, plan_to_text
from ocipy.state.store import check_id, root_path

if TYPE_CHECKING:
    from ocipy.plan.step import Step


class Plan:
    """The steps of `create` and `start`, in order. Making one changes nothing and needs no rights.

    Attributes:
        warnings: pairs of a JSON pointer and a sentence: what is done in another way than asked.
    """

    __slots__ = ("_steps", "warnings")

    def __init__(
        self,
        source: Source,
        *,
        id: str = "container",
        root: str = "",
        no_pivot: bool = False,
        no_new_keyring: bool = False,
    ) -> None:
        """Plan a container on this host.

        Raises:
            ConfigError: the config is not acceptable, or this host cannot do it.
        """
        check_id(id)
        bundle = opened(source, f"{root_path(root)}/{id}")
        plan = plan_of(bundle, id, root=root, no_pivot=no_pivot, no_new_keyring=no_new_keyring)
        self._steps = tuple(plan.steps)
        self.warnings = [*bundle.warnings, *plan.warnings]

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[Step]:
        """Each step has `operation`, `place` ("host", "init" or "start"), `source`, `calls`, `spec`
        and describe()."""
        return iter(self._steps)

    def __getitem__(self, index: int) -> Step:
        return self._steps[index]

    def __str__(self) -> str:
        """Return what `ocipy plan` prints, without the system calls."""
        return plan_to_text(self._steps)

    def to_text(self, *, with_calls: bool = False) -> str:
        """Return a line for each step; with `with_calls` a second one with the system calls."""
        return plan_to_text(self._steps, with_calls=with_calls)

    def to_json(self) -> list[dict[str, object]]:
        """Return what `ocipy plan --format json` prints: one object for each step."""
        return plan_to_json(self._steps)

    def difference(self, other: Plan) -> list[str]:
        """Return the steps that only one of two plans has, as `diff -u` shows lines; [] if none."""
        return plan_difference(self._steps, other._steps)
