"""Pack the code of the whole package into the one file that the launcher starts.

    python pack.py PACKAGE_DIR OUTPUT.pyc [--development]

    header          as of any .pyc
    packed_main.py  the code that the interpreter runs, with the index of all that follows in it
    digest          of all that follows, which the index has, too: do they belong together?
    cold code       functions that are seldom called, and errors
    portions        what is needed before the command is known; and for each usual command the
                    modules that it needs, with the functions that it calls in them, marshalled
                    together, so that equal names are there once
    modules         all modules, in a portion each, with the functions that any usual command calls

To find a module's file costs the interpreter some 100,000 instructions; here a command costs six
reads. Line numbers stay, so tracebacks show the source.

Which modules a usual command needs, and which functions it calls in them, says hot.json. It was
watched, not thought out (tests/unit/test_hot_functions.py writes it); where it is wrong, the
command is slower.

A pack is for the minor version of Python that wrote it; the launcher uses it with no other. With
`--development` it also says which state of each source file was packed (time and size), and a
module whose file has changed is imported from the file.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import importlib.util
import json
import marshal
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any

from source_code import ColdCode, compile_module, defined_names, error_classes
from step_table import read_classes

if TYPE_CHECKING:
    from collections.abc import Collection

HERE = Path(__file__).parent
# Stands in packed_main.py where the index belongs.
INDEX_MARK = b"@INDEX@"
# From 128 KiB on, malloc(3) fetches memory of its own for what is read, and each of its pages is a
# fault. (To map a large portion instead was no faster.)
PORTION_SIZE = 100_000


class Module:
    """One module of the package: name, file relative to the package's parent, state and source."""

    def __init__(self, package_dir: Path, file: Path) -> None:
        self.file = str(file.relative_to(package_dir.parent))
        self.is_package = file.name == "__init__.py"
        name = self.file.removesuffix(".py").removesuffix("/__init__")
        self.name = name.replace("/", ".")
        status = file.stat()
        self.state = (status.st_mtime_ns, status.st_size)
        self.source = file.read_text()
        self.imported = [name for node in ast.parse(self.source).body for name in _names(node)]


class Compiler:
    """Compiles the modules of a package, for all commands or for one."""

    def __init__(self, modules: dict[str, Module], *, development: bool) -> None:
        self.modules = modules
        self.development = development
        self.cold_code = ColdCode()
        self.classes = read_classes(modules["ocipy.plan._generated_steps"].source)
        self.errors = error_classes([module.source for module in modules.values()])
        self.importable = {name: defined_names(module.source) for name, module in modules.items()}
        for name in modules:
            package, _, leaf = name.rpartition(".")
            self.importable.get(package, set()).add(leaf)
        self._codes: dict[tuple[str, frozenset[str] | None], CodeType] = {}

    def in_order(self, names: Collection[str]) -> list[str]:
        """Return the modules so that each stands behind those that it needs."""
        ordered: list[str] = []
        asked: set[str] = set()

        def add(name: str) -> None:
            if name not in asked:
                asked.add(name)
                for needed in self.needs(name):
                    add(needed)
                ordered.append(name)

        for name in names:
            add(name)
        return [name for name in ordered if name in names]

    def needs(self, name: str) -> tuple[str, ...]:
        """Return the modules that a module imports, and the packages that those are in."""
        # In the order in which the statements stand, and each package before what is in it.
        needed = [
            name
            for imported in self.modules[name].imported
            for name in _with_parents(imported)
            if name in self.modules
        ]
        return tuple(dict.fromkeys(needed))

    def entry(
        self, name: str, hot: frozenset[str] | None, there: Collection[str] = ()
    ) -> tuple[Any, ...]:
        """Return what packed_main.py asks of a module.

        Args:
            hot: the functions that are called often.
            there: the modules that have been executed before it, unless a file has changed.
        """
        module, needs, state = self.modules[name], self.needs(name), None
        if (name, hot) not in self._codes:
            # The name is relative: wherever the package is, traceback finds it by sys.path.
            self._codes[name, hot] = compile_module(
                module.source,
                module.file,
                name,
                self.classes,
                hot=hot,
                cold_code=self.cold_code,
                importable=self.importable,
                errors=self.errors,
            )
        if self.development:
            state = module.state
        else:
            needs = tuple(needed for needed in needs if needed not in there)
        return module.is_package, needs, state, self._codes[name, hot]


def _with_parents(name: str) -> list[str]:
    """Return "a", "a.b" and "a.b.c" for "a.b.c"."""
    parts = name.split(".")
    return [".".join(parts[: i + 1]) for i in range(len(parts))]


def _names(node: ast.stmt) -> list[str]:
    """Return what an import statement may import: modules, and names that are none."""
    if isinstance(node, ast.Try):
        return [name for statement in node.body for name in _names(statement)]
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def pack(package_dir: Path, output: Path, *, development: bool) -> None:
    """Write the pack for the minor version of the interpreter that runs this."""
    files = sorted(file for file in package_dir.rglob("*.py") if file.stem != "_generated_build")
    modules = {module.name: module for module in (Module(package_dir, file) for file in files)}
    compiler = Compiler(modules, development=development)
    hot = json.loads((HERE / "hot.json").read_text())
    in_general = {
        name: compiler.entry(name, _hot_functions(hot, name, *hot["modules"])) for name in modules
    }
    # What is imported before the command is known, and ocipy.commands, which is before any command.
    first = ["ocipy.__main__", "ocipy.commands"]
    for name in first:
        first += [needed for needed in compiler.needs(name) if needed not in first]
    portions = [
        ("ocipy.__main__", part) for part in _parts({name: in_general[name] for name in first})
    ]
    for command, noted in hot["modules"].items():
        names = [name for name in noted if name in modules]
        of_command = {
            name: compiler.entry(name, _hot_functions(hot, name, command), {*first, *names})
            for name in compiler.in_order(names)
            if name not in first
        }
        portions += [(f"ocipy.commands.{command}", part) for part in _parts(of_command)]
    contents = [bytes(compiler.cold_code.code)]
    contents += [marshal.dumps(part) for _, part in portions]
    contents += [marshal.dumps({name: entry}) for name, entry in in_general.items()]
    digest = hashlib.sha256(b"".join(contents)).digest()

    def index(begin: int) -> tuple[Any, ...]:
        begin += len(digest)
        places = []
        for content in contents:
            places.append((begin, len(content)))
            begin += len(content)
        of_command: dict[str, list[tuple[int, int]]] = {}
        for (command, _), place in zip(portions, places[1:], strict=False):
            of_command.setdefault(command, []).append(place)
        of_module = dict(zip(in_general, places[1 + len(portions) :], strict=True))
        # Few commands need to look for a module.
        return digest, places[0][0], of_command, marshal.dumps(of_module)

    # A number has the same size in marshal's format whatever its value.
    main = _main_code(index(len(_main_code(index(0)))))
    output.write_bytes(main + digest + b"".join(contents))


def _hot_functions(hot: dict[str, Any], module: str, *commands: str) -> frozenset[str] | None:
    """Return the functions of a module that one of the commands calls; None if nobody watched."""
    functions = hot["functions"].get(module)
    if functions is None:
        return None
    return frozenset(name for name in functions if set(functions[name].split()) & set(commands))


def _parts(entries: dict[str, tuple[Any, ...]]) -> list[dict[str, tuple[Any, ...]]]:
    """Divide what is read together, so that no part is larger than PORTION_SIZE."""
    parts: list[dict[str, tuple[Any, ...]]] = []
    size = PORTION_SIZE
    for name, entry in entries.items():
        added = len(marshal.dumps(entry))
        size += added
        if size > PORTION_SIZE:
            size = added
            parts.append({})
        parts[-1][name] = entry
    return parts


def _main_code(index: tuple[Any, ...]) -> bytes:
    main = compile_module((HERE / "packed_main.py").read_text(), "ocipy/packed_main.py", "", {})
    code = _with_constant(main, INDEX_MARK, marshal.dumps(index))
    # Of a large file the interpreter reads the code byte by byte, but bytes at once. The garbage
    # collector: see __main__.py; here it would look through all that is unmarshalled.
    outer = compile(
        "import gc; gc.disable(); import marshal; exec(marshal.loads(b'@CODE@'))",
        "ocipy/_pack.py",
        "exec",
    )
    header = importlib.util.MAGIC_NUMBER + bytes(12)
    return header + marshal.dumps(_with_constant(outer, b"@CODE@", marshal.dumps(code)))


def _with_constant(code: CodeType, mark: bytes, value: bytes) -> CodeType:
    return code.replace(
        co_consts=tuple(value if const == mark else const for const in code.co_consts)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("package_dir", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--development", action="store_true")
    options = parser.parse_args()
    pack(options.package_dir.resolve(), options.output, development=options.development)


if __name__ == "__main__":
    main()
