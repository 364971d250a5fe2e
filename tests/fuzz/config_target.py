"""A config.json of any bytes, through the gate and the planners: one_input() is the harness.

What may come out is a plan, or an OcipyError that says where: each fault names a place that exists
in the text. Anything else that is raised is a finding.
"""

from __future__ import annotations

from typing import Any

from ocipy.bundle import accept_text, decode, parse
from ocipy.cgroup.paths import container_cgroups
from ocipy.errors import ConfigError, ConfigFaults, OcipyError
from ocipy.plan.create import plan_create
from ocipy.plan.describe import plan_to_json, plan_to_text
from ocipy.plan.encode import encode_plan, host_fds_of
from ocipy.plan.exec import ExecRequest, plan_exec
from ocipy.plan.request import CreateRequest
from ocipy.schema.accept import accept, accept_strictly
from tests.unit.host_facts import host_facts
from tests.unit.plan.test_golden_plans import LAYOUTS

HOSTS = [host_facts(cgroup=LAYOUTS[layout], lsms=("apparmor", "selinux")) for layout in LAYOUTS]
HOSTS.append(host_facts(cgroup=LAYOUTS["v2"], euid=1000, capabilities=0, may_set_groups=False))


def one_input(data: bytes) -> str:
    """Return what became of the input: "no text", "refused" or "planned"."""
    try:
        text = decode(data, "config.json")
        config = parse(text, "config.json")
    except ConfigError as error:
        check_syntax_error(error, data)
        return "no text"
    try:
        accept_text(accept, config, text, "config.json")
    except ConfigError as error:
        check_faults(error, config)
        return "refused"
    try:
        accept_text(accept_strictly, config, text, "config.json")
    except ConfigError as error:
        check_faults(error, config)
    plan_everywhere(config)
    return "planned"


def check_syntax_error(error: ConfigError, data: bytes) -> None:
    """It says where; only of nothing can nothing be said."""
    assert str(error)
    assert error.location.startswith("config.json:") or not data.strip(), error


def check_faults(error: ConfigError, config: Any) -> None:
    """Each fault has words, a place in the file, and a pointer to a value that is there."""
    assert error.details
    for fault in error.faults if isinstance(error, ConfigFaults) else [error]:
        assert str(fault), fault.pointer
        assert leads_somewhere(config, fault.pointer), (fault.pointer, str(fault))
        if fault.pointer:
            assert fault.location.startswith("config.json:"), (fault.pointer, fault.location)


def leads_somewhere(value: Any, pointer: str) -> bool:
    """Does an RFC 6901 pointer name a value of this document?"""
    for token in pointer.split("/")[1:]:
        token = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list) and token.isdigit() and int(token) < len(value):
            value = value[int(token)]
        elif isinstance(value, dict) and token in value:
            value = value[token]
        else:
            return False
    return True


def plan_everywhere(config: Any) -> None:
    """Plan create and exec for each of HOSTS, encode and describe what comes out."""
    for host in HOSTS:
        try:
            paths = container_cgroups(config, host, "container")
            request = CreateRequest(
                "container",
                bundle="/bundle",
                rootfs="/bundle/rootfs",
                start_fifo="/run/ocipy/container/start",
                report_fifo="/run/ocipy/container/report",
                cgroup_paths=paths,
                oci_state={"ociVersion": "1.3.0", "id": "container", "bundle": "/bundle"},
            )
            check_plan(plan_create(config, host, request).steps)
            if "process" in config:
                asked = ExecRequest("container", pid=4321, cgroup_paths=paths)
                check_plan(plan_exec(config, config["process"], host, asked).steps)
        except OcipyError as error:
            check_refusal(error, config)


def check_refusal(error: OcipyError, config: Any) -> None:
    """A planner names a value that is there, or one that is missing in what is there."""
    assert str(error)
    parent = error.pointer.rpartition("/")[0]
    known = leads_somewhere(config, error.pointer) or leads_somewhere(config, parent)
    assert known, (error.pointer, str(error))


def check_plan(steps: Any) -> None:
    encode_plan(steps, {fd: 10 + i for i, (_, fd) in enumerate(host_fds_of(steps))})
    assert len(plan_to_json(steps)) == len(steps)
    assert plan_to_text(steps)
