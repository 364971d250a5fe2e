"""What docs/ says about the code is true: every file has its line, and every name leads somewhere.

OCIPY_UPDATE_GOLDEN=1 pytest tests/unit/test_docs.py    writes the plan of the tour anew
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from manual.reference import GENERATED
from ocipy.cgroup.paths import container_cgroups
from ocipy.plan.create import plan_create
from ocipy.plan.describe import plan_to_text
from ocipy.plan.request import CreateRequest
from ocipy.schema.accept import accept
from tests.conftest import REPOSITORY
from tests.unit.host_facts import host_facts
from tests.unit.plan.test_golden_plans import LAYOUTS

ROOT = Path(REPOSITORY)
ARCHITECTURE = ROOT / "docs" / "architecture.md"
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")])
LISTED = ("ocipy", "ocipy_native", "spec")
LISTED_LINE = re.compile(r"^\* `((?:ocipy|ocipy_native|spec)/[^`]+)`: \S.*$", re.MULTILINE)
# `path/of/a/file` or `path/of/a/file::name`; `op_mount.c` alone is one of ours in C.
NAMED = re.compile(
    r"`((?:ocipy|ocipy_native|spec|tests|bench|demo|docs)/[\w./-]*\w\.[a-z]+|\w+\.[ch])"
    r"(?:::([\w.]+))?`"
)
C_PLACES = ("", "ocipy_native/init/", "ocipy_native/")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
CONFIG = re.compile(r"```json\n(.*?)```", re.DOTALL)
PLAN = re.compile(r"```plan\n(.*?)```", re.DOTALL)


def page_name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tracked_files() -> set[str]:
    command = ["git", "ls-files", "-z", *LISTED]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"not a git work tree: {done.stderr.strip()}")
    return {name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()}


def test_every_file_has_its_line() -> None:
    missing = tracked_files() - set(LISTED_LINE.findall(ARCHITECTURE.read_text()))
    assert not missing, f"docs/architecture.md has no line for {sorted(missing)}"


def test_every_line_has_its_file() -> None:
    listed = LISTED_LINE.findall(ARCHITECTURE.read_text())
    assert len(listed) == len(set(listed)), "a file is listed twice"
    gone = set(listed) - tracked_files()
    assert not gone, f"docs/architecture.md names {sorted(gone)}"


def defines(text: str, name: str) -> bool:
    """Does a file of Python, C or TOML define that name, or each part of Class.method?"""
    return all(
        re.search(rf"^[ \t]*(?:def|class) {part}\b", text, re.MULTILINE)
        or re.search(rf"^(?:\w[\w ]*[ *])?{part}\(", text, re.MULTILINE)
        or re.search(rf"^#define {part}\b|^{part} *[:=]", text, re.MULTILINE)
        for part in map(re.escape, name.split("."))
    )


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_what_a_page_names_is_there(page: Path) -> None:
    wrong = []
    for path, name in NAMED.findall(page.read_text()):
        file = next((f for place in C_PLACES if (f := ROOT / place / path).is_file()), None)
        if file is None:
            wrong.append(path)
        elif name and not defines(file.read_text(), name):
            wrong.append(f"{path}::{name}")
    assert not wrong, f"{page_name(page)} names what is not there: {wrong}"


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_lead_somewhere(page: Path) -> None:
    wrong = [
        link
        for link in LINK.findall(page.read_text())
        if not (page.parent / link).exists() and link not in GENERATED
    ]
    assert not wrong, f"{page_name(page)} links to what is not there: {wrong}"


def test_the_plan_of_the_tour_is_what_the_planner_makes() -> None:
    page = ARCHITECTURE.read_text()
    text = CONFIG.findall(page)[-1]
    config: Any = json.loads(text)
    accept(config, text)
    host = host_facts(cgroup=LAYOUTS["v2"])
    request = CreateRequest(
        "demo",
        bundle="/bundle",
        rootfs="/bundle/rootfs",
        start_fifo="/run/ocipy/demo/start",
        cgroup_paths=container_cgroups(config, host, "demo"),
    )
    plan = plan_to_text(plan_create(config, host, request).steps)
    if os.environ.get("OCIPY_UPDATE_GOLDEN"):
        ARCHITECTURE.write_text(PLAN.sub(lambda _: f"```plan\n{plan}```", page))
    [written] = PLAN.findall(ARCHITECTURE.read_text())
    assert written == plan
