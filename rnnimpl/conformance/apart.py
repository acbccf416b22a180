"""Make the checks in a process of their own, so that a crash, an exit or a hang is the result of a check.

The parent chooses the checks, asks for one after another, and accepts as a result only a reply with the token of its
request. A process that exits with status 0, prints, hangs or writes to its pipes therefore passes no check. This is no
sandbox: the implementation can reach the checks.
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
"""The time limit of a check, several times the time of compiling a network."""
MOST_BYTES = 1 << 20
"""The longest reply that is read; a reply is a line of a few hundred bytes."""
READ_BYTES = 1 << 16
"""The bytes of one read: the capacity of a pipe."""
MOST_SHOWN = 2000
"""The most characters of a message from the process that are shown."""
POLL_SECONDS = 0.05
"""The time between looks at whether the process has ended, because a child of it may keep its pipes open."""
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
    """The process ended, hung, or sent something else than a reply; the message says which."""


@dataclasses.dataclass(frozen=True)
class CheckRun:
    """The results of the checks that were made, and a sentence on how the process ended if it failed to end well."""

    results: tuple[CheckResult, ...]
    ended: str = ""


def run_apart(
    implementation: str,
    device: str,
    *,
    selected: Sequence[CheckCase],
    progress: Callable[[CheckResult], None] | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> CheckRun:
    """Make the selected checks on the implementation of this name in a process of its own.

    A check during which the process ends or exceeds the timeout is failed and the last one. `progress` is called with
    each result as it comes. Raises Refused where the implementation cannot be loaded or does not run on the device.
    """
    results = []
    with CheckProcess(timeout_seconds) as worker:
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
                return CheckRun(tuple(results), f"the process {died} during {case.id}")
        try:
            worker.finish()
        except Died as error:
            return CheckRun(tuple(results), f"after the last check the process {error}")
    return CheckRun(tuple(results))


class CheckProcess:
    """The process of the checks and its pipes. Leaving the context kills its process group."""

    def __init__(self, timeout_seconds: float) -> None:
        self.timeout_seconds = timeout_seconds

    def __enter__(self) -> CheckProcess:
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
                # Ctrl-C reaches the parent alone, and the whole group of the process can be killed.
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
        """The reply to a request. Raises Died without one within the timeout."""
        token = secrets.token_hex(8)
        line = json.dumps(request | {"token": token}).encode() + b"\n"
        # The pipe of a process that has ended is broken; how it ended is found below.
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
        """Let the interpreter of the process exit. Raises Died unless it does with status 0 within the timeout."""
        self._close_requests()
        for _ in self._until_timeout():
            if self._received:
                raise self._died("sent something without a request")
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
        """Read from the pipes again and again, until the timeout."""
        deadline = time.monotonic() + self.timeout_seconds
        while (left := deadline - time.monotonic()) > 0:
            self._read(min(left, POLL_SECONDS))
            yield

    def _read(self, seconds: float) -> bool:
        """Wait for output and read it -> whether there was any. Replies are kept; prints go to standard error."""
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
        """Read the rest of the output, up to a limit, because children of the process may go on writing."""
        for _ in range(2 * MOST_BYTES // READ_BYTES):
            if not self._read(0):
                return

    def _ended(self) -> bool:
        """Whether the process has ended; its output is then read, and it is not yet waited for."""
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        if self._process.returncode is None and os.waitid(os.P_PID, self._process.pid, options) is None:
            return False
        self._read_the_rest()
        return True

    def _end(self) -> str:
        """Kill the process group -> how the process ended, in words."""
        if self._process.returncode is None:
            # Before it is waited for, no other process can have its number.
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
            raise self._died(f"sent something else than a reply through the pipe of replies: {received[:80]!r}")
        return reply

    def _died(self, how: str) -> Died:
        """Kill the process -> the exception to raise."""
        self._end()
        return Died(how)


def _load(worker: CheckProcess, implementation: str, device: str) -> list[str]:
    """Let the process load the implementation -> its cells. Raises Refused, with the reason, where it cannot."""
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
    """The result in a reply. Raises Died for a reply of another form."""
    status, message, measured = reply.get("status"), reply.get("message"), reply.get("measured")
    sound = status in get_args(Status) and isinstance(message, str)
    if measured is not None:
        sound = sound and isinstance(measured, list) and [type(each) for each in measured[:3]] == [str, float, float]
        sound = sound and (len(measured) == 4 and measured[3] in (True, False, None))
    if not sound:
        raise Died(f"sent something else than a result through the pipe of replies: {reply!r:.200}")
    return CheckResult(
        case.check.__name__,
        case.example.id,
        status,  # type: ignore[arg-type]  # it is a Status
        _printable(message),  # type: ignore[arg-type]  # it is a text
        None if measured is None else MeasuredError(*measured),
    )


def _printable(text: str) -> str:
    """The beginning of a text from the process, with control characters escaped."""
    shown = "".join(each if each.isprintable() or each == "\n" else repr(each)[1:-1] for each in text[:MOST_SHOWN])
    return shown if len(text) <= MOST_SHOWN else f"{shown} ... ({len(text)} characters)"
