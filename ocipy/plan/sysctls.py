"""Host name, domain name and sysctls."""

from __future__ import annotations

from ocipy.errors import pointer_token
from ocipy.plan import _generated_steps as steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.config._generated_types import Config
    from ocipy.plan.step import Step


def plan_names(config: Config) -> list[Step]:
    """Return the steps that name the UTS namespace; rules.py has checked that there is one."""
    plan: list[Step] = []
    if hostname := config.get("hostname"):
        plan.append(steps.SetHostname("/hostname", hostname=hostname))
    if domainname := config.get("domainname"):
        plan.append(steps.SetDomainname("/domainname", domainname=domainname))
    return plan


def sysctl_path(name: str) -> str:
    """Return the path below /proc/sys of a sysctl's name, as sysctl(8) reads it.

    Where the first separator is a dot, dots separate and a slash stands for a dot inside a
    component ("net.ipv4.conf.eth0/1.forwarding"); where it is a slash, slashes separate.
    """
    dot, slash = name.find("."), name.find("/")
    if slash == -1 or (dot != -1 and dot < slash):
        return name.translate({ord("."): "/", ord("/"): "."})
    return name


def plan_sysctls(config: Config) -> list[Step]:
    """Return one step for each sysctl, in the order of the config."""
    plan: list[Step] = []
    for name, value in config.get("linux", {}).get("sysctl", {}).items():
        escaped = pointer_token(name)
        plan.append(
            steps.WriteSysctl(f"/linux/sysctl/{escaped}", path=sysctl_path(name), value=value)
        )
    return plan
