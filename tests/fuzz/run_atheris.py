"""Coverage-guided fuzzing of one decoder: `python -m tests.fuzz.run_atheris NAME [libFuzzer options]`.

Needs atheris, which is no dependency of the project. Without NAME it lists the names. Inputs that raise what is
not declared are written to the current folder; `-max_total_time=60` ends it after a minute.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

USAGE = "usage: python -m tests.fuzz.run_atheris NAME [libFuzzer options]\nnames: "


def main(argv: list[str]) -> int:
    """Run; returns a status only where there is nothing to run."""
    try:
        import atheris
    except ImportError:
        sys.stderr.write("atheris is not here: install atheris (pip install atheris)\n")
        return 2
    with atheris.instrument_imports(include=["btresearch"]):
        from tests.fuzz.targets import TARGETS
    if len(argv) < 2 or argv[1] not in TARGETS:
        sys.stderr.write(USAGE + " ".join(TARGETS) + "\n")
        return 2
    target = TARGETS[argv[1]]
    with tempfile.TemporaryDirectory(prefix="corpus") as corpus:
        for number, seed in enumerate(target.seeds()):
            Path(corpus, str(number)).write_bytes(seed)
        atheris.Setup([argv[0], corpus, "-max_len=20000", *argv[2:]], target.attempt)
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
