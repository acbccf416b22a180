"""The connection between a sweep and a worker: what is a message, and what becomes of everything else."""

from __future__ import annotations

import json
import os
import selectors
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from benchmarks.measuring.processes.channel import ChannelError, Closed, SweepEnd, WorkerEnd

MOST_BYTES = 10_000


class TooLong(Exception):
    """The wait for an answer has ended."""


def never(selector: selectors.BaseSelector) -> None:
    """Wait for what is there already, and no longer."""
    if not selector.select(0):
        raise TooLong


@pytest.fixture
def ends() -> Iterator[tuple[SweepEnd, socket.socket]]:
    """The sweep's end, which has asked for something, and the socket at the other end."""
    ours, theirs = socket.socketpair()
    sweep = SweepEnd(ours)
    sweep.send({"do": "block"}, never)
    yield sweep, theirs
    sweep.close()
    theirs.close()


def answer(sweep: SweepEnd, content: bytes = b'{"a": 1}', *, number: int = 1) -> bytes:
    """A message as the worker writes it."""
    return sweep.token + struct.pack(">IQ", number, len(content)) + content


def test_an_answer_is_read_whole(ends: tuple[SweepEnd, socket.socket]) -> None:
    """An answer in pieces of any size is put together."""
    sweep, theirs = ends
    pieces = [answer(sweep)[at : at + 5] for at in range(0, len(answer(sweep)), 5)]

    def wait(_: selectors.BaseSelector) -> None:
        theirs.send(pieces.pop(0))

    assert sweep.receive(MOST_BYTES, wait) == {"a": 1}


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda _: b"warning: deprecated\n", "'warning: deprecated"),
        (lambda _: b"\xff\xfe", r"'\\xff"),
        (lambda sweep: b"\n" + answer(sweep), "came in place of an answer"),
        (lambda sweep: answer(sweep)[:10] + b"warning" + answer(sweep)[10:], "came in place of an answer"),
        (lambda sweep: answer(sweep, number=0), "came in place of an answer"),
        (lambda sweep: answer(sweep, number=2), "came in place of an answer"),
        (lambda sweep: bytes(16) + answer(sweep)[16:], "came in place of an answer"),
        (lambda sweep: answer(sweep) + b"warning", "'warning' .7 bytes. came after an answer"),
        (lambda sweep: answer(sweep) * 2, "came after an answer"),
        (lambda sweep: answer(sweep, b"{}" + b" " * MOST_BYTES), "10,002 bytes came; expected at most 10,000"),
        (lambda sweep: sweep.token + struct.pack(">IQ", 1, 2**63), "expected at most 10,000"),
        (lambda sweep: answer(sweep, b""), "no JSON"),
        (lambda sweep: answer(sweep, b"{'a': 1}"), "no JSON"),
        (lambda sweep: answer(sweep, b'{"a": "\xff"}'), "no JSON in UTF-8"),
        (lambda sweep: answer(sweep, b"[" * 9_000), "RecursionError"),
        (lambda sweep: answer(sweep, b"1" * 9_000), "no JSON"),
    ],
)
def test_what_is_no_answer_is_reported(
    ends: tuple[SweepEnd, socket.socket], write: Callable[[SweepEnd], bytes], said: str
) -> None:
    """Stray bytes before, in, after and in place of an answer; one to another request; too long; no JSON."""
    sweep, theirs = ends
    theirs.send(write(sweep))
    with pytest.raises(ChannelError, match=said):
        sweep.receive(MOST_BYTES, never)


def test_half_an_answer_is_waited_for_no_longer_than_its_time(ends: tuple[SweepEnd, socket.socket]) -> None:
    """`wait` ends the wait for the other half."""
    sweep, theirs = ends
    theirs.send(answer(sweep)[:-1])
    with pytest.raises(TooLong):
        sweep.receive(MOST_BYTES, never)


def test_an_answer_that_was_not_asked_for_is_reported_at_the_next_request(ends: tuple[SweepEnd, socket.socket]) -> None:
    """An unasked answer could otherwise pass for the next one."""
    sweep, theirs = ends
    theirs.send(answer(sweep))
    sweep.receive(MOST_BYTES, never)
    theirs.send(answer(sweep, number=2))
    with pytest.raises(ChannelError, match="before it was asked"):
        sweep.send({"do": "block"}, never)


def test_a_request_that_nobody_reads_is_waited_for_no_longer_than_its_time(
    ends: tuple[SweepEnd, socket.socket],
) -> None:
    """A worker that does not listen does not hold up the sweep."""
    sweep, _ = ends
    with pytest.raises(TooLong):
        sweep.send({"do": "count_and_trace", "passes": "x" * 10_000_000}, never)


def test_the_end_is_distinguished_from_silence(ends: tuple[SweepEnd, socket.socket]) -> None:
    """A worker that has closed its end says nothing more."""
    sweep, theirs = ends
    theirs.close()
    with pytest.raises(Closed):
        sweep.receive(MOST_BYTES, never)
    with pytest.raises(Closed):
        sweep.send({"do": "block"}, never)


def test_a_worker_hears_its_sweep_and_nobody_else() -> None:
    """Requests and answers go through; what another writes is refused, and the end is no request."""
    ours, theirs = socket.socketpair()
    sweep = SweepEnd(ours)
    sweep.greet()
    worker = WorkerEnd(theirs.detach())
    sweep.send({"do": "block"}, never)
    assert worker.receive() == {"do": "block"}
    worker.send(json.dumps({"seconds": [1.0]}).encode())
    assert sweep.receive(MOST_BYTES, never) == {"seconds": [1.0]}
    ours.send(bytes(28))
    with pytest.raises(ChannelError, match="not from the sweep"):
        worker.receive()
    sweep.close()
    assert worker.receive() is None
    os.close(worker.connection.detach())


def test_the_connection_of_a_worker_is_out_of_the_way() -> None:
    """The descriptor is high, and is not inherited by programs that the worker executes."""
    ours, theirs = socket.socketpair()
    threading.Thread(target=ours.send, args=(bytes(16),)).start()
    worker = WorkerEnd(theirs.detach())
    descriptor = worker.connection.fileno()
    assert descriptor >= 256
    assert not os.get_inheritable(descriptor)
    os.close(worker.connection.detach())
    ours.close()
