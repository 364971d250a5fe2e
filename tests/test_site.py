"""The site: it is built without a warning, has every page, and asks nobody else for anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

DOCS = Path(REPOSITORY, "docs")
# What a browser loads by itself: not the links that somebody may follow.
LOADED = re.compile(
    r"<(?:script|img|iframe)[^>]*\ssrc=\"([^\"]+)|<link[^>]*rel=\"(?:stylesheet|preconnect|icon)\""
    r"[^>]*href=\"([^\"]+)|url\(\"?(https?:[^)\"]+)"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build it strictly: a page that the nav lacks, and a link that leads nowhere, fail here."""
    directory = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(directory)],
        cwd=REPOSITORY,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return directory


def test_every_page_is_there_and_in_the_nav(site: Path) -> None:
    home = (site / "index.html").read_text(encoding="utf-8")
    for page in DOCS.rglob("*.md"):
        name = page.relative_to(DOCS).with_suffix(".html").as_posix()
        assert (site / name).is_file(), f"{name} was not built"
        assert f'href="{name}"' in home, f"{page.name} is missing in the nav of mkdocs.yml"


def test_the_reference_has_every_command(site: Path) -> None:
    text = (site / "commands.html").read_text(encoding="utf-8")
    for name in ("create", "exec", "completion"):
        assert f'id="{name}"' in text
    library = (site / "library.html").read_text(encoding="utf-8")
    for name in ("container.Container.create", "config.Config.for_program", "process.Exit"):
        assert f'id="ocipy.library.{name}"' in library


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        for found in LOADED.findall(page.read_text(encoding="utf-8")):
            assert not any(re.match(r"https?:|//", url) for url in found), f"{page.name}: {found}"
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(\"?https?:", sheet.read_text(encoding="utf-8")), sheet.name
