"""The command line: `python -m benchmarks VERB`, or `rnnbench VERB` where it is installed."""

from __future__ import annotations

import io
import sys

from benchmarks import program
from benchmarks.commands import advice, regressions, reports, speed, tables  # noqa: F401  # they add their verbs to the application
from benchmarks.commands.app import app

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line. What a terminal's character set lacks is shown as a question mark."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    app(prog_name=program.started_as())


if __name__ == "__main__":
    main()
