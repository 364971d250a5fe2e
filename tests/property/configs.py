"""Strategies of configurations: what spec/config.json allows, kept to what the rules allow as well.

`Configs(runnable=False)` makes configs that are valid; `Configs(runnable=True)` those that this
machine should run, too, as far as one can say without asking it. Every member of the schema is
made: by the schema alone, or where it says too little by an entry of `self.special`, whose keys are
"Title" of an object or "Title.member".
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.bundles import PATH, base_config, mount
from tests.unit.schema.documents import FILES
from tests.unit.schema.mutations import Schema, values_schema

Strategy = st.SearchStrategy[Any]

FILE = "config.json"
TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x24F), max_size=10)
WORD = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=8)
ABSOLUTE = WORD.map(lambda word: f"/{word}")
CPUS = st.sampled_from(["", "0", "0-0"])
UNLIMITED = (1 << 64) - 1
NAMESPACES = ["pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"]
RLIMITS = """AS CORE CPU DATA FSIZE LOCKS MEMLOCK MSGQUEUE NICE NOFILE NPROC RSS RTPRIO RTTIME
SIGPENDING STACK""".split()
CAPABILITIES = ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW", "CAP_SYS_ADMIN", "CAP_SETUID"]
CAPABILITY_SETS = ["bounding", "permitted", "inheritable", "ambient", "effective"]
MOUNT_OPTIONS = ["ro", "nosuid", "nodev", "noexec", "relatime", "noatime", "strictatime", "sync"]


def some(required: dict[str, Strategy], **optional: Strategy) -> Strategy:
    return st.fixed_dictionaries(required, optional=optional)


def ordered(low: str, high: str) -> Any:
    """Return a function that puts the smaller of two members into `low`."""

    def order(value: dict[str, Any]) -> dict[str, Any]:
        if low in value and high in value:
            value[low], value[high] = sorted((value[low], value[high]))
        return value

    return order


def nested_sets(lists: list[list[str]]) -> dict[str, list[str]]:
    """Return capability sets that capset(2) takes: each holds the next one, up to `ambient`."""
    sets: dict[str, list[str]] = {}
    names = CAPABILITIES
    for kind, chosen in zip(CAPABILITY_SETS, lists, strict=False):
        sets[kind] = names = [name for name in names if name in chosen]
    return sets


class Configs:
    """Strategies for whole configs (`whole()`), and for each part of one (`value()`)."""

    def __init__(self, *, runnable: bool) -> None:
        self.runnable = runnable
        ids = st.integers(0, 65534)
        lists = st.sampled_from(["", "0", "0-3", "1,3-5"]) if not runnable else CPUS
        megabytes = st.integers(64, 1024).map(lambda number: number << 20)
        self.special: dict[str, Strategy] = {
            "Config.ociVersion": st.sampled_from(["1.0.0", "1.0.2-dev", "1.2.1", "1.3.0+x.1"]),
            "Config.hostname": st.text("abc-é", max_size=20),
            "Config.domainname": st.text("abc.é", max_size=20),
            "Config.annotations": st.dictionaries(TEXT.filter(bool), TEXT, max_size=3),
            "Root.path": st.just("rootfs"),
            "Mount": self.mounts(),
            "ConsoleSize": some({"height": st.integers(0, 65535), "width": st.integers(0, 65535)}),
            "User": some(
                {"uid": ids, "gid": ids},
                umask=st.integers(0, 0o777),
                additionalGids=st.lists(ids, max_size=3),
                username=TEXT,
            ),
            "Process.cwd": st.sampled_from(["/", "/tmp", "/etc"]) if runnable else ABSOLUTE,
            "Process.args": st.just(["/bin/true"]) if runnable else st.lists(WORD, min_size=1),
            "Process.env": st.lists(
                st.tuples(WORD, TEXT).map("=".join), max_size=3
            ).map(lambda env: [PATH, *env]),
            "Process.rlimits": st.lists(
                self.rlimits(), max_size=3, unique_by=lambda limit: limit["type"]
            ),
            "Process.oomScoreAdj": st.integers(-1000, 1000),
            "Process.scheduler": self.schedulers(),
            "IoPriority": some(
                {
                    "class": st.sampled_from(["IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"]),
                    "priority": st.integers(0, 7),
                }
            ),
            "ExecCpuAffinity": some({}, initial=lists, final=lists),
            "Hook": some(
                {"path": st.just("/bin/true") if runnable else ABSOLUTE},
                # busybox goes by this name.
                args=st.just(["true", "x"]),
                env=st.lists(WORD.map(lambda word: f"{word}=1"), max_size=2),
                timeout=st.integers(60, 1000),
            ),
            "Capabilities": st.lists(
                st.lists(st.sampled_from(CAPABILITIES), unique=True), max_size=5
            ).map(nested_sets),
            "Linux.namespaces": st.lists(
                st.sampled_from(NAMESPACES), unique=True
            ).map(lambda kinds: [{"type": kind} for kind in kinds]),
            "TimeOffset": some(
                {}, secs=st.integers(0, 1 << 20), nanosecs=st.integers(0, 999999999)
            ),
            "Linux.devices": st.lists(
                self.devices(), max_size=2, unique_by=lambda device: device["path"]
            ),
            "Linux.netDevices": st.just({}) if runnable else st.dictionaries(
                WORD.map(lambda word: f"e{word}"), st.just({}), max_size=2
            ),
            "Linux.cgroupsPath": ABSOLUTE,
            "DeviceRule": some(
                {
                    "allow": st.booleans(),
                    "access": st.sampled_from(["r", "w", "m", "rw", "rwm"]),
                },
                type=st.sampled_from(["a", "b", "c"]),
                major=st.integers(-1, 300),
                minor=st.integers(-1, 300),
            ),
            "Memory": some(
                {},
                limit=megabytes,
                reservation=megabytes,
                swap=st.just(-1),
                kernel=st.just(-1),
                kernelTCP=megabytes,
                swappiness=st.integers(0, 100),
                disableOOMKiller=st.booleans(),
                useHierarchy=st.booleans(),
                checkBeforeUpdate=st.booleans(),
            ),
            "Cpu": some(
                {},
                shares=st.integers(2, 262144),
                quota=st.integers(50000, 1000000),
                burst=st.integers(0, 50000),
                period=st.integers(50000, 100000),
                realtimeRuntime=st.just(0),
                realtimePeriod=st.just(1000000),
                cpus=lists,
                mems=lists,
                idle=st.sampled_from([0, 1]),
            ),
            "Pids": some({"limit": st.one_of(st.just(-1), st.integers(50, 1 << 20))}),
            "WeightDevice": some(
                {"major": st.just(7), "minor": st.just(0), "weight": st.integers(10, 1000)}
            ),
            "ThrottleDevice": some(
                {"major": st.just(7), "minor": st.just(0), "rate": st.integers(1 << 20, 1 << 30)}
            ),
            "BlockIo.weight": st.integers(10, 1000),
            "BlockIo.leafWeight": st.integers(10, 1000),
            "HugepageLimit": some(
                {"pageSize": st.just("2MB"), "limit": st.integers(0, 64).map(lambda n: n << 21)}
            ),
            "InterfacePriority": some({"name": st.just("lo"), "priority": st.integers(0, 9)}),
            "Rdma": some({"hcaHandles": st.integers(0, 9)}),
            "Resources.rdma": st.just({}) if runnable else st.dictionaries(
                WORD, some({"hcaObjects": st.integers(0, 9)}), max_size=1
            ),
            "Resources.unified": st.just({}) if runnable else st.dictionaries(
                WORD.map(lambda word: f"memory.{word}"), TEXT, max_size=2
            ),
            "Seccomp": self.seccomp_profiles(),
            "IntelRdt": some(
                {}, closID=WORD, schemata=st.just(["L3:0=f"]), enableMonitoring=st.booleans()
            ),
            "Linux.memoryPolicy": st.sampled_from(
                [
                    {"mode": "MPOL_DEFAULT"},
                    {"mode": "MPOL_LOCAL"},
                    {"mode": "MPOL_BIND", "nodes": "0"},
                    {"mode": "MPOL_PREFERRED", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]},
                ]
            ),
            "Personality": some({"domain": st.sampled_from(["LINUX", "LINUX32"])}),
            "Linux.sysctl": st.dictionaries(
                st.sampled_from(["net.ipv4.ip_forward", "kernel.shm_rmid_forced"]),
                st.sampled_from(["0", "1"]),
            ),
            "Linux.maskedPaths": st.lists(
                st.sampled_from(["/proc/kcore", "/sys/firmware", "/etc/group", "/none"])
            ),
            "Linux.readonlyPaths": st.lists(
                st.sampled_from(["/proc/sys", "/etc", "/etc/passwd", "/none"])
            ),
        }  # fmt: skip
        if runnable:
            # Nobody has a terminal for it, or a module that knows labels.
            self.special |= {
                "Process.terminal": st.just(False),
                "Process.apparmorProfile": st.just(""),
                "Process.selinuxLabel": st.just(""),
                "Linux.mountLabel": st.just(""),
                "Linux.intelRdt": st.just({}),
            }

    def mounts(self) -> Strategy:
        options = st.lists(st.sampled_from(MOUNT_OPTIONS), unique=True, max_size=4)
        places = st.sampled_from(["/mnt", "/tmp", "/home", "/var"])
        tmpfs = st.tuples(places, options, st.sampled_from([[], ["mode=755"], ["size=1m"]]))
        bind = st.tuples(places, options, st.sampled_from(["bind", "rbind"]))
        return st.one_of(
            tmpfs.map(lambda t: mount(t[0], "tmpfs", "tmpfs", *t[1], *t[2])),
            bind.map(lambda t: mount(t[0], "", "rootfs/etc", t[2], *t[1])),
        )

    def rlimits(self) -> Strategy:
        amounts = st.sampled_from([1 << 26, 1 << 30, UNLIMITED])
        names = st.sampled_from(RLIMITS).map(lambda name: f"RLIMIT_{name}")
        return some({"type": names, "soft": amounts, "hard": amounts}).map(ordered("soft", "hard"))

    def schedulers(self) -> Strategy:
        flags = st.sampled_from([[], ["SCHED_FLAG_RESET_ON_FORK"]])
        nice = st.integers(-20, 19)
        return st.one_of(
            some(
                {"policy": st.sampled_from(["SCHED_OTHER", "SCHED_BATCH"])}, nice=nice, flags=flags
            ),
            some({"policy": st.just("SCHED_IDLE")}),
            some(
                {
                    "policy": st.sampled_from(["SCHED_FIFO", "SCHED_RR"]),
                    "priority": st.integers(1, 99),
                }
            ),
        )

    def devices(self) -> Strategy:
        owners = {"uid": st.integers(0, 65534), "gid": st.integers(0, 65534)}
        mode = {"fileMode": st.integers(0, 0o777)}
        path = WORD.map(lambda word: f"/dev/x{word}")
        return st.one_of(
            some(
                {
                    "type": st.sampled_from("cu"),
                    "path": path,
                    "major": st.just(1),
                    "minor": st.just(3),
                },
                **owners,
                **mode,
            ),
            some({"type": st.just("p"), "path": path}, **owners, **mode),
        )  # fmt: skip

    def seccomp_profiles(self) -> Strategy:
        names = st.lists(st.sampled_from(["acct", "swapon", "reboot", "no_such_call"]), min_size=1)
        condition = some(
            {
                "index": st.integers(0, 5),
                "value": st.integers(0, UNLIMITED),
                "op": st.sampled_from(["SCMP_CMP_EQ", "SCMP_CMP_NE", "SCMP_CMP_LT"]),
            }
        )
        return some(
            {"defaultAction": st.sampled_from(["SCMP_ACT_ALLOW", "SCMP_ACT_LOG"])},
            architectures=st.sampled_from([[], ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]]),
            flags=st.sampled_from([[], ["SECCOMP_FILTER_FLAG_LOG"]]),
            syscalls=st.lists(
                some(
                    {"names": names, "action": st.just("SCMP_ACT_ERRNO")},
                    errnoRet=st.integers(1, 100),
                    args=st.lists(condition, max_size=1),
                ),
                max_size=2,
            ),
        )

    def value(self, schema: Schema, name: str, file: str = FILE) -> Strategy:
        """Return values for a schema that is met under this name, "Title.member"."""
        if name in self.special:
            return self.special[name]
        schema, file = FILES.resolve(schema, file)
        title = schema.get("title", "")
        if title in self.special:
            return self.special[title]
        kind = schema.get("type")
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        if kind == "array":
            low = schema.get("minItems", 0)
            return st.lists(self.value(schema["items"], name, file), min_size=low, max_size=3)
        if kind == "object":
            return self.object(schema, title, file)
        if "pattern" in schema:
            return st.from_regex(schema["pattern"], fullmatch=True)
        if kind == "integer":
            return st.integers(schema.get("minimum"), schema.get("maximum"))
        return {"string": TEXT, "boolean": st.booleans()}[str(kind)]

    def object(self, schema: Schema, title: str, file: str) -> Strategy:
        members = {
            key: self.value(inner, f"{title}.{key}", file)
            for key, inner in schema.get("properties", {}).items()
        }
        if not members:
            values = values_schema(schema)
            return st.dictionaries(TEXT, self.value(values, title, file)) if values else st.just({})
        required = set(schema.get("required", ()))
        return st.fixed_dictionaries(
            {key: value for key, value in members.items() if key in required},
            optional={key: value for key, value in members.items() if key not in required},
        )

    def whole(self) -> Strategy:
        return self.value(FILES.files[FILE], "").map(self.fit)

    def fit(self, config: dict[str, Any]) -> dict[str, Any]:
        """Return the config with what no strategy of one member can know: which goes with which."""
        base = base_config("generated", "/generated")
        config.setdefault("root", {"path": "rootfs"})
        linux = config.setdefault("linux", {})
        kinds = [namespace["type"] for namespace in linux.get("namespaces", ())]
        wanted = ["mount", "uts", "network", "ipc", "pid"]
        if linux.get("timeOffsets"):
            wanted.append("time")
        kinds += [kind for kind in wanted if kind not in kinds]
        linux["namespaces"] = [{"type": kind} for kind in kinds]
        for key in ("uidMappings", "gidMappings"):
            linux.pop(key, None)
            if "user" in kinds:
                linux[key] = [{"containerID": 0, "hostID": 0, "size": 65536}]
        if "windows" in config and not config["windows"].get("layerFolders"):
            config["windows"]["layerFolders"] = ["x"]
        if "process" in config:
            config["process"].setdefault("args", ["/bin/true"])
        if not self.runnable:
            return config
        config["mounts"] = [*base["mounts"], *config.get("mounts", ())]
        for entry in config["mounts"] if "user" in kinds else ():
            # mount_namespaces(7): in a user namespace these are locked to what the host has.
            entry["options"] = [o for o in entry["options"] if not o.endswith("atime")]
        config.setdefault("process", base["process"])
        config["process"].setdefault("env", [PATH])
        for section in ("intelRdt", "netDevices"):
            linux.pop(section, None)
        linux.get("seccomp", {}).pop("listenerPath", None)
        return config
