"""The code of one module, without what only people and type checkers read, and with what is seldom
called left outside.

`compile_module` leaves out docstrings, annotations and `if TYPE_CHECKING`, and

* statements at the top that import: each costs up to 10,000 instructions where all is there
  already, and packed_main.py sees to that. Assignments stand in their place;
* functions that are seldom called: to unmarshal one costs 3 microseconds, and most are such for any
  command. In their place stands a call of `__cold__`, with the place of their code in the pack;
* classes of errors: most commands make none of them, and a class costs 15 microseconds. The same
  call stands in their place. Where one is caught, asked for or inherited from, the packer writes
  `__class_of__(NAME)`, which makes it;
* the 80 classes of steps: to make one costs 25 microseconds, and a command uses 35. In their place
  stand functions that make a step of the one class PackedStep (step_table.py). They all have the
  attributes of the class that they stand for, `operation` among them, which tells them apart.
"""

from __future__ import annotations

import ast
import builtins
import marshal
import sys
from typing import TYPE_CHECKING

from step_table import STEPS_MODULE, put_table_in

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from types import CodeType

    from step_table import StepClasses


# What packed_main.py has: the class, of what stands in its place.
CLASS_OF = "__class_of__"


class ColdCode:
    """The code of all functions and classes that are seldom asked for, one behind the other."""

    def __init__(self) -> None:
        self.code = bytearray()
        self._places: dict[bytes, tuple[int, int]] = {}

    def add(self, node: ast.FunctionDef | ast.ClassDef, file: str) -> tuple[int, int]:
        """Return offset and length of the code that defines the function or class."""
        code = marshal.dumps(compile(ast.Module([node], []), file, "exec", dont_inherit=True))
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
    errors: Collection[str] = (),
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
        errors: the names of the classes of errors, in all modules.
    """
    tree = _ForMachinesOnly(classes).visit(ast.parse(source))
    tree = ast.fix_missing_locations(_ErrorsLater(errors, file).visit(tree))
    if importable is not None:
        tree.body = [new for node in tree.body for new in _without_import(node, importable)]
    if name == STEPS_MODULE:
        put_table_in(tree, classes)
    elif hot is not None and cold_code is not None:
        hot = {*hot, *_handed_over(tree)}
        tree.body = [_left_outside(node, "", file, hot, cold_code, errors) for node in tree.body]
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
        case ast.Import([ast.alias(library, name)]) if "." not in library:
            text = f"{name or library} = {_library(library)}"
        case ast.ImportFrom(str(module), aliases) if module in sys.builtin_module_names:
            text = f"__names__ = {_library(module)}.__dict__"
            for alias in aliases:
                text += f"; {alias.asname or alias.name} = __names__[{alias.name!r}]"
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


def _library(module: str) -> str:
    return f"(__modules__.get({module!r}) or __library__({module!r}))"


# -- what is seldom called


def _left_outside(
    node: ast.stmt,
    of_class: str,
    file: str,
    hot: Collection[str],
    cold_code: ColdCode,
    errors: Collection[str],
) -> ast.stmt:
    if isinstance(node, ast.ClassDef) and not of_class:
        of_class = f"{node.name}."
        later = node.name in errors and not any(name.startswith(of_class) for name in hot)
        if not later:
            body = node.body
            node.body = [_left_outside(n, of_class, file, hot, cold_code, errors) for n in body]
    else:
        later = (
            isinstance(node, ast.FunctionDef)
            and f"{of_class}{node.name}" not in hot
            and _can_be_defined_later(node)
        )
    if later and isinstance(node, ast.FunctionDef | ast.ClassDef):
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
    private = {name for name in names | attributes if name == "super" or name[:2] == "__"}
    return private <= {CLASS_OF}


# -- errors


def error_classes(sources: Collection[str]) -> frozenset[str]:
    """Return the names of the classes that are errors: those that inherit from one are, too."""
    known = {name for name, value in vars(builtins).items() if _is_error(value)}
    classes = [
        node
        for source in sources
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef)
    ]
    errors: set[str] = set()
    while found := {
        node.name
        for node in classes
        if node.name not in errors
        and any(isinstance(base, ast.Name) and base.id in known | errors for base in node.bases)
    }:
        errors |= found
    return frozenset(errors)


def _is_error(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, BaseException)


class _ErrorsLater(ast.NodeTransformer):
    """Asks for the class where it is not enough to call what stands in its place."""

    def __init__(self, errors: Collection[str], file: str) -> None:
        self.errors = errors
        self.file = file

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        node.bases = [self._classes(base) for base in node.bases]
        self.generic_visit(node)
        return node

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.ExceptHandler:
        node.type = node.type and self._classes(node.type)
        self.generic_visit(node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.Call:
        match node:
            case ast.Call(ast.Name("isinstance"), [value, kinds]):
                node.args = [value, self._classes(kinds)]
            case ast.Call(ast.Name(name) | ast.Attribute(attr=name)) if name in self.errors:
                for part in [*node.args, *node.keywords]:
                    self.visit(part)
                return node
            case ast.Call(ast.Name(name)) if name == CLASS_OF:
                return node
        self.generic_visit(node)
        return node

    def visit_Name(self, node: ast.Name) -> ast.Name:
        self._refuse(node.id, node)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.Attribute:
        self._refuse(node.attr, node)
        self.generic_visit(node)
        return node

    def _refuse(self, name: str, node: ast.Name | ast.Attribute) -> None:
        if name in self.errors and isinstance(node.ctx, ast.Load):
            raise SystemExit(f"{self.file}:{node.lineno}: use of a class of errors: {name}")

    def _classes(self, node: ast.expr) -> ast.expr:
        match node:
            case ast.Name(name) | ast.Attribute(attr=name) if name in self.errors:
                made = ast.Call(ast.Name(CLASS_OF, ast.Load()), [node], [])
                return ast.copy_location(made, node)
            case ast.Tuple(kinds):
                node.elts = [self._classes(kind) for kind in kinds]
            case ast.BinOp(left, ast.BitOr(), right):
                node.left, node.right = self._classes(left), self._classes(right)
        return node


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
        if isinstance(node.annotation, ast.Name) and node.annotation.id == "TypeAlias":
            node.value = ast.Constant(None)
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
