"""Write the C source of the extension module `ocipy._native._shim` (cffi, API mode).

    build_shim.py shim.cdef shim_module.c

The declarations in `shim.cdef` are what Python may call. The C compiler checks each against
`shim.h`, so the two cannot disagree. Meson compiles the result and links it with shim.c.
"""

from __future__ import annotations

import sys
from pathlib import Path

from cffi import FFI


def write_module_source(cdef: Path, output: Path) -> None:
    ffi = FFI()
    ffi.cdef(cdef.read_text())
    ffi.set_source("ocipy._native._shim", '#include "shim.h"\n', py_limited_api=True)
    ffi.emit_c_code(str(output))


if __name__ == "__main__":
    write_module_source(Path(sys.argv[1]), Path(sys.argv[2]))
