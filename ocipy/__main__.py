"""Where the launcher enters: python3 -I -S -X ocipy_path=DIRS .../ocipy/__main__.py ARGUMENTS."""

import gc
import posix
import sys

# A command lives for milliseconds and makes few cycles: looking for them takes 1 ms of `create`.
gc.disable()

launcher = sys._xoptions
if "ocipy_path" in launcher:
    # Behind the standard library: the directory that holds the package, then our dependencies'.
    sys.path.append(__file__.rsplit("/", 2)[0])
    sys.path += [path for path in launcher["ocipy_path"].split(":") if path]

    # The launcher has set LC_ALL, so that the interpreter reads no locales. Hooks must not inherit
    # it. `os` has not been imported yet, so its environ is made from this one.
    posix.environ.pop(b"LC_ALL", None)
    posix.unsetenv(b"LC_ALL")
    if "ocipy_lc_all" in launcher:
        value = launcher["ocipy_lc_all"].encode("utf-8", "surrogateescape")
        posix.environ[b"LC_ALL"] = value
        posix.putenv(b"LC_ALL", value)

try:
    from ocipy.cli import main
except (ImportError, MemoryError, OSError) as error:
    # Too few files, too little memory, half an installation: nothing is there yet that says so.
    posix.write(
        2, f"ocipy: cannot load its modules: {str(error) or 'not enough memory'}\n".encode()
    )
    posix._exit(1)

main()
