"""CVE-2025-23266: a hook that runs in the container with variables that the image has chosen."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.attacks.verdict import against

if TYPE_CHECKING:
    from pathlib import Path

    from tests.attacks.verdict import Attack
    from tests.integration.containers import Container

SOURCE = """
#include <fcntl.h>
#include <unistd.h>
__attribute__((constructor)) static void evil(void)
{
	close(open("MARK", O_WRONLY | O_CREAT, 0644));
}
"""


@against("hooks-with-the-images-environment")
@pytest.mark.parametrize("verb", ["run", "create"])
def test_a_library_of_the_image(
    container: Container, attack: Attack, directory: str, tmp_path: Path, verb: str
) -> None:
    """createContainer hooks are programs of the host, run before pivot_root."""
    mark = f"{directory}/executed-on-the-host"
    source = tmp_path / "evil.c"
    source.write_text(SOURCE.replace("MARK", mark))
    library = f"{container.bundle.rootfs}/evil.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-w", "-o", library, source], check=True)
    container.process["env"].append(f"LD_PRELOAD={library}")
    container.config["hooks"] = {"createContainer": [{"path": os.path.realpath("/usr/bin/env")}]}
    container.args("/bin/true")
    call = container.run(check=False) if verb == "run" else container.create(check=False)
    attack.succeeded(os.path.exists(mark), call)
