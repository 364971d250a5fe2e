"""Written by spec/compile.py from spec/config.json; change those instead.

Each function says whether a parsed JSON value fits the schema. Objects that fit, but
have names that the specification does not know, are collected in `unknown`, with the
names that they may have.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Unknown: TypeAlias = "list[tuple[dict[str, Any], tuple[str, ...]]]"

_ENUM_0 = frozenset(('SCHED_OTHER', 'SCHED_FIFO', 'SCHED_RR', 'SCHED_BATCH', 'SCHED_ISO', 'SCHED_IDLE', 'SCHED_DEADLINE'))
_ENUM_1 = frozenset(('SCHED_FLAG_RESET_ON_FORK', 'SCHED_FLAG_RECLAIM', 'SCHED_FLAG_DL_OVERRUN', 'SCHED_FLAG_KEEP_POLICY', 'SCHED_FLAG_KEEP_PARAMS', 'SCHED_FLAG_UTIL_CLAMP_MIN', 'SCHED_FLAG_UTIL_CLAMP_MAX'))
_ENUM_2 = frozenset(('IOPRIO_CLASS_RT', 'IOPRIO_CLASS_BE', 'IOPRIO_CLASS_IDLE'))
_ENUM_3 = frozenset(('pid', 'network', 'mount', 'ipc', 'uts', 'user', 'cgroup', 'time'))
_ENUM_4 = frozenset(('MPOL_DEFAULT', 'MPOL_BIND', 'MPOL_INTERLEAVE', 'MPOL_WEIGHTED_INTERLEAVE', 'MPOL_PREFERRED', 'MPOL_PREFERRED_MANY', 'MPOL_LOCAL'))
_ENUM_5 = frozenset(('MPOL_F_NUMA_BALANCING', 'MPOL_F_RELATIVE_NODES', 'MPOL_F_STATIC_NODES'))
_ENUM_6 = frozenset(('SCMP_ACT_KILL', 'SCMP_ACT_KILL_PROCESS', 'SCMP_ACT_KILL_THREAD', 'SCMP_ACT_TRAP', 'SCMP_ACT_ERRNO', 'SCMP_ACT_TRACE', 'SCMP_ACT_ALLOW', 'SCMP_ACT_LOG', 'SCMP_ACT_NOTIFY'))
_ENUM_7 = frozenset(('SCMP_ARCH_X86', 'SCMP_ARCH_X86_64', 'SCMP_ARCH_X32', 'SCMP_ARCH_ARM', 'SCMP_ARCH_AARCH64', 'SCMP_ARCH_LOONGARCH64', 'SCMP_ARCH_M68K', 'SCMP_ARCH_MIPS', 'SCMP_ARCH_MIPS64', 'SCMP_ARCH_MIPS64N32', 'SCMP_ARCH_MIPSEL', 'SCMP_ARCH_MIPSEL64', 'SCMP_ARCH_MIPSEL64N32', 'SCMP_ARCH_PARISC', 'SCMP_ARCH_PARISC64', 'SCMP_ARCH_PPC', 'SCMP_ARCH_PPC64', 'SCMP_ARCH_PPC64LE', 'SCMP_ARCH_RISCV64', 'SCMP_ARCH_S390', 'SCMP_ARCH_S390X', 'SCMP_ARCH_SH', 'SCMP_ARCH_SHEB'))
_ENUM_8 = frozenset(('SECCOMP_FILTER_FLAG_TSYNC', 'SECCOMP_FILTER_FLAG_LOG', 'SECCOMP_FILTER_FLAG_SPEC_ALLOW', 'SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV'))
_ENUM_9 = frozenset(('SCMP_CMP_NE', 'SCMP_CMP_LT', 'SCMP_CMP_LE', 'SCMP_CMP_EQ', 'SCMP_CMP_GE', 'SCMP_CMP_GT', 'SCMP_CMP_MASKED_EQ'))
_ENUM_10 = frozenset(('shared', 'slave', 'private', 'unbindable', 'rshared', 'rslave', 'rprivate', 'runbindable'))
_ENUM_11 = frozenset(('LINUX', 'LINUX32'))
_ENUM_12 = frozenset(('new', 'inherit'))
_ENUM_13 = frozenset(('disable', 'new', 'inherit'))
_ENUM_14 = frozenset(('raw', 'qcow2', 'vdi', 'vmdk', 'vhd'))
_ENUM_15 = frozenset(('class',))
_ENUM_16 = frozenset(('mount', 'pid', 'uts', 'ipc'))


def _config(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    item = value.get('ociVersion')
    if type(item) is not str:
        return False
    known = 1
    if 'root' in value:
        known += 1
        item = value['root']
        if not _root(item, unknown):
            return False
    if 'mounts' in value:
        known += 1
        item = value['mounts']
        if type(item) is not list:
            return False
        for entry in item:
            if not _mount(entry, unknown):
                return False
    if 'process' in value:
        known += 1
        item = value['process']
        if not _process(item, unknown):
            return False
    if 'hostname' in value:
        known += 1
        item = value['hostname']
        if type(item) is not str:
            return False
    if 'domainname' in value:
        known += 1
        item = value['domainname']
        if type(item) is not str:
            return False
    if 'hooks' in value:
        known += 1
        item = value['hooks']
        if not _hooks(item, unknown):
            return False
    if 'annotations' in value:
        known += 1
        item = value['annotations']
        if type(item) is not dict:
            return False
        for key, entry in item.items():
            if type(entry) is not str and key.strip('\n'):
                return False
    if 'linux' in value:
        known += 1
        item = value['linux']
        if not _linux(item, unknown):
            return False
    if 'freebsd' in value:
        known += 1
        item = value['freebsd']
        if not _free_bsd(item, unknown):
            return False
    if 'solaris' in value:
        known += 1
        item = value['solaris']
        if not _solaris(item, unknown):
            return False
    if 'vm' in value:
        known += 1
        item = value['vm']
        if not _vm(item, unknown):
            return False
    if 'windows' in value:
        known += 1
        item = value['windows']
        if not _windows(item, unknown):
            return False
    if 'zos' in value:
        known += 1
        item = value['zos']
        if not _z_os(item, unknown):
            return False
    if known != len(value):
        unknown.append((value, ('ociVersion', 'root', 'mounts', 'process', 'hostname', 'domainname', 'hooks', 'annotations', 'linux', 'freebsd', 'solaris', 'vm', 'windows', 'zos')))
    return True


def _root(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    item = value.get('path')
    if type(item) is not str:
        return False
    known = 1
    if 'readonly' in value:
        known += 1
        item = value['readonly']
        if type(item) is not bool:
            return False
    if known != len(value):
        unknown.append((value, ('path', 'readonly')))
    return True


def _mount(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    item = value.get('destination')
    if type(item) is not str:
        return False
    known = 1
    if 'source' in value:
        known += 1
        item = value['source']
        if type(item) is not str:
            return False
    if 'type' in value:
        known += 1
        item = value['type']
        if type(item) is not str:
            return False
    if 'options' in value:
        known += 1
        item = value['options']
        if type(item) is not list:
            return False
        for entry in item:
            if type(entry) is not str:
                return False
    if 'uidMappings' in value:
        known += 1
        item = value['uidMappings']
        if type(item) is not list:
            return False
        for entry in item:
            if not _id_mapping(entry, unknown):
                return False
    if 'gidMappings' in value:
        known += 1
        item = value['gidMappings']
        if type(item) is not list:
            return False
        for entry in item:
            if not _id_mapping(entry, unknown):
                return False
    if known != len(value):
        unknown.append((value, ('destination', 'source', 'type', 'options', 'uidMappings', 'gidMappings')))
    return True


def _id_mapping(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    item = value.get('containerID')
    if type(item) is not int or not 0 <= item <= 4294967295:
        return False
    item = value.get('hostID')
    if type(item) is not int or not 0 <= item <= 4294967295:
        return False
    item = value.get('size')
    if type(item) is not int or not 0 <= item <= 4294967295:
        return False
    known = 3
    if known != len(value):
        unknown.append((value, ('containerID', 'hostID', 'size')))
    return True


def _process(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    item = value.get('cwd')
    if type(item) is not str:
        return False
    known = 1
    if 'terminal' in value:
        known += 1
        item = value['terminal']
        if type(item) is not bool:
            return False
    if 'consoleSize' in value:
        known += 1
        item = value['consoleSize']
        if not _console_size(item, unknown):
            return False
    if 'user' in value:
        known += 1
        item = value['user']
        if not _user(item, unknown):
            return False
    if 'env' in value:
        known += 1
        item = value['env']
        if type(item) is not list:
            return False
        for entry in item:
            if type(entry) is not str:
                return False
    if 'args' in value:
        known += 1
        item = value['args']
        if type(item) is not list:
            return False
        for entry in item:
            if type(entry) is not str:
                return False
    if 'commandLine' in value:
        known += 1
        item = value['commandLine']
        if type(item) is not str:
            return False
    if 'rlimits' in value:
        known += 1
        item = value['rlimits']
        if type(item) is not list:
            return False
        for entry in item:
            if not _rlimit(entry, unknown):
                return False
    if 'capabilities' in value:
        known += 1
        item = value['capabilities']
        if not _capabilities(item, unknown):
            return False
    if 'noNewPrivileges' in value:
        known += 1
        item = value['noNewPrivileges']
        if type(item) is not bool:
            return False
    if 'apparmorProfile' in value:
        known += 1
        item = value['apparmorProfile']
        if type(item) is not str:
            return False
    if 'selinuxLabel' in value:
        known += 1
        item = value['selinuxLabel']
        if type(item) is not str:
            return False
    if 'oomScoreAdj' in value:
        known += 1
        item = value['oomScoreAdj']
        if type(item) is not int:
            return False
    if 'scheduler' in value:
        known += 1
        item = value['scheduler']
        if not _scheduler(item, unknown):
            return False
    if 'ioPriority' in value:
        known += 1
        item = value['ioPriority']
        if not _io_priority(item, unknown):
            return False
    if 'execCPUAffinity' in value:
        known += 1
        item = value['execCPUAffinity']
        if not _exec_cpu_affinity(item, unknown):
            return False
    if known != len(value):
        unknown.append((value, ('terminal', 'consoleSize', 'user', 'cwd', 'env', 'args', 'commandLine', 'rlimits', 'capabilities', 'noNewPrivileges', 'apparmorProfile', 'selinuxLabel', 'oomScoreAdj', 'scheduler', 'ioPriority', 'execCPUAffinity')))
    return True


def _console_size(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    item = value.get('height')
    if type(item) is not int or not 0 <= item <= 18446744073709551615:
        return False
    item = value.get('width')
    if type(item) is not int or not 0 <= item <= 18446744073709551615:
        return False
    known = 2
    if known != len(value):
        unknown.append((value, ('height', 'width')))
    return True


def _user(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'uid' in value:
        known += 1
        item = value['uid']
        if type(item) is not int or not 0 <= item <= 4294967295:
            return False
    if 'gid' in value:
        known += 1
        item = value['gid']
        if type(item) is not int or not 0 <= item <= 4294967295:
            return False
    if 'umask' in value:
        known += 1
        item = value['umask']
        if type(item) is not int or not 0 <= item <= 4294967295:
            return False
    if 'additionalGids' in value:
        known += 1
        item = value['additionalGids']
        if type(item) is not list:
            return False
        for entry in item:
            if type(entry) is not int or not 0 <= entry <= 4294967295:
                return False
    if 'username' in value:
        known += 1
        item = value['username']
        if type(item) is not str:
            return False
    if known != len(value):
        unknown.append((value, ('uid', 'gid', 'umask', 'additionalGids', 'username')))
    return True


def _rlimit(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    item = value.get('type')
    if type(item) is not str or len(item) < 8 or not item.startswith('RLIMIT_') or item[7:].strip('ABCDEFGHIJKLMNOPQRSTUVWXYZ'):
        return False
    item = value.get('soft')
    if type(item) is not int or not 0 <= item <= 18446744073709551615:
        return False
    item = value.get('hard')
    if type(item) is not int or not 0 <= item <= 18446744073709551615:
        return False
    known = 3
    if known != len(value):
        unknown.append((value, ('type', 'soft', 'hard')))
    return True


def _capabilities(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'bounding' in value:
        known += 1
        item = value['bounding']
        if type(item) is not list:
            return False
        for entry in item:
            if type(entry) is not str:
                return False
    if 'permitted' in value:
        known += 1
        item = value['permitted']
        if type(item) is not list:
            return False
        for entry in item:
            if type(entry) is not str:
                return False
    if 'effective' in value:
        known += 1
        item = value['effective']
        if type(item) is not list:
            return False
        for entry in item:
            if type(entry) is not str:
                return False
    if 'inheritable' in value:
        known += 1
        item = value['inheritable']
        if type(item) is not list:
            return False
        for entry in item:
            if type(entry) is not str:
                return False
    if 'ambient' in value:
        known += 1
        item = value['ambient']
        if type(item) is not list:
            return False
        for entry in item:
            if type(entry) is not str:
                return False
    if known != len(value):
        unknown.append((value, ('bounding', 'permitted', 'effective', 'inheritable', 'ambient')))
    return True


def _scheduler(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    item = value.get('policy')
    if type(item) is not str or item not in _ENUM_0:
        return False
    known = 1
    if 'nice' in value:
        known += 1
        item = value['nice']
        if type(item) is not int or not -2147483648 <= item <= 2147483647:
            return False
    if 'priority' in value:
        known += 1
        item = value['priority']
        if type(item) is not int or not -2147483648 <= item <= 2147483647:
            return False
    if 'flags' in value:
        known += 1
        item = value['flags']
        if type(item) is not list:
            return False
        for entry in item:
            if type(entry) is not str or entry not in _ENUM_1:
                return False
    if 'runtime' in value:
        known += 1
        item = value['runtime']
        if type(item) is not int or not 0 <= item <= 18446744073709551615:
            return False
    if 'deadline' in value:
        known += 1
        item = value['deadline']
        if type(item) is not int or not 0 <= item <= 18446744073709551615:
            return False
    if 'period' in value:
        known += 1
        item = value['period']
        if type(item) is not int or not 0 <= item <= 18446744073709551615:
            return False
    if known != len(value):
        unknown.append((value, ('policy', 'nice', 'priority', 'flags', 'runtime', 'deadline', 'period')))
    return True


def _io_priority(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    item = value.get('class')
    if type(item) is not str or item not in _ENUM_2:
        return False
    known = 1
    if 'priority' in value:
        known += 1
        item = value['priority']
        if type(item) is not int or not -2147483648 <= item <= 2147483647:
            return False
    if known != len(value):
        unknown.append((value, ('class', 'priority')))
    return True


def _exec_cpu_affinity(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'initial' in value:
        known += 1
        item = value['initial']
        if type(item) is not str or item.strip('0123456789, -'):
            return False
    if 'final' in value:
        known += 1
        item = value['final']
        if type(item) is not str or item.strip('0123456789, -'):
            return False
    if known != len(value):
        unknown.append((value, ('initial', 'final')))
    return True


def _hooks(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'prestart' in value:
        known += 1
        item = value['prestart']
        if type(item) is not list:
            return False
        for entry in item:
            if not _hook(entry, unknown):
                return False
    if 'createRuntime' in value:
        known += 1
        item = value['createRuntime']
        if type(item) is not list:
            return False
        for entry in item:
            if not _hook(entry, unknown):
                return False
    if 'createContainer' in value:
        known += 1
        item = value['createContainer']
        if type(item) is not list:
            return False
        for entry in item:
            if not _hook(entry, unknown):
                return False
    if 'startContainer' in value:
        known += 1
        item = value['startContainer']
        if type(item) is not list:
            return False
        for entry in item:
            if not _hook(entry, unknown):
                return False
    if 'poststart' in value:
        known += 1
        item = value['poststart']
        if type(item) is not list:
            return False
        for entry in item:
            if not _hook(entry, unknown):
                return False
    if 'poststop' in value:
        known += 1
        item = value['poststop']
        if type(item) is not list:
            return False
        for entry in item:
            if not _hook(entry, unknown):
                return False
    if known != len(value):
        unknown.append((value, ('prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop')))
    return True


def _hook(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    item = value.get('path')
    if type(item) is not str:
        return False
    known = 1
    if 'args' in value:
        known += 1
        item = value['args']
        if type(item) is not list:
            return False
        for entry in item:
            if type(entry) is not str:
                return False
    if 'env' in value:
        known += 1
        item = value['env']
        if type(item) is not list:
            return False
        for entry in item:
            if type(entry) is not str:
                return False
    if 'timeout' in value:
        known += 1
        item = value['timeout']
        if type(item) is not int or item < 1:
            return False
    if known != len(value):
        unknown.append((value, ('path', 'args', 'env', 'timeout')))
    return True


def _linux(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'namespaces' in value:
        known += 1
        item = value['namespaces']
        if type(item) is not list:
            return False
        for entry in item:
            if not _namespace(entry, unknown):
                return False
    if 'uidMappings' in value:
        known += 1
        item = value['uidMappings']
        if type(item) is not list:
            return False
        for entry in item:
            if not _id_mapping(entry, unknown):
                return False
    if 'gidMappings' in value:
        known += 1
        item = value['gidMappings']
        if type(item) is not list:
            return False
        for entry in item:
            if not _id_mapping(entry, unknown):
                return False
    if 'timeOffsets' in value:
        known += 1
        item = value['timeOffsets']
        if not _time_offsets(item, unknown):
            return False
    if 'devices' in value:
        known += 1
        item = value['devices']
        if type(item) is not list:
            return False
        for entry in item:
            if not _device(entry, unknown):
                return False
    if 'netDevices' in value:
        known += 1
        item = value['netDevices']
        if type(item) is not dict:
            return False
        for entry in item.values():
            if not _net_device(entry, unknown):
                return False
    if 'cgroupsPath' in value:
        known += 1
        item = value['cgroupsPath']
        if type(item) is not str:
            return False
    if 'resources' in value:
        known += 1
        item = value['resources']
        if not _resources(item, unknown):
            return False
    if 'intelRdt' in value:
        known += 1
        item = value['intelRdt']
        if not _intel_rdt(item, unknown):
            return False
    if 'memoryPolicy' in value:
        known += 1
        item = value['memoryPolicy']
        if not _memory_policy(item, unknown):
            return False
    if 'sysctl' in value:
        known += 1
        item = value['sysctl']
        if type(item) is not dict:
            return False
        for key, entry in item.items():
            if type(entry) is not str and key.strip('\n'):
                return False
    if 'seccomp' in value:
        known += 1
        item = value['seccomp']
        if not _seccomp(item, unknown):
            return False
    if 'rootfsPropagation' in value:
        known += 1
        item = value['rootfsPropagation']
        if type(item) is not str or item not in _ENUM_10:
            return False
    if 'maskedPaths' in value:
        known += 1
        item = value['maskedPaths']
        if type(item) is not list:
            return False
        for entry in item:
            if type(entry) is not str:
                return False
    if 'readonlyPaths' in value:
        known += 1
        item = value['readonlyPaths']
        if type(item) is not list:
            return False
        for entry in item:
            if type(entry) is not str:
                return False
    if 'mountLabel' in value:
        known += 1
        item = value['mountLabel']
        if type(item) is not str:
            return False
    if 'personality' in value:
        known += 1
        item = value['personality']
        if not _personality(item, unknown):
            return False
    if known != len(value):
        unknown.append((value, ('namespaces', 'uidMappings', 'gidMappings', 'timeOffsets', 'devices', 'netDevices', 'cgroupsPath', 'resources', 'intelRdt', 'memoryPolicy', 'sysctl', 'seccomp', 'rootfsPropagation', 'maskedPaths', 'readonlyPaths', 'mountLabel', 'personality')))
    return True


def _namespace(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    item = value.get('type')
    if type(item) is not str or item not in _ENUM_3:
        return False
    known = 1
    if 'path' in value:
        known += 1
        item = value['path']
        if type(item) is not str:
            return False
    if known != len(value):
        unknown.append((value, ('type', 'path')))
    return True


def _time_offsets(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'monotonic' in value:
        known += 1
        item = value['monotonic']
        if not _time_offset(item, unknown):
            return False
    if 'boottime' in value:
        known += 1
        item = value['boottime']
        if not _time_offset(item, unknown):
            return False
    if known != len(value):
        unknown.append((value, ('monotonic', 'boottime')))
    return True


def _time_offset(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'secs' in value:
        known += 1
        item = value['secs']
        if type(item) is not int or not -9223372036854775808 <= item <= 9223372036854775807:
            return False
    if 'nanosecs' in value:
        known += 1
        item = value['nanosecs']
        if type(item) is not int or not 0 <= item <= 4294967295:
            return False
    if known != len(value):
        unknown.append((value, ('secs', 'nanosecs')))
    return True


def _device(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    item = value.get('type')
    if type(item) is not str or len(item) != 1 or item[0] not in 'cbup':
        return False
    item = value.get('path')
    if type(item) is not str:
        return False
    known = 2
    if 'major' in value:
        known += 1
        item = value['major']
        if type(item) is not int or not -9223372036854775808 <= item <= 9223372036854775807:
            return False
    if 'minor' in value:
        known += 1
        item = value['minor']
        if type(item) is not int or not -9223372036854775808 <= item <= 9223372036854775807:
            return False
    if 'fileMode' in value:
        known += 1
        item = value['fileMode']
        if type(item) is not int or not 0 <= item <= 4294967295:
            return False
    if 'uid' in value:
        known += 1
        item = value['uid']
        if type(item) is not int or not 0 <= item <= 4294967295:
            return False
    if 'gid' in value:
        known += 1
        item = value['gid']
        if type(item) is not int or not 0 <= item <= 4294967295:
            return False
    if known != len(value):
        unknown.append((value, ('type', 'path', 'major', 'minor', 'fileMode', 'uid', 'gid')))
    return True


def _net_device(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'name' in value:
        known += 1
        item = value['name']
        if type(item) is not str:
            return False
    if known != len(value):
        unknown.append((value, ('name',)))
    return True


def _resources(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'devices' in value:
        known += 1
        item = value['devices']
        if type(item) is not list:
            return False
        for entry in item:
            if not _device_rule(entry, unknown):
                return False
    if 'memory' in value:
        known += 1
        item = value['memory']
        if not _memory(item, unknown):
            return False
    if 'cpu' in value:
        known += 1
        item = value['cpu']
        if not _cpu(item, unknown):
            return False
    if 'pids' in value:
        known += 1
        item = value['pids']
        if not _pids(item, unknown):
            return False
    if 'blockIO' in value:
        known += 1
        item = value['blockIO']
        if not _block_io(item, unknown):
            return False
    if 'hugepageLimits' in value:
        known += 1
        item = value['hugepageLimits']
        if type(item) is not list:
            return False
        for entry in item:
            if not _hugepage_limit(entry, unknown):
                return False
    if 'network' in value:
        known += 1
        item = value['network']
        if not _network(item, unknown):
            return False
    if 'rdma' in value:
        known += 1
        item = value['rdma']
        if type(item) is not dict:
            return False
        for entry in item.values():
            if not _rdma(entry, unknown):
                return False
    if 'unified' in value:
        known += 1
        item = value['unified']
        if type(item) is not dict:
            return False
        for key, entry in item.items():
            if type(entry) is not str and key.strip('\n'):
                return False
    if known != len(value):
        unknown.append((value, ('devices', 'memory', 'cpu', 'pids', 'blockIO', 'hugepageLimits', 'network', 'rdma', 'unified')))
    return True


def _device_rule(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    item = value.get('allow')
    if type(item) is not bool:
        return False
    known = 1
    if 'type' in value:
        known += 1
        item = value['type']
        if type(item) is not str:
            return False
    if 'major' in value:
        known += 1
        item = value['major']
        if type(item) is not int or not -9223372036854775808 <= item <= 9223372036854775807:
            return False
    if 'minor' in value:
        known += 1
        item = value['minor']
        if type(item) is not int or not -9223372036854775808 <= item <= 9223372036854775807:
            return False
    if 'access' in value:
        known += 1
        item = value['access']
        if type(item) is not str:
            return False
    if known != len(value):
        unknown.append((value, ('allow', 'type', 'major', 'minor', 'access')))
    return True


def _memory(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'limit' in value:
        known += 1
        item = value['limit']
        if type(item) is not int or not -9223372036854775808 <= item <= 9223372036854775807:
            return False
    if 'reservation' in value:
        known += 1
        item = value['reservation']
        if type(item) is not int or not -9223372036854775808 <= item <= 9223372036854775807:
            return False
    if 'swap' in value:
        known += 1
        item = value['swap']
        if type(item) is not int or not -9223372036854775808 <= item <= 9223372036854775807:
            return False
    if 'kernel' in value:
        known += 1
        item = value['kernel']
        if type(item) is not int or not -9223372036854775808 <= item <= 9223372036854775807:
            return False
    if 'kernelTCP' in value:
        known += 1
        item = value['kernelTCP']
        if type(item) is not int or not -9223372036854775808 <= item <= 9223372036854775807:
            return False
    if 'swappiness' in value:
        known += 1
        item = value['swappiness']
        if type(item) is not int or not 0 <= item <= 18446744073709551615:
            return False
    if 'disableOOMKiller' in value:
        known += 1
        item = value['disableOOMKiller']
        if type(item) is not bool:
            return False
    if 'useHierarchy' in value:
        known += 1
        item = value['useHierarchy']
        if type(item) is not bool:
            return False
    if 'checkBeforeUpdate' in value:
        known += 1
        item = value['checkBeforeUpdate']
        if type(item) is not bool:
            return False
    if known != len(value):
        unknown.append((value, ('limit', 'reservation', 'swap', 'kernel', 'kernelTCP', 'swappiness', 'disableOOMKiller', 'useHierarchy', 'checkBeforeUpdate')))
    return True


def _cpu(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'shares' in value:
        known += 1
        item = value['shares']
        if type(item) is not int or not 0 <= item <= 18446744073709551615:
            return False
    if 'quota' in value:
        known += 1
        item = value['quota']
        if type(item) is not int or not -9223372036854775808 <= item <= 9223372036854775807:
            return False
    if 'burst' in value:
        known += 1
        item = value['burst']
        if type(item) is not int or not 0 <= item <= 18446744073709551615:
            return False
    if 'period' in value:
        known += 1
        item = value['period']
        if type(item) is not int or not 0 <= item <= 18446744073709551615:
            return False
    if 'realtimeRuntime' in value:
        known += 1
        item = value['realtimeRuntime']
        if type(item) is not int or not -9223372036854775808 <= item <= 9223372036854775807:
            return False
    if 'realtimePeriod' in value:
        known += 1
        item = value['realtimePeriod']
        if type(item) is not int or not 0 <= item <= 18446744073709551615:
            return False
    if 'cpus' in value:
        known += 1
        item = value['cpus']
        if type(item) is not str:
            return False
    if 'mems' in value:
        known += 1
        item = value['mems']
        if type(item) is not str:
            return False
    if 'idle' in value:
        known += 1
        item = value['idle']
        if type(item) is not int or not -9223372036854775808 <= item <= 9223372036854775807:
            return False
    if known != len(value):
        unknown.append((value, ('shares', 'quota', 'burst', 'period', 'realtimeRuntime', 'realtimePeriod', 'cpus', 'mems', 'idle')))
    return True


def _pids(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    item = value.get('limit')
    if type(item) is not int or not -9223372036854775808 <= item <= 9223372036854775807:
        return False
    known = 1
    if known != len(value):
        unknown.append((value, ('limit',)))
    return True


def _block_io(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'weight' in value:
        known += 1
        item = value['weight']
        if type(item) is not int or not 0 <= item <= 65535:
            return False
    if 'leafWeight' in value:
        known += 1
        item = value['leafWeight']
        if type(item) is not int or not 0 <= item <= 65535:
            return False
    if 'weightDevice' in value:
        known += 1
        item = value['weightDevice']
        if type(item) is not list:
            return False
        for entry in item:
            if not _weight_device(entry, unknown):
                return False
    if 'throttleReadBpsDevice' in value:
        known += 1
        item = value['throttleReadBpsDevice']
        if type(item) is not list:
            return False
        for entry in item:
            if not _throttle_device(entry, unknown):
                return False
    if 'throttleWriteBpsDevice' in value:
        known += 1
        item = value['throttleWriteBpsDevice']
        if type(item) is not list:
            return False
        for entry in item:
            if not _throttle_device(entry, unknown):
                return False
    if 'throttleReadIOPSDevice' in value:
        known += 1
        item = value['throttleReadIOPSDevice']
        if type(item) is not list:
            return False
        for entry in item:
            if not _throttle_device(entry, unknown):
                return False
    if 'throttleWriteIOPSDevice' in value:
        known += 1
        item = value['throttleWriteIOPSDevice']
        if type(item) is not list:
            return False
        for entry in item:
            if not _throttle_device(entry, unknown):
                return False
    if known != len(value):
        unknown.append((value, ('weight', 'leafWeight', 'weightDevice', 'throttleReadBpsDevice', 'throttleWriteBpsDevice', 'throttleReadIOPSDevice', 'throttleWriteIOPSDevice')))
    return True


def _weight_device(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    item = value.get('major')
    if type(item) is not int or not -9223372036854775808 <= item <= 9223372036854775807:
        return False
    item = value.get('minor')
    if type(item) is not int or not -9223372036854775808 <= item <= 9223372036854775807:
        return False
    known = 2
    if 'weight' in value:
        known += 1
        item = value['weight']
        if type(item) is not int or not 0 <= item <= 65535:
            return False
    if 'leafWeight' in value:
        known += 1
        item = value['leafWeight']
        if type(item) is not int or not 0 <= item <= 65535:
            return False
    if known != len(value):
        unknown.append((value, ('major', 'minor', 'weight', 'leafWeight')))
    return True


def _throttle_device(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    item = value.get('major')
    if type(item) is not int or not -9223372036854775808 <= item <= 9223372036854775807:
        return False
    item = value.get('minor')
    if type(item) is not int or not -9223372036854775808 <= item <= 9223372036854775807:
        return False
    known = 2
    if 'rate' in value:
        known += 1
        item = value['rate']
        if type(item) is not int or not 0 <= item <= 18446744073709551615:
            return False
    if known != len(value):
        unknown.append((value, ('major', 'minor', 'rate')))
    return True


def _hugepage_limit(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    item = value.get('pageSize')
    if type(item) is not str or len(item) < 3 or item[0] not in '123456789' or item[1:-2].strip('0123456789') or item[-2] not in 'KMG' or item[-1] != 'B':
        return False
    item = value.get('limit')
    if type(item) is not int or not 0 <= item <= 18446744073709551615:
        return False
    known = 2
    if known != len(value):
        unknown.append((value, ('pageSize', 'limit')))
    return True


def _network(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'classID' in value:
        known += 1
        item = value['classID']
        if type(item) is not int or not 0 <= item <= 4294967295:
            return False
    if 'priorities' in value:
        known += 1
        item = value['priorities']
        if type(item) is not list:
            return False
        for entry in item:
            if not _interface_priority(entry, unknown):
                return False
    if known != len(value):
        unknown.append((value, ('classID', 'priorities')))
    return True


def _interface_priority(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    item = value.get('name')
    if type(item) is not str:
        return False
    item = value.get('priority')
    if type(item) is not int or not 0 <= item <= 4294967295:
        return False
    known = 2
    if known != len(value):
        unknown.append((value, ('name', 'priority')))
    return True


def _rdma(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'hcaHandles' in value:
        known += 1
        item = value['hcaHandles']
        if type(item) is not int or not 0 <= item <= 4294967295:
            return False
    if 'hcaObjects' in value:
        known += 1
        item = value['hcaObjects']
        if type(item) is not int or not 0 <= item <= 4294967295:
            return False
    if known != len(value):
        unknown.append((value, ('hcaHandles', 'hcaObjects')))
    return True


def _intel_rdt(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'closID' in value:
        known += 1
        item = value['closID']
        if type(item) is not str:
            return False
    if 'schemata' in value:
        known += 1
        item = value['schemata']
        if type(item) is not list:
            return False
        for entry in item:
            if type(entry) is not str:
                return False
    if 'l3CacheSchema' in value:
        known += 1
        item = value['l3CacheSchema']
        if type(item) is not str:
            return False
    if 'memBwSchema' in value:
        known += 1
        item = value['memBwSchema']
        if type(item) is not str or len(item) < 3 or not item.startswith('MB:') or '\n' in item[3:]:
            return False
    if 'enableMonitoring' in value:
        known += 1
        item = value['enableMonitoring']
        if type(item) is not bool:
            return False
    if known != len(value):
        unknown.append((value, ('closID', 'schemata', 'l3CacheSchema', 'memBwSchema', 'enableMonitoring')))
    return True


def _memory_policy(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'mode' in value:
        known += 1
        item = value['mode']
        if type(item) is not str or item not in _ENUM_4:
            return False
    if 'nodes' in value:
        known += 1
        item = value['nodes']
        if type(item) is not str:
            return False
    if 'flags' in value:
        known += 1
        item = value['flags']
        if type(item) is not list:
            return False
        for entry in item:
            if type(entry) is not str or entry not in _ENUM_5:
                return False
    if known != len(value):
        unknown.append((value, ('mode', 'nodes', 'flags')))
    return True


def _seccomp(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    item = value.get('defaultAction')
    if type(item) is not str or item not in _ENUM_6:
        return False
    known = 1
    if 'defaultErrnoRet' in value:
        known += 1
        item = value['defaultErrnoRet']
        if type(item) is not int or not 0 <= item <= 4294967295:
            return False
    if 'architectures' in value:
        known += 1
        item = value['architectures']
        if type(item) is not list:
            return False
        for entry in item:
            if type(entry) is not str or entry not in _ENUM_7:
                return False
    if 'flags' in value:
        known += 1
        item = value['flags']
        if type(item) is not list:
            return False
        for entry in item:
            if type(entry) is not str or entry not in _ENUM_8:
                return False
    if 'listenerPath' in value:
        known += 1
        item = value['listenerPath']
        if type(item) is not str:
            return False
    if 'listenerMetadata' in value:
        known += 1
        item = value['listenerMetadata']
        if type(item) is not str:
            return False
    if 'syscalls' in value:
        known += 1
        item = value['syscalls']
        if type(item) is not list:
            return False
        for entry in item:
            if not _syscall(entry, unknown):
                return False
    if known != len(value):
        unknown.append((value, ('defaultAction', 'defaultErrnoRet', 'architectures', 'flags', 'listenerPath', 'listenerMetadata', 'syscalls')))
    return True


def _syscall(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    item = value.get('names')
    if type(item) is not list or len(item) < 1:
        return False
    for entry in item:
        if type(entry) is not str:
            return False
    item = value.get('action')
    if type(item) is not str or item not in _ENUM_6:
        return False
    known = 2
    if 'errnoRet' in value:
        known += 1
        item = value['errnoRet']
        if type(item) is not int or not 0 <= item <= 4294967295:
            return False
    if 'args' in value:
        known += 1
        item = value['args']
        if type(item) is not list:
            return False
        for entry in item:
            if not _syscall_arg(entry, unknown):
                return False
    if known != len(value):
        unknown.append((value, ('names', 'action', 'errnoRet', 'args')))
    return True


def _syscall_arg(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    item = value.get('index')
    if type(item) is not int or not 0 <= item <= 4294967295:
        return False
    item = value.get('value')
    if type(item) is not int or not 0 <= item <= 18446744073709551615:
        return False
    item = value.get('op')
    if type(item) is not str or item not in _ENUM_9:
        return False
    known = 3
    if 'valueTwo' in value:
        known += 1
        item = value['valueTwo']
        if type(item) is not int or not 0 <= item <= 18446744073709551615:
            return False
    if known != len(value):
        unknown.append((value, ('index', 'value', 'valueTwo', 'op')))
    return True


def _personality(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'domain' in value:
        known += 1
        item = value['domain']
        if type(item) is not str or item not in _ENUM_11:
            return False
    if 'flags' in value:
        known += 1
        item = value['flags']
        if type(item) is not list:
            return False
        for entry in item:
            if type(entry) is not str:
                return False
    if known != len(value):
        unknown.append((value, ('domain', 'flags')))
    return True


def _free_bsd(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'devices' in value:
        known += 1
        item = value['devices']
        if type(item) is not list:
            return False
        for entry in item:
            if not _free_bsd_device(entry, unknown):
                return False
    if 'jail' in value:
        known += 1
        item = value['jail']
        if not _free_bsd_jail(item, unknown):
            return False
    if known != len(value):
        unknown.append((value, ('devices', 'jail')))
    return True


def _free_bsd_device(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'path' in value:
        known += 1
        item = value['path']
        if type(item) is not str:
            return False
    if 'mode' in value:
        known += 1
        item = value['mode']
        if type(item) is not int or not 0 <= item <= 511:
            return False
    if known != len(value):
        unknown.append((value, ('path', 'mode')))
    return True


def _free_bsd_jail(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'parent' in value:
        known += 1
        item = value['parent']
        if type(item) is not str:
            return False
    if 'host' in value:
        known += 1
        item = value['host']
        if type(item) is not str or item not in _ENUM_12:
            return False
    if 'ip4' in value:
        known += 1
        item = value['ip4']
        if type(item) is not str or item not in _ENUM_13:
            return False
    if 'ip4Addr' in value:
        known += 1
        item = value['ip4Addr']
        if type(item) is not list:
            return False
        for entry in item:
            if type(entry) is not str:
                return False
    if 'ip6' in value:
        known += 1
        item = value['ip6']
        if type(item) is not str or item not in _ENUM_13:
            return False
    if 'ip6Addr' in value:
        known += 1
        item = value['ip6Addr']
        if type(item) is not list:
            return False
        for entry in item:
            if type(entry) is not str:
                return False
    if 'vnet' in value:
        known += 1
        item = value['vnet']
        if type(item) is not str or item not in _ENUM_12:
            return False
    if 'interface' in value:
        known += 1
        item = value['interface']
        if type(item) is not str:
            return False
    if 'vnetInterfaces' in value:
        known += 1
        item = value['vnetInterfaces']
        if type(item) is not list:
            return False
        for entry in item:
            if type(entry) is not str:
                return False
    if 'sysvmsg' in value:
        known += 1
        item = value['sysvmsg']
        if type(item) is not str or item not in _ENUM_13:
            return False
    if 'sysvsem' in value:
        known += 1
        item = value['sysvsem']
        if type(item) is not str or item not in _ENUM_13:
            return False
    if 'sysvshm' in value:
        known += 1
        item = value['sysvshm']
        if type(item) is not str or item not in _ENUM_13:
            return False
    if 'enforceStatfs' in value:
        known += 1
        item = value['enforceStatfs']
        if type(item) is not int or not 0 <= item <= 255:
            return False
    if 'allow' in value:
        known += 1
        item = value['allow']
        if not _free_bsd_allow(item, unknown):
            return False
    if known != len(value):
        unknown.append((value, ('parent', 'host', 'ip4', 'ip4Addr', 'ip6', 'ip6Addr', 'vnet', 'interface', 'vnetInterfaces', 'sysvmsg', 'sysvsem', 'sysvshm', 'enforceStatfs', 'allow')))
    return True


def _free_bsd_allow(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'setHostname' in value:
        known += 1
        item = value['setHostname']
        if type(item) is not bool:
            return False
    if 'rawSockets' in value:
        known += 1
        item = value['rawSockets']
        if type(item) is not bool:
            return False
    if 'chflags' in value:
        known += 1
        item = value['chflags']
        if type(item) is not bool:
            return False
    if 'mount' in value:
        known += 1
        item = value['mount']
        if type(item) is not list:
            return False
        for entry in item:
            if type(entry) is not str:
                return False
    if 'quotas' in value:
        known += 1
        item = value['quotas']
        if type(item) is not bool:
            return False
    if 'socketAf' in value:
        known += 1
        item = value['socketAf']
        if type(item) is not bool:
            return False
    if 'mlock' in value:
        known += 1
        item = value['mlock']
        if type(item) is not bool:
            return False
    if 'reservedPorts' in value:
        known += 1
        item = value['reservedPorts']
        if type(item) is not bool:
            return False
    if 'suser' in value:
        known += 1
        item = value['suser']
        if type(item) is not bool:
            return False
    if known != len(value):
        unknown.append((value, ('setHostname', 'rawSockets', 'chflags', 'mount', 'quotas', 'socketAf', 'mlock', 'reservedPorts', 'suser')))
    return True


def _solaris(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'milestone' in value:
        known += 1
        item = value['milestone']
        if type(item) is not str:
            return False
    if 'limitpriv' in value:
        known += 1
        item = value['limitpriv']
        if type(item) is not str:
            return False
    if 'maxShmMemory' in value:
        known += 1
        item = value['maxShmMemory']
        if type(item) is not str:
            return False
    if 'cappedCPU' in value:
        known += 1
        item = value['cappedCPU']
        if not _solaris_capped_cpu(item, unknown):
            return False
    if 'cappedMemory' in value:
        known += 1
        item = value['cappedMemory']
        if not _solaris_capped_memory(item, unknown):
            return False
    if 'anet' in value:
        known += 1
        item = value['anet']
        if type(item) is not list:
            return False
        for entry in item:
            if not _solaris_anet(entry, unknown):
                return False
    if known != len(value):
        unknown.append((value, ('milestone', 'limitpriv', 'maxShmMemory', 'cappedCPU', 'cappedMemory', 'anet')))
    return True


def _solaris_capped_cpu(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'ncpus' in value:
        known += 1
        item = value['ncpus']
        if type(item) is not str:
            return False
    if known != len(value):
        unknown.append((value, ('ncpus',)))
    return True


def _solaris_capped_memory(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'physical' in value:
        known += 1
        item = value['physical']
        if type(item) is not str:
            return False
    if 'swap' in value:
        known += 1
        item = value['swap']
        if type(item) is not str:
            return False
    if known != len(value):
        unknown.append((value, ('physical', 'swap')))
    return True


def _solaris_anet(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'linkname' in value:
        known += 1
        item = value['linkname']
        if type(item) is not str:
            return False
    if 'lowerLink' in value:
        known += 1
        item = value['lowerLink']
        if type(item) is not str:
            return False
    if 'allowedAddress' in value:
        known += 1
        item = value['allowedAddress']
        if type(item) is not str:
            return False
    if 'configureAllowedAddress' in value:
        known += 1
        item = value['configureAllowedAddress']
        if type(item) is not str:
            return False
    if 'defrouter' in value:
        known += 1
        item = value['defrouter']
        if type(item) is not str:
            return False
    if 'macAddress' in value:
        known += 1
        item = value['macAddress']
        if type(item) is not str:
            return False
    if 'linkProtection' in value:
        known += 1
        item = value['linkProtection']
        if type(item) is not str:
            return False
    if known != len(value):
        unknown.append((value, ('linkname', 'lowerLink', 'allowedAddress', 'configureAllowedAddress', 'defrouter', 'macAddress', 'linkProtection')))
    return True


def _vm(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    item = value.get('kernel')
    if not _vm_kernel(item, unknown):
        return False
    known = 1
    if 'hypervisor' in value:
        known += 1
        item = value['hypervisor']
        if not _vm_hypervisor(item, unknown):
            return False
    if 'image' in value:
        known += 1
        item = value['image']
        if not _vm_image(item, unknown):
            return False
    if 'hwConfig' in value:
        known += 1
        item = value['hwConfig']
        if not _vm_hardware(item, unknown):
            return False
    if known != len(value):
        unknown.append((value, ('hypervisor', 'kernel', 'image', 'hwConfig')))
    return True


def _vm_kernel(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    item = value.get('path')
    if type(item) is not str:
        return False
    known = 1
    if 'parameters' in value:
        known += 1
        item = value['parameters']
        if type(item) is not list:
            return False
        for entry in item:
            if type(entry) is not str:
                return False
    if 'initrd' in value:
        known += 1
        item = value['initrd']
        if type(item) is not str:
            return False
    if known != len(value):
        unknown.append((value, ('path', 'parameters', 'initrd')))
    return True


def _vm_hypervisor(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    item = value.get('path')
    if type(item) is not str:
        return False
    known = 1
    if 'parameters' in value:
        known += 1
        item = value['parameters']
        if type(item) is not list:
            return False
        for entry in item:
            if type(entry) is not str:
                return False
    if known != len(value):
        unknown.append((value, ('path', 'parameters')))
    return True


def _vm_image(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    item = value.get('path')
    if type(item) is not str:
        return False
    item = value.get('format')
    if type(item) is not str or item not in _ENUM_14:
        return False
    known = 2
    if known != len(value):
        unknown.append((value, ('path', 'format')))
    return True


def _vm_hardware(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'deviceTree' in value:
        known += 1
        item = value['deviceTree']
        if type(item) is not str:
            return False
    if 'vcpus' in value:
        known += 1
        item = value['vcpus']
        if type(item) is not int or not 0 <= item <= 4294967295:
            return False
    if 'memory' in value:
        known += 1
        item = value['memory']
        if type(item) is not int or not 0 <= item <= 18446744073709551615:
            return False
    if 'dtdevs' in value:
        known += 1
        item = value['dtdevs']
        if type(item) is not list:
            return False
        for entry in item:
            if type(entry) is not str:
                return False
    if 'iomems' in value:
        known += 1
        item = value['iomems']
        if type(item) is not list:
            return False
        for entry in item:
            if not _vm_io_memory(entry, unknown):
                return False
    if 'irqs' in value:
        known += 1
        item = value['irqs']
        if type(item) is not list:
            return False
        for entry in item:
            if type(entry) is not int or not 0 <= entry <= 4294967295:
                return False
    if known != len(value):
        unknown.append((value, ('deviceTree', 'vcpus', 'memory', 'dtdevs', 'iomems', 'irqs')))
    return True


def _vm_io_memory(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    item = value.get('firstMFN')
    if type(item) is not int or not 0 <= item <= 18446744073709551615:
        return False
    item = value.get('nrMFNs')
    if type(item) is not int or not 0 <= item <= 18446744073709551615:
        return False
    known = 2
    if 'firstGFN' in value:
        known += 1
        item = value['firstGFN']
        if type(item) is not int or not 0 <= item <= 18446744073709551615:
            return False
    if known != len(value):
        unknown.append((value, ('firstGFN', 'firstMFN', 'nrMFNs')))
    return True


def _windows(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    item = value.get('layerFolders')
    if type(item) is not list or len(item) < 1:
        return False
    for entry in item:
        if type(entry) is not str:
            return False
    known = 1
    if 'devices' in value:
        known += 1
        item = value['devices']
        if type(item) is not list:
            return False
        for entry in item:
            if not _windows_device(entry, unknown):
                return False
    if 'resources' in value:
        known += 1
        item = value['resources']
        if not _windows_resources(item, unknown):
            return False
    if 'network' in value:
        known += 1
        item = value['network']
        if not _windows_network(item, unknown):
            return False
    if 'credentialSpec' in value:
        known += 1
        item = value['credentialSpec']
        if type(item) is not dict:
            return False
    if 'servicing' in value:
        known += 1
        item = value['servicing']
        if type(item) is not bool:
            return False
    if 'ignoreFlushesDuringBoot' in value:
        known += 1
        item = value['ignoreFlushesDuringBoot']
        if type(item) is not bool:
            return False
    if 'hyperv' in value:
        known += 1
        item = value['hyperv']
        if not _windows_hyper_v(item, unknown):
            return False
    if known != len(value):
        unknown.append((value, ('layerFolders', 'devices', 'resources', 'network', 'credentialSpec', 'servicing', 'ignoreFlushesDuringBoot', 'hyperv')))
    return True


def _windows_device(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    item = value.get('id')
    if type(item) is not str:
        return False
    item = value.get('idType')
    if type(item) is not str or item not in _ENUM_15:
        return False
    known = 2
    if known != len(value):
        unknown.append((value, ('id', 'idType')))
    return True


def _windows_resources(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'memory' in value:
        known += 1
        item = value['memory']
        if not _windows_memory(item, unknown):
            return False
    if 'cpu' in value:
        known += 1
        item = value['cpu']
        if not _windows_cpu(item, unknown):
            return False
    if 'storage' in value:
        known += 1
        item = value['storage']
        if not _windows_storage(item, unknown):
            return False
    if known != len(value):
        unknown.append((value, ('memory', 'cpu', 'storage')))
    return True


def _windows_memory(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'limit' in value:
        known += 1
        item = value['limit']
        if type(item) is not int or not 0 <= item <= 18446744073709551615:
            return False
    if known != len(value):
        unknown.append((value, ('limit',)))
    return True


def _windows_cpu(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'count' in value:
        known += 1
        item = value['count']
        if type(item) is not int or not 0 <= item <= 18446744073709551615:
            return False
    if 'shares' in value:
        known += 1
        item = value['shares']
        if type(item) is not int or not 0 <= item <= 65535:
            return False
    if 'maximum' in value:
        known += 1
        item = value['maximum']
        if type(item) is not int or not 0 <= item <= 65535:
            return False
    if 'affinity' in value:
        known += 1
        item = value['affinity']
        if not _windows_cpu_affinity(item, unknown):
            return False
    if known != len(value):
        unknown.append((value, ('count', 'shares', 'maximum', 'affinity')))
    return True


def _windows_cpu_affinity(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'mask' in value:
        known += 1
        item = value['mask']
        if type(item) is not int or not 0 <= item <= 18446744073709551615:
            return False
    if 'group' in value:
        known += 1
        item = value['group']
        if type(item) is not int or not 0 <= item <= 4294967295:
            return False
    if known != len(value):
        unknown.append((value, ('mask', 'group')))
    return True


def _windows_storage(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'iops' in value:
        known += 1
        item = value['iops']
        if type(item) is not int or not 0 <= item <= 18446744073709551615:
            return False
    if 'bps' in value:
        known += 1
        item = value['bps']
        if type(item) is not int or not 0 <= item <= 18446744073709551615:
            return False
    if 'sandboxSize' in value:
        known += 1
        item = value['sandboxSize']
        if type(item) is not int or not 0 <= item <= 18446744073709551615:
            return False
    if known != len(value):
        unknown.append((value, ('iops', 'bps', 'sandboxSize')))
    return True


def _windows_network(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'endpointList' in value:
        known += 1
        item = value['endpointList']
        if type(item) is not list:
            return False
        for entry in item:
            if type(entry) is not str:
                return False
    if 'allowUnqualifiedDNSQuery' in value:
        known += 1
        item = value['allowUnqualifiedDNSQuery']
        if type(item) is not bool:
            return False
    if 'DNSSearchList' in value:
        known += 1
        item = value['DNSSearchList']
        if type(item) is not list:
            return False
        for entry in item:
            if type(entry) is not str:
                return False
    if 'networkSharedContainerName' in value:
        known += 1
        item = value['networkSharedContainerName']
        if type(item) is not str:
            return False
    if 'networkNamespace' in value:
        known += 1
        item = value['networkNamespace']
        if type(item) is not str:
            return False
    if known != len(value):
        unknown.append((value, ('endpointList', 'allowUnqualifiedDNSQuery', 'DNSSearchList', 'networkSharedContainerName', 'networkNamespace')))
    return True


def _windows_hyper_v(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'utilityVMPath' in value:
        known += 1
        item = value['utilityVMPath']
        if type(item) is not str:
            return False
    if known != len(value):
        unknown.append((value, ('utilityVMPath',)))
    return True


def _z_os(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    known = 0
    if 'namespaces' in value:
        known += 1
        item = value['namespaces']
        if type(item) is not list:
            return False
        for entry in item:
            if not _z_os_namespace(entry, unknown):
                return False
    if known != len(value):
        unknown.append((value, ('namespaces',)))
    return True


def _z_os_namespace(value: Any, unknown: Unknown) -> bool:
    if type(value) is not dict:
        return False
    item = value.get('type')
    if type(item) is not str or item not in _ENUM_16:
        return False
    known = 1
    if 'path' in value:
        known += 1
        item = value['path']
        if type(item) is not str:
            return False
    if known != len(value):
        unknown.append((value, ('type', 'path')))
    return True


config = _config


process = _process


resources = _resources
