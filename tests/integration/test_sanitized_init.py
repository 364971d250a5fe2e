"""Some tests again, with an init that is compiled with address and undefined-behaviour sanitizers.

One of each kind of operation, and of each way to fail: an overrun buffer, a use after close or an
overflow ends that init with a report, and so the test.
"""

# ruff: noqa: F401  (tests and fixtures are imported to be run here again)
from __future__ import annotations

import glob
import os
import shlex
import shutil
import subprocess
import sysconfig

import pytest

from tests.conftest import REPOSITORY, runtime_path
from tests.integration.system_calls import call_program, caller
from tests.integration.test_capabilities import test_capabilities_act
from tests.integration.test_devices import (
    test_an_existing_file_that_is_not_the_device,
    test_configured_devices,
    test_in_a_user_namespace_devices_are_bound,
)
from tests.integration.test_exec import test_user_by_name
from tests.integration.test_exec_where import test_joined_namespaces
from tests.integration.test_hidden_paths import (
    test_masked_files_and_directories,
    test_readonly_paths,
    test_sysctl,
)
from tests.integration.test_hooks import (
    hooks,
    test_much_state_arrives_completely,
    test_order_in_run,
)
from tests.integration.test_mount_options import (
    test_an_option_that_the_file_system_refuses,
    test_flags,
    test_flags_of_binds,
    test_recursive_attributes,
    tree,
)
from tests.integration.test_mounts import (
    test_a_dangling_link_is_created_where_it_leads,
    test_a_file_on_a_file,
    test_a_loop_of_links,
    test_long_option_strings,
    test_tmpcopyup,
    test_usual_kinds,
    volume,
)
from tests.integration.test_process import (
    test_a_hundred_groups,
    test_cwd_is_created,
    test_environment_is_exactly_what_is_asked_for,
    test_home_comes_from_the_images_passwd,
)
from tests.integration.test_propagation import test_rootfs_propagation
from tests.integration.test_rootfs import test_readonly
from tests.integration.test_scheduling import test_scheduler
from tests.integration.test_seccomp import test_dockers_profile
from tests.integration.test_user_namespaces import (
    test_all_of_them,
    test_new_user_namespace_and_joined_others,
)

pytestmark = pytest.mark.skipif(
    not os.path.basename(runtime_path()).startswith("ocipy"), reason="about ocipy's own init"
)


@pytest.fixture(scope="session")
def runtime_program(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A command like build/ocipy, on a copy of the package with another init."""
    directory = str(tmp_path_factory.mktemp("sanitized"))
    package = f"{directory}/ocipy"
    shutil.copytree(
        f"{REPOSITORY}/ocipy", package, ignore=shutil.ignore_patterns("__pycache__", "ocipy-init")
    )
    subprocess.run(
        [
            *("gcc", "-std=gnu11", "-g", "-O1", "-fsanitize=address,undefined"),
            *("-fno-sanitize-recover=all", "-o", f"{package}/_native/ocipy-init"),
            *glob.glob(f"{REPOSITORY}/ocipy_native/init/*.c"),
        ],
        check=True,
    )
    site = sysconfig.get_path("platlib")
    options = f"-I -S -X utf8=1 -X ocipy_path={shlex.quote(site)}"
    program = f"{directory}/ocipy-sanitized"
    with open(program, "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\nexec /usr/bin/python3 {options} {package}/__main__.py "$@"\n')
    os.chmod(program, 0o755)
    return program


def test_the_sanitizers_are_in_there(runtime_program: str) -> None:
    init = f"{os.path.dirname(runtime_program)}/ocipy/_native/ocipy-init"
    with open(init, "rb") as file:
        content = file.read()
    assert b"libasan.so" in content
    assert b"libubsan.so" in content
