"""``python -m plimsoll``, and the console script."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command that the process was started with; returns the exit code."""
    try:
        from plimsoll.cli.main import main as run  # noqa: PLC0415  # Ctrl-C may come while it is read

        return run()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
