"""Make the checks in a process of their own, so that whatever ends it is the result of a check, and nothing is silent.

The parent decides which checks are made, asks for one after another, and takes as a result only a reply that has the
token of its request. So a process that ends with exit status 0, prints, hangs or writes anything to its pipes cannot
pass for one whose checks have passed. It is no sandbox: what is checked has the checks in its reach.
"""

from __future__ import annotations

import codecs
import contextlib
import dataclasses
import json
import os
import secrets
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, get_args

from rnnimpl.conformance.compare import MeasuredError
from rnnimpl.conformance.run import CheckCase, CheckResult, Status, not_named

TIMEOUT_SECONDS = 300.0
"""A check may take so long: several times what compiling a network takes."""
MOST_BYTES = 1 << 20
"""A reply is a line of a few hundred bytes."""
READ_BYTES = 1 << 16
"""As much as a pipe holds."""
MOST_SAID = 2000
"""Characters of a message from the process that are shown."""
POLL_SECONDS = 0.05
"""How often it is asked whether the process has ended: one that it has started may keep its pipes open."""
BOOT = """
import json, sys
given = json.loads(sys.argv[1])
sys.path[:], sys.argv = given["path"], given["argv"]
from rnnimpl.conformance.worker import main
main(given["requests"], given["replies"], given["parent"])
"""


class Refused(Exception):
    """The implementation cannot be loaded; the message says why and what would help."""


class Died(Exception):
    """The process ended, hung, or sent what is no reply; the message says which."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The results as far as the process came, and a sentence on how it ended where it should not have."""

    results: tuple[CheckResult, ...]
    ended: str = ""


def run_apart(
    implementation: str,
    device: str,
    *,
    selected: Sequence[CheckCase],
    progress: Callable[[CheckResult], None] | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Outcome:
    """Make the selected checks on the implementation of this name in a process of its own.

    The check during which the process ends or goes beyond the timeout is failed and the last one made. Raises Refused
    where the implementation cannot be loaded or does not run on the device.
    """
    results = []
    with Worker(timeout_seconds) as worker:
        cells = _load(worker, implementation, device)
        for case in selected:
            died = ""
            try:
                result = not_named(case, cells) or _result(case, worker.ask(case=case.id, device=device))
            except Died as error:
                died = str(error)
                result = CheckResult(case.check.__name__, case.example.id, "failed", f"the process {died}")
            results.append(result)
            if progress is not None:
                progress(result)
            if died:
                return Outcome(tuple(results), f"the process {died} in the course of {case.id}")
        try:
            worker.finish()
        except Died as error:
            return Outcome(tuple(results), f"after the last check the process {error}")
    return Outcome(tuple(results))


class Worker:
    """The process and its pipes. Leaving the context ends it and what it has started in its group."""

    def __init__(self, timeout_seconds: float) -> None:
        self.timeout_seconds = timeout_seconds

    def __enter__(self) -> Worker:
        requests, self._requests = os.pipe()
        self._replies, replies = os.pipe()
        given = {
            "path": sys.path,
            "argv": sys.argv,
            "requests": requests,
            "replies": replies,
            "parent": os.getpid(),
        }
        try:
            self._process = subprocess.Popen(  # noqa: S603  # this interpreter
                [sys.executable, "-P", "-c", BOOT, json.dumps(given)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(requests, replies),
                # Ctrl-C is the parent's to answer, and its group is what is ended in the end.
                start_new_session=True,
            )
        finally:
            os.close(requests)
            os.close(replies)
        assert self._process.stdout is not None
        self._printed = self._process.stdout.fileno()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._received = bytearray()
        self._selector = selectors.DefaultSelector()
        for pipe in (self._replies, self._printed):
            os.set_blocking(pipe, False)
            self._selector.register(pipe, selectors.EVENT_READ)
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._selector.close()
        self._close_requests()
        os.close(self._replies)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def ask(self, **request: str) -> dict[str, Any]:
        """The reply to a request. Raises Died where there is none within the timeout."""
        token = secrets.token_hex(8)
        line = json.dumps(request | {"token": token}).encode() + b"\n"
        # A process that is gone takes no request; how it ended is found where its reply is awaited.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._requests, line)
        for _ in self._until_timeout():
            if b"\n" in self._received:
                received, _, self._received = self._received.partition(b"\n")
                return self._reply(bytes(received), token)
            if len(self._received) > MOST_BYTES:
                raise self._died(
                    f"sent more than {MOST_BYTES} bytes without the end of a line through the pipe of replies"
                )
            if self._ended() and b"\n" not in self._received:
                raise self._died(self._end())
        raise self._died(f"did not answer within {self.timeout_seconds:g} seconds")

    def finish(self) -> None:
        """Let the process end as interpreters do. Raises Died unless it does so with exit status 0 and in time."""
        self._close_requests()
        for _ in self._until_timeout():
            if self._received:
                raise self._died("sent something that nobody had asked for")
            if self._ended():
                how = self._end()
                if self._process.returncode != 0:
                    raise self._died(how)
                return
        raise self._died(f"did not end within {self.timeout_seconds:g} seconds")

    def _close_requests(self) -> None:
        if self._requests >= 0:
            os.close(self._requests)
        self._requests = -1

    def _until_timeout(self) -> Iterator[None]:
        """Read what there is, again and again until the time is over."""
        deadline = time.monotonic() + self.timeout_seconds
        while (left := deadline - time.monotonic()) > 0:
            self._read(min(left, POLL_SECONDS))
            yield

    def _read(self, seconds: float) -> bool:
        """Take what there is to read, after waiting for it: replies are kept, what is printed goes to standard error.

        Returns whether there was anything.
        """
        if not self._selector.get_map():
            time.sleep(seconds)
            return False
        ready = self._selector.select(seconds)
        for key, _ in ready:
            chunk = os.read(key.fd, READ_BYTES)
            if not chunk:
                self._selector.unregister(key.fd)
            elif key.fd == self._replies:
                self._received += chunk
            else:
                sys.stderr.write(self._decoder.decode(chunk))
                sys.stderr.flush()
        return bool(ready)

    def _read_the_rest(self) -> None:
        """What was written before, and not without end: there may be other processes that go on writing."""
        for _ in range(2 * MOST_BYTES // READ_BYTES):
            if not self._read(0):
                return

    def _ended(self) -> bool:
        """Whether the process has ended and all that it sent before is read; it is not yet waited for."""
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        if self._process.returncode is None and os.waitid(os.P_PID, self._process.pid, options) is None:
            return False
        self._read_the_rest()
        return True

    def _end(self) -> str:
        """Kill what there is of the process's group, and say how the process ended."""
        if self._process.returncode is None:
            # Until it is waited for, its number is nobody else's.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._read_the_rest()
        status = self._process.returncode
        if status >= 0:
            return f"ended with exit status {status}"
        try:
            return f"was ended by signal {signal.Signals(-status).name}"
        except ValueError:
            return f"was ended by signal {-status}"

    def _reply(self, received: bytes, token: str) -> dict[str, Any]:
        try:
            reply = json.loads(received)
        except (ValueError, RecursionError):
            reply = None
        if not isinstance(reply, dict) or reply.get("token") != token:
            raise self._died(f"sent what is no reply through the pipe of replies: {received[:80]!r}")
        return reply

    def _died(self, how: str) -> Died:
        """What to raise for a process that is to be ended, if it has not ended."""
        self._end()
        return Died(how)


def _load(worker: Worker, implementation: str, device: str) -> list[str]:
    """Have the process load the implementation -> its cells. Raises Refused with the reason where it does not."""
    try:
        reply = worker.ask(load=implementation)
    except Died as error:
        module = implementation.partition(":")[0]
        raise Refused(
            f"implementation is {implementation!r}, but the process that imports {module} {error}; "
            f"expected a module that can be imported: python -c 'import {module}' shows what it does"
        ) from error
    refused, devices, cells = reply.get("refused"), reply.get("devices"), reply.get("cells")
    if isinstance(refused, str):
        raise Refused(_printable(refused))
    if not isinstance(devices, list) or not all(each in ("cpu", "cuda") for each in devices):
        raise Refused(f"implementation is {implementation!r}, whose process gives {reply!r:.200}; expected its devices")
    if device.partition(":")[0] not in devices:
        raise Refused(f"--device is {device!r}; expected one of {', '.join(devices)}: {implementation} runs there")
    if not isinstance(cells, list) or not cells or not all(isinstance(each, str) for each in cells):
        raise Refused(f"implementation is {implementation!r}, whose `cells` is {cells!r:.200}; expected names of cells")
    return cells


def _result(case: CheckCase, reply: dict[str, Any]) -> CheckResult:
    """The reply to a check as its result. Raises Died for one that is none."""
    status, message, measured = reply.get("status"), reply.get("message"), reply.get("measured")
    sound = status in get_args(Status) and isinstance(message, str)
    if measured is not None:
        sound = sound and isinstance(measured, list) and [type(each) for each in measured[:3]] == [str, float, float]
        sound = sound and (len(measured) == 4 and measured[3] in (True, False, None))
    if not sound:
        raise Died(f"sent what is no result through the pipe of replies: {reply!r:.200}")
    return CheckResult(
        case.check.__name__,
        case.example.id,
        status,  # type: ignore[arg-type]  # it is one of them
        _printable(message),  # type: ignore[arg-type]  # it is a text
        None if measured is None else MeasuredError(*measured),
    )


def _printable(text: str) -> str:
    """The beginning of a text of the process, with characters that a terminal would obey made visible."""
    shown = "".join(each if each.isprintable() or each == "\n" else repr(each)[1:-1] for each in text[:MOST_SAID])
    return shown if len(text) <= MOST_SAID else f"{shown} ... ({len(text)} characters)"
