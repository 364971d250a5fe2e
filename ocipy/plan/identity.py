"""Who the container process is, in the one order that works; and its seccomp filter. For create and
exec alike.

    as root               working directory, noNewPrivileges, bounding set
    become the user       keeping capabilities
    the user's            capabilities; then the program is looked up as the user would

A seccomp filter is best the last step, so that it need not allow any of ours. Without
noNewPrivileges seccomp(2) wants CAP_SYS_ADMIN, which then stays until the filter is loaded: the
final capset(2) comes after it. A filter with a listener is loaded before `created`, while there is
somebody who passes the listener on.
"""

from __future__ import annotations

from ocipy.plan import _generated_steps as steps
from ocipy.plan.capabilities import with_sys_admin
from ocipy.plan.process import plan_cwd, plan_user

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.config._generated_types import Process
    from ocipy.host.facts import HostFacts
    from ocipy.plan.capabilities import CapabilityMasks
    from ocipy.plan.seccomp import SeccompRequest
    from ocipy.plan.step import Step


def _final_capabilities(masks: CapabilityMasks, base: str, place: str) -> Step:
    return steps.SetCapabilities(
        f"{base}/capabilities",
        effective=masks.effective,
        permitted=masks.permitted,
        inheritable=masks.inheritable,
        ambient=masks.ambient,
        place=place,
    )


def plan_identity(
    process: Process,
    host: HostFacts,
    masks: CapabilityMasks,
    seccomp: SeccompRequest | None,
    base: str,
) -> list[Step]:
    """Return the steps up to the capabilities; `base` is the pointer of the process."""
    cwd_as_root, cwd_as_user = plan_cwd(process, base)
    no_new_privileges = bool(process.get("noNewPrivileges"))
    plan: list[Step] = [cwd_as_root]
    if no_new_privileges:
        plan.append(steps.SetNoNewPrivileges(f"{base}/noNewPrivileges"))
    plan.append(steps.DropBoundingSet(f"{base}/capabilities/bounding", keep=masks.bounding))
    # Where setgroups(2) is denied, our own groups have to stay; who asks for others gets the error.
    may_set_groups = host.may_set_groups or bool(process.get("user", {}).get("additionalGids"))
    plan += plan_user(process, base, may_set_groups=may_set_groups)
    if seccomp is None or no_new_privileges:
        plan.append(_final_capabilities(masks, base, "init"))
    else:
        plan.append(
            steps.SetCapabilities(
                f"{base}/capabilities",
                effective=with_sys_admin(masks.effective),
                permitted=with_sys_admin(masks.permitted),
                inheritable=masks.inheritable,
                ambient=0,
            )
        )
    return plan + cwd_as_user


def plan_seccomp_listener(
    process: Process, masks: CapabilityMasks, seccomp: SeccompRequest | None, base: str
) -> list[Step]:
    """Return the steps that load a filter with a listener, and pass the listener on."""
    if seccomp is None or not seccomp.has_listener:
        return []
    return [
        *_load(process, masks, seccomp, base, "init"),
        steps.AwaitHost("/linux/seccomp/listenerPath", reason="pass the seccomp listener on"),
        steps.SendSeccompListener(
            "/linux/seccomp/listenerPath",
            path=seccomp.listener_path,
            metadata=seccomp.listener_metadata,
        ),
    ]


def plan_seccomp_filter(
    process: Process, masks: CapabilityMasks, seccomp: SeccompRequest | None, base: str
) -> list[Step]:
    """Return the steps that load a filter without a listener, the last ones before the exec."""
    if seccomp is None or seccomp.has_listener:
        return []
    return _load(process, masks, seccomp, base, "start")


def _load(
    process: Process, masks: CapabilityMasks, seccomp: SeccompRequest, base: str, place: str
) -> list[Step]:
    plan: list[Step] = [
        steps.LoadSeccomp(
            "/linux/seccomp",
            filter=b"",  # compiled by ocipy.spawn.seccomp, and filled in there
            seccomp_flags=seccomp.seccomp_flags,
            listener=seccomp.has_listener,
            place=place,
        )
    ]
    if not process.get("noNewPrivileges"):
        plan.append(_final_capabilities(masks, base, place))
    return plan
