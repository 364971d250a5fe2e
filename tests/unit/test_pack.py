"""The pack: the launcher's way into the package gives what the source files give, or gives way."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from ocipy.plan import _generated_steps as steps
from ocipy.plan.step import Step
from tests.conftest import REPOSITORY

ROOT = Path(REPOSITORY)
PACKED_MAIN = "_native/packed_main.pyc"

# Takes the place of ocipy/cli.py: main() does what the test asks for.
CLI = """
from __future__ import annotations
import sys

def main() -> None:
    sys.path.insert(0, __file__.rpartition("/")[0])
    exec(sys.argv[1], {})
"""


def write_pack(package: Path, *options: str) -> None:
    packer = ROOT / "ocipy_native" / "pack" / "pack.py"
    subprocess.run([sys.executable, packer, package, package / PACKED_MAIN, *options], check=True)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package, packed, in which `ocipy CODE` executes the code."""
    ignore = shutil.ignore_patterns("__pycache__", "packed_main.pyc")
    package = Path(shutil.copytree(ROOT / "ocipy", tmp_path / "ocipy", ignore=ignore))
    (package / "cli.py").write_text(CLI)
    write_pack(package, "--development")
    return package


@pytest.fixture(params=["development", "installed"])
def packed(package: Path, request: pytest.FixtureRequest) -> Path:
    """The same, packed for a tree, and as it is installed."""
    if request.param == "installed":
        write_pack(package)
    return package


def run(package: Path, code: str) -> subprocess.CompletedProcess[str]:
    options = ["-I", "-S", "-X", "utf8=1", "-X", f"ocipy_path={sysconfig.get_path('platlib')}"]
    return subprocess.run(
        [sys.executable, *options, package / PACKED_MAIN, code], capture_output=True, text=True
    )


def output_of(package: Path, code: str) -> str:
    done = run(package, code)
    assert done.returncode == 0, done.stderr
    return done.stdout


def output_from_files(package: Path, code: str) -> str:
    """Execute the code without the pack; its modules come from the files that were packed."""
    code = f"import sys; sys.path[0] = {str(package.parent)!r}\n{code}"
    return subprocess.check_output([sys.executable, "-c", code], text=True)


def modules_of(package: Path) -> list[str]:
    names = []
    for file in sorted(package.rglob("*.py")):
        name = str(file.relative_to(package.parent)).removesuffix(".py").removesuffix("/__init__")
        names.append(name.replace("/", "."))
    return [name for name in names if name != "ocipy.__main__"]


NAMES_OF_ALL = """
import importlib
# All first: a module is an attribute of its package from then on.
for module in [importlib.import_module(name) for name in {modules!r}]:
    names = [key for key in vars(module) if key[:2] != "__" and key != "annotations"]
    print(repr((module.__name__, module.__file__, module.__package__, sorted(names))))
"""
COMPARE = """
import importlib
expected = [eval(line) for line in {expected!r}]
modules = [importlib.import_module(name) for name, *_ in expected]
for module, (name, file, package, names) in zip(modules, expected):
    assert (module.__file__, module.__package__) == (file, package)
    for key in names:
        value = getattr(module, key)
        if type(value) is type:
            assert value.__name__ == key or value.__module__ != name, (name, key, value)
    assert not hasattr(module, "nothing"), name
print("same")
"""


def test_has_every_module_as_its_file_gives_it(packed: Path) -> None:
    code = NAMES_OF_ALL.format(modules=modules_of(packed))
    from_files = output_from_files(packed, code)
    expected = from_files.splitlines()
    assert len(expected) == len(modules_of(packed)) > 100
    assert output_of(packed, COMPARE.format(expected=expected)) == "same\n"


EACH_FIRST = """
import importlib, os
for module in {modules!r}:
    if (pid := os.fork()) == 0:
        try:
            importlib.import_module(module)
        except BaseException as error:
            print(module, repr(error), flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
"""


def test_every_module_can_be_the_first(packed: Path) -> None:
    """What it imports brings all the packages that it is in, however deep."""
    assert output_of(packed, EACH_FIRST.format(modules=modules_of(packed))) == ""


def test_opens_no_file_of_the_package(package: Path) -> None:
    # Neither the sources nor what CPython would have compiled of them need to be there.
    write_pack(package)
    for file in package.rglob("*.py"):
        file.unlink()
    assert output_of(package, "from ocipy.plan.create import plan_create; print(1)") == "1\n"


def test_a_changed_file_counts_and_not_what_was_packed_of_it(package: Path) -> None:
    code = "from ocipy import timestamp; print(timestamp.__name__, hasattr(timestamp, 'added'))"
    assert output_of(package, code) == "ocipy.timestamp False\n"
    with (package / "timestamp.py").open("a") as file:
        file.write("\nadded = True\n")
    assert output_of(package, code) == "ocipy.timestamp True\n"
    # Whatever the one that has changed is imported by.
    code = "from ocipy.state import record; print(record.utc_timestamp.__globals__['added'])"
    assert output_of(package, code) == "True\n"


@pytest.mark.parametrize("changed", ["plan/encode.py", "state/__init__.py"])
def test_changed_files_work_with_what_was_packed(package: Path, changed: str) -> None:
    """Before the pack is made anew, as while somebody works on the source."""
    with (package / changed).open("a") as file:
        file.write("\nadded = True\n")
    code = """
import ocipy.commands.run, ocipy.commands.list
from ocipy.plan import _generated_steps as steps
step = steps.SetHostname("", name="x")
print(isinstance(step, steps.SetHostname), isinstance(step, (steps.SetHostname, steps.SpawnInit)))
print(isinstance(step, steps.SpawnInit))
"""
    assert output_of(package, code) == "True True\nFalse\n"


def test_a_name_that_a_changed_file_has_no_more(package: Path) -> None:
    """What a packed module would get of it, its own file asks for, and is told."""
    file = package / "timestamp.py"
    file.write_text(file.read_text().replace("utc_timestamp", "renamed"))
    done = run(package, "import ocipy.state.record")
    assert "ImportError: cannot import name 'utc_timestamp' from 'ocipy.timestamp'" in done.stderr


STATEMENTS = """
import builtins
real, statements = __import__, []
def note(name, *args, **kwargs):
    statements.append(name)
    return real(name, *args, **kwargs)
builtins.__import__ = note
import ocipy.commands.exec
print([name for name in statements if name[:5] == "ocipy"])
"""


def test_no_statement_imports_from_the_package(packed: Path) -> None:
    """Assignments stand there, and packed_main.py executes the modules in their order."""
    assert output_of(packed, STATEMENTS) == "['ocipy.commands.exec', 'ocipy._native']\n"


LIBRARY = """
import sys
import ocipy.spawn.host_fds, ocipy.plan.process, ocipy.errors
import errno, os.path, stat
print(stat is sys.modules["_stat"], stat.S_ISDIR(os.stat("/").st_mode), stat.ST_SIZE, errno.ENOENT)
print(ocipy.errors._errno is errno, len(ocipy.plan.process.pack("I", 1)))
"""


def test_of_stat_only_the_half_in_c_is_loaded(packed: Path) -> None:
    assert output_of(packed, LIBRARY) == "True True 6 2\nTrue 4\n"


def test_a_library_that_is_not_there_is_told_with_its_line(package: Path) -> None:
    file = package / "timestamp.py"
    text = file.read_text().replace("\nimport time\n", "\nimport time\nimport no_such_library\n")
    file.write_text(text)
    write_pack(package)
    line = text.splitlines().index("import no_such_library") + 1
    errors = run(package, "import ocipy.timestamp").stderr
    assert f'timestamp.py", line {line}, in <module>' in errors
    assert "No module named 'no_such_library'" in errors


AFTER_AN_ERROR = """
for name in ("ocipy.commands.create", "ocipy.spawn.container", "ocipy.plan.create"):
    try:
        __import__(name)
    except ImportError as error:
        print(name, "_calls" in str(error))
    else:
        print(name, "is there")
"""


def test_modules_that_an_error_kept_from_being_executed(packed: Path) -> None:
    (packed / "_native" / "_calls.abi3.so").unlink()
    assert output_of(packed, AFTER_AN_ERROR).splitlines() == [
        "ocipy.commands.create True",
        "ocipy.spawn.container True",
        "ocipy.plan.create is there",
    ]


def test_what_is_noted_of_a_module_that_is_gone_is_ignored(package: Path) -> None:
    (package / "plan" / "idmap.py").unlink()
    write_pack(package)
    assert output_of(package, "import ocipy.timestamp; print(1)") == "1\n"


def test_a_file_that_is_gone_is_not_served(package: Path) -> None:
    (package / "timestamp.py").unlink()
    done = run(package, "import ocipy.timestamp")
    assert "ModuleNotFoundError: No module named 'ocipy.timestamp'" in done.stderr


def test_a_traceback_shows_file_and_line(package: Path) -> None:
    done = run(package, "from ocipy.signals import signal_number; signal_number('NOSUCH')")
    line = next(
        number
        for number, text in enumerate((package / "signals.py").read_text().splitlines(), 1)
        if "raise UsageError(" in text
    )
    assert f'File "ocipy/signals.py", line {line}, in signal_number' in done.stderr
    assert "raise UsageError(" in done.stderr


FUNCTIONS = """
import importlib
for name in {modules!r}:
    importlib.import_module(name)
def told(value):
    code = value.__code__
    count = code.co_argcount + code.co_kwonlyargcount
    defaults = len(value.__defaults__ or ())
    return code.co_varnames[:count], defaults, value.__kwdefaults__, value.__module__
for name in {modules!r}:
    module = importlib.import_module(name)
    values = [v.made if type(v).__name__ == "Cold" else v for v in vars(module).values()]
    for holder in (module, *(v for v in values if type(v) is type)):
        if holder is not module and holder.__module__ != name:
            continue
        for key, value in sorted(vars(holder).items()):
            kind = type(value).__name__
            if kind == "Cold":
                value = value.made
            ours = kind in ("function", "Cold") and value.__module__ == name
            if ours and type(value) is not type:
                print(repr((kind, name, holder.__name__, key, *told(value))))
"""


def test_functions_that_are_fetched_when_called_are_those_of_the_source(packed: Path) -> None:
    hot = json.loads((ROOT / "ocipy_native" / "pack" / "hot.json").read_text())["functions"]
    # The classes of steps are not classes here.
    names = [name for name in hot if name not in ("ocipy.cli", "ocipy.plan._generated_steps")]
    code = FUNCTIONS.format(modules=names)
    from_files = output_from_files(packed, code)
    expected = [ast.literal_eval(line) for line in from_files.splitlines()]
    found = [ast.literal_eval(line) for line in output_of(packed, code).splitlines()]
    assert [function[1:] for function in found] == [function[1:] for function in expected]
    kinds = [function[0] for function in found]
    assert kinds.count("Cold") > 100 < kinds.count("function")


ERRORS = """
import ocipy.errors, ocipy.state.store as store
from ocipy.errors import StateError
print(*(type(vars(ocipy.errors)[name]).__name__ for name in ("OcipyError", "ConfigFaults")))
def catch(kinds):
    try:
        store.check_id("../x")
    except kinds as error:
        return type(error)
class_of = store.check_id.__globals__.get("__class_of__", lambda error: error)
state, everything = map(class_of, (store.StateError, ocipy.errors.OcipyError))
print(catch(everything) is state, catch((KeyError, state)) is state, class_of(StateError) is state)
missing = class_of(store.ContainerNotFoundError)
print(missing.__mro__[1:3] == (state, everything), missing.__module__, missing.__qualname__)
print(isinstance(store.ContainerNotFoundError("x"), state), StateError("it", hint="b").hint)
"""


def test_errors_are_made_when_they_are_asked_for(packed: Path) -> None:
    first, *rest = output_of(packed, ERRORS).splitlines()
    assert first == "Cold Cold"
    assert rest == output_from_files(packed, ERRORS).splitlines()[1:]


CATCHES = """
from ocipy import errors
from ocipy.errors import HookError
from ocipy.state import store
class Ours(errors.StateError): pass
def caught(what):
    try:
        raise what
    except store.ContainerNotFoundError as error:
        return "not found", isinstance(error, errors.StateError | KeyError)
    except (KeyError, HookError):
        return "hook"
    except errors.OcipyError as error:
        return "any", isinstance(error, (Ours, OSError))
print(caught(store.ContainerNotFoundError("x")), caught(HookError("y")), caught(Ours("z")))
"""


@pytest.mark.parametrize("options", [(), ("--development",)])
def test_errors_are_caught_however_they_are_named(package: Path, options: tuple[str, ...]) -> None:
    (package / "catches.py").write_text(CATCHES)
    write_pack(package, *options)
    printed = output_of(package, "import ocipy.catches")
    assert printed == "('not found', True) hook ('any', True)\n"


CAUGHT = """
from ocipy import timestamp
print(timestamp.caught(), timestamp.StateError.__mro__[1].__name__)
"""


def test_a_module_that_is_not_from_the_pack_catches_what_the_others_raise(package: Path) -> None:
    """While somebody works on the source."""
    with (package / "timestamp.py").open("a") as file:
        file.write(
            "\nfrom ocipy.errors import ConfigError, StateError, UsageError\n"
            "class Ours(ConfigError): pass\n"
            "def caught():\n"
            "    from ocipy.state.store import ContainerNotFoundError, find\n"
            "    try:\n"
            "        find('/nowhere', 'x')\n"
            "    except (UsageError, ContainerNotFoundError) as error:\n"
            "        return type(error) is ContainerNotFoundError\n"
        )
    assert output_of(package, CAUGHT) == "True OcipyError\n"


@pytest.mark.parametrize(
    "use",
    [
        "KINDS = (UsageError, OSError)",
        "f = lambda e: type(e) is UsageError",
        "from ocipy import errors\nf = lambda e: type(e) is errors.UsageError",
    ],
)
def test_a_use_of_an_error_that_the_pack_cannot_serve_is_refused(package: Path, use: str) -> None:
    with (package / "timestamp.py").open("a") as file:
        file.write(f"\nfrom ocipy.errors import UsageError\n{use}\n")
    packer = ROOT / "ocipy_native" / "pack" / "pack.py"
    done = subprocess.run(
        [sys.executable, packer, package, package / PACKED_MAIN], capture_output=True, text=True
    )
    assert done.returncode == 1 and "use of a class of errors: UsageError" in done.stderr


METHOD = """
from ocipy.cgroup.driver import Cgroup
cold = Cgroup.__init__.__globals__["__cold__"]
seldom = [key for key, value in vars(Cgroup).items() if type(value) is cold]
assert "exists" in seldom, seldom
cgroup = Cgroup({"": "/dev/null/nothing"}, [])
assert cgroup.exists.__self__ is cgroup and cgroup.exists.__func__ is vars(Cgroup)["exists"]
assert Cgroup.exists(cgroup) is cgroup.exists() is False
print("good")
"""


def test_a_method_that_is_fetched_when_called_is_bound(package: Path) -> None:
    assert output_of(package, METHOD) == "good\n"


STEPS = """
import ocipy.plan._generated_steps as steps
for name, args in {classes!r}:
    made, same = (getattr(steps, name)("/source", **args) for _ in range(2))
    other = getattr(steps, name)("/other", **args)
    assert made == same and made != other and hash(made) == hash(same)
    keys = ("operation", "code", "template", "spec", "calls", "kinds", "place", "source")
    assert all(getattr(made, key) == getattr(getattr(steps, name), key) for key in keys[:-2])
    print([getattr(made, key) for key in keys], [getattr(made, key) for key, _ in made.kinds])
first = [getattr(steps, name)("", **args) for name, args in {classes!r}]
assert all(a != b for i, a in enumerate(first) for b in first[:i])
"""


def test_steps_of_the_pack_are_those_of_the_classes(package: Path) -> None:
    # The values are not what a plan would have: nothing looks at them here.
    classes: list[tuple[str, dict[str, int]]] = []
    for name, value in vars(steps).items():
        if isinstance(value, type) and issubclass(value, Step) and value is not Step:
            needed = [
                parameter.name
                for parameter in inspect.signature(value).parameters.values()
                if parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty
            ]
            classes.append((name, dict.fromkeys(needed, 7)))
    code = STEPS.format(classes=classes)
    from_files = output_from_files(package, code)
    assert len(classes) > 70
    assert output_of(package, code) == from_files


def test_a_class_of_steps_that_the_pack_cannot_know_is_refused(package: Path) -> None:
    with (package / "timestamp.py").open("a") as file:
        file.write("\nfrom ocipy.plan._generated_steps import Exec\n")
    packer = ROOT / "ocipy_native" / "pack" / "pack.py"
    done = subprocess.run(
        [sys.executable, packer, package, package / "other.pyc"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "classes of steps are asked for as `steps.X`: from ocipy.plan" in done.stderr


def test_a_pack_that_is_cut_off_says_so(package: Path) -> None:
    pack = package / PACKED_MAIN
    pack.write_bytes(pack.read_bytes()[: pack.stat().st_size // 2])
    done = run(package, "import ocipy.library.container")
    assert done.returncode == 1
    assert done.stderr == f"ocipy: {package}/_native is damaged: install ocipy again\n"


def test_a_pack_that_an_upgrade_exchanges_meanwhile(package: Path, tmp_path: Path) -> None:
    """A command that begins with the one and goes on with the other begins again."""
    pack, packs = package / PACKED_MAIN, []
    for number in range(2):
        write_pack(package)
        packs.append(pack.rename(tmp_path / f"pack{number}"))
        with (package / "errors.py").open("a") as module:
            module.write("\nNEW = 1\n")
    assert packs[0].read_bytes() != packs[1].read_bytes()
    exchange = EXCHANGE.format(new=str(tmp_path / "new"), pack=str(pack), packs=[*map(str, packs)])
    exchanger = subprocess.Popen([sys.executable, "-c", exchange], stdout=subprocess.PIPE)
    try:
        assert exchanger.stdout is not None
        exchanger.stdout.readline()
        for _ in range(200):
            assert output_of(package, "import ocipy.errors; print('good')") == "good\n"
    finally:
        exchanger.kill()
        exchanger.communicate()


EXCHANGE = """
import itertools, os, time
for each in itertools.cycle({packs!r}):
    os.link(each, {new!r})
    os.rename({new!r}, {pack!r})
    print(flush=True)
    time.sleep(0.01)
"""


STAND_IN = """
import os, sys
import os.path
from os.path import dirname
assert (os.path.join("a", "b"), dirname("/a/b")) == ("a/b", "/a")
assert "_collections_abc" not in sys.modules, "os was imported after all"
assert os.environ["PATH"] == {path!r}
try:
    os.environ["NEW"] = "1"
except TypeError:
    pass
else:
    raise SystemExit("written to a copy of the environment that nobody reads")
assert os.fsencode("\\udcff") == b"\\xff" and os.fsdecode(b"\\xff") == "\\udcff"
assert "_collections_abc" not in sys.modules
assert list(os.walk({directory!r})) == [({directory!r}, [], [])]
from os import PathLike, environ
import pathlib, subprocess
assert isinstance(pathlib.Path("/"), PathLike)
assert os.environ is environ
assert sys.modules["os.path"] is os.path and os.path.dirname is dirname
environ["NEW"] = "1"
assert subprocess.check_output(["/bin/sh", "-c", "echo $NEW"]) == b"1\\n"
try:
    os.nothing
except AttributeError:
    print("good")
"""


def test_what_stands_in_for_os_becomes_os_when_more_is_asked(package: Path, tmp_path: Path) -> None:
    directory = tmp_path / "empty"
    directory.mkdir()
    code = STAND_IN.format(path=os.environ["PATH"], directory=str(directory))
    assert output_of(package, code) == "good\n"


def test_the_launcher_runs_the_pack() -> None:
    pack = ROOT / "ocipy" / PACKED_MAIN
    assert pack.read_bytes()[:4] == importlib.util.MAGIC_NUMBER
    done = subprocess.run(
        ["strace", "-f", "-e", "trace=execve,openat", ROOT / "build" / "ocipy", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(pack) in done.stderr.split("execve(")[2]
    assert "__main__.py" not in done.stderr


def test_the_development_pack_is_of_this_source() -> None:
    # `make build` packs again what has changed; a test run begins with it.
    done = subprocess.run(
        ["strace", "-e", "trace=openat", ROOT / "build" / "ocipy", "state", "no-such-container"],
        capture_output=True,
        text=True,
    )
    opened = [line for line in done.stderr.splitlines() if f"{ROOT}/ocipy/" in line]
    assert opened
    assert all("/_native/" in line for line in opened), "\n".join(opened)
