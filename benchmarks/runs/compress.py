"""Compress the trials of runs that are kept: `python -m benchmarks.runs.compress RUN...`. They are read as before."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks.store import StoreError, open_run


def main(arguments: Sequence[str] | None = None) -> int:
    """Compress each run, and print its bytes; 2 where one cannot be compressed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.runs.compress", description=__doc__)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run folder")
    for folder in parser.parse_args(arguments).runs:
        try:
            size = open_run(folder).compress()
        except StoreError as error:
            print(f"{folder}: {error}", file=sys.stderr)
            return 2
        print(f"{folder}: {size / 1e3:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
