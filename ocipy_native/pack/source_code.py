"""The code of one module, without what only people and type checkers read, and with what is seldom
called left outside.

`compile_module` leaves out docstrings, annotations and `if TYPE_CHECKING`, and

* statements at the top that import: each costs up to 10,000 instructions where all is there
  already, and packed_main.py sees to that. Assignments stand in their place;
* functions that are seldom called: to unmarshal one costs 3 microseconds, and most are such for any
  command. In their place stands a call of `__cold__`, with the place of their code in the pack;
* the 80 classes of steps: to make one costs 25 microseconds, and a command uses 35. In their place
  stand functions that make a step of the one class PackedStep (step_table.py). They all have the
  attributes of the class that they stand for, `operation` among them, which tells them apart.
"""

from __future__ import annotations

import ast
import marshal
from typing import TYPE_CHECKING

from step_table import STEPS_MODULE, put_table_in

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from types import CodeType

    from step_table import StepClasses


class ColdCode:
    """The code of all functions that are seldom called, one behind the other."""

    def __init__(self) -> None:
        self.code = bytearray()
        self._places: dict[bytes, tuple[int, int]] = {}

    def add(self, function: ast.FunctionDef, file: str) -> tuple[int, int]:
        """Return offset and length of the code that defines the function."""
        code = marshal.dumps(compile(ast.Module([function], []), file, "exec", dont_inherit=True))
        if code not in self._places:
            self._places[code] = len(self.code), len(code)
            self.code += code
        return self._places[code]


def compile_module(
    source: str,
    file: str,
    name: str,
    classes: StepClasses,
    *,
    hot: Collection[str] | None = None,
    cold_code: ColdCode | None = None,
    importable: Mapping[str, Collection[str]] | None = None,
) -> CodeType:
    """Compile a module for the pack.

    Args:
        file: of the traceback; relative to sys.path.
        classes: the classes of steps, by name.
        hot: the names of the functions that are called often, `Class.method` for methods; None if
            all are.
        cold_code: where the others go.
        importable: by module of the package, the names that are sure to be there when its code has
            been executed; None if import statements are to stay.
    """
    tree = _ForMachinesOnly(classes).visit(ast.parse(source))
    ast.fix_missing_locations(tree)
    if importable is not None:
        tree.body = [new for node in tree.body for new in _without_import(node, importable)]
    if name == STEPS_MODULE:
        put_table_in(tree, classes)
    elif hot is not None and cold_code is not None:
        hot = {*hot, *_handed_over(tree)}
        tree.body = [_left_outside(node, "", file, hot, cold_code) for node in tree.body]
    return compile(ast.fix_missing_locations(tree), file, "exec", dont_inherit=True)


# -- imports


def defined_names(source: str) -> set[str]:
    """Return the names that a module has when it has been executed, whatever happens in it."""
    names = set()
    for node in ast.parse(source).body:
        match node:
            case ast.FunctionDef(name) | ast.ClassDef(name):
                names.add(name)
            case ast.ImportFrom(names=aliases):
                names |= {alias.asname or alias.name for alias in aliases}
            case ast.Assign(targets=targets):
                parts = [ast.walk(target) for target in targets]
                names |= {name.id for part in parts for name in part if isinstance(name, ast.Name)}
            case ast.AnnAssign(target=ast.Name(name), value=ast.expr()):
                names.add(name)
    return names


def _without_import(node: ast.stmt, importable: Mapping[str, Collection[str]]) -> list[ast.stmt]:
    """Return what binds the names that an import statement binds, where the modules are there."""
    match node:
        case ast.Import([ast.alias(library, None)]) if "." not in library:
            text = f"{library} = __modules__.get({library!r}) or __library__({library!r})"
        case ast.ImportFrom(str(module), aliases) if {alias.name for alias in aliases} <= set(
            importable.get(module, ())
        ):
            text = f"__names__ = __modules__[{module!r}].__dict__"
            for alias in aliases:
                text += f"; {alias.asname or alias.name} = __names__[{alias.name!r}]"
        case _:
            return [node]
    statements = ast.parse(text).body
    for statement in statements:
        for part in ast.walk(statement):
            ast.copy_location(part, node)
    return statements


# -- functions that are seldom called


def _left_outside(
    node: ast.stmt, of_class: str, file: str, hot: Collection[str], cold_code: ColdCode
) -> ast.stmt:
    if isinstance(node, ast.ClassDef) and not of_class:
        of_class = f"{node.name}."
        node.body = [_left_outside(child, of_class, file, hot, cold_code) for child in node.body]
    elif (
        isinstance(node, ast.FunctionDef)
        and f"{of_class}{node.name}" not in hot
        and _can_be_defined_later(node)
    ):
        place = [ast.Constant(number) for number in cold_code.add(node, file)]
        names = ast.Call(ast.Name("globals", ast.Load()), [], [])
        called = ast.Constant(node.name)
        make = ast.Call(ast.Name("__cold__", ast.Load()), [names, called, *place], [])
        made = ast.Assign([ast.Name(node.name, ast.Store())], make)
        return ast.fix_missing_locations(ast.copy_location(made, node))
    return node


def _handed_over(tree: ast.Module) -> set[str]:
    """Return what the module gives away while it is executed: `staticmethod(NAME)` looks at it."""
    bodies = [tree.body, *(node.body for node in tree.body if isinstance(node, ast.ClassDef))]
    return {
        argument.id
        for body in bodies
        for statement in body
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call)
        for argument in statement.value.args
        if isinstance(argument, ast.Name)
    }


def _can_be_defined_later(function: ast.FunctionDef) -> bool:
    """Does it mean the same, defined in the module's names when all of them are there?"""
    if function.name[:2] == "__" or function.decorator_list:
        return False
    defaults = [*function.args.defaults, *function.args.kw_defaults]
    if not all(default is None or isinstance(default, ast.Constant) for default in defaults):
        return False
    names = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    attributes = {node.attr for node in ast.walk(function) if isinstance(node, ast.Attribute)}
    # super() and names that begin with two underscores mean the class around it.
    return not any(name == "super" or name[:2] == "__" for name in names | attributes)


# -- what is for people and type checkers


class _ForMachinesOnly(ast.NodeTransformer):
    """Leaves out what has no effect when it is executed."""

    def __init__(self, classes: StepClasses) -> None:
        self.classes = classes

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
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return ast.Pass()
        self.generic_visit(node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Ask for the operation where the class of a step is asked for, which is not there."""
        self.generic_visit(node)
        match node:
            case ast.Call(ast.Name("isinstance"), [step, kinds]) if names := _step_classes(kinds):
                operations = [ast.Constant(self.classes[name]["operation"]) for name in names]
                operation = ast.Attribute(step, "operation", ast.Load())
                among = ast.Tuple(list[ast.expr](operations), ast.Load())
                return ast.Compare(operation, [ast.In()], [among])
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        if node.module == STEPS_MODULE:
            raise SystemExit(f"classes of steps are asked for as `steps.X`: {ast.unparse(node)}")
        return ast.Pass() if node.module == "__future__" else node


def _step_classes(node: ast.expr) -> list[str]:
    """Return the names in `steps.A` and `steps.A | steps.B`; nothing if it is anything else."""
    match node:
        case ast.Attribute(ast.Name("steps"), name):
            return [name]
        case ast.BinOp(left, ast.BitOr(), right):
            names = _step_classes(left)
            return [*names, *_step_classes(right)] if names else []
    return []


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0] if body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        return body[1:]
    return body
