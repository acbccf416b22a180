"""Whether the times that a worker reports agree with the clock of the process that asked it.

Both read the same clock of the machine, and the kernel counts how long a worker's thread was on a core. A worker with a
slow clock was on a core for longer than it says; one that leaves work out of its samples has unaccounted time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

SLACK_SECONDS = 0.001
"""Two readings of one clock in two processes may differ by this."""
LEAST_SHARE = 0.9
TRANSFER_SECONDS = 0.002
"""A worker's clock counts at least `LEAST_SHARE` of its thread's time on a core, after this for reading and
replying."""
CHANGE_SECONDS = 5e-5
CHANGE_SECONDS_AN_ELEMENT = 4e-8
"""Core time for changing the input of a call: a constant, and a part for each of the T*B elements that change."""
UNACCOUNTED_SHARE = 0.15
"""Unaccounted time below this share of a call is accepted."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BlockClock:
    """A block by two clocks, in seconds.

    `sent` and `received` are by the asking process; `began` and `ended` by the worker. By the worker are also `timed`,
    the sum over `calls` calls in the samples, and `untimed`, its time for preparing inputs and keeping results.
    `on_core` is how long its thread was on a core from `sent` to `received`, by the kernel; None where the kernel does
    not say.
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

    A process may lose its core at any time, so a contradiction counts only where every block has it.
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
    """The share of its seconds on a core that the worker counted, 1 at most; 1 where the kernel does not say."""
    if block.on_core is None or block.on_core <= TRANSFER_SECONDS:
        return 1.0
    return min(1.0, (block.ended - block.began) / (block.on_core - TRANSFER_SECONDS))


def _unaccounted(block: BlockClock) -> float:
    """Seconds of a call that are in no sample, assuming that the thread was on a core all the time."""
    elapsed = block.ended - block.began
    share_on_core = 1.0 if block.on_core is None else min(1.0, block.on_core / elapsed)
    return (elapsed - block.timed - block.untimed) / block.calls * share_on_core


def on_core_seconds(pid: int) -> float | None:
    """Seconds for which the first thread of a process has been on a core; None where Linux does not say."""
    try:
        nanoseconds, _, _ = Path(f"/proc/{pid}/task/{pid}/schedstat").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return None
    return int(nanoseconds) / 1e9
