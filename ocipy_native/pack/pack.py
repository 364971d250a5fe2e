"""Pack the code of the whole package into the one file that the launcher starts.

    python pack.py PACKAGE_DIR OUTPUT.pyc [--development]

    header          as of any .pyc
    packed_main.py  the code that the interpreter runs, with the table of all modules in it
    modules         the marshalled code of each, one behind the other

To find a module's file costs the interpreter some 100,000 instructions; here it costs one read.
What only people and type checkers read is left out: docstrings, annotations, `if TYPE_CHECKING`.
Line numbers stay, so tracebacks show the source.

A pack is for the minor version of Python that wrote it; the launcher uses it with no other. With
`--development` the table also says which state of each source file was packed (time and size), and
a module whose file has changed is imported from the file.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import marshal
from pathlib import Path
from types import CodeType
from typing import TypeAlias

HERE = Path(__file__).parent
# Stands in packed_main.py where the table belongs.
TABLE_MARK = b"@TABLE@"

Table: TypeAlias = "dict[str, tuple[int, int, bool, str, tuple[str, ...], tuple[int, int] | None]]"


class _ForMachinesOnly(ast.NodeTransformer):
    """Leaves out what has no effect when it is executed."""

    def visit_Module(self, node: ast.Module) -> ast.Module:
        self.generic_visit(node)
        node.body = _without_docstring(node.body)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        self.generic_visit(node)
        node.body = _without_docstring(node.body) or [ast.Pass()]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        node.body = _without_docstring(node.body) or [ast.Pass()]
        node.returns = None
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.Assign | ast.Pass:
        self.generic_visit(node)
        return ast.Assign([node.target], node.value) if node.value else ast.Pass()

    def visit_If(self, node: ast.If) -> ast.AST:
        self.generic_visit(node)
        is_for_types = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        return ast.Pass() if is_for_types else node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        return ast.Pass() if node.module == "__future__" else node


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0] if body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        return body[1:]
    return body


class Module:
    """One module of the package: its name, its file relative to the package's parent, its code."""

    def __init__(self, package_dir: Path, file: Path) -> None:
        self.file = str(file.relative_to(package_dir.parent))
        self.is_package = file.name == "__init__.py"
        name = self.file.removesuffix(".py").removesuffix("/__init__")
        self.name = name.replace("/", ".")
        status = file.stat()
        self.state = (status.st_mtime_ns, status.st_size)
        source = file.read_text()
        self.imported = [name for node in ast.parse(source).body for name in _names(node)]
        # The name is relative: wherever the package is installed, traceback finds it by sys.path.
        self.code = marshal.dumps(_compile(source, self.file))


def _compile(source: str, file: str) -> CodeType:
    tree = _ForMachinesOnly().visit(ast.parse(source))
    return compile(ast.fix_missing_locations(tree), file, "exec", dont_inherit=True)


def _names(node: ast.stmt) -> list[str]:
    """Return what an import statement may import: modules, and names that are none."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def pack(package_dir: Path, output: Path, *, development: bool) -> None:
    """Write the pack for the minor version of the interpreter that runs this."""
    files = sorted(file for file in package_dir.rglob("*.py") if file.stem != "_generated_build")
    modules = {module.name: module for module in (Module(package_dir, file) for file in files)}
    # A number has the same size in marshal's format whatever its value.
    begin = len(_main_code(_table(modules, 0, development=development)))
    main = _main_code(_table(modules, begin, development=development))
    output.write_bytes(main + b"".join(module.code for module in modules.values()))


def _table(modules: dict[str, Module], begin: int, *, development: bool) -> Table:
    table: Table = {}
    for name, module in modules.items():
        # In the order in which the statements stand, and each package before what is in it.
        needed = [
            name
            for imported in module.imported
            for name in (imported.rpartition(".")[0], imported)
            if name in modules
        ]
        needs = tuple(dict.fromkeys(needed))
        state = module.state if development else None
        table[name] = (begin, len(module.code), module.is_package, module.file, needs, state)
        begin += len(module.code)
    return table


def _main_code(table: Table) -> bytes:
    code = _compile((HERE / "packed_main.py").read_text(), "ocipy/packed_main.py")
    consts = (marshal.dumps(table) if const == TABLE_MARK else const for const in code.co_consts)
    header = importlib.util.MAGIC_NUMBER + bytes(12)
    return header + marshal.dumps(code.replace(co_consts=tuple(consts)))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("package_dir", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--development", action="store_true")
    options = parser.parse_args()
    pack(options.package_dir.resolve(), options.output, development=options.development)


if __name__ == "__main__":
    main()
