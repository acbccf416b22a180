"""Compress the groups of calibrations that are kept: `python -m benchmarks.regression.calibration.compress FOLDER...`.

They are read as before, and what is measured afterwards is added to `groups.jsonl`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.files import StoreError
from benchmarks.json_lines import compress_lines
from benchmarks.regression.calibration.measuring import GROUPS_FILE, read_record


def main(arguments: Sequence[str] | None = None) -> int:
    """Compress each calibration, and print the bytes of its groups; 2 where a folder is none or cannot be written."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.regression.calibration.compress", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="the folder of a calibration")
    for folder in parser.parse_args(arguments).folders:
        try:
            read_record(folder)
            size = compress_lines(folder, GROUPS_FILE)
        except (StoreError, ValueError) as error:
            print(f"{folder}: {error}", file=sys.stderr)
            return 2
        print(f"{folder}: {size / 1e3:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
