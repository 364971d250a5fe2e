"""config_target.py under atheris: libFuzzer's options and corpus directories are the arguments.

    python -m tests.fuzz.fuzz_config -max_total_time=60 CORPUS tests/unit/golden/configs

Every second mutation is one of JSON values instead of bytes, so that the planners are reached.
"""

from __future__ import annotations

import copy
import json
import random
import sys
from typing import Any

import atheris

with atheris.instrument_imports(include=["ocipy"], enable_loader_override=False):
    # What is imported only once something is wrong.
    import ocipy.config.cpu_list
    import ocipy.json_position
    import ocipy.schema.bad_json
    import ocipy.schema.explain
    import ocipy.schema.report
    import ocipy.schema.strings
    import ocipy.schema.suggest
    import ocipy.schema.unknown  # noqa: F401
    from tests.fuzz.config_target import one_input

from tests.unit.schema.mutations import (
    NUMBERS,
    ODD_NAMES,
    OTHERS,
    STRINGS,
    at,
    places,
    shuffled,
)

# What rules and planners look at, beside what the schema knows.
WORDS = """/ /proc /proc/sys .. ../.. /dev/null a=b bind rbind rro idmap ridmap remount tmpcopyup
mode=0755 size=1% nosuid rslave unbindable network mount user cgroup time ipc uts all 0-1 0-31:2/4
kernel.hostname net.ipv4.ip_forward net/ipv4/conf/eth0.1/rp_filter user.max_user_namespaces
SCMP_ACT_ERRNO SCMP_ACT_NOTIFY SCMP_ARCH_X86_64 openat RLIMIT_NOFILE SCHED_DEADLINE MPOL_LOCAL
memory.high eth%d 1.0.2 1.3.0 a/b system.slice:x:y""".split()
SPLICED: list[Any] = [*NUMBERS, *STRINGS, *WORDS, *OTHERS, *ODD_NAMES]


def change(value: Any, seed: int) -> Any:
    """Return a config with some of its values replaced, doubled, moved or dropped."""
    chance = random.Random(seed)
    if chance.random() < 0.3:
        return next(shuffled(value, seed, 1))
    value = copy.deepcopy(value)
    for _ in range(chance.choice((1, 1, 2, 3, 5))):
        paths = [path for path in places(value) if path]
        if not paths:
            break
        path = chance.choice(paths)
        parent, key, here = at(value, path[:-1]), path[-1], at(value, path)
        kin = [new for new in SPLICED if type(new) is type(here)]
        action = chance.random()
        if action < 0.15:
            del parent[key]
        elif action < 0.6 and kin:
            parent[key] = copy.deepcopy(chance.choice(kin))
        elif action < 0.8:
            parent[key] = copy.deepcopy(at(value, chance.choice(paths)))
        elif isinstance(here, list):
            here.append(copy.deepcopy(chance.choice(here or SPLICED)))
        else:
            parent[key] = copy.deepcopy(chance.choice(SPLICED))
    return value


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Mutate bytes as libFuzzer does, or the values that they spell."""
    if seed % 4:
        try:
            changed = json.dumps(change(json.loads(data), seed)).encode()
        except (ValueError, RecursionError, TypeError, KeyError, IndexError):
            pass  # it spells nothing, or the change has taken its own ground away
        else:
            if len(changed) <= max_size:
                return changed
    mutated: bytes = atheris.Mutate(data, len(data))
    return mutated


def main() -> None:
    atheris.Setup(sys.argv, one_input, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
