"""Whether the times that a worker tells agree with the clock of the process that asked it.

Both read the same clock of the machine, and the kernel counts how long a worker's thread was on a core. A worker whose
clock goes slower was there longer than it says; one that leaves work out of its samples has time left over.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

SLACK_SECONDS = 0.001
"""Two readings of one clock in two processes may differ by this."""
LEAST_SHARE = 0.9
TRANSFER_SECONDS = 0.002
"""A worker's clock shows this share at least of the time its thread was on a core, but for reading and replying."""
CHANGE_SECONDS = 5e-5
CHANGE_SECONDS_AN_ELEMENT = 4e-8
"""What changing the input of a call may take on a core: a part, and one for each of the T*B elements that change."""
UNACCOUNTED_SHARE = 0.15
"""Unaccounted time below this share of a call is none of anybody's gain."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BlockClock:
    """A block by two clocks, in seconds.

    `sent` and `received` are the asking process's; `began` and `ended` the worker's, as are `timed`, the sum over
    `calls` calls in the samples, and `untimed`, what it says went into making ready and keeping results. `on_core` is
    how long its thread was on a core from `sent` to `received`, by the kernel; None where the kernel does not say.
    """

    sent: float
    received: float
    began: float
    ended: float
    timed: float
    untimed: float
    calls: int
    on_core: float | None = None


def contradiction(blocks: Sequence[BlockClock], *, changed_elements: int) -> str | None:
    """Why the worker's times cannot be right, in a sentence; None where they can, or there are no blocks.

    A process may lose its core at any moment of a block, so only what holds in every block counts.
    """
    if not blocks:
        return None
    if any(each.began < each.sent - SLACK_SECONDS or each.ended > each.received + SLACK_SECONDS for each in blocks):
        return "its clock does not show the machine's time"
    shares = [_share_counted(each) for each in blocks]
    if max(shares) < LEAST_SHARE:
        return f"its clock goes slower than the machine's: it counted {max(shares):.0%} of the time it was on a core"
    allowed = CHANGE_SECONDS + CHANGE_SECONDS_AN_ELEMENT * changed_elements
    unaccounted = min(_unaccounted(each) for each in blocks)
    call = min(each.timed / each.calls for each in blocks)
    if unaccounted > max(allowed, UNACCOUNTED_SHARE * call):
        return (
            f"a call took {unaccounted:.2g} s beyond the {call:.2g} s of its sample, which changing its input does not "
            "explain: work is left out of what is timed"
        )
    return None


def _share_counted(block: BlockClock) -> float:
    """The worker's count of the seconds that its thread was on a core; 1 where it counted more, or nobody knows."""
    if block.on_core is None or block.on_core <= TRANSFER_SECONDS:
        return 1.0
    return min(1.0, (block.ended - block.began) / (block.on_core - TRANSFER_SECONDS))


def _unaccounted(block: BlockClock) -> float:
    """Seconds of a call that are in no sample, as if the thread had been on a core all the time."""
    elapsed = block.ended - block.began
    share_on_core = 1.0 if block.on_core is None else min(1.0, block.on_core / elapsed)
    return (elapsed - block.timed - block.untimed) / block.calls * share_on_core


def on_core_seconds(pid: int) -> float | None:
    """How long the first thread of a process has been on a core so far; None where Linux does not say."""
    try:
        nanoseconds, _, _ = Path(f"/proc/{pid}/task/{pid}/schedstat").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return None
    return int(nanoseconds) / 1e9
