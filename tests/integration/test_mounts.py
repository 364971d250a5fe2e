"""Kinds of mounts, and where they go: targets, links of the image, order; config.md#mounts."""

from __future__ import annotations

import os
import socket
import stat

import pytest

from tests.integration import mountinfo
from tests.integration.containers import Container

runc_deviates = pytest.mark.runc_deviates


@pytest.fixture
def volume(directory: str) -> str:
    path = f"{directory}/volume"
    os.mkdir(path)
    with open(f"{path}/file", "w", encoding="utf-8") as file:
        file.write("from the volume\n")
    return path


def test_usual_kinds(container: Container) -> None:
    mounts = mountinfo.parse(container.sh("cat /proc/self/mountinfo"))
    kinds = {target: mount.fstype for target, mount in mounts.items() if target != "/"}
    expected = {entry["destination"]: entry["type"] for entry in container.config["mounts"]}
    assert kinds == expected
    assert {"nosuid", "noexec", "nodev"} <= mounts["/proc"].options
    assert "ro" in mounts["/sys"].options
    assert "mode=755" in mounts["/dev"].super_options
    assert {"gid=5", "mode=620", "ptmxmode=666"} <= mounts["/dev/pts"].super_options


def test_mounts_as_the_engines_order_them(container: Container) -> None:
    out = container.lines("awk '{print $5}' /proc/self/mountinfo")
    assert out[1:] == [entry["destination"] for entry in container.config["mounts"]]


def test_binds_are_listed_where_they_are_in_order(container: Container, volume: str) -> None:
    """mountinfo goes by age since Linux 6.8: nothing may be made before its turn."""
    container.bundle.add_mount("/a", "bind", volume, "bind")
    container.bundle.add_mount("/b", "tmpfs", "tmpfs")
    container.bundle.add_mount("/c", "bind", f"{volume}/file", "bind", "ro")
    container.bundle.add_mount("/d", "tmpfs", "tmpfs")
    container.bundle.add_mount("/e", "bind", volume, "rbind", "rshared")
    out = container.lines("awk '{print $5}' /proc/self/mountinfo")
    assert out[1:] == [entry["destination"] for entry in container.config["mounts"]]


def test_a_source_that_an_earlier_mount_covers(container: Container, volume: str) -> None:
    """What the path meant when `create` began is what is bound, not what it means in between."""
    inside = f"{container.bundle.rootfs}/srv"
    os.mkdir(inside)
    with open(f"{inside}/file", "w", encoding="utf-8") as file:
        file.write("below\n")
    container.bundle.add_mount("/srv", "bind", volume, "bind")
    container.bundle.add_mount("/m", "bind", inside, "bind")
    assert container.sh("cat /srv/file /m/file") == "from the volume\nbelow"


def test_a_bind_of_everything_has_not_the_container_in_it(container: Container) -> None:
    container.bundle.add_mount("/host", "bind", "/", "rbind", "ro")
    rootfs = container.bundle.rootfs
    assert container.sh(f"grep -c ' /host{rootfs}' /proc/self/mountinfo || true") == "0"


def test_later_mounts_cover_earlier_ones(container: Container, volume: str) -> None:
    container.bundle.add_mount("/m", "tmpfs", "tmpfs")
    container.bundle.add_mount("/m/deep/er", "bind", volume, "bind")
    container.bundle.add_mount("/n/below", "bind", volume, "bind")
    container.bundle.add_mount("/n", "tmpfs", "tmpfs")
    assert container.sh("cat /m/deep/er/file; ls /n; df /m/deep/er | wc -l") == "from the volume\n2"


@pytest.mark.parametrize("kind", ["bind", "none", None, ""])
def test_bind_whatever_the_type_says(container: Container, volume: str, kind: str | None) -> None:
    entry = container.bundle.add_mount("/m", kind or "", volume, "rbind", "ro")
    if kind is None:
        del entry["type"]
    assert container.sh("cat /m/file; touch /m/x || echo ro") == "from the volume\nro"


def test_a_relative_source_starts_at_the_bundle(container: Container) -> None:
    os.mkdir(f"{container.bundle.path}/data")
    with open(f"{container.bundle.path}/data/file", "w", encoding="utf-8") as file:
        file.write("relative\n")
    container.bundle.add_mount("/m", "bind", "data", "bind")
    assert container.sh("cat /m/file") == "relative"


@pytest.mark.parametrize("destination", ["m", "./m", "m/", "//m", "/m/../m", "a/../m"])
def test_relative_and_odd_destinations(container: Container, volume: str, destination: str) -> None:
    """config.md#mounts: a relative destination is to be taken from "/"."""
    os.mkdir(f"{container.bundle.rootfs}/a")
    container.bundle.add_mount(destination, "bind", volume, "bind")
    container.process["cwd"] = "/usr"
    assert container.sh("cat /m/file") == "from the volume"


def test_a_file_on_a_file(container: Container, volume: str) -> None:
    container.bundle.add_mount("/etc/passwd", "bind", f"{volume}/file", "bind", "ro")
    container.bundle.add_mount("/new/dir/file", "bind", f"{volume}/file", "bind")
    out = container.sh("cat /etc/passwd /new/dir/file; echo more >> /new/dir/file")
    assert out == "from the volume\nfrom the volume"
    with open(f"{volume}/file", encoding="utf-8") as file:
        assert file.read() == "from the volume\nmore\n"


def test_sockets_fifos_and_devices_can_be_bound(container: Container, directory: str) -> None:
    os.mkfifo(f"{directory}/fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{directory}/socket")
        for name in ("fifo", "socket"):
            container.bundle.add_mount(f"/run/{name}", "bind", f"{directory}/{name}", "bind")
        container.bundle.add_mount("/run/null", "bind", "/dev/null", "bind")
        out = container.sh("stat -c %F /run/fifo /run/socket /run/null")
    assert out.splitlines() == ["fifo", "socket", "character special file"]


@pytest.mark.parametrize("source", ["volume", "volume/file"])
def test_a_mismatch_of_file_and_directory(container: Container, volume: str, source: str) -> None:
    """moby adds its hint to texts that say "not a directory"."""
    is_file = source.endswith("file")
    destination = "/etc" if is_file else "/etc/passwd"
    container.bundle.add_mount(destination, "bind", f"{os.path.dirname(volume)}/{source}", "bind")
    index = len(container.config["mounts"]) - 1
    container.is_rejected(f"/mounts/{index}", "not a directory", "etc")


def test_a_missing_source(container: Container, directory: str) -> None:
    container.bundle.add_mount("/m", "bind", f"{directory}/nosuch", "bind")
    index = len(container.config["mounts"]) - 1
    container.is_rejected(f"/mounts/{index}", "no such file or directory", f"{directory}/nosuch")


def test_an_unknown_file_system(container: Container) -> None:
    container.bundle.add_mount("/m", "bananafs", "none")
    container.is_rejected("/mounts/6", "no such device")


def test_missing_mountpoints_are_created(container: Container) -> None:
    container.bundle.add_mount("/one/two/three", "tmpfs", "tmpfs")
    container.run()
    status = os.stat(f"{container.bundle.rootfs}/one/two")
    assert stat.S_IMODE(status.st_mode) == 0o755
    assert status.st_uid == 0


def test_a_mountpoint_cannot_be_created_in_a_readonly_mount(
    container: Container, volume: str
) -> None:
    container.bundle.add_mount("/m", "bind", volume, "bind", "ro")
    container.bundle.add_mount("/m/new", "tmpfs", "tmpfs")
    container.is_rejected("/mounts/7", "read-only file system")


LINKS = [
    ("link", "/target"),
    ("link", "target"),
    ("link", "../../../../target"),
    ("a/link", "../target"),
    ("link", "/a/second"),
    ("a/b/link", "/a/../target"),
]


@pytest.mark.parametrize(("name", "leads_to"), LINKS)
def test_links_of_the_image_lead_into_the_image(
    container: Container, volume: str, name: str, leads_to: str
) -> None:
    """runc's CVE class: a link in the rootfs must be followed as the container would."""
    root = container.bundle.rootfs
    os.makedirs(f"{root}/a/b")
    os.mkdir(f"{root}/target")
    os.symlink("/target", f"{root}/a/second")
    os.symlink(leads_to, f"{root}/{name}")
    container.bundle.add_mount(f"/{name}", "bind", volume, "bind")
    container.bundle.add_mount(f"/{name}/sub", "tmpfs", "tmpfs")
    os.mkdir(f"{volume}/sub")
    mounts = mountinfo.parse(container.sh("cat /proc/self/mountinfo"))
    assert "/target" in mounts
    assert mounts["/target/sub"].fstype == "tmpfs"
    assert not os.path.lexists("/target")


def test_a_dangling_link_is_created_where_it_leads(container: Container, volume: str) -> None:
    os.symlink("/not/yet/there", f"{container.bundle.rootfs}/link")
    container.bundle.add_mount("/link", "bind", volume, "bind")
    assert container.sh("cat /not/yet/there/file") == "from the volume"
    assert not os.path.lexists("/not")


def test_a_loop_of_links(container: Container, volume: str) -> None:
    root = container.bundle.rootfs
    os.symlink("two", f"{root}/one")
    os.symlink("one", f"{root}/two")
    container.bundle.add_mount("/one", "bind", volume, "bind")
    container.is_rejected("/mounts/6", "symbolic links")


@pytest.mark.parametrize("name", ["proc", "sys"])
def test_proc_and_sys_must_be_ordinary_directories(container: Container, name: str) -> None:
    """CVE-2019-19921: the image must not choose where these go."""
    os.rmdir(f"{container.bundle.rootfs}/{name}")
    os.symlink("/tmp", f"{container.bundle.rootfs}/{name}")
    container.is_rejected("/mounts/", "directory")


@pytest.mark.parametrize("target", ["/proc/sys/kernel", "/proc/self", "/proc/1/attr", "/proc"])
def test_mounts_over_proc_are_refused(container: Container, volume: str, target: str) -> None:
    """CVE-2019-16884: the runtime would write labels and sysctls into somebody's file."""
    container.bundle.add_mount(target, "bind", volume, "bind")
    container.is_rejected("/mounts/6", "proc")


@pytest.mark.parametrize("target", ["/proc/cpuinfo", "/proc/meminfo", "/proc/uptime"])
def test_but_lxcfs_may_mount_some_files_there(
    container: Container, volume: str, target: str
) -> None:
    container.bundle.add_mount(target, "bind", f"{volume}/file", "bind")
    assert container.sh(f"cat {target}") == "from the volume"


def test_tmpcopyup(container: Container) -> None:
    root = container.bundle.rootfs
    container.bundle.add_file("data/dir/file", "image\n", 0o640)
    os.chown(f"{root}/data/dir/file", 12, 34)
    os.symlink("dir/file", f"{root}/data/link")
    os.chmod(f"{root}/data", 0o750)
    container.bundle.add_mount("/data", "tmpfs", "tmpfs", "tmpcopyup", "rw")
    out = container.sh(
        "cat /data/link; stat -c '%a %u:%g' /data /data/dir/file; readlink /data/link;"
        "echo changed > /data/dir/file; grep ' /data ' /proc/self/mountinfo | wc -l"
    ).splitlines()
    assert out[0] == "image"
    assert out[1].split()[1] == "0:0"
    assert out[2:] == ["640 12:34", "dir/file", "1"]
    with open(f"{root}/data/dir/file", encoding="utf-8") as file:
        assert file.read() == "image\n"


def test_tmpfs_on_a_directory_takes_its_mode(container: Container) -> None:
    os.chmod(f"{container.bundle.rootfs}/mnt", 0o711)
    container.bundle.add_mount("/mnt", "tmpfs", "tmpfs")
    container.bundle.add_mount("/new", "tmpfs", "tmpfs", "mode=700")
    assert container.sh("stat -c %a /mnt /new").split() == ["711", "700"]


@runc_deviates("the mode of the directory beats the option")
def test_tmpfs_with_a_mode(container: Container) -> None:
    container.bundle.add_mount("/tmp", "tmpfs", "tmpfs", "mode=700")
    assert container.sh("stat -c %a /tmp") == "700"


@pytest.mark.requires("overlay")
def test_overlay(container: Container, directory: str) -> None:
    for name in ("lower", "upper", "work"):
        os.mkdir(f"{directory}/{name}")
    with open(f"{directory}/lower/file", "w", encoding="utf-8") as file:
        file.write("lower\n")
    options = [f"{name}dir={directory}/{name}" for name in ("lower", "upper", "work")]
    container.bundle.add_mount("/m", "overlay", "overlay", *options)
    assert container.sh("cat /m/file; echo upper > /m/file; cat /m/file") == "lower\nupper"
    with open(f"{directory}/upper/file", encoding="utf-8") as file:
        assert file.read() == "upper\n"


def test_devpts_is_a_new_instance(container: Container) -> None:
    out = container.sh("ls /dev/pts; readlink /dev/ptmx; stat -c %F /dev/pts/ptmx")
    assert out.splitlines() == ["ptmx", "pts/ptmx", "character special file"]


def test_proc_is_of_the_new_pid_namespace(container: Container) -> None:
    out = container.sh("ls -d /proc/[0-9]*; cat /proc/1/cmdline")
    assert "/proc/1\n" in out
    assert "cat" in out


def test_mqueue_and_shm_work(container: Container) -> None:
    assert container.sh("ls /dev/mqueue; echo x > /dev/shm/x; cat /dev/shm/x") == "x"


@runc_deviates("needs /proc")
def test_no_mounts_at_all(container: Container) -> None:
    container.config["mounts"] = []
    os.mkdir(f"{container.bundle.rootfs}/dev/pts")
    call = container.script("ls /proc; ls /dev; echo done").run()
    words = call.out.split()
    assert words[-1] == "done"


def test_a_hundred_mounts(container: Container, volume: str) -> None:
    for number in range(100):
        container.bundle.add_mount(f"/m/{number}", "bind", volume, "bind", "ro")
    assert container.sh("grep -c ' /m/' /proc/self/mountinfo; cat /m/99/file").startswith("100\n")


def test_long_option_strings(container: Container, directory: str) -> None:
    """An overlay of many layers: its data is longer than most, shorter than a page."""
    layers = []
    for number in range(20):
        layer = f"{directory}/layer{number}-{'x' * 60}"
        os.mkdir(layer)
        with open(f"{layer}/f{number}", "w", encoding="utf-8"):
            pass
        layers.append(layer)
    container.bundle.add_mount("/m", "overlay", "overlay", f"lowerdir={':'.join(layers)}")
    assert container.sh("ls /m | wc -l") == "20"


def test_names_with_odd_characters(container: Container, directory: str) -> None:
    name = "with space\ttab \N{SNOWMAN} \\back"
    os.mkdir(f"{directory}/{name}")
    container.bundle.add_mount(f"/{name}", "bind", f"{directory}/{name}", "bind")
    assert container.sh(f"touch '/{name}/x' && echo ok") == "ok"
    assert os.listdir(f"{directory}/{name}") == ["x"]


def test_the_same_target_twice(container: Container, volume: str) -> None:
    container.bundle.add_mount("/m", "tmpfs", "tmpfs")
    container.bundle.add_mount("/m", "bind", volume, "bind")
    assert container.sh("cat /m/file") == "from the volume"


def test_a_bind_of_the_rootfs_itself(container: Container) -> None:
    """As for /etc/hosts: what is below the rootfs is bound elsewhere in it."""
    container.bundle.add_file("etc/real", "real\n")
    container.bundle.add_mount("/etc/alias", "bind", f"{container.bundle.rootfs}/etc/real", "bind")
    assert container.sh("cat /etc/alias") == "real"
