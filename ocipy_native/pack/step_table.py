"""The classes of steps as a table: what stands for ocipy/plan/_generated_steps.py in the pack."""

from __future__ import annotations

import ast
import marshal
from typing import Any, TypeAlias

STEPS_MODULE = "ocipy.plan._generated_steps"

# By the name of each class: the attributes of its instances, as far as they are known.
StepClasses: TypeAlias = "dict[str, dict[str, Any]]"

MAKE_WHEN_NEEDED = """
from marshal import loads

class PackedStep(Step):
    def __init__(self, source, known, args):
        self.__dict__ = known | args
        self.source = source
        self.place = self.__dict__.pop("place")

class StepClass:
    def __init__(self, known):
        self.__dict__ = known
    def __call__(self, source, **args):
        return PackedStep(source, self.__dict__, args)
    def __instancecheck__(self, step):  # for modules that have changed since they were packed
        return step.operation == self.operation

def __getattr__(name):
    if name not in STEPS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = globals()[name] = StepClass(loads(STEPS[name]))
    return made
"""


def read_classes(source: str) -> StepClasses:
    """Read the generated module: class variables, and the defaults of what __init__ takes."""
    classes: StepClasses = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef):
            known: dict[str, Any] = {}
            for statement in node.body:
                match statement:
                    case ast.Assign([ast.Name(name)], value) if name != "__slots__":
                        known[name] = ast.literal_eval(value)
                    case ast.FunctionDef("__init__", arguments, body):
                        known |= _defaults(arguments, body)
            classes[node.name] = known
    return classes


def _defaults(arguments: ast.arguments, body: list[ast.stmt]) -> dict[str, Any]:
    known = {
        argument.arg: ast.literal_eval(default)
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is not None
    }
    for statement in body:
        match statement:
            case ast.Assign([ast.Attribute(_, "place")], ast.Constant(place)):
                known["place"] = place
    return known


def put_table_in(tree: ast.Module, classes: StepClasses) -> None:
    """Replace the classes of the module by the table, and by what makes steps of it."""
    names: list[ast.expr | None] = [ast.Constant(name) for name in classes]
    known: list[ast.expr] = [ast.Constant(marshal.dumps(known)) for known in classes.values()]
    table = ast.Assign([ast.Name("STEPS", ast.Store())], ast.Dict(names, known))
    tree.body = [node for node in tree.body if not isinstance(node, ast.ClassDef)]
    tree.body += [table, *ast.parse(MAKE_WHEN_NEEDED).body]
