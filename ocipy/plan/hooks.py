"""Hooks: where each kind runs, and what it is given.

prestart, createRuntime      on the host, while init waits, after the mounts are made
createContainer              by init, in the container's namespaces, before pivot_root
startContainer               by init, after `start`, right before the program
poststart, poststop          on the host, by `start` and `delete`
"""

from __future__ import annotations

from ocipy.json_text import dumps
from ocipy.plan import _generated_steps as steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.config._generated_types import Config
    from ocipy.plan.request import CreateRequest
    from ocipy.plan.step import Step

# init puts its own pid, as the container sees it, between the two halves of the state.
_PID_PLACE = 999999999999


def plan_host_hooks(config: Config) -> list[Step]:
    """Return the host's steps for the hooks that run while init waits."""
    hooks = config.get("hooks", {})
    return [
        steps.RunHostHooks(f"/hooks/{kind}", kind=kind)
        for kind in ("prestart", "createRuntime")
        if hooks.get(kind)
    ]


def plan_container_hooks(
    config: Config, request: CreateRequest, kind: str, status: str
) -> list[Step]:
    """Return a step for each hook of a kind that init runs: createContainer or startContainer."""
    plan: list[Step] = []
    hooks = config.get("hooks", {})
    starting = kind == "startContainer"
    of_kind = hooks.get("startContainer") if starting else hooks.get("createContainer")
    for i, hook in enumerate(of_kind or []):
        state = dumps({**request.oci_state, "status": status, "pid": _PID_PLACE})
        before, _, after = state.partition(str(_PID_PLACE))
        env = hook.get("env", [])
        if request.trace_environment:
            from ocipy.plan.trace_parent import with_trace

            env = with_trace(env, request.trace_environment)
        plan.append(
            steps.RunHook(
                f"/hooks/{kind}/{i}",
                kind=kind,
                path=hook["path"],
                argv=hook.get("args") or [hook["path"]],
                env=env,
                timeout_ms=hook.get("timeout", 0) * 1000,
                state_before_pid=before,
                state_after_pid=after,
                place="start" if starting else "init",
            )
        )
    return plan
