"""Which defences can be taken out, and how: data for weakened.py."""

from __future__ import annotations

from typing import NamedTuple

INIT = "ocipy_native/init"


class Weakening(NamedTuple):
    """Attributes:
    what: the sentence for docs/security.md.
    changes: (file, text that is there exactly once, what replaces it).
    """

    what: str
    changes: tuple[tuple[str, str, str], ...]


# Paths of the container by name: "/v/a" is "v/a" below the root, whatever links are on the way.
_BY_NAME = (
    f"{INIT}/path.c",
    "\tint fd;\n\n\t/* EAGAIN: something was renamed",
    "\tint fd;\n\n\twhile (path[0] == '/' && path[1])\n\t\tpath++;\n"
    '\tif (strcmp(path, "/") == 0)\n\t\tpath = ".";\n\n\t/* EAGAIN: something was renamed',
)
_FOLLOWED = (f"{INIT}/path.c", "RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);", "0);")
_PROC_TARGETS = (
    f"{INIT}/op_mount.c",
    "if (!on_proc && filesystem_magic",
    "if (0 && filesystem_magic",
)
_PROC_SOURCES = (f"{INIT}/op_mount.c", "if (args->of_proc && filesystem", "if (0 && filesystem")
_PROC_ENTRIES = (
    "ocipy/plan/mounts.py",
    '        target = self.target\n        if target == "/proc":',
    '        target = ""\n        if target == "/proc":',
)
_SELINUX = (
    "ocipy/host/probe.py",
    "        lsms=active_lsms(),\n",
    '        lsms=("selinux",),\n',
)
_SYSCTL_BY_NAME = (
    f"{INIT}/op_namespace.c",
    "RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);\n"
    "\tif (fd < 0)\n\t\treturn fail(report, CALL_OPENAT2, fd);\n"
    "\tif (filesystem_magic(fd) != PROC_SUPER_MAGIC)",
    "0);\n\tif (fd < 0)\n\t\treturn fail(report, CALL_OPENAT2, fd);\n\tif (0)",
)
_SYSCTL_OF_THE_CONTAINER = (
    f"{INIT}/op_namespace.c",
    'sys_openat(ctx->proc_fd, "sys", O_PATH',
    'sys_openat(ctx->rootfs_fd, "proc/sys", O_PATH',
)

WEAKENINGS: dict[str, Weakening] = {
    # -- paths, mounts
    "paths-by-name": Weakening(
        "links on the way to a target lead out of the root", (_BY_NAME, _FOLLOWED)
    ),
    "copy-follows-links": Weakening(
        "`tmpcopyup` opens what it copies through links",
        (
            (f"{INIT}/copy_up.c", "O_RDONLY | O_NOFOLLOW | O_NONBLOCK", "O_RDONLY | O_NONBLOCK"),
            (
                f"{INIT}/copy_up.c",
                "if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)",
                "if (fstatat(from, name, &st, 0) < 0)",
            ),
        ),
    ),
    "mask-of-the-image": Weakening(
        "the cover of a mask is the image's `/dev/null`",
        (
            (
                f"{INIT}/op_mask_path.c",
                "report) : ctx->devnull_fd;",
                'report) : sys_openat(AT_FDCWD, "/dev/null", O_PATH, 0);',
            ),
        ),
    ),
    "dev-may-be-a-link": Weakening(
        "devices are made wherever a link called `/dev` leads",
        (
            (f"{INIT}/path.c", 'if (strncmp(path, "dev/", 4) != 0)', "if (1)"),
            _BY_NAME,
            _FOLLOWED,
        ),
    ),
    "device-of-the-image": Weakening(
        "what is at a device's path already is taken for the device",
        (
            (
                f"{INIT}/op_device.c",
                "if ((st->st_mode & S_IFMT) != ((mode_t)mode & S_IFMT))\n\t\treturn false;",
                "if (1)\n\t\treturn true;",
            ),
        ),
    ),
    "proc-through-a-link": Weakening(
        "proc and sysfs are mounted where a link leads",
        (
            (
                f"{INIT}/op_mount.c",
                "int fd = open_in_root(root_fd, path, O_PATH | O_DIRECTORY | O_NOFOLLOW);",
                "int fd = open_in_root(root_fd, path, O_PATH | O_DIRECTORY);",
            ),
        ),
    ),
    "proc-may-be-covered": Weakening(
        "mounts over and in `/proc` are not refused", (_PROC_TARGETS, _PROC_SOURCES, _PROC_ENTRIES)
    ),
    "sysctls-through-the-containers-proc": Weakening(
        "mounts in `/proc` are not refused, and sysctls are written by name",
        (_PROC_TARGETS, _PROC_ENTRIES, _SYSCTL_BY_NAME, _SYSCTL_OF_THE_CONTAINER),
    ),
    "pretends-to-have-selinux": Weakening(
        "none: believes that the host has SELinux, so that labels are written", (_SELINUX,)
    ),
    "labels-through-the-containers-proc": Weakening(
        "mounts in `/proc` are not refused, and labels are written by name",
        (
            _SELINUX,
            _PROC_TARGETS,
            _PROC_ENTRIES,
            (
                f"{INIT}/op_process.c",
                'self = sys_openat(ctx->proc_fd, "thread-self",',
                'self = sys_openat(ctx->rootfs_fd, "proc/thread-self",',
            ),
            (
                f"{INIT}/op_process.c",
                "RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);",
                "0);",
            ),
            (
                f"{INIT}/op_process.c",
                "if (filesystem_magic(ctx->label_fd) != PROC_SUPER_MAGIC)",
                "if (0)",
            ),
        ),
    ),
    "console-by-name": Weakening(
        "what is mounted on `/dev/console` is opened by its name in `/dev/pts`",
        (
            (
                f"{INIT}/op_terminal.c",
                'tree = sys_open_tree(slave, "", AT_EMPTY_PATH | OPEN_TREE_CLONE);',
                'tree = sys_open_tree(rootfs_fd, "dev/pts/0", OPEN_TREE_CLONE);',
            ),
        ),
    ),
    "attributes-cleared": Weakening(
        "a bind in a user namespace clears what the host's mount forbids",
        (
            (
                "ocipy/plan/mounts.py",
                '    if not has_namespace(config, "user"):\n        return []\n    return [\n'
                "        steps.InheritMount",
                "    return [] and [\n        steps.InheritMount",
            ),
            (
                "ocipy/plan/mounts.py",
                "            attr_reset = 0\n",
                "            pass\n",
            ),
        ),
    ),
    # -- the runtime, seen from inside
    "program-of-the-host": Weakening(
        "init is executed from its file on the host",
        (
            (
                "ocipy/spawn/launch.py",
                'init_fd = native.sealed_program("ocipy-init", _INIT_PATH)',
                "init_fd = os.open(_INIT_PATH, os.O_RDONLY | os.O_CLOEXEC)",
            ),
        ),
    ),
    "memfd-not-sealed": Weakening(
        "the memfd of init has no seals",
        (
            (
                "ocipy/sys/native.py",
                "    seals = _F_SEAL_SEAL | _F_SEAL_SHRINK | _F_SEAL_GROW | _F_SEAL_WRITE\n",
                "    return fd\n    seals = 0\n",
            ),
        ),
    ),
    "dumpable": Weakening(
        "init stays dumpable",
        (
            (
                f"{INIT}/main.c",
                "if (!(ctx.flags & PLAN_FLAG_DUMPABLE))",
                "if (0)",
            ),
        ),
    ),
    "enters-first-with-descriptors": Weakening(
        "the same, and what the caller has left open reaches it",
        (
            (
                "ocipy/plan/exec.py",
                '    scheduler = process.get("scheduler", {})\n',
                '    return "nothing"\n    scheduler = process.get("scheduler", {})\n',
            ),
            (
                "ocipy/spawn/launch.py",
                "inherit = [*fds.values(), *range(3, 3 + kept)]",
                "inherit = [*fds.values(), *range(3, 3 + kept)]\n"
                "            if any(isinstance(step, steps.ForkInit) for step in self.steps):\n"
                "                inherit += range(3, 100)",
            ),
        ),
    ),
    "descriptors-leak": Weakening(
        "what the caller has left open reaches init, which follows magic links",
        (
            (
                "ocipy/spawn/launch.py",
                "inherit = [*fds.values(), *range(3, 3 + kept)]",
                "inherit = [*fds.values(), *range(3, 1000)]",
            ),
            (
                "ocipy/plan/exec.py",
                '    scheduler = process.get("scheduler", {})\n',
                '    return "nothing"\n    scheduler = process.get("scheduler", {})\n',
            ),
            (
                f"{INIT}/op_exec.c",
                "return path[0] == '/' ? 0 : -ENOENT;",
                "return 0;",
            ),
            _FOLLOWED,
            _BY_NAME,
        ),
    ),
    "enters-first": Weakening(
        "the process of `exec` enters the pid namespace while it has all privileges",
        (
            (
                "ocipy/plan/exec.py",
                '    scheduler = process.get("scheduler", {})\n',
                '    return "nothing"\n    scheduler = process.get("scheduler", {})\n',
            ),
        ),
    ),
    "enters-before-its-filter": Weakening(
        "the process of `exec` enters the pid namespace before its seccomp filter is loaded",
        (
            ("ocipy/plan/exec.py", '        return "filter"\n', '        return "privileges"\n'),
            # And takes its time there: the kernel's own delays are too rare to wait for.
            (f"{INIT}/op_namespace.c", "if (setsid() < 0", "usleep(100000);\n\tif (setsid() < 0"),
        ),
    ),
    # -- privileges
    "inheritable": Weakening(
        "what is permitted is inheritable as well, as before CVE-2022-29162",
        (
            (
                "ocipy/plan/capabilities.py",
                "        self.inheritable &= available\n",
                "        self.inheritable = self.bounding\n",
            ),
        ),
    ),
    "bounding-set-kept": Weakening(
        "the bounding set is left as it is",
        (
            (
                f"{INIT}/op_process.c",
                "for (int cap = 0; cap < 64; cap++) {\n\t\tint present",
                "for (int cap = 0; cap < 0; cap++) {\n\t\tint present",
            ),
        ),
    ),
    "new-privileges": Weakening(
        "noNewPrivileges is not set",
        (
            (
                f"{INIT}/op_process.c",
                "sys_result(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));",
                "0;",
            ),
        ),
    ),
    "devices-allowed": Weakening(
        "the rules for devices are left out, and all devices are allowed",
        (
            (
                "ocipy/cgroup/devices.py",
                "path=home.path, others=others, rules=exceptions)]",
                'path=home.path, others="allow", rules=())]',
            ),
        ),
    ),
    "filter-not-loaded": Weakening(
        "the seccomp filter is not loaded",
        (
            (
                f"{INIT}/op_process.c",
                "rc = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,",
                "rc = 0 * syscall(SYS_getpid, SECCOMP_SET_MODE_FILTER,",
            ),
        ),
    ),
    "filters-of-others": Weakening(
        "the filter cache takes a directory and files that others can write",
        (
            (
                "ocipy/spawn/filter_cache.py",
                "if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) & 0o077 == 0:",
                "if True:",
            ),
            (
                "ocipy/spawn/filter_cache.py",
                "    if not (ours and stat.S_ISREG(status.st_mode)):\n        return None\n",
                "",
            ),
        ),
    ),
    "cgroups-writable": Weakening(
        "without a cgroup namespace the host's cgroups are mounted writable",
        (
            (
                "ocipy/plan/cgroup_mounts.py",
                " or not (host.privileged or own_namespace)\n",
                "\n",
            ),
        ),
    ),
    # -- lengths
    "lengths-of-16-bits": Weakening(
        "lengths wrap at 2^16 in what init is given, as those of netlink attributes do",
        (
            (
                "ocipy/plan/encode.py",
                '            parts.append(pack("<I", len(value)))\n            parts.extend',
                "            value = value[: len(value) & 0xFFFF]\n"
                '            parts.append(pack("<I", len(value)))\n'
                "            parts.extend",
            ),
            (
                "ocipy/plan/encode.py",
                '            parts.append(pack("<I", len(value)) + value)',
                "            value = value[: len(value) & 0xFFFF]\n"
                '            parts.append(pack("<I", len(value)) + value)',
            ),
            (
                "ocipy/plan/encode.py",
                "    if 0 in data:",
                "    data = data[: len(data) & 0xFFFF]\n    if 0 in data:",
            ),
            (
                "ocipy/spawn/idmap_write.py",
                '"".join(f"{line}\\n" for line in step.lines))',
                "(lambda text: text[: len(text) & 0xFFFF])"
                '("".join(f"{line}\\n" for line in step.lines)))',
            ),
        ),
    ),
    "lengths-of-32-bits": Weakening(
        "init computes with lengths in 32 bits",
        (
            (
                f"{INIT}/plan_reader.c",
                "bytes = take(cursor, (size_t)length + 1);",
                "bytes = take(cursor, length + 1);",
            ),
            (
                f"{INIT}/plan_reader.c",
                "(size_t)count + 1 > cursor->strings_left)",
                "count + 1 > cursor->strings_left)",
            ),
        ),
    ),
    "setgroups-not-denied": Weakening(
        "`setgroups` is left as it is where a user maps the own group",
        (
            (
                "ocipy/plan/idmap.py",
                "deny = own_id_only and not host.may_set_groups",
                "deny = False",
            ),
        ),
    ),
    # -- callers
    "users-by-name": Weakening(
        "the container's passwd is opened by name",
        (
            (
                "ocipy/spawn/users.py",
                "fd = native.open_in_root(root, path, os.O_RDONLY",
                'fd = os.open(f"/proc/{pid}/root/{path}", os.O_RDONLY',
            ),
        ),
    ),
    "unchanged": Weakening("none: a copy whose files a test may change", ()),
    "installation-not-looked-at": Weakening(
        "`features` does not look at who can write to the installation",
        (
            (
                "ocipy/host/installation.py",
                "    if status.st_uid not in",
                "    return ''\n    if status.st_uid not in",
            ),
        ),
    ),
    "config-read-twice": Weakening(
        "one reading of `config.json` is accepted, and another one used",
        (
            (
                "ocipy/bundle.py",
                "        warnings = accept_text(gate, config, text, config_file)\n    except",
                "        warnings = accept_text(gate, config, text, config_file)\n"
                "        config = parse(open(absolute_path + '/config.json').read(), '')\n"
                "    except",
            ),
        ),
    ),
    "config-kept-by-name": Weakening(
        "what is kept for `exec` is the bundle's `config.json`, not the text that was accepted",
        (
            (
                "ocipy/spawn/container.py",
                "store.save_config(lock.directory, bundle.text)",
                "store.save_config(lock.directory, open(bundle.path + '/config.json').read())",
            ),
        ),
    ),
    "rootfs-by-name": Weakening(
        "the root is whatever its path leads to in the end",
        ((f"{INIT}/op_rootfs.c", "if (expected >= 0 && !same_file", "if (0 && !same_file"),),
    ),
    "rootfs-of-another-bundle": Weakening(
        "the root's path starts at the bundle's name, not at the directory that has the config",
        (
            (
                "ocipy/bundle.py",
                "        return os.open(path, flags, dir_fd=self.fd)",
                "        return os.open(os.path.join(self.path, path), flags)",
            ),
        ),
    ),
    "config-read-again": Weakening(
        "`exec` reads the bundle's `config.json`, not the one that was accepted",
        (
            (
                "ocipy/commands/exec.py",
                "config: Config = store.load_config(directory)",
                "from ocipy.json_text import loads\n\n"
                '    config: Config = loads(open(record["bundle"] + "/config.json").read())',
            ),
        ),
    ),
    "loose-ids": Weakening(
        "`exec --user` takes whatever int() takes",
        (
            (
                "ocipy/spawn/users.py",
                "    if not text.isascii() or not text.isdigit() or "
                '(text[0] == "0" and text != "0"):\n'
                "        return None\n",
                "    try:\n        return max(0, int(text, 0))\n    except ValueError:\n"
                "        return None\n",
            ),
        ),
    ),
    "any-name": Weakening(
        "an id may be any path",
        (
            (
                "ocipy/state/store.py",
                'if container_id in (".", "..") or not _ID_CHARACTERS.issuperset(container_id):',
                "if False:",
            ),
        ),
    ),
    "not-isolated": Weakening(
        "the interpreter is not isolated",
        (
            (
                "ocipy_native/launcher.c",
                '\targuments[count++] = "-I";\n\targuments[count++] = "-S";\n',
                "",
            ),
        ),
    ),
    "hooks-with-the-images-environment": Weakening(
        "a hook in the container has the environment of the process",
        (
            (
                "ocipy/plan/hooks.py",
                '        env = hook.get("env", [])\n',
                '        env = [*config["process"].get("env", []), *hook.get("env", [])]\n',
            ),
        ),
    ),
}
