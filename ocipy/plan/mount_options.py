"""Mount options: the strings of `mounts[].options` to what the kernel's calls take.

Spec (config.md#linux-mount-options): 37 of them MUST be supported, unknown ones SHOULD be passed to
the file system. Where mount(8) and runc differ about a combination, runc's reading is ours.
"""

from __future__ import annotations

from ocipy.errors import ConfigError
from ocipy.sys.constants import MS_PRIVATE, MS_REC, MS_SHARED, MS_SLAVE, MS_UNBINDABLE
from ocipy.sys.mount_constants import (
    MOUNT_ATTR__ATIME,
    MOUNT_ATTR_NOATIME,
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NODIRATIME,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_NOSYMFOLLOW,
    MOUNT_ATTR_RDONLY,
    MOUNT_ATTR_RELATIME,
    MOUNT_ATTR_STRICTATIME,
    MS_DIRSYNC,
    MS_I_VERSION,
    MS_LAZYTIME,
    MS_MANDLOCK,
    MS_NOATIME,
    MS_NODEV,
    MS_NODIRATIME,
    MS_NOEXEC,
    MS_NOSUID,
    MS_NOSYMFOLLOW,
    MS_RDONLY,
    MS_RELATIME,
    MS_SILENT,
    MS_STRICTATIME,
    MS_SYNCHRONOUS,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# (flag, whether the option clears it)
_FLAGS = {
    "async": (MS_SYNCHRONOUS, True),
    "atime": (MS_NOATIME, True),
    "dev": (MS_NODEV, True),
    "diratime": (MS_NODIRATIME, True),
    "dirsync": (MS_DIRSYNC, False),
    "exec": (MS_NOEXEC, True),
    "iversion": (MS_I_VERSION, False),
    "lazytime": (MS_LAZYTIME, False),
    "loud": (MS_SILENT, True),
    "mand": (MS_MANDLOCK, False),
    "noatime": (MS_NOATIME, False),
    "nodev": (MS_NODEV, False),
    "nodiratime": (MS_NODIRATIME, False),
    "noexec": (MS_NOEXEC, False),
    "noiversion": (MS_I_VERSION, True),
    "nolazytime": (MS_LAZYTIME, True),
    "nomand": (MS_MANDLOCK, True),
    "norelatime": (MS_RELATIME, True),
    "nostrictatime": (MS_STRICTATIME, True),
    "nosuid": (MS_NOSUID, False),
    "nosymfollow": (MS_NOSYMFOLLOW, False),
    "relatime": (MS_RELATIME, False),
    "ro": (MS_RDONLY, False),
    "rw": (MS_RDONLY, True),
    "silent": (MS_SILENT, False),
    "strictatime": (MS_STRICTATIME, False),
    "suid": (MS_NOSUID, True),
    "symfollow": (MS_NOSYMFOLLOW, True),
    "sync": (MS_SYNCHRONOUS, False),
}

# (attribute, whether the option clears it), for a mount and all below it: since Linux 5.12.
_RECURSIVE = {
    "ratime": (MOUNT_ATTR_NOATIME, True),
    "rdev": (MOUNT_ATTR_NODEV, True),
    "rdiratime": (MOUNT_ATTR_NODIRATIME, True),
    "rexec": (MOUNT_ATTR_NOEXEC, True),
    "rnoatime": (MOUNT_ATTR_NOATIME, False),
    "rnodev": (MOUNT_ATTR_NODEV, False),
    "rnodiratime": (MOUNT_ATTR_NODIRATIME, False),
    "rnoexec": (MOUNT_ATTR_NOEXEC, False),
    "rnorelatime": (MOUNT_ATTR_RELATIME, True),
    "rnostrictatime": (MOUNT_ATTR_STRICTATIME, True),
    "rnosuid": (MOUNT_ATTR_NOSUID, False),
    "rnosymfollow": (MOUNT_ATTR_NOSYMFOLLOW, False),
    "rrelatime": (MOUNT_ATTR_RELATIME, False),
    "rro": (MOUNT_ATTR_RDONLY, False),
    "rrw": (MOUNT_ATTR_RDONLY, True),
    "rstrictatime": (MOUNT_ATTR_STRICTATIME, False),
    "rsuid": (MOUNT_ATTR_NOSUID, True),
    "rsymfollow": (MOUNT_ATTR_NOSYMFOLLOW, True),
}

PROPAGATION = {
    "private": MS_PRIVATE,
    "rprivate": MS_PRIVATE | MS_REC,
    "shared": MS_SHARED,
    "rshared": MS_SHARED | MS_REC,
    "slave": MS_SLAVE,
    "rslave": MS_SLAVE | MS_REC,
    "unbindable": MS_UNBINDABLE,
    "runbindable": MS_UNBINDABLE | MS_REC,
}

# What the options stand for that are neither flags nor for the file system.
_OTHER = ("bind", "defaults", "idmap", "rbind", "remount", "ridmap", "tmpcopyup")

# `features` lists them.
KNOWN_OPTIONS = tuple(sorted((*_FLAGS, *_RECURSIVE, *PROPAGATION, *_OTHER)))

_ATTRIBUTE = (
    (MS_RDONLY, MOUNT_ATTR_RDONLY),
    (MS_NOSUID, MOUNT_ATTR_NOSUID),
    (MS_NODEV, MOUNT_ATTR_NODEV),
    (MS_NOEXEC, MOUNT_ATTR_NOEXEC),
    (MS_NODIRATIME, MOUNT_ATTR_NODIRATIME),
    (MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW),
)
_ALL_ATTRIBUTES = sum(attribute for _, attribute in _ATTRIBUTE)
_ATIME_FLAGS = MS_NOATIME | MS_RELATIME | MS_STRICTATIME
# Of the file system, not of the mount; their names as fsconfig(2) takes them.
_SUPERBLOCK = (
    (MS_RDONLY, "ro"),
    (MS_SYNCHRONOUS, "sync"),
    (MS_DIRSYNC, "dirsync"),
    (MS_MANDLOCK, "mand"),
    (MS_LAZYTIME, "lazytime"),
)


class MountOptions:
    """The options of one mount, understood.

    Attributes:
        bind, recursive: `bind` or `rbind`.
        remount: change what is mounted at the destination.
        flags, cleared: MS_* that are asked for, and those that are asked not to be.
        recursive_set, recursive_clear: MOUNT_ATTR_* for the mount and all below it.
        propagation: types, in order, each with MS_REC for all below.
        copy_up: a tmpfs starts with what its destination holds.
        idmap: "", "idmap" or "ridmap".
        data: what is left, for the file system.
    """

    __slots__ = (
        "bind",
        "cleared",
        "copy_up",
        "data",
        "flags",
        "idmap",
        "propagation",
        "recursive",
        "recursive_clear",
        "recursive_set",
        "remount",
    )

    def __init__(self) -> None:
        self.bind = False
        self.recursive = False
        self.remount = False
        self.flags = 0
        self.cleared = 0
        self.recursive_set = 0
        self.recursive_clear = 0
        self.propagation: list[int] = []
        self.copy_up = False
        self.idmap = ""
        self.data: list[str] = []

    def superblock(self) -> list[str]:
        """Return the options of the file system that are flags, as fsconfig(2) takes them."""
        # `silent` only keeps messages out of the kernel's log and has no name there; `iversion`
        # has none either: it takes a remount.
        return [name for flag, name in _SUPERBLOCK if self.flags & flag]

    def attributes(self) -> int:
        """Return the attributes of a new mount."""
        return _attributes(self.flags) | _atime(self.flags)

    def bind_attributes(self) -> tuple[int, int, int]:
        """Return what a bind sets, what it clears because an option says so, and what it resets.

        A bind has the attributes of its origin. As soon as one is asked for, runc sets all the
        others to their defaults, unless a user namespace has them locked; so does ocipy.
        """
        changed = self.flags | self.cleared
        if not changed:
            return 0, 0, 0
        set_, clear = _attributes(self.flags), _attributes(self.cleared)
        reset = _ALL_ATTRIBUTES & ~(set_ | clear | MOUNT_ATTR_NODIRATIME)
        if self.flags & (_ATIME_FLAGS | MS_NODIRATIME):
            reset |= MOUNT_ATTR_NODIRATIME & ~set_
        if self.flags & _ATIME_FLAGS or self.cleared & (MS_NOATIME | MS_STRICTATIME):
            set_ |= _atime(self.flags)
            clear |= MOUNT_ATTR__ATIME
        return set_, clear, reset


def _attributes(flags: int) -> int:
    mask = 0
    for flag, attribute in _ATTRIBUTE:
        if flags & flag:
            mask |= attribute
    return mask


def _atime(flags: int) -> int:
    # As in the kernel's do_mount(): strictatime beats noatime beats relatime, which is the default.
    if flags & MS_STRICTATIME:
        return MOUNT_ATTR_STRICTATIME
    return MOUNT_ATTR_NOATIME if flags & MS_NOATIME else MOUNT_ATTR_RELATIME


def parse_mount_options(options: Sequence[str], pointer: str) -> MountOptions:
    """Read the option strings; of two that contradict each other the later one holds.

    Raises:
        ConfigError: a bind mount has a word for an option that no bind mount can have.
    """
    parsed = MountOptions()
    for i, option in enumerate(options):
        if option in _FLAGS:
            flag, clears = _FLAGS[option]
            if clears:
                parsed.flags, parsed.cleared = parsed.flags & ~flag, parsed.cleared | flag
            else:
                parsed.flags, parsed.cleared = parsed.flags | flag, parsed.cleared & ~flag
        elif option in PROPAGATION:
            parsed.propagation.append(PROPAGATION[option])
        elif option in _RECURSIVE:
            _add_recursive(parsed, *_RECURSIVE[option])
        elif option in ("bind", "rbind"):
            parsed.bind = True
            parsed.recursive = parsed.recursive or option == "rbind"
        elif option == "remount":
            parsed.remount = True
        elif option in ("idmap", "ridmap"):
            parsed.idmap = option
        elif option == "tmpcopyup":
            parsed.copy_up = True
        elif option not in ("defaults", ""):
            if "bind" not in options and "rbind" not in options:
                parsed.data.append(option)
            elif "=" not in option:
                raise _unknown_bind_option(option, f"{pointer}/{i}")
            # Spec (config.md#linux-mount-options): unknown options SHOULD be passed as data, which
            # mount(2) ignores for a bind. A word without `=` may be the slip of a flag, `size=1k`
            # cannot be: whoever lets one list of options serve for all mounts means no harm.
    return parsed


def _add_recursive(parsed: MountOptions, attribute: int, clears: bool) -> None:
    if attribute & ~MOUNT_ATTR__ATIME == 0:
        # mount_setattr(2): the access time settings are one field, which is cleared and set whole.
        parsed.recursive_clear |= MOUNT_ATTR__ATIME
        parsed.recursive_set &= ~MOUNT_ATTR__ATIME
        if not clears:
            parsed.recursive_set |= attribute
    elif clears:
        parsed.recursive_clear |= attribute
        parsed.recursive_set &= ~attribute
    else:
        parsed.recursive_set |= attribute
        parsed.recursive_clear &= ~attribute


def _unknown_bind_option(option: str, pointer: str) -> ConfigError:
    from difflib import get_close_matches

    close = get_close_matches(option.lower(), KNOWN_OPTIONS, n=1)
    hint = f"did you mean {close[0]!r}?" if close else "a bind mount has no file system of its own"
    return ConfigError(pointer, f"a bind mount cannot have the option {option!r}", hint=hint)


def split_data(data: Sequence[str]) -> list[str] | None:
    """Return the file system's options one by one, or None where only mount(2) can take them.

    One string of config.json may hold several, separated by commas. A quoted or escaped comma is
    for the file system's own parser, which sees the whole text with mount(2) only.
    """
    joined = ",".join(data)
    if '"' in joined or "\\" in joined:
        return None
    return [option for option in joined.split(",") if option]
