"""ocipy with deadlines of a moment: a launcher that only tests have.

Nothing in the package makes a deadline shorter; this sets the constants, then goes the usual way.
"""

from __future__ import annotations

import os
import sys
import sysconfig

from tests.bundles import write_file
from tests.conftest import REPOSITORY

SECONDS = 0.5

_LAUNCHER = """#!{python} -IS
import sys
sys.path += [{repository!r}, {site!r}]
from ocipy import log
from ocipy.cgroup import freezer
from ocipy.commands import delete
from ocipy.state import destroy, store
log.READER_SECONDS = freezer.FREEZE_SECONDS = destroy._WAIT_SECONDS = {seconds}
delete._NOTICE_SECONDS = store.LOCK_SECONDS = {seconds}
delete._OBEY_SECONDS = 60.0  # what is told to end does end, however slow the machine is
from ocipy.cli import main
main()
"""


def make_launcher(directory: str) -> str:
    """Write the launcher into a directory; return its path."""
    path = f"{directory}/ocipy-short-deadlines"
    python = os.path.realpath(sys.executable)
    site = sysconfig.get_path("platlib")
    text = _LAUNCHER.format(python=python, repository=REPOSITORY, site=site, seconds=SECONDS)
    write_file(path, text, 0o755)
    return path
