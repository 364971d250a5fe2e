"""What the launcher starts in place of ocipy/__main__.py: the same, with its modules from a pack.

pack.py compiles this file, puts the table of the modules in, and their code behind it. For each
module the table has (offset, length, is it a package, its file, the modules that its import
statements name, None or the (mtime, size) of the file that was packed).

Theory of operation. `import` needs Python code of the interpreter for every module that is not in
sys.modules yet, so a module is put there, with all that it imports, in one go: load() executes the
modules that a module needs before the module, as its import statements would. What is imported
inside of a function comes here through the finder.
"""

from __future__ import annotations

import posix
import sys
from marshal import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

PACKAGE = __file__.rsplit("/", 2)[0]
PARENT = PACKAGE.rpartition("/")[0]

TABLE = loads(b"@TABLE@")
modules = sys.modules
new_module = type(sys)
new_spec = type(sys.__spec__)
extension_loader: Any = modules["_frozen_importlib_external"].ExtensionFileLoader
# Where they are need not be looked for either.
EXTENSIONS = frozenset(("ocipy._native._calls", "ocipy._native._shim"))
pack = posix.open(__file__, posix.O_RDONLY | posix.O_CLOEXEC)


# -- the package's modules


def load(name: str) -> bool:
    """Execute a module and what it needs; False if its file has changed since it was packed."""
    offset, length, is_package, file, needs, state = TABLE[name]
    file = f"{PARENT}/{file}"
    if state:
        try:
            status = posix.stat(file)
        except OSError:
            return False
        if (status.st_mtime_ns, status.st_size) != state:
            return False
    for needed in needs:
        if needed not in modules and not load(needed):
            return False
    module = new_module(name)
    names = module.__dict__
    package, _, leaf = name.rpartition(".")
    names["__file__"] = file
    names["__package__"] = name if is_package else package
    if is_package:
        names["__path__"] = [file.rpartition("/")[0]]
    modules[name] = module
    try:
        exec(loads(posix.pread(pack, length, offset)), names)
    except BaseException:
        del modules[name]
        raise
    if package:
        setattr(modules[package], leaf, module)
    return True


class PackFinder:
    """Finds the modules of the pack for `import`; others find what is not there, or has changed."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name in TABLE:
            return new_spec(name, FINDER) if load(name) else None
        if name in EXTENSIONS:
            file = f"{PACKAGE}/{name[6:].replace('.', '/')}.abi3.so"
            return new_spec(name, extension_loader(name, file), origin=file)
        return None

    @staticmethod
    def create_module(spec: ModuleSpec) -> ModuleType:
        return modules[spec.name]

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """It was executed by load()."""


FINDER: Any = PackFinder


# -- os, of which a quarter of the interpreter's own start is the price


def stand_in_for_os() -> None:
    """Put a module `os` there that has what `posix` has, and turns into the real one where asked.

    What is expensive about the real one are the abstract classes behind os.environ and os.PathLike.
    """
    module = new_module("os")
    names = module.__dict__
    names.update((key, value) for key, value in posix.__dict__.items() if key[:2] != "__")
    del names["environ"]
    names["_exit"] = posix._exit
    modules["os"] = module
    import posixpath

    def fsencode(name: str | bytes) -> bytes:
        name = posix.fspath(name)
        return name.encode("utf-8", "surrogateescape") if isinstance(name, str) else name

    def fsdecode(name: str | bytes) -> str:
        name = posix.fspath(name)
        return name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name

    def missing(name: str) -> object:
        if name == "environ":
            # Not for writing: putenv(3) belongs to that, and the real one does it.
            environ = {fsdecode(key): fsdecode(value) for key, value in posix.environ.items()}
            return names.setdefault(name, type(type.__dict__)(environ))
        if name[:2] == "__" and name != "__all__":
            raise AttributeError(name)
        del modules["os"], names["__getattr__"]
        import os

        names.update((key, value) for key, value in os.__dict__.items() if key != "__name__")
        return getattr(os, name)

    names.update(path=posixpath, fsencode=fsencode, fsdecode=fsdecode, __getattr__=missing)


if sys.flags.utf8_mode and "os" not in modules:
    stand_in_for_os()
sys.meta_path.insert(0, FINDER)
__file__ = f"{PACKAGE}/__main__.py"
place, length, *_ = TABLE["ocipy.__main__"]
exec(loads(posix.pread(pack, length, place)))
