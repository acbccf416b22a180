"""SIGTERM and a closed terminal end a measurement as Ctrl-C does: what it made for itself is put in order first."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def ended_in_order() -> Iterator[None]:
    """Have these signals leave the block by SystemExit, with the status of a shell: 128 and the signal's number.

    Whoever sends one often sends another at once (`timeout` does): it is not to interrupt the putting in order. A
    signal that is ignored, as under nohup, stays so. In another thread than the main one, which alone hears signals,
    nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    taken = [each for each in _SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]

    def end(number: int, _: FrameType | None) -> None:
        for each in taken:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    before = {each: signal.signal(each, end) for each in taken}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
