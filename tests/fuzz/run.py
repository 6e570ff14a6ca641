"""Run one target under atheris: ``python tests/fuzz/run.py NAME [libFuzzer options and corpus folders]``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import atheris

with atheris.instrument_imports(include=["plimsoll"]):
    from fuzz.targets import CORPUS, TARGETS


def main():
    """Fuzz until a fault is found or libFuzzer's options say that it is enough."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: run.py {{{','.join(TARGETS)}}} [libFuzzer options and corpus folders]")
    name = sys.argv.pop(1)
    target = TARGETS[name]
    # libFuzzer writes what it finds to the first folder, which is the caller's; ours comes last and is only read.
    atheris.Setup([*sys.argv, str(CORPUS / name)], target.fuzz_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
