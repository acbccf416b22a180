"""The connection between a sweep and a worker: whole messages, each signed by its writer, of a limited size.

A message is a header and JSON. The header holds a token, drawn for each worker, and the number of the request. So bytes
that a library writes to a wrong descriptor are no message, and neither is an answer to another request. The worker's
end has a high number, and is not inherited by programs that it executes or processes that it forks.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import struct
from collections.abc import Callable
from typing import Any

TOKEN_BYTES = 16
_HEADER = struct.Struct(f">{TOKEN_BYTES}sIQ")
"""Token, number of the request, bytes of JSON that follow."""
LEAST_DESCRIPTOR = 700
"""The least descriptor number of the worker's end, where the system allows it: programs number theirs from 3 up."""
LOST_CONNECTION = 70
"""The exit status of a worker whose end of the connection was closed or replaced (EX_SOFTWARE)."""
CHUNK_BYTES = 1 << 20


class ChannelError(Exception):
    """Bytes on the connection that are no message; the text says what they are instead."""


class Closed(ChannelError):
    """The other end of the connection is closed."""


class SweepEnd:
    """The sweep's end. Waiting for bytes is left to `wait`, which is called repeatedly and may raise to give up."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.connection.setblocking(False)
        self.token = os.urandom(TOKEN_BYTES)
        self._number = 0
        self._selector = selectors.DefaultSelector()
        self._selector.register(connection, selectors.EVENT_READ | selectors.EVENT_WRITE)

    def greet(self) -> None:
        """Send the worker its token, before any request."""
        self.connection.send(self.token)

    def send(self, request: dict[str, Any], wait: Callable[[selectors.BaseSelector], None]) -> None:
        """Send the next request. Raises ChannelError where the worker wrote without being asked, or is gone."""
        unasked = self._read_some()
        if unasked:
            raise ChannelError(f"{_shown(unasked)} came before it was asked for anything")
        self._number += 1
        content = json.dumps(request).encode()
        data = memoryview(_HEADER.pack(self.token, self._number, len(content)) + content)
        self._selector.modify(self.connection, selectors.EVENT_WRITE)
        while data:
            try:
                data = data[self.connection.send(data) :]
            except BlockingIOError:
                wait(self._selector)
            except OSError as error:
                raise Closed("the connection is closed") from error

    def receive(self, most_bytes: int, wait: Callable[[selectors.BaseSelector], None]) -> Any:
        """The JSON of the answer to the last request. Raises ChannelError for anything else."""
        self._selector.modify(self.connection, selectors.EVENT_READ)
        received = bytearray()
        expected = self.token + struct.pack(">I", self._number)
        size: int | None = None
        while size is None or len(received) < size:
            chunk = self._read_some()
            if chunk is None:
                wait(self._selector)
                continue
            received += chunk
            begun = bytes(received[: len(expected)])
            if not expected.startswith(begun):
                raise ChannelError(f"{_shown(bytes(received))} came in place of an answer")
            if size is None and len(received) >= _HEADER.size:
                length = _HEADER.unpack_from(received)[2]
                if length > most_bytes:
                    raise ChannelError(f"an answer of {length:,} bytes came; expected at most {most_bytes:,}")
                size = _HEADER.size + length
        if len(received) > size:
            raise ChannelError(f"{_shown(bytes(received[size:]))} came after an answer")
        try:
            return json.loads(received[_HEADER.size :].decode())
        except (ValueError, RecursionError) as error:
            content = _shown(bytes(received[_HEADER.size :]))
            raise ChannelError(f"{content} came, which is no JSON in UTF-8 ({type(error).__name__})") from error

    def close(self) -> None:
        """Close the connection."""
        self._selector.close()
        self.connection.close()

    def _read_some(self) -> bytes | None:
        """The bytes that have arrived; None where none have. Raises Closed at the end of the connection."""
        try:
            chunk = self.connection.recv(CHUNK_BYTES)
        except BlockingIOError:
            return None
        except OSError as error:
            raise Closed("the connection is closed") from error
        if not chunk:
            raise Closed("the connection is closed")
        return chunk


class WorkerEnd:
    """The worker's end: it waits for requests and answers each once."""

    def __init__(self, descriptor: int) -> None:
        self.connection = socket.socket(fileno=_out_of_the_way(descriptor))
        self.connection.setblocking(True)
        self._process = os.getpid()
        self._number = 0
        self._token = self._read(TOKEN_BYTES)
        # A forked child that continues this program must not answer in its place, nor keep the connection open.
        os.register_at_fork(after_in_child=self.connection.close)

    def receive(self) -> dict[str, Any] | None:
        """The next request; None when the sweep has closed the connection. Raises ChannelError for anything else."""
        self._check_process()
        try:
            token, number, length = _HEADER.unpack(self._read(_HEADER.size))
        except Closed:
            return None
        if token != self._token:
            raise ChannelError("what came on the connection to the sweep is not from the sweep")
        self._number = number
        request: dict[str, Any] = json.loads(self._read(length))
        return request

    def send(self, content: bytes) -> None:
        """Answer the last request with JSON. Raises ChannelError where the connection is closed."""
        self._check_process()
        try:
            self.connection.sendall(_HEADER.pack(self._token, self._number, len(content)) + content)
        except OSError as error:
            raise ChannelError(f"the connection to the sweep was lost: {error.strerror}") from error

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            os._exit(1)

    def _read(self, size: int) -> bytes:
        received = b""
        while len(received) < size:
            try:
                chunk = self.connection.recv(size - len(received))
            except OSError as error:
                raise ChannelError(f"the connection to the sweep was lost: {error.strerror}") from error
            if not chunk:
                raise Closed("the sweep has closed the connection")
            received += chunk
        return received


def _out_of_the_way(descriptor: int) -> int:
    """The connection under a high descriptor number, closed in programs that this process executes."""
    import fcntl
    import resource

    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    least = LEAST_DESCRIPTOR if most == resource.RLIM_INFINITY else min(LEAST_DESCRIPTOR, most // 2)
    os.set_inheritable(descriptor, False)
    with contextlib.suppress(OSError):
        moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, least)
        os.close(descriptor)
        return moved
    return descriptor


def _shown(content: bytes) -> str:
    """The number of bytes, and the first of them."""
    begun = repr(content[:40])[1:]
    return f"{len(content):,} bytes beginning with {begun}" if len(content) > 40 else f"{begun} ({len(content)} bytes)"
