"""Where a worker's code lies: the same for all workers of a layout, elsewhere in the next."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.measuring.conditions.address_space import SHIFT_BYTES, fixed_layout

ADDR_NO_RANDOMIZE = 0x0040000
"""The bit of personality(2) with which the system does not randomize the addresses of a process."""
PLACES = """
import sys
from benchmarks.measuring.conditions.address_space import shift_layout
shift_layout(int(sys.argv[1]))
import ctypes, mmap
block = mmap.mmap(-1, 64 * 2**20)
print(open("/proc/self/personality").read().strip(), ctypes.addressof(ctypes.c_char.from_buffer(block)))
"""


def started(layout: int) -> tuple[bool, int]:
    """Whether a new process was not randomized, and the address of a large block in it."""
    root = Path(__file__).parents[1]
    with fixed_layout() as fixed:
        if not fixed:
            pytest.skip("this system does not let a process go without randomization of its addresses")
        run = subprocess.run(
            [sys.executable, "-c", PLACES, str(layout)], cwd=root, check=True, capture_output=True, text=True
        )
    personality, place = run.stdout.split()
    return bool(int(personality, 16) & ADDR_NO_RANDOMIZE), int(place)


def test_two_processes_of_a_layout_are_laid_out_alike() -> None:
    """The block has the same address in both processes."""
    assert started(0) == started(0)
    assert started(0)[0]


def test_the_next_layout_lies_elsewhere() -> None:
    """The address differs by the distance between two layouts."""
    assert abs(started(2)[1] - started(0)[1]) == pytest.approx(2 * SHIFT_BYTES, abs=2**21)


def test_this_process_stays_as_it_was() -> None:
    """Starting others without randomization does not change who starts them."""
    personality = Path("/proc/self/personality")
    if not personality.exists():
        pytest.skip("this system does not say whether a process is randomized")
    before = personality.read_text()
    with fixed_layout():
        pass
    assert personality.read_text() == before
