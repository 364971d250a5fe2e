"""Pack the code of the whole package into the one file that the launcher starts.

    python pack.py PACKAGE_DIR OUTPUT.pyc [--development]

    header          as of any .pyc
    packed_main.py  the code that the interpreter runs, with the index of all that follows in it
    digest          of all that follows, which the index has, too: do they belong together?
    cold code       functions that no usual command calls
    portions        what the usual commands need: modules of the same commands stand together,
                    marshalled as one, so that equal names are there once
    modules         all others, in a portion each

To find a module's file costs the interpreter some 100,000 instructions; here a command costs ten
reads. Line numbers stay, so tracebacks show the source.

Which modules a usual command needs, and which functions it calls, says hot.json. It was watched,
not thought out (tests/unit/test_hot_functions.py writes it); where it is wrong, the command is
slower.

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

from source_code import ColdCode, compile_module
from step_table import read_classes

if TYPE_CHECKING:
    from step_table import StepClasses

HERE = Path(__file__).parent
# Stands in packed_main.py where the index belongs.
INDEX_MARK = b"@INDEX@"
# From 128 KiB on, malloc(3) fetches memory of its own for what is read, and each of its pages is a
# fault.
PORTION_SIZE = 100_000


class Module:
    """One module of the package: its name, its file relative to the package's parent, its code."""

    def __init__(
        self,
        package_dir: Path,
        file: Path,
        classes: StepClasses,
        hot: dict[str, list[str]],
        cold_code: ColdCode,
    ) -> None:
        self.file = str(file.relative_to(package_dir.parent))
        self.is_package = file.name == "__init__.py"
        name = self.file.removesuffix(".py").removesuffix("/__init__")
        self.name = name.replace("/", ".")
        status = file.stat()
        self.state = (status.st_mtime_ns, status.st_size)
        source = file.read_text()
        self.imported = [name for node in ast.parse(source).body for name in _names(node)]
        # The name is relative: wherever the package is installed, traceback finds it by sys.path.
        self.code = compile_module(
            source, self.file, self.name, classes, hot.get(self.name), cold_code
        )

    def entry(self, modules: dict[str, Module], *, development: bool) -> tuple[Any, ...]:
        """Return what packed_main.py asks: is it a package, what it needs, its state, its code."""
        # In the order in which the statements stand, and each package before what is in it.
        needed = [
            name
            for imported in self.imported
            for name in _with_parents(imported)
            if name in modules
        ]
        needs = tuple(dict.fromkeys(needed))
        return self.is_package, needs, self.state if development else None, self.code


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
    classes = read_classes((package_dir / "plan" / "_generated_steps.py").read_text())
    hot = json.loads((HERE / "hot.json").read_text())
    cold_code = ColdCode()
    packed = [Module(package_dir, file, classes, hot["functions"], cold_code) for file in files]
    modules = {module.name: module for module in packed}
    entries = {
        name: module.entry(modules, development=development) for name, module in modules.items()
    }
    portions = _portions(hot["modules"], entries)
    together = {name for names, _ in portions for name in names}
    portions += [([name], ()) for name in entries if name not in together]
    contents = [marshal.dumps({name: entries[name] for name in names}) for names, _ in portions]
    contents.insert(0, bytes(cold_code.code))
    digest = hashlib.sha256(b"".join(contents)).digest()

    def index(begin: int) -> tuple[Any, ...]:
        begin += len(digest)
        places = []
        for content in contents:
            places.append((begin, len(content)))
            begin += len(content)
        of_command: dict[str, list[tuple[int, int]]] = {}
        of_module: dict[str, tuple[int, int]] = {}
        for (names, commands), place in zip(portions, places[1:], strict=True):
            of_module |= dict.fromkeys(names, place)
            for command in commands:
                of_command.setdefault(command, []).append(place)
        # Few commands need to look for a module.
        return digest, places[0][0], of_command, marshal.dumps(of_module)

    # A number has the same size in marshal's format whatever its value.
    main = _main_code(index(len(_main_code(index(0)))))
    output.write_bytes(main + digest + b"".join(contents))


def _portions(
    needed: dict[str, list[str]], entries: dict[str, tuple[Any, ...]]
) -> list[tuple[list[str], tuple[str, ...]]]:
    """Return the names of the modules in each portion, and the modules with which they are read."""
    # The second is imported before any command.
    always = ["ocipy.__main__", "ocipy.commands"]
    for name in always:
        always += [needs for needs in entries[name][1] if needs not in always]
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in entries:
        commands = tuple(
            f"ocipy.commands.{command}" for command in needed if name in needed[command]
        )
        if name in always:
            commands = ("ocipy.__main__",)
        if commands:
            groups.setdefault(commands, []).append(name)
    portions: list[tuple[list[str], tuple[str, ...]]] = []
    for commands, names in groups.items():
        size = PORTION_SIZE
        for name in names:
            added = len(marshal.dumps(entries[name]))
            size += added
            if size > PORTION_SIZE:
                size = added
                portions.append(([], commands))
            portions[-1][0].append(name)
    return portions


def _main_code(index: tuple[Any, ...]) -> bytes:
    code = compile_module((HERE / "packed_main.py").read_text(), "ocipy/packed_main.py", "", {})
    code = _with_constant(code, INDEX_MARK, marshal.dumps(index))
    # Of a large file the interpreter reads the code byte by byte, but bytes at once.
    outer = compile("import marshal; exec(marshal.loads(b'@CODE@'))", "ocipy/_pack.py", "exec")
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
