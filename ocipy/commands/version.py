"""`ocipy --version`, in the form that dockerd takes apart."""

from __future__ import annotations

from ocipy import __version__

SPEC_VERSION = "1.3.0"


def version_text() -> str:
    """Return `NAME version X`, then `KEY: VALUE` lines.

    dockerd splits every line that contains the word "version" at it, and wants a line that starts
    with "commit:"; so neither may occur anywhere else.
    """
    lines = [f"ocipy version {__version__}", f"commit: {commit()}", f"spec: {SPEC_VERSION}"]
    libseccomp = _libseccomp()
    if libseccomp:
        lines.append(f"libseccomp: {libseccomp}")
    return "\n".join(lines) + "\n"


def commit() -> str:
    try:
        from ocipy._generated_build import COMMIT  # type: ignore[import-not-found, unused-ignore]
    except ImportError:  # run from a source tree, which knows its commit better than we do
        return "unknown"
    return str(COMMIT)


def _libseccomp() -> str:
    try:
        from ocipy.sys.seccomp_native import libseccomp_version
    except ImportError:  # the shim is not built; the version must be printed all the same
        return ""
    return libseccomp_version()
