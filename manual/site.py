"""Hooks of mkdocs (mkdocs.yml): pages that are made, links that lead out of docs/, the nav.

make docs    build/site, without a warning and without the network
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mkdocs.structure.files import File  # noqa: E402

from manual.reference import GENERATED  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

# Files of the repository that are pages of the site.
_ELSEWHERE = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security-policy.md",
    "examples/README.md": "examples.md",
}
_LINK = re.compile(r"\[([^\]]*)\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")
# A browser shows the end of a line as a blank, which Chinese has not.
_CHINESE_BREAK = re.compile(r"(?<=[\u3000-\u9fff\uff00-\uffef])\n(?=[\u3000-\u9fff\uff00-\uffef])")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the decisions to the nav, and whatever page nobody has put there."""
    nav: list[Any] = config.nav or []
    listed = set(_pages(nav))
    docs = sorted(p.relative_to(ROOT / "docs").as_posix() for p in (ROOT / "docs").rglob("*.md"))
    decisions = [page for page in docs if page.startswith("decisions/")]
    more = [page for page in docs if page not in listed and page not in decisions]
    # Folded away, below the last section.
    (last,) = nav[-1].values()
    last.append({"Decisions": decisions})
    if more:
        nav.append({"More": more})
    config.nav = nav
    return config


def _pages(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    for item in nav if isinstance(nav, list) else nav.values() if isinstance(nav, dict) else ():
        yield from _pages(item)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in docs/."""
    for source, uri in _ELSEWHERE.items():
        content = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, uri, content=content))
    for uri, make in GENERATED.items():
        files.append(File.generated(config, uri, content=make()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links lead to pages of the site; what is not on the site is named without a link."""
    uri = page.file.src_uri
    source = next((name for name, page_uri in _ELSEWHERE.items() if page_uri == uri), f"docs/{uri}")

    def rewrite(match: re.Match[str]) -> str:
        text, target, anchor = match[1], match[2], match[3] or ""
        path = os.path.normpath(os.path.join(os.path.dirname(source), target))
        found = _ELSEWHERE.get(path, path.removeprefix("docs/") if path.startswith("docs/") else "")
        if not found and path == "README.md":
            found = "index.md"
        if not found or (found.endswith("/") or (ROOT / "docs" / found).is_dir()):
            return text
        return f"[{text}]({os.path.relpath(found, os.path.dirname(uri) or '.')}{anchor})"

    if uri in GENERATED:
        return markdown
    parts = re.split(r"(^```.*?^```$)", markdown, flags=re.DOTALL | re.MULTILINE)  # not in code
    prose = [_CHINESE_BREAK.sub("", _LINK.sub(rewrite, part)) for part in parts[::2]]
    parts[::2] = prose
    return "".join(parts)
