"""ocipy_native/init/path.c: whatever the image holds, and whoever changes it, nothing leaves it."""

from __future__ import annotations

import os
import random
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.racer import Racer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Tree:
    """A root with an outside beside it, and the program that resolves paths below the root."""

    def __init__(self, directory: str, program: str) -> None:
        self.root = f"{directory}/root"
        self.outside = f"{directory}/outside"
        self.program = program
        os.mkdir(self.root)
        os.mkdir(self.outside)

    def link(self, name: str, content: str) -> None:
        os.symlink(content, f"{self.root}/{name}")

    def directory(self, name: str) -> None:
        os.makedirs(f"{self.root}/{name}")

    def ask(self, *lines: str) -> list[str]:
        done = subprocess.run(
            [self.program, self.root],
            input="".join(f"{line}\n" for line in lines),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return [line.replace(self.root, "", 1) or "/" for line in done.stdout.splitlines()]

    def is_untouched(self) -> bool:
        return os.listdir(self.outside) == []


@pytest.fixture
def tree(tmp_path: object, compiled: Callable[..., str]) -> Iterator[Tree]:
    made = Tree(str(tmp_path), compiled("paths", "path.c"))
    yield made
    assert made.is_untouched()


def test_what_is_missing_is_made(tree: Tree) -> None:
    tree.directory("usr")
    assert tree.ask(
        "directory /usr/local/lib", "file /usr/local/etc/file", "directory relative/", "directory /"
    ) == ["/usr/local/lib", "/usr/local/etc/file", "/relative", "/"]
    assert os.path.isdir(f"{tree.root}/usr/local/lib")
    assert os.path.isfile(f"{tree.root}/usr/local/etc/file")


def test_what_exists_is_taken_as_it_is(tree: Tree) -> None:
    tree.directory("d")
    tree.link("l", "d")
    assert tree.ask("directory /l", "file /d", "directory //d//", "directory ./d/.") == ["/d"] * 4


@pytest.mark.parametrize(
    ("content", "leads_to"),
    [
        ("/run", "/run"),
        ("../run", "/run"),
        ("../../../../run", "/run"),
        ("/../../run/./x", "/run/x"),
        ("deep/er", "/var/deep/er"),
        ("/a/link", "/elsewhere"),
    ],
)
def test_a_dangling_link_is_made_where_it_leads_in_the_root(
    tree: Tree, content: str, leads_to: str
) -> None:
    tree.directory("var")
    tree.directory("a")
    tree.link("a/link", "../elsewhere")
    tree.link("var/run", content)
    assert tree.ask("directory /var/run", "directory /var/run/below", "file /var/run/f") == [
        leads_to,
        f"{leads_to}/below",
        f"{leads_to}/f",
    ]


def test_a_dangling_link_as_a_file(tree: Tree) -> None:
    tree.directory("etc")
    tree.link("etc/resolv.conf", "/run/resolv/conf")
    assert tree.ask("file /etc/resolv.conf") == ["/run/resolv/conf"]
    assert os.path.isfile(f"{tree.root}/run/resolv/conf")


def test_links_that_lead_outside_by_name_stay_inside(tree: Tree) -> None:
    tree.link("out", tree.outside)
    tree.link("up", "../outside")
    assert tree.ask("directory /out", "directory /up/x", "file /out/f") == [
        tree.outside,
        "/outside/x",
        f"{tree.outside}/f",
    ]
    # The answers name the outside, but below the root: ask() has taken the root's path away once.
    assert os.path.isdir(f"{tree.root}{tree.outside}")


def test_loops_and_wrong_kinds(tree: Tree) -> None:
    tree.link("loop", "loop")
    tree.link("ping", "pong/x")
    tree.link("pong", "ping/x")
    with open(f"{tree.root}/file", "w", encoding="utf-8"):
        pass
    tree.link("magic", "/proc/self/cwd")
    assert tree.ask(
        "directory /loop",
        "directory /ping",
        "directory /file",
        "directory /file/x",
        "file /file/x",
        "directory /missing/../x",
        "parent /",
        "parent /x/..",
        "parent /x/",
        f"directory /{'x' * 300}",
        f"directory {'/x' * 2048}",
    ) == [
        "ELOOP",
        "ELOOP",
        "ENOTDIR",
        "ENOTDIR",
        "ENOTDIR",
        "ENOENT",
        "EINVAL",
        "EINVAL",
        "EINVAL",
        "ENAMETOOLONG",
        "ENAMETOOLONG",
    ]


def test_parents(tree: Tree) -> None:
    assert tree.ask(
        "parent /dev/null", "parent dev/mapper/x", "parent /x", "parent /a/b/c", "parent x"
    ) == ["/dev null", "/dev/mapper x", " x", "/a/b c", " x"]


@pytest.mark.parametrize("content", ["/elsewhere", "../outside", "/proc/self/cwd", "real"])
def test_dev_must_not_be_a_link(tree: Tree, content: str) -> None:
    """CVE-2026-41579."""
    tree.directory("elsewhere")
    tree.directory("real")
    tree.link("dev", content)
    assert tree.ask("parent /dev/null", "parent dev/x/y") == ["ENOTDIR"] * 2
    assert not os.listdir(f"{tree.root}/elsewhere") + os.listdir(f"{tree.root}/real")


def test_links_below_dev_stay_below_dev(tree: Tree) -> None:
    tree.directory("dev")
    tree.directory("etc")
    tree.link("dev/up", "../etc")
    tree.link("dev/abs", "/etc")
    assert tree.ask("parent /dev/up/x", "parent /dev/abs/x") == ["/dev/etc x"] * 2


def resolve(links: dict[str, str], path: str, followed: int = 0) -> str | None:
    """Where `path` leads, as a model in which all that is missing is made; None for a loop."""
    done: list[str] = []
    rest = path.split("/")
    while rest:
        name = rest.pop(0)
        if name in ("", "."):
            continue
        if name == "..":
            done = done[:-1]
            continue
        here = "/".join([*done, name])
        if here in links:
            followed += 1
            if followed > 20:
                return None
            content = links[here]
            if content.startswith("/"):
                done = []
            rest = content.split("/") + rest
        else:
            done.append(name)
    return "/" + "/".join(done)


@pytest.mark.parametrize("seed", range(40))
def test_random_trees_against_a_model(tree: Tree, seed: int) -> None:
    draw = random.Random(seed)
    names = "abcd"
    for _ in range(6):
        path = "/".join(draw.choice(names) for _ in range(draw.randint(1, 3)))
        # Through what is a link by now, this may fail or lead anywhere below the root.
        tree.ask(f"directory /{path}")
    links: dict[str, str] = {}
    for _ in range(4):
        parent = draw.choice([d for d, _, _ in os.walk(tree.root)])
        name, depth = draw.choice(names), draw.randint(1, 3)
        content = "/" * draw.randint(0, 1) + "/".join(
            draw.choice([*names, "..", "."]) for _ in range(depth)
        )
        if not os.path.lexists(f"{parent}/{name}"):
            os.symlink(content, f"{parent}/{name}")
            links[os.path.relpath(f"{parent}/{name}", tree.root)] = content
    for _ in range(10):
        path = "/".join(draw.choice(names) for _ in range(draw.randint(1, 4)))
        (answer,) = tree.ask(f"directory /{path}")
        if answer.startswith("/"):
            assert answer == resolve(links, path), (links, path)
        else:
            assert answer in ("ELOOP", "ENOENT"), (links, path)


@pytest.mark.parametrize("kind", ["open", "directory", "file", "parent"])
def test_links_swapped_while_a_path_is_resolved(tree: Tree, kind: str) -> None:
    """CVE-2021-30465, CVE-2024-45310: a volume is shared with somebody who swaps a directory with a
    link to the outside, while mountpoints below it are made."""
    tree.directory("volume/a/b")
    tree.link("volume/swap", "../../../../../outside")
    tree.link("volume/absolute", tree.outside)
    outside = os.stat(tree.outside)
    seen = set()
    for other in ("swap", "absolute"):
        with Racer(f"{tree.root}/volume/a", f"{tree.root}/volume/{other}"):
            done = subprocess.run(
                [tree.program, tree.root, "8000", kind, "/volume/a/b/c/../d"],
                capture_output=True,
                text=True,
                check=False,
            )
        assert (done.returncode, done.stderr) == (0, "")
        answers = set(done.stdout.split())
        assert f"{outside.st_dev}:{outside.st_ino}" not in answers
        seen |= {answer for answer in answers if answer.startswith("E")}
    assert seen <= {"ENOENT", "ENOTDIR", "EAGAIN", "ELOOP", "EEXIST"}, seen
