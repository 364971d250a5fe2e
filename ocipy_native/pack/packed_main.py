"""What the launcher starts in place of ocipy/__main__.py: the same, with its modules from a pack.

pack.py compiles this file, puts the index of the pack in, and everything else behind it. For each
module there is (is it a package, the modules of ours that it needs, None or the (mtime, size) of
the file that was packed, its code).

Theory of operation. `import` needs Python code of the interpreter for every module that is not in
sys.modules yet, so a module is put there, with all that it imports, in one go: load() executes the
modules that a module needs before the module, as its import statements would. Of those, the packer
has made assignments. What is imported inside of a function comes here through the finder. Modules
of the usual commands are read in portions: some when we start, others when the module of their
command is asked for.
"""

from __future__ import annotations

import posix
import sys
from _imp import create_builtin, exec_builtin, extension_suffixes
from marshal import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

PACKAGE = __file__.rsplit("/", 2)[0]
PARENT = PACKAGE.rpartition("/")[0]

DIGEST, COLD_CODE, PORTIONS, PLACES = loads(b"@INDEX@")
modules = sys.modules
new_module = type(sys)
new_spec = type(sys.__spec__)
BUILTIN_IMPORTER: Any = modules["_frozen_importlib"].BuiltinImporter
extension_loader: Any = modules["_frozen_importlib_external"].ExtensionFileLoader
# Where they are need not be looked for either: ours, and the one of the standard library that every
# command needs. It stands in the last directory of the path, which this saves to be listed.
EXTENSIONS = {
    "ocipy._native._calls": f"{PACKAGE}/_native/_calls.abi3.so",
    "ocipy._native._shim": f"{PACKAGE}/_native/_shim.abi3.so",
    "_json": f"{sys.path[-1]}/_json{extension_suffixes()[0]}",
}
pack = posix.open(__file__, posix.O_RDONLY | posix.O_CLOEXEC)
# What was read, and not executed yet.
entries: dict[str, Any] = {}


def give_up() -> None:
    posix.write(2, f"ocipy: {PACKAGE}/_native is damaged: install ocipy again\n".encode())
    posix._exit(1)


def begin_again() -> None:
    """Start anew: this code was read, then an upgrade put another file in the place of its own."""
    tries = int(sys._xoptions.get("ocipy_again", 0))
    if tries == 5:
        give_up()
    argv = sys.orig_argv
    file = argv.index(__file__)  # the last of equal options counts
    posix.execv(argv[0], [*argv[:file], f"-Xocipy_again={tries + 1}", *argv[file:]])


def fetch(place: int, length: int) -> Any:
    """Return what is marshalled there. Of a pack that is cut off nothing can go on."""
    data = posix.pread(pack, length, place)
    if len(data) < length:
        give_up()
    return loads(data)


def read(portion: tuple[int, int]) -> None:
    """Read the modules that stand together at (offset, length)."""
    entries.update(fetch(*portion))


def entry_of(name: str) -> Any:
    """Return what there is of a module, once; None if it is not in the pack."""
    if name not in entries:
        # Not one that a usual command needs.
        global PLACES
        if type(PLACES) is bytes:
            PLACES = loads(PLACES)
        if name not in PLACES:
            return None
        read(PLACES[name])
    return entries.pop(name)


# -- what is seldom called


class Cold:
    """Stands where a function or a class of errors belongs, until it is called, or asked for."""

    __slots__ = ("length", "made", "name", "names", "place")
    made: Any

    def __init__(self, names: dict[str, Any], name: str, place: int, length: int) -> None:
        self.names, self.name, self.place, self.length = names, name, place, length

    def __getattr__(self, attribute: str) -> Any:
        """Of `made`, which is not there at first, and of what a function has."""
        if attribute != "made":
            return getattr(self.made, attribute)
        defined: dict[str, Any] = {}
        exec(fetch(COLD_CODE + self.place, self.length), self.names, defined)
        self.made = defined[self.name]
        return self.made

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.made(*args, **kwargs)

    def __get__(self, instance: object, owner: object = None) -> Any:
        # Whoever keeps a bound method may never call it.
        return self if instance is None else new_method(self, instance)


new_method: Any = type(Cold({}, "", 0, 0).__call__)


def class_of(error: Any) -> Any:
    """Return the class of errors: what is given may be what stands in its place."""
    return error.made if type(error) is Cold else error


def make_all(names: dict[str, Any]) -> None:
    for name, value in tuple(names.items()):
        if type(value) is Cold:
            names[name] = value.made


def leave_nothing_cold() -> None:
    """From now on: a module that is not from the pack says `except NAME`, as its source does."""
    global some_from_files
    some_from_files = True
    for name in tuple(modules):
        if name[:5] == "ocipy":
            make_all(modules[name].__dict__)


some_from_files = False


# -- modules of others


def import_library(name: str) -> ModuleType:
    """Import a module of the standard library.

    The interpreter's finders cost 600 bytecodes for each; what is built in needs none of them.
    """
    if name == "stat":
        # On Linux, the half that is written in C has all; os.path asks for it, too.
        modules["stat"] = import_library("_stat")
        return modules["stat"]
    if name not in sys.builtin_module_names:
        return __import__(name)
    spec = new_spec(name, BUILTIN_IMPORTER, origin="built-in")
    spec._initializing = False  # type: ignore[attr-defined]
    module = create_builtin(spec)
    module.__spec__ = spec
    module.__loader__ = BUILTIN_IMPORTER
    exec_builtin(module)
    modules[name] = module
    return module


# -- the package's modules


def has_changed(file: str, mtime: int, size: int) -> bool:
    try:
        status = posix.stat(file)
    except OSError:
        return True
    return (status.st_mtime_ns, status.st_size) != (mtime, size)


def load(name: str) -> bool:
    """Execute a module and what it needs; False if its file has changed since it was packed."""
    entry = entry_of(name)
    if entry is None:
        return False
    is_package, needs, state, code = entry
    file = f"{PARENT}/{code.co_filename}"
    if state and has_changed(file, *state):
        return False
    for needed in needs:
        if needed not in modules and not load(needed):
            return False
    module = new_module(name)
    names = module.__dict__
    package, _, leaf = name.rpartition(".")
    names["__file__"] = file
    names["__cold__"] = Cold
    names["__class_of__"] = class_of
    names["__modules__"] = modules
    names["__library__"] = import_library
    names["__package__"] = name if is_package else package
    if is_package:
        names["__path__"] = [file.rpartition("/")[0]]
    modules[name] = module
    try:
        exec(code, names)
    except BaseException as error:
        del modules[name]
        if state and type(error) is KeyError:
            return False  # a changed file has no such name any more: an import statement says so
        raise
    if some_from_files:
        make_all(names)
    if package:
        if package not in modules:  # its file has changed: it is not from here
            __import__(package)
        setattr(modules[package], leaf, module)
    return True


def load_all_of(command: str) -> bool:
    """Execute the module of a command, and what it is known to import later, inside of functions.

    For those, too, `import` then finds a module that is there.
    """
    for portion in PORTIONS.pop(command):
        read(portion)
    try:
        # What stands in front is needed by what follows.
        for name in tuple(entries):
            if name in entries and name not in modules:
                load(name)
    finally:
        # After an error, these would come without what they need.
        entries.clear()
    return command in modules


class PackFinder:
    """Finds the modules of the pack for `import`; others find what is not there, or has changed."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name in EXTENSIONS and posix.access(file := EXTENSIONS[name], posix.R_OK):
            return new_spec(name, extension_loader(name, file), origin=file)
        if name[:5] != "ocipy":
            return None
        if load_all_of(name) if name in PORTIONS else load(name):
            return new_spec(name, FINDER)
        leave_nothing_cold()
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
    own = dict(names)
    names.update(posix.__dict__)
    names.update(own)
    del names["environ"]
    modules["os"] = module

    def fsencode(name: str | bytes) -> bytes:
        name = posix.fspath(name)
        return name.encode("utf-8", "surrogateescape") if isinstance(name, str) else name

    def fsdecode(name: str | bytes) -> str:
        name = posix.fspath(name)
        return name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name

    def missing(name: str) -> object:
        if name == "path":
            import posixpath

            return names.setdefault(name, posixpath)
        if name == "environ":
            # Not for writing: putenv(3) belongs to that, and the real one does it.
            how = ("utf-8", "surrogateescape")
            environ = {str(key, *how): str(value, *how) for key, value in posix.environ.items()}
            return names.setdefault(name, type(type.__dict__)(environ))
        if name[:2] == "__" and name != "__all__":
            raise AttributeError(name)
        del modules["os"], names["__getattr__"]
        import os

        names.update((key, value) for key, value in os.__dict__.items() if key != "__name__")
        return getattr(os, name)

    names.update(fsencode=fsencode, fsdecode=fsdecode, __getattr__=missing)
    # For `import os.path`: os is no package, so this is asked for before any finder.
    path = modules["os.path"] = new_module("os.path")
    path.__dict__["__getattr__"] = lambda name: getattr(missing("path"), name)


if posix.pread(pack, len(DIGEST), COLD_CODE - len(DIGEST)) != DIGEST:
    begin_again()
if sys.flags.utf8_mode and "os" not in modules:
    stand_in_for_os()
sys.meta_path.insert(0, FINDER)
for portion in PORTIONS.pop("ocipy.__main__"):
    read(portion)
__file__ = f"{PACKAGE}/__main__.py"
__modules__, __library__ = modules, import_library
exec(entry_of("ocipy.__main__")[3])
