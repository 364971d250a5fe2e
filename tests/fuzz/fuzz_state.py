"""state_target.py under atheris, in its sandbox: libFuzzer's options and corpora are the arguments.

    python -m tests.fuzz.fuzz_state -max_total_time=60 CORPUS

Sound records to begin with are written to the corpus, if it is empty.
"""

from __future__ import annotations

import json
import os
import random
import sys

import atheris

with atheris.instrument_imports(include=["ocipy"], enable_loader_override=False):
    import ocipy.cgroup.driver
    import ocipy.commands.delete
    import ocipy.commands.events
    import ocipy.commands.exec
    import ocipy.commands.kill
    import ocipy.commands.list
    import ocipy.commands.pause
    import ocipy.commands.ps
    import ocipy.commands.start
    import ocipy.commands.state
    import ocipy.commands.update  # noqa: F401
    from tests.fuzz.state_target import (
        VALUES,
        changed_record,
        enter_sandbox,
        one_input,
        paths_of,
        sound_records,
    )


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Mutate bytes as libFuzzer does, or a value of the record that they spell."""
    if seed % 2:
        chance = random.Random(seed)
        try:
            record = json.loads(data)
            path = chance.choice(list(paths_of(record)))
            changed = changed_record(
                record, path, chance.choice(VALUES), drop=chance.random() < 0.2
            )
            text = json.dumps(changed).encode()
        except (ValueError, RecursionError, TypeError, KeyError, IndexError):
            pass  # it is no object, or an empty one
        else:
            if len(text) <= max_size:
                return text
    mutated: bytes = atheris.Mutate(data, len(data))
    return mutated


def main() -> None:
    corpora = [argument for argument in sys.argv[1:] if os.path.isdir(argument)]
    enter_sandbox()
    os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
    for number, record in enumerate(sound_records() if corpora else ()):
        with open(f"{corpora[0]}/sound{number}", "w", encoding="utf-8") as file:
            json.dump(record, file)
    atheris.Setup(sys.argv, one_input, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
