"""What the specification demands of a config and a schema cannot say. All of it is in RULES, below.

A rule is a generator: it is given a config whose structure is known to be right, and yields a
ConfigError for each fault, a (pointer, sentence) for what is worth a warning. It asks the config
only, neither the kernel nor the file system: what this host cannot do is found out by the planners.

Where the specification is silent, runc decides; "as runc" marks those.
"""

from __future__ import annotations

from ocipy.config import linux, process, resources, seccomp
from ocipy.config.linux import has_namespace, mapping_faults
from ocipy.errors import ConfigError, pointer_token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import TypeAlias

    from ocipy.config._generated_types import (
        Config,
        Hook,
        IdMapping,
        Linux,
        Mount,
        Process,
        Resources,
    )
    from ocipy.config.found import Found

    Rule: TypeAlias = Callable[[Config], Iterator[Found]]

# The version this is written for; later ones of the same major version promise to stay compatible.
SPEC_MAJOR, SPEC_MINOR = 1, 3

# HOST_NAME_MAX of the kernel, for both names (uname(2): __NEW_UTS_LEN).
_MAX_UTS_BYTES = 64

# As runc, whose timeouts are nanoseconds in 64 bits: 292 years.
_MAX_TIMEOUT_SECONDS = (1 << 63) // 1_000_000_000

HOOK_KINDS = (
    "prestart",
    "createRuntime",
    "createContainer",
    "startContainer",
    "poststart",
    "poststop",
)

_DIGITS = "0123456789"
_IDENTIFIER = _DIGITS + "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-"


def oci_version(config: Config) -> Iterator[Found]:
    """Spec (config.md#specification-version): ociVersion MUST be in SemVer v2.0.0 format."""
    version = config["ociVersion"]
    numbers = _semver(version)
    if numbers is None:
        yield ConfigError(
            "/ociVersion", f'"{version}" is no version of the form 1.3.0', hint='write "1.3.0"'
        )
    elif numbers[0] != SPEC_MAJOR:
        yield ConfigError(
            "/ociVersion",
            f"version {version} of the specification is not supported",
            hint=f"this is a runtime for {SPEC_MAJOR}.0.0 to {SPEC_MAJOR}.{SPEC_MINOR}",
        )
    elif numbers[1] > SPEC_MINOR:
        remark = (
            f"the config is written for version {version} of the specification, this runtime for "
            f"{SPEC_MAJOR}.{SPEC_MINOR}: what is new in it will be ignored"
        )
        yield ("/ociVersion", remark)


def _semver(version: str) -> tuple[int, int] | None:
    """Return major and minor number of a SemVer 2.0.0 version, None where it is none."""
    core, plus, build = version.partition("+")
    core, dash, prerelease = core.partition("-")
    numbers = core.split(".")
    if len(numbers) != 3 or not all(map(_is_number, numbers)):
        return None
    if plus and not all(map(_is_identifier, build.split("."))):
        return None
    for part in prerelease.split(".") if dash else ():
        if not _is_identifier(part) or (not part.strip(_DIGITS) and not _is_number(part)):
            return None
    return int(numbers[0]), int(numbers[1])


def _is_number(text: str) -> bool:
    return (
        bool(text)
        and len(text) < 10
        and not text.strip(_DIGITS)
        and (text == "0" or text[0] != "0")
    )


def _is_identifier(text: str) -> bool:
    return bool(text) and not text.strip(_IDENTIFIER)


def root(config: Config) -> Iterator[Found]:
    """Spec (config.md#root): on all platforms but Windows, root is REQUIRED."""
    if "root" not in config:
        yield ConfigError("", "root must be specified", hint='add "root": {"path": "rootfs"}')
    elif not config["root"]["path"]:
        yield ConfigError("/root/path", "the path of the root filesystem is empty")


def uts_names(config: Config) -> Iterator[Found]:
    """Spec (config.md#hostname): set in the UTS namespace; as runc: not in the host's."""
    for key, value in (
        ("hostname", config.get("hostname")),
        ("domainname", config.get("domainname")),
    ):
        if not value:
            continue
        if not has_namespace(config.get("linux", {}), "uts"):
            yield ConfigError(
                f"/{key}",
                f"unable to set {key} without a private UTS namespace: it would rename the host",
                hint='add {"type": "uts"} to /linux/namespaces',
            )
        size = len(value.encode("utf-8", "surrogatepass"))
        if size > _MAX_UTS_BYTES:
            yield ConfigError(f"/{key}", f"{size} bytes long; Linux takes at most {_MAX_UTS_BYTES}")


def mounts(config: Config) -> Iterator[Found]:
    """Spec (config.md#mounts): destinations, and what a mount that is no bind mount needs."""
    for i, mount in enumerate(config.get("mounts", ())):
        destination = mount["destination"]
        options = mount.get("options", ())
        if not destination:
            yield ConfigError(f"/mounts/{i}/destination", "the destination is empty")
        elif destination[0] != "/":
            # Spec: it MAY be relative, which is deprecated, and MUST be taken as relative to "/".
            remark = f'the relative mount destination "{destination}" is deprecated'
            yield (f"/mounts/{i}/destination", f'{remark}; it is taken as "/{destination}"')
        if "bind" in options or "rbind" in options:
            if not mount.get("source"):
                yield ConfigError(f"/mounts/{i}", "a bind mount needs a source")
        elif not mount.get("type") and "remount" not in options:
            hint = 'add its "type", or "rbind" to its options'
            yield ConfigError(f"/mounts/{i}", "neither a type nor a bind mount", hint=hint)
        if (
            "uidMappings" in mount
            or "gidMappings" in mount
            or "idmap" in options
            or "ridmap" in options
        ):
            yield from _idmapped_mount(config, mount, f"/mounts/{i}")


def _idmapped_mount(config: Config, mount: Mount, at: str) -> Iterator[Found]:
    """Spec (config.md#linux-mount-options): idmap, ridmap; (config.md#posix-platform-mounts)."""
    options = mount.get("options", ())
    uids, gids = mount.get("uidMappings"), mount.get("gidMappings")
    if bool(uids) != bool(gids):
        # Spec: each of them MUST be specified along with the other.
        have, lack = ("uidMappings", "gidMappings") if uids else ("gidMappings", "uidMappings")
        yield ConfigError(f"{at}/{have}" if mount.get(have) else at, f"{have} without {lack}")
    elif not uids and not has_namespace(config.get("linux", {}), "user"):
        # Spec: without mappings and without a user namespace, an error MUST be returned.
        option = "ridmap" if "ridmap" in options else "idmap"
        yield ConfigError(
            at,
            f"{option} needs mappings: the mount has none, and the container no user namespace",
            hint="add uidMappings and gidMappings to the mount",
        )
    elif uids and "idmap" not in options and "ridmap" not in options:
        # Spec: options SHOULD contain either, so that older runtimes do not ignore the mappings.
        yield (at, "the mount has id mappings, but neither idmap nor ridmap in its options")
    yield from mapping_faults(uids or (), f"{at}/uidMappings")
    yield from mapping_faults(gids or (), f"{at}/gidMappings")


def hooks(config: Config) -> Iterator[Found]:
    """Spec (config.md#posix-platform-hooks): path MUST be absolute. The schema has timeout > 0."""
    given: dict[str, list[Hook]] = config.get("hooks", {})  # type: ignore[assignment]
    for kind in HOOK_KINDS:
        for i, hook in enumerate(given.get(kind, ())):
            if hook["path"][:1] != "/":
                problem = f'the path of a hook must be an absolute path, "{hook["path"]}" is not'
                yield ConfigError(f"/hooks/{kind}/{i}/path", problem)
            timeout = hook.get("timeout", 1)
            if timeout > _MAX_TIMEOUT_SECONDS:
                pointer, problem = f"/hooks/{kind}/{i}/timeout", f"{timeout} seconds are too many"
                yield ConfigError(pointer, problem, hint="without timeout it has all the time")


def user_ids_are_mapped(config: Config) -> Iterator[Found]:
    """As runc: a process cannot run under an id that its new user namespace does not map."""
    linux = config.get("linux", {})
    if not any(ns["type"] == "user" and not ns.get("path") for ns in linux.get("namespaces", ())):
        return
    user = config.get("process", {}).get("user", {})
    more = {f"additionalGids/{i}": gid for i, gid in enumerate(user.get("additionalGids", ()))}
    named = {key: user[key] for key in ("uid", "gid") if key in user} | more
    groups = {"gid": user.get("gid", 0), **more}
    yield from _unmapped(
        linux.get("uidMappings"), {"uid": user.get("uid", 0)}, "uidMappings", named
    )
    yield from _unmapped(linux.get("gidMappings"), groups, "gidMappings", named)


def _unmapped(
    mappings: list[IdMapping] | None,
    ids: Mapping[str, int],
    mappings_key: str,
    given: Mapping[str, object],
) -> Iterator[Found]:
    for key, number in ids.items() if mappings else ():
        for line in mappings or ():
            if line["containerID"] <= number < line["containerID"] + line["size"]:
                break
        else:
            problem = f"{number} is not mapped by /linux/{mappings_key}"
            # The id 0 of a process that names none is nowhere in the file.
            pointer = f"/process/user/{key}" if key in given else f"/linux/{mappings_key}"
            yield ConfigError(pointer, problem)


def annotation_keys(config: Config) -> Iterator[Found]:
    """Spec (config.md#annotations): keys MUST NOT be empty, values MUST be strings."""
    for key, value in config.get("annotations", {}).items():
        if not key:
            yield ConfigError("/annotations/", "the key of an annotation is empty")
        elif type(value) is not str:
            # A key of line ends alone, which the schema's pattern leaves out.
            yield ConfigError(
                f"/annotations/{pointer_token(key)}", "the value of an annotation must be a string"
            )


def _of_process(rule: Callable[[Process, str], Iterator[Found]]) -> Rule:
    """Make a rule about `process` one about the config: create does without a process."""

    def of_config(config: Config) -> Iterator[Found]:
        if "process" in config:
            yield from rule(config["process"], "/process")

    return of_config


def _of_linux(rule: Callable[[Linux, str], Iterator[Found]]) -> Rule:
    def of_config(config: Config) -> Iterator[Found]:
        if "linux" in config:
            yield from rule(config["linux"], "/linux")

    return of_config


def _of_resources(rule: Callable[[Resources, str], Iterator[Found]]) -> Rule:
    def of_config(config: Config) -> Iterator[Found]:
        given = config.get("linux", {}).get("resources")
        if given:
            yield from rule(given, "/linux/resources")

    return of_config


RULES: tuple[Rule, ...] = (
    oci_version,
    root,
    mounts,
    *map(_of_process, process.RULES),
    uts_names,
    hooks,
    annotation_keys,
    user_ids_are_mapped,
    *map(_of_linux, linux.RULES),
    *map(_of_linux, seccomp.RULES),
    *map(_of_resources, resources.RULES),
)
