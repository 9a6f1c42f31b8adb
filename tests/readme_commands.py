"""Runs the commands of README.md's `sh` blocks, so that the README stays true.

A block that starts with `# not run` is shown only; `make test` is what calls this, so it is passed over.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
PASSED_OVER = {"make test", "make jupyter"}


def commands(text: str) -> list[str]:
    """Every shell command of the README, in order."""
    blocks = [b for b in BLOCK.findall(text) if not b.startswith("# not run")]
    lines = [line.strip() for b in blocks for line in b.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def main() -> int:
    """Run each command; the first failure ends with its status."""
    for command in commands((ROOT / "README.md").read_text()):
        line = command.split("#")[0].strip()
        if line in PASSED_OVER or line.startswith(("git ", "cd ", "pip ", "python3 -m venv")):
            continue
        sys.stdout.write(f"$ {line}\n")
        sys.stdout.flush()
        status = subprocess.run(
            ["bash", "-c", f"export PATH=$PWD/.venv/bin:$PATH; {line}"], cwd=ROOT, check=False
        ).returncode
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
