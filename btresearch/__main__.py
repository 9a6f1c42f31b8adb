"""Where a process begins: light, so that Ctrl-C is answered in one line from the first moment on."""

from __future__ import annotations

import sys

INTERRUPTED = 130
"""128 + SIGINT."""


def main() -> None:
    """Load the command line, which takes a while, and run it."""
    try:
        from btresearch.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("btresearch: interrupted\n")
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
