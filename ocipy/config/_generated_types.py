"""Written by spec/compile.py from spec/config.json; change those instead.

The parts of a config as type checkers see them; nothing imports this at run time.
"""

from __future__ import annotations

from typing import Literal, Required, TypedDict


class Root(TypedDict, total=False):
    """The container's root filesystem."""

    path: Required[str]
    readonly: bool


class IdMapping(TypedDict, total=False):
    """One line of uid_map or gid_map, see user_namespaces(7)."""

    containerID: Required[int]
    hostID: Required[int]
    size: Required[int]


class Mount(TypedDict, total=False):
    """One mount inside the container."""

    destination: Required[str]
    source: str
    type: str
    options: list[str]
    uidMappings: list[IdMapping]
    gidMappings: list[IdMapping]


class ConsoleSize(TypedDict, total=False):
    """Size of the terminal in characters; ignored without a terminal."""

    height: Required[int]
    width: Required[int]


class User(TypedDict, total=False):
    """Who the container process runs as, in the container's user namespace."""

    uid: int
    gid: int
    umask: int
    additionalGids: list[int]
    username: str


class Rlimit(TypedDict, total=False):
    """One resource limit, see getrlimit(2)."""

    type: Required[str]
    soft: Required[int]
    hard: Required[int]


class Capabilities(TypedDict, total=False):
    """The five capability sets of capabilities(7); names such as CAP_CHOWN."""

    bounding: list[str]
    permitted: list[str]
    effective: list[str]
    inheritable: list[str]
    ambient: list[str]


class Scheduler(TypedDict, total=False):
    """Scheduling policy of the container process, see sched_setattr(2)."""

    policy: Required[Literal["SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO", "SCHED_IDLE", "SCHED_DEADLINE"]]
    nice: int
    priority: int
    flags: list[Literal["SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_RECLAIM", "SCHED_FLAG_DL_OVERRUN", "SCHED_FLAG_KEEP_POLICY", "SCHED_FLAG_KEEP_PARAMS", "SCHED_FLAG_UTIL_CLAMP_MIN", "SCHED_FLAG_UTIL_CLAMP_MAX"]]
    runtime: int
    deadline: int
    period: int


IoPriority = TypedDict("IoPriority", {
    "class": 'Required[Literal["IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"]]',
    "priority": 'int',
}, total=False)


class ExecCpuAffinity(TypedDict, total=False):
    """CPUs of processes that exec starts, as lists such as 0-3,7."""

    initial: str
    final: str


class Process(TypedDict, total=False):
    """The container process; needed for start, not for create."""

    terminal: bool
    consoleSize: ConsoleSize
    user: User
    cwd: Required[str]
    env: list[str]
    args: list[str]
    commandLine: str
    rlimits: list[Rlimit]
    capabilities: Capabilities
    noNewPrivileges: bool
    apparmorProfile: str
    selinuxLabel: str
    oomScoreAdj: int
    scheduler: Scheduler
    ioPriority: IoPriority
    execCPUAffinity: ExecCpuAffinity


class Hook(TypedDict, total=False):
    """A program that is given the container's state on its standard input."""

    path: Required[str]
    args: list[str]
    env: list[str]
    timeout: int


class Hooks(TypedDict, total=False):
    """Programs to run at points of the container's life, in the listed order."""

    prestart: list[Hook]
    createRuntime: list[Hook]
    createContainer: list[Hook]
    startContainer: list[Hook]
    poststart: list[Hook]
    poststop: list[Hook]


class Namespace(TypedDict, total=False):
    """A namespace to create, or with a path one to join."""

    type: Required[Literal["pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"]]
    path: str


class TimeOffset(TypedDict, total=False):
    """Spec: TimeOffset"""

    secs: int
    nanosecs: int


class TimeOffsets(TypedDict, total=False):
    """Offsets of clocks in a new time namespace, see time_namespaces(7)."""

    monotonic: TimeOffset
    boottime: TimeOffset


class Device(TypedDict, total=False):
    """A device node that exists in the container."""

    type: Required[str]
    path: Required[str]
    major: int
    minor: int
    fileMode: int
    uid: int
    gid: int


class NetDevice(TypedDict, total=False):
    """Spec: NetDevice"""

    name: str


class DeviceRule(TypedDict, total=False):
    """One rule of the device list; later rules win."""

    allow: Required[bool]
    type: str
    major: int
    minor: int
    access: str


class Memory(TypedDict, total=False):
    """Limits of the memory controller in bytes; -1 is no limit."""

    limit: int
    reservation: int
    swap: int
    kernel: int
    kernelTCP: int
    swappiness: int
    disableOOMKiller: bool
    useHierarchy: bool
    checkBeforeUpdate: bool


class Cpu(TypedDict, total=False):
    """The cpu and cpuset controllers; times in microseconds."""

    shares: int
    quota: int
    burst: int
    period: int
    realtimeRuntime: int
    realtimePeriod: int
    cpus: str
    mems: str
    idle: int


class Pids(TypedDict, total=False):
    """Spec: Pids"""

    limit: Required[int]


class WeightDevice(TypedDict, total=False):
    """Block I/O weights of one device; at least one of the two."""

    major: Required[int]
    minor: Required[int]
    weight: int
    leafWeight: int


class ThrottleDevice(TypedDict, total=False):
    """Block I/O limit of one device, in bytes or operations per second."""

    major: Required[int]
    minor: Required[int]
    rate: int


class BlockIo(TypedDict, total=False):
    """The blkio controller of cgroup v1, the io controller of v2."""

    weight: int
    leafWeight: int
    weightDevice: list[WeightDevice]
    throttleReadBpsDevice: list[ThrottleDevice]
    throttleWriteBpsDevice: list[ThrottleDevice]
    throttleReadIOPSDevice: list[ThrottleDevice]
    throttleWriteIOPSDevice: list[ThrottleDevice]


class HugepageLimit(TypedDict, total=False):
    """Spec: HugepageLimit"""

    pageSize: Required[str]
    limit: Required[int]


class InterfacePriority(TypedDict, total=False):
    """Spec: InterfacePriority"""

    name: Required[str]
    priority: Required[int]


class Network(TypedDict, total=False):
    """The net_cls and net_prio controllers of cgroup v1."""

    classID: int
    priorities: list[InterfacePriority]


class Rdma(TypedDict, total=False):
    """Limits of one RDMA device; at least one of the two."""

    hcaHandles: int
    hcaObjects: int


class Resources(TypedDict, total=False):
    """Limits of the container's cgroup."""

    devices: list[DeviceRule]
    memory: Memory
    cpu: Cpu
    pids: Pids
    blockIO: BlockIo
    hugepageLimits: list[HugepageLimit]
    network: Network
    rdma: dict[str, Rdma]
    unified: dict[str, str]


class IntelRdt(TypedDict, total=False):
    """Cache and memory bandwidth allocation through resctrl."""

    closID: str
    schemata: list[str]
    l3CacheSchema: str
    memBwSchema: str
    enableMonitoring: bool


class MemoryPolicy(TypedDict, total=False):
    """NUMA memory policy, see set_mempolicy(2)."""

    mode: Literal["MPOL_DEFAULT", "MPOL_BIND", "MPOL_INTERLEAVE", "MPOL_WEIGHTED_INTERLEAVE", "MPOL_PREFERRED", "MPOL_PREFERRED_MANY", "MPOL_LOCAL"]
    nodes: str
    flags: list[Literal["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"]]


class SyscallArg(TypedDict, total=False):
    """A condition on one argument of a system call."""

    index: Required[int]
    value: Required[int]
    valueTwo: int
    op: Required[Literal["SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ"]]


class Syscall(TypedDict, total=False):
    """An action for some system calls."""

    names: Required[list[str]]
    action: Required[Literal["SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_TRAP", "SCMP_ACT_ERRNO", "SCMP_ACT_TRACE", "SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY"]]
    errnoRet: int
    args: list[SyscallArg]


class Seccomp(TypedDict, total=False):
    """System call filter, see seccomp(2)."""

    defaultAction: Required[Literal["SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_TRAP", "SCMP_ACT_ERRNO", "SCMP_ACT_TRACE", "SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY"]]
    defaultErrnoRet: int
    architectures: list[Literal["SCMP_ARCH_X86", "SCMP_ARCH_X86_64", "SCMP_ARCH_X32", "SCMP_ARCH_ARM", "SCMP_ARCH_AARCH64", "SCMP_ARCH_LOONGARCH64", "SCMP_ARCH_M68K", "SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS64N32", "SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PARISC", "SCMP_ARCH_PARISC64", "SCMP_ARCH_PPC", "SCMP_ARCH_PPC64", "SCMP_ARCH_PPC64LE", "SCMP_ARCH_RISCV64", "SCMP_ARCH_S390", "SCMP_ARCH_S390X", "SCMP_ARCH_SH", "SCMP_ARCH_SHEB"]]
    flags: list[Literal["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]]
    listenerPath: str
    listenerMetadata: str
    syscalls: list[Syscall]


class Personality(TypedDict, total=False):
    """Execution domain, see personality(2)."""

    domain: Literal["LINUX", "LINUX32"]
    flags: list[str]


class Linux(TypedDict, total=False):
    """What only Linux has."""

    namespaces: list[Namespace]
    uidMappings: list[IdMapping]
    gidMappings: list[IdMapping]
    timeOffsets: TimeOffsets
    devices: list[Device]
    netDevices: dict[str, NetDevice]
    cgroupsPath: str
    resources: Resources
    intelRdt: IntelRdt
    memoryPolicy: MemoryPolicy
    sysctl: dict[str, str]
    seccomp: Seccomp
    rootfsPropagation: Literal["shared", "slave", "private", "unbindable", "rshared", "rslave", "rprivate", "runbindable"]
    maskedPaths: list[str]
    readonlyPaths: list[str]
    mountLabel: str
    personality: Personality


class FreeBsdDevice(TypedDict, total=False):
    """Spec: FreeBsdDevice"""

    path: str
    mode: int


class FreeBsdAllow(TypedDict, total=False):
    """Spec: FreeBsdAllow"""

    setHostname: bool
    rawSockets: bool
    chflags: bool
    mount: list[str]
    quotas: bool
    socketAf: bool
    mlock: bool
    reservedPorts: bool
    suser: bool


class FreeBsdJail(TypedDict, total=False):
    """Spec: FreeBsdJail"""

    parent: str
    host: Literal["new", "inherit"]
    ip4: Literal["disable", "new", "inherit"]
    ip4Addr: list[str]
    ip6: Literal["disable", "new", "inherit"]
    ip6Addr: list[str]
    vnet: Literal["new", "inherit"]
    interface: str
    vnetInterfaces: list[str]
    sysvmsg: Literal["disable", "new", "inherit"]
    sysvsem: Literal["disable", "new", "inherit"]
    sysvshm: Literal["disable", "new", "inherit"]
    enforceStatfs: int
    allow: FreeBsdAllow


class FreeBsd(TypedDict, total=False):
    """Spec: FreeBsd"""

    devices: list[FreeBsdDevice]
    jail: FreeBsdJail


class SolarisCappedCpu(TypedDict, total=False):
    """Spec: SolarisCappedCpu"""

    ncpus: str


class SolarisCappedMemory(TypedDict, total=False):
    """Spec: SolarisCappedMemory"""

    physical: str
    swap: str


class SolarisAnet(TypedDict, total=False):
    """Spec: SolarisAnet"""

    linkname: str
    lowerLink: str
    allowedAddress: str
    configureAllowedAddress: str
    defrouter: str
    macAddress: str
    linkProtection: str


class Solaris(TypedDict, total=False):
    """Spec: Solaris"""

    milestone: str
    limitpriv: str
    maxShmMemory: str
    cappedCPU: SolarisCappedCpu
    cappedMemory: SolarisCappedMemory
    anet: list[SolarisAnet]


class VmHypervisor(TypedDict, total=False):
    """Spec: VmHypervisor"""

    path: Required[str]
    parameters: list[str]


class VmKernel(TypedDict, total=False):
    """Spec: VmKernel"""

    path: Required[str]
    parameters: list[str]
    initrd: str


class VmImage(TypedDict, total=False):
    """Spec: VmImage"""

    path: Required[str]
    format: Required[Literal["raw", "qcow2", "vdi", "vmdk", "vhd"]]


class VmIoMemory(TypedDict, total=False):
    """Spec: VmIoMemory"""

    firstGFN: int
    firstMFN: Required[int]
    nrMFNs: Required[int]


class VmHardware(TypedDict, total=False):
    """Spec: VmHardware"""

    deviceTree: str
    vcpus: int
    memory: int
    dtdevs: list[str]
    iomems: list[VmIoMemory]
    irqs: list[int]


class Vm(TypedDict, total=False):
    """Spec: Vm"""

    hypervisor: VmHypervisor
    kernel: Required[VmKernel]
    image: VmImage
    hwConfig: VmHardware


class WindowsDevice(TypedDict, total=False):
    """Spec: WindowsDevice"""

    id: Required[str]
    idType: Required[Literal["class"]]


class WindowsMemory(TypedDict, total=False):
    """Spec: WindowsMemory"""

    limit: int


class WindowsCpuAffinity(TypedDict, total=False):
    """Spec: WindowsCpuAffinity"""

    mask: int
    group: int


class WindowsCpu(TypedDict, total=False):
    """Spec: WindowsCpu"""

    count: int
    shares: int
    maximum: int
    affinity: WindowsCpuAffinity


class WindowsStorage(TypedDict, total=False):
    """Spec: WindowsStorage"""

    iops: int
    bps: int
    sandboxSize: int


class WindowsResources(TypedDict, total=False):
    """Spec: WindowsResources"""

    memory: WindowsMemory
    cpu: WindowsCpu
    storage: WindowsStorage


class WindowsNetwork(TypedDict, total=False):
    """Spec: WindowsNetwork"""

    endpointList: list[str]
    allowUnqualifiedDNSQuery: bool
    DNSSearchList: list[str]
    networkSharedContainerName: str
    networkNamespace: str


class WindowsHyperV(TypedDict, total=False):
    """Spec: WindowsHyperV"""

    utilityVMPath: str


class Windows(TypedDict, total=False):
    """Spec: Windows"""

    layerFolders: Required[list[str]]
    devices: list[WindowsDevice]
    resources: WindowsResources
    network: WindowsNetwork
    credentialSpec: dict[str, object]
    servicing: bool
    ignoreFlushesDuringBoot: bool
    hyperv: WindowsHyperV


class ZOsNamespace(TypedDict, total=False):
    """Spec: ZOsNamespace"""

    type: Required[Literal["mount", "pid", "uts", "ipc"]]
    path: str


class ZOs(TypedDict, total=False):
    """Spec: ZOs"""

    namespaces: list[ZOsNamespace]


class Config(TypedDict, total=False):
    """config.json of a bundle, runtime-spec 1.3. Written from the specification's text (config.md, config-linux.md). Draft 4, because there 1.0 is not an integer, as it is none to any runtime written in Go."""

    ociVersion: Required[str]
    root: Root
    mounts: list[Mount]
    process: Process
    hostname: str
    domainname: str
    hooks: Hooks
    annotations: dict[str, str]
    linux: Linux
    freebsd: FreeBsd
    solaris: Solaris
    vm: Vm
    windows: Windows
    zos: ZOs
