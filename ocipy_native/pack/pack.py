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
    """Leaves out what has no effect when it is executed; `operations` by name of their class."""

    def __init__(self, operations: dict[str, str]) -> None:
        self.operations = operations

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

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Ask for the operation where the class of a step is asked for, which need not be there."""
        self.generic_visit(node)
        match node:
            case ast.Call(
                ast.Name("isinstance"), [step, ast.Attribute(ast.Name("steps"), name)]
            ) if name in self.operations:
                operation = ast.Attribute(step, "operation", ast.Load())
                return ast.Compare(operation, [ast.Eq()], [ast.Constant(self.operations[name])])
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        return ast.Pass() if node.module == "__future__" else node


# Modules of many classes, few of which a command needs: each is made when it is first asked for. To
# make a class costs 75,000 instructions.
CLASSES_WHEN_NEEDED = frozenset({"ocipy.plan._generated_steps"})

MAKE_WHEN_NEEDED = """
def __getattr__(name):
    from marshal import loads
    if name not in CLASSES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    exec(loads(CLASSES[name]), globals())
    return globals()[name]
"""


def _make_classes_when_needed(tree: ast.Module, file: str) -> None:
    """Turn each class at the top of the module into bytes that __getattr__() executes."""
    classes: dict[ast.expr, ast.expr] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            code = compile(ast.Module([node], []), file, "exec", dont_inherit=True)
            classes[ast.Constant(node.name)] = ast.Constant(marshal.dumps(code))
    tree.body = [node for node in tree.body if not isinstance(node, ast.ClassDef)]
    table = ast.Dict(list(classes), list(classes.values()))
    tree.body.append(ast.Assign([ast.Name("CLASSES", ast.Store())], table))
    tree.body += ast.parse(MAKE_WHEN_NEEDED).body


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0] if body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        return body[1:]
    return body


class Module:
    """One module of the package: its name, its file relative to the package's parent, its code."""

    def __init__(self, package_dir: Path, file: Path, operations: dict[str, str]) -> None:
        self.file = str(file.relative_to(package_dir.parent))
        self.is_package = file.name == "__init__.py"
        name = self.file.removesuffix(".py").removesuffix("/__init__")
        self.name = name.replace("/", ".")
        status = file.stat()
        self.state = (status.st_mtime_ns, status.st_size)
        source = file.read_text()
        self.imported = [name for node in ast.parse(source).body for name in _names(node)]
        # The name is relative: wherever the package is installed, traceback finds it by sys.path.
        self.code = marshal.dumps(_compile(source, self.file, self.name, operations))


def _compile(source: str, file: str, name: str, operations: dict[str, str]) -> CodeType:
    tree = _ForMachinesOnly(operations).visit(ast.parse(source))
    if name in CLASSES_WHEN_NEEDED:
        ast.fix_missing_locations(tree)
        _make_classes_when_needed(tree, file)
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
    operations = _operations((package_dir / "plan" / "_generated_steps.py").read_text())
    packed = [Module(package_dir, file, operations) for file in files]
    modules = {module.name: module for module in packed}
    # A number has the same size in marshal's format whatever its value.
    begin = len(_main_code(_table(modules, 0, development=development)))
    main = _main_code(_table(modules, begin, development=development))
    output.write_bytes(main + b"".join(module.code for module in modules.values()))


def _operations(source: str) -> dict[str, str]:
    """Return the operation of each class of steps: the value of `operation` in it."""
    return {
        node.name: ast.literal_eval(statement.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef)
        for statement in node.body
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "operation"
    }


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
    code = _compile((HERE / "packed_main.py").read_text(), "ocipy/packed_main.py", "", {})
    consts = (marshal.dumps(table) if const == TABLE_MARK else const for const in code.co_consts)
    code = code.replace(co_consts=tuple(consts))
    # Of a large file the interpreter reads the code byte by byte, but bytes at once.
    outer = compile("import marshal; exec(marshal.loads(b'@CODE@'))", "ocipy/_pack.py", "exec")
    consts = (marshal.dumps(code) if const == b"@CODE@" else const for const in outer.co_consts)
    header = importlib.util.MAGIC_NUMBER + bytes(12)
    return header + marshal.dumps(outer.replace(co_consts=tuple(consts)))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("package_dir", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--development", action="store_true")
    options = parser.parse_args()
    pack(options.package_dir.resolve(), options.output, development=options.development)


if __name__ == "__main__":
    main()
