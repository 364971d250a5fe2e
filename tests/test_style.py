"""What holds for the text of the whole project; each rule is explained where it is checked.

Nothing here needs privileges: `pytest tests/unit tests/test_style.py` answers in seconds whether a
change may land.
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(REPOSITORY)
MODULES = sorted((ROOT / "ocipy").rglob("*.py"))
C_SOURCES = sorted((ROOT / "ocipy_native").rglob("*.c"))


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def check(*command: str) -> None:
    """Run a checker from the project's root; what it writes is the failure's text."""
    program = shutil.which(command[0], path=Path(sys.executable).parent) or shutil.which(command[0])
    if program is None:
        pytest.fail(f"{command[0]} is missing: `make test` installs it")
    done = subprocess.run([program, *command[1:]], cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.fail(f"{' '.join(command)}\n{done.stdout}{done.stderr}", pytrace=False)


# -- formatter, linters, types


def test_ruff() -> None:
    check("ruff", "check", "--quiet")


def test_format() -> None:
    check("ruff", "format", "--check", "--quiet", "--diff")


def test_types() -> None:
    check("mypy")


@pytest.mark.parametrize("source", C_SOURCES, ids=relative)
def test_c_warnings(source: Path, tmp_path: Path) -> None:
    (tmp_path / "launcher_config.h").write_text(
        '#define BUILD_PYTHON_MINOR 11\n#define BUILD_PYTHON "python3"\n'
    )
    warnings = "-Wall -Wextra -Wformat=2 -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Werror"
    python_h = sysconfig.get_path("include")
    include = [
        f"-I{ROOT}/ocipy_native",
        f"-I{tmp_path}",
        f"-I{python_h}",
        "-DPy_LIMITED_API=0x030b0000",
    ]
    # Optimised, because only then gcc sees what may be used uninitialised.
    output = ["-O2", "-c", "-o", f"{tmp_path}/object"]
    check("gcc", "-std=gnu11", *warnings.split(), *include, *output, str(source))


# -- what two languages share is written once


@pytest.mark.parametrize("generator", ["ocipy_native/generate.py", "spec/compile.py"])
def test_generated_files_are_up_to_date(generator: str) -> None:
    check(sys.executable, generator, "--check")


# -- data flows one way

ANYWHERE = {
    "ocipy",
    "ocipy.errors",
    "ocipy.json_position",
    "ocipy.json_text",
    "ocipy.log",
    "ocipy.request",
    "ocipy.signals",
    "ocipy.sys",
    "ocipy.timestamp",
}
COMMAND_LINE = {
    "ocipy.arguments",
    "ocipy.error_codes",
    "ocipy.command_examples",
    "ocipy.help",
    "ocipy.options",
    "ocipy.other_commands",
}
STAGES = {f"ocipy.{stage}" for stage in "bundle schema config host plan cgroup spawn state".split()}

# Which others a package or module may import, beside itself and ANYWHERE, in the order in which a
# container meets them. The most specific entry counts.
MAY_IMPORT = {
    "ocipy.bundle": {"ocipy.schema", "ocipy.config"},
    "ocipy.schema": {"ocipy.config"},
    "ocipy.config": {"ocipy.schema"},
    "ocipy.host": {"ocipy.cgroup"},
    "ocipy.plan": {"ocipy.config", "ocipy.host.facts", "ocipy.cgroup.plan"},
    "ocipy.cgroup": {
        *("ocipy.config", "ocipy.host", "ocipy.plan._generated_steps", "ocipy.plan.intel_rdt"),
        "ocipy.plan.step",
    },
    "ocipy.spawn": {
        # state.process: which process a pid means, before there is a record of it
        *("ocipy.config", "ocipy.host", "ocipy.plan", "ocipy.cgroup", "ocipy.state.process"),
    },
    # What `create` and `run` share, and `exec`, walks along the whole line; `start` begins at
    # the state.
    "ocipy.spawn.container": STAGES | {"ocipy.observe.seccomp_record"},
    "ocipy.spawn.exec_process": STAGES,
    "ocipy.spawn.start": {"ocipy.config", "ocipy.host", "ocipy.plan", "ocipy.spawn", "ocipy.state"},
    "ocipy.state": {"ocipy.config", "ocipy.host", "ocipy.cgroup", "ocipy.spawn"},
    # Reads all of it, and is read by commands and the library alone.
    "ocipy.observe": STAGES,
    "ocipy.commands": STAGES | {"ocipy.observe", "ocipy.shell_words", "ocipy._generated_build"},
    # Objects around the functions of the commands; the option table has their defaults.
    "ocipy.library": STAGES | {"ocipy.observe", "ocipy.commands", "ocipy.options"},
    "ocipy.cli": {*COMMAND_LINE, "ocipy.commands", "ocipy.observe.metrics"},
    "ocipy.__main__": {"ocipy.cli"},
    "ocipy.shell_words": COMMAND_LINE,
}
# A plan is a pure function: no planner has a way to reach a file, the clock or the kernel. That
# holds for all that planners import as well; but errors.py needs os to name an errno.
PURE_OS = {"os.path", "os.path.basename", "os.path.dirname", "os.path.normpath", "os.makedev"}
IMPURE = {"_socket", "fcntl", "posix", "select", "socket", "subprocess", "sys", "time"}
IMPURE |= {"ocipy.log", "ocipy.signals", "ocipy.sys.fd", "ocipy.sys.native", "ocipy.timestamp"}


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and (
        isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    )


def run_time_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Walk a tree, leaving out what only type checkers read."""
    for child in ast.iter_child_nodes(node):
        if not is_type_checking(child):
            yield child
            yield from run_time_nodes(child)


def imported(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield the module and line of each import that is ever executed."""
    for node in run_time_nodes(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                path = ROOT / whole.replace(".", "/")
                is_module = path.is_dir() or path.with_suffix(".py").exists()
                yield (whole if is_module else node.module or ""), node.lineno


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def module_name(path: Path) -> str:
    return relative(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def belongs(module: str, packages: set[str]) -> bool:
    """Is the module one of these, or in one of these? The package `ocipy` is only itself."""
    return any(module == p or (p != "ocipy" and module.startswith(f"{p}.")) for p in packages)


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_data_flows_one_way(path: Path) -> None:
    module = module_name(path)
    layer = max((layer for layer in MAY_IMPORT if belongs(module, {layer})), key=len, default="")
    if layer:
        allowed = MAY_IMPORT[layer] | {layer} | ANYWHERE
    else:
        # Modules outside of the stages serve all of them, so they may know none of them.
        known = belongs(module, ANYWHERE | COMMAND_LINE | {"ocipy._native"})
        assert known, f"{module} has no place in MAY_IMPORT or ANYWHERE"
        allowed = ANYWHERE | {"ocipy._native"} | (COMMAND_LINE if module in COMMAND_LINE else set())
    wrong = {
        f"{relative(path)}:{line}: may not import {name}"
        for name, line in imported(ast.parse(path.read_text()))
        if name.split(".")[0] == "ocipy" and not belongs(name, allowed)
    }
    assert not wrong, "\n".join(sorted(wrong))


def test_planners_are_pure() -> None:
    waiting = {"ocipy.plan": ""} | {
        module_name(path): "" for path in MODULES if belongs(module_name(path), {"ocipy.plan"})
    }
    seen: set[str] = set()
    wrong = set()
    while waiting:
        module, chain = waiting.popitem()
        if module in seen or module == "ocipy.errors":
            continue
        seen.add(module)
        path = ROOT / module.replace(".", "/")
        source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if not source.exists():
            continue  # mypy says so
        tree = ast.parse(source.read_text())
        for node in run_time_nodes(tree):
            if not isinstance(node, ast.Attribute):
                continue
            name = dotted(node)
            if name.startswith("os.") and name not in PURE_OS:
                wrong.add(f"{chain}{relative(source)}:{node.lineno} uses {name}")
        for name, line in imported(tree):
            if name in IMPURE:
                wrong.add(f"{chain}{relative(source)}:{line} imports {name}")
            elif name.split(".")[0] == "ocipy":
                waiting.setdefault(name, f"{chain}{module} -> ")
    assert not wrong, "\n".join(sorted(wrong))


# -- bans, each with its reason

BANNED_CALLS = {
    "os.fork": "a copy of the interpreter would run in the container; ocipy.spawn clones init",
    "os.system": "a shell would read what a config says",
    "os.popen": "a shell would read what a config says",
    "os.chdir": "relative paths of the caller would change their meaning; use descriptors",
    "os.putenv": "os.environ would not know of it",
    "pickle.load": "a state file would run code",
    "pickle.loads": "a state file would run code",
    "eval": "text would run as code",
    "exec": "text would run as code",
    "print": "no flush, no encoding of our choice; use ocipy.sys.fd.print_text()",
}


def opens_for_truncation(call: ast.Call) -> bool:
    """open(PATH, "w"): a reader may see half of it, and a link may lead anywhere.

    open(FD, "w") is fine: whoever made the descriptor has decided.
    """
    if dotted(call.func) != "open" or len(call.args) < 2:
        return False
    first, mode = call.args[:2]
    is_fd = isinstance(first, ast.Name) and first.id.endswith("fd")
    is_write = isinstance(mode, ast.Constant) and "w" in str(mode.value)
    return is_write and not is_fd


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_banned_calls(path: Path) -> None:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name, where = dotted(node.func), f"{relative(path)}:{node.lineno}"
        if name in BANNED_CALLS:
            found.append(f"{where}: {name}: {BANNED_CALLS[name]}")
        if any(keyword.arg == "preexec_fn" for keyword in node.keywords):
            found.append(f"{where}: preexec_fn: Python would run between fork and exec")
        if opens_for_truncation(node):
            found.append(f"{where}: open(PATH, 'w'): a reader may see half of the file")
    assert not found, "\n".join(found)


def joins_rootfs(node: ast.AST) -> bool:
    """A path of the container joined to the rootfs as a string would follow the image's links."""
    if isinstance(node, ast.JoinedStr):
        for before, after in zip(node.values, node.values[1:], strict=False):
            if (
                isinstance(before, ast.FormattedValue)
                and "rootfs" in dotted(before.value)
                and isinstance(after, ast.Constant)
                and str(after.value).startswith("/")
            ):
                return True
    if isinstance(node, ast.Call) and dotted(node.func) == "os.path.join" and node.args:
        return "rootfs" in dotted(node.args[0])
    return False


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_no_path_is_joined_to_the_rootfs(path: Path) -> None:
    lines = [n for n in ast.walk(ast.parse(path.read_text())) if joins_rootfs(n)]
    where = [f"{relative(path)}:{node.lineno}" for node in lines if isinstance(node, ast.expr)]
    assert not where, f"{', '.join(where)}: {joins_rootfs.__doc__}"


# init waits in every created container, and is attacked from inside: no heap, no stdio, no shell.
BANNED_IN_INIT = re.compile(
    r"(?<![.>\w])(malloc|calloc|realloc|free|strdup|alloca|\w*printf|f(open|puts|write|read|flush)"
    r"|puts|perror|system|popen|gets|getenv)\s*\("
)
COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.DOTALL)


def without_comments(text: str) -> str:
    return COMMENT_OR_STRING.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "ocipy_native" / "init").glob("*.[ch]")), ids=relative
)
def test_init_has_no_heap_and_no_stdio(path: Path) -> None:
    found = [
        f"{relative(path)}:{number}: {match[0]})"
        for number, line in enumerate(without_comments(path.read_text()).splitlines(), 1)
        if (match := BANNED_IN_INIT.search(line)) and "__attribute__" not in line
    ]
    assert not found, "\n".join(found)


# -- names

# They say what a thing is not: none of the concepts of this project.
EMPTY_NAMES = re.compile(
    r"^_?((\w+_)?(utils?|helpers|common|misc|managers?)|handle_\w+)$", re.IGNORECASE
)


@pytest.mark.parametrize("path", MODULES + C_SOURCES, ids=relative)
def test_names_say_something(path: Path) -> None:
    assert not EMPTY_NAMES.search(path.stem), relative(path)
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                assert not EMPTY_NAMES.search(node.name), f"{relative(path)}:{node.lineno}"


def test_every_text_file_ends_its_lines_well() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "*.py", "*.[ch]", "*.md", "*.toml", "*.build", "*.sh"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode != 0:
        pytest.skip(f"not a git work tree: {listed.stderr.strip()}")
    wrong = []
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if not path.is_file():
            continue
        text = path.read_text()
        if text and (
            not text.endswith("\n") or text.endswith("\n\n") or re.search(r"[ \t]\n", text)
        ):
            wrong.append(name)
    assert not wrong, f"blanks at the end of a line or lines at the end of the file: {wrong}"
