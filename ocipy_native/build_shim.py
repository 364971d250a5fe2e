"""Write the C source of the extension module `ocipy._native._shim` (cffi, API mode).

python build_shim.py OUTPUT.c NAME.cdef ...

The declarations in `NAME.cdef` are what Python may call. The C compiler checks each against
`NAME.h`, so the two cannot disagree. Meson compiles the result and links it with each NAME.c.
"""

from __future__ import annotations

import sys
from pathlib import Path

from cffi import FFI


def write_module_source(output: Path, cdefs: list[Path]) -> None:
    ffi = FFI()
    for cdef in cdefs:
        ffi.cdef(cdef.read_text())
    includes = "".join(f'#include "{cdef.stem}.h"\n' for cdef in cdefs)
    # Compiled for the stable ABI, so one module serves every later version of Python.
    ffi.set_source("ocipy._native._shim", includes, py_limited_api=True)
    ffi.emit_c_code(str(output))


if __name__ == "__main__":
    write_module_source(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
