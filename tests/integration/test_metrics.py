"""`--metrics` and `ocipy metrics`: what is counted, what it leaves alone, what it survives."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.conftest import REPOSITORY
from tests.integration.containers import wait_until

if TYPE_CHECKING:
    from tests.integration.containers import Container, Runtime

pytestmark = pytest.mark.runc_deviates("has no metrics", run=False)


@pytest.fixture
def counting(runtime: Runtime) -> Runtime:
    runtime.global_options.append("--metrics")
    return runtime


def metrics(runtime: Runtime) -> dict[str, float]:
    """Return every sample of `ocipy metrics`, by its name with its labels."""
    samples = {}
    for line in runtime.call("metrics").succeeded().out.splitlines():
        if not line.startswith("#"):
            matched = re.fullmatch(r'([a-z_]+(?:\{(?:[a-z]+="[^"]*",?)+\})?) ([0-9.e+-]+)', line)
            assert matched, line
            samples[matched[1]] = float(matched[2])
    return samples


def test_off_by_default(runtime: Runtime, container: Container) -> None:
    container.run()
    assert not os.path.exists(f"{runtime.root}/.@metrics")
    samples = metrics(runtime)
    assert samples["ocipy_starts_total"] == 0
    assert samples['ocipy_containers{status="running"}'] == 0
    assert not os.path.exists(f"{runtime.root}/.@metrics")


def test_life_of_a_container_is_counted(counting: Runtime, container: Container) -> None:
    container.up("echo up; sleep 1000")
    samples = metrics(counting)
    assert samples["ocipy_starts_total"] == 1
    assert samples['ocipy_containers{status="running"}'] == 1
    for command in ("create", "start"):
        assert samples[f'ocipy_command_seconds_count{{command="{command}"}}'] == 1
        assert samples[f'ocipy_command_seconds_bucket{{command="{command}",le="+Inf"}}'] == 1
        assert 0 < samples[f'ocipy_command_seconds_sum{{command="{command}"}}'] < 90
    counting.call("delete", "--force", container.id).succeeded()
    samples = metrics(counting)
    assert samples['ocipy_command_seconds_count{command="delete"}'] == 1
    assert samples['ocipy_containers{status="running"}'] == 0


def test_environment_asks_for_it_as_well(runtime: Runtime, container: Container) -> None:
    container.run(env=os.environ | {"OCIPY_METRICS": "1"})
    assert metrics(runtime)["ocipy_starts_total"] == 1


def test_time_of_the_program_is_not_that_of_the_start(
    counting: Runtime, container: Container
) -> None:
    container.script("while ! test -e /go; do sleep 0.01; done").bundle.write()
    call = counting.begin("run", "--bundle", container.bundle.path, container.id)
    wait_until(lambda: counting.holds(container.id), "the container is made")
    begin = os.times().elapsed
    while os.times().elapsed < begin + 2:
        pass
    container.bundle.add_file("go", "")
    call.wait().succeeded()
    samples = metrics(counting)
    assert samples['ocipy_command_seconds_count{command="run"}'] == 1
    whole = os.times().elapsed - begin
    assert samples['ocipy_command_seconds_sum{command="run"}'] < whole - 1.5


def test_failures_are_counted_by_code(counting: Runtime, container: Container) -> None:
    container.args("/no/such/program").run(check=False).failed("no such file")
    counting.call("start", "no-such-container").failed("does not exist")
    counting.call("kill", "no-such-container").failed("does not exist")
    samples = metrics(counting)
    assert samples['ocipy_failures_total{command="run",code="E410"}'] == 1
    assert samples['ocipy_failures_total{command="start",code="E301"}'] == 1
    assert samples['ocipy_failures_total{command="kill",code="E301"}'] == 1
    assert samples["ocipy_starts_total"] == 0


def test_counters_are_no_container(counting: Runtime, container: Container) -> None:
    container.args("/bin/true").run()
    assert counting.call("list", "-q").succeeded().out == ""


def test_concurrent_commands_lose_nothing(counting: Runtime, container: Container) -> None:
    calls = [counting.begin("start", f"nobody{number}") for number in range(20)]
    for call in calls:
        call.wait().failed("does not exist")
    assert metrics(counting)['ocipy_failures_total{command="start",code="E301"}'] == 20


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"version": 1}', b"\xff" * 100, b"[" * 100_000, b'{"version": 2}',
     b'{"version": 1, "since": 0, "commands": {"run": {"seconds": "x"}}}',
     b'{"version": 1, "since": 0, "commands": {"evil\\"}": {}}}'],
)  # fmt: skip
def test_damaged_counters_begin_anew(
    counting: Runtime, container: Container, content: bytes
) -> None:
    container.run()
    with open(f"{counting.root}/.@metrics/counters.json", "wb") as file:
        file.write(content)
    container.run()
    assert metrics(counting)["ocipy_starts_total"] == 1


def test_what_cannot_be_kept_is_no_failure(counting: Runtime, container: Container) -> None:
    os.makedirs(f"{counting.root}")
    victim = f"{counting.directory}/victim"
    os.mkdir(victim)
    os.symlink(victim, f"{counting.root}/.@metrics")
    container.run()
    assert os.listdir(victim) == []
    os.unlink(f"{counting.root}/.@metrics")


def test_example_for_the_textfile_collector(counting: Runtime, container: Container) -> None:
    """examples/prometheus_textfile.py: counters, containers and their ends, in one whole file."""
    output = f"{counting.directory}/ocipy.prom"
    example = subprocess.Popen(
        [sys.executable, f"{REPOSITORY}/examples/prometheus_textfile.py", "--ocipy",
         counting.program, "--root", counting.root, "--interval", "0.2", output],
        stdin=subprocess.DEVNULL,
    )  # fmt: skip

    def shown() -> str:
        if not os.path.exists(output):
            return ""
        with open(output, encoding="utf-8") as file:
            return file.read()

    try:
        wait_until(lambda: "ocipy_containers" in shown(), "the first file")
        container.up("echo up; while ! test -e /go; do sleep 0.01; done; exit 3")
        wait_until(lambda: 'ocipy_containers{status="running"} 1' in shown(), "it runs")
        wait_until(lambda: f'ocipy_container_pids{{id="{container.id}"}}' in shown(), "its usage")
        container.bundle.add_file("go", "")
        wait_until(lambda: 'ocipy_exits_total{reason="exited"} 1' in shown(), "its end")
        assert "ocipy_starts_total 1" in shown()
    finally:
        example.terminate()
        status = example.wait(60)
    assert status == 0
    assert not os.path.exists(output), "no stale figures are left"
