"""The kernels that oneDNN ran, as it reports them. PyTorch and OpenVINO each include a oneDNN.

oneDNN writes a line for each primitive to standard output when the primitive is created, executed, or both, by the
value of `ONEDNN_VERBOSE` (https://uxlfoundation.github.io/oneDNN/dev_guide_verbose.html):

    onednn_verbose,v1,primitive,exec,cpu,rnn,brgemm:avx512_core,forward_inference,...,alg:vanilla_lstm ...,0.14

The functions here switch these lines on during one call, read them, and keep them off the screen. Primitives that are
executed before and after the call write nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import tempfile
import threading
from collections.abc import Callable, Sequence
from typing import IO, TypeVar

Result = TypeVar("Result")

VARIABLES = ("ONEDNN_VERBOSE", "DNNL_VERBOSE")
"""The environment variable that oneDNN reads once, by its name and its older name."""
NOT_KNOWN = "kernel not known"

_redirecting = threading.RLock()


@dataclasses.dataclass(frozen=True)
class Primitive:
    """A primitive of oneDNN: its kind, such as rnn or reorder, its kernel, and its purpose, the propagation kind.

    `algorithm` is that of an RNN: vanilla_rnn, vanilla_lstm or lbr_gru, the GRU with its reset gate after the product.
    """

    kind: str
    kernel: str
    purpose: str
    algorithm: str


def executed_by_torch(call: Callable[[], object]) -> tuple[Primitive, ...] | None:
    """The primitives of PyTorch's oneDNN that a call executes, in their order; None where they cannot be read.

    () means that PyTorch computed the call without oneDNN. The result is None where the user has set `ONEDNN_VERBOSE`,
    whose output is then left as it is.
    """
    import torch

    if _asked_by_user():
        call()
        return None
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]  # torch leaves it untyped
        call()
        return ()

    def verbose() -> None:
        with torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON):  # type: ignore[no-untyped-call]  # the same
            call()

    _, lines = _lines_during(verbose)
    return None if lines is None else _parse(lines, "exec")


def created_during(call: Callable[[], Result]) -> tuple[Result, tuple[Primitive, ...] | None]:
    """The result of a call, and the primitives that oneDNN creates in it; None where oneDNN reports none.

    It serves a library whose oneDNN reads the environment once, when it is first used, as OpenVINO's does. From the
    first call of this function on, that oneDNN reports each primitive that it creates, and none that it executes. It
    reports nothing where it was used before, and the result is None where the user has set `ONEDNN_VERBOSE`.
    """
    if _asked_by_user():
        return call(), None
    os.environ[VARIABLES[0]] = "profile_create"
    try:
        result, lines = _lines_during(call)
    finally:
        os.environ.pop(VARIABLES[0], None)
    # None for (): a network without any primitive looks like a oneDNN that does not report.
    return result, _parse(lines or (), "create") or None


def rnn_kernels(primitives: Sequence[Primitive] | None) -> str:
    """The RNN kernels among the primitives as text: "oneDNN vanilla_lstm brgemm:avx512_core"."""
    if primitives is None:
        return f"oneDNN, {NOT_KNOWN}"
    found = [f"{each.algorithm} {each.kernel}" for each in primitives if each.kind == "rnn"]
    # Forward and backward pass are primitives of one kernel, and so are several layers.
    return f"oneDNN {', '.join(dict.fromkeys(found))}" if found else "no RNN primitive of oneDNN"


def _asked_by_user() -> bool:
    return any(variable in os.environ for variable in VARIABLES)


def _parse(lines: Sequence[str], event: str) -> tuple[Primitive, ...]:
    """The primitives in lines with this event: `exec`, or `create` with or without a hit in oneDNN's cache.

    The fields from the event on are the same in all versions: event, engine, kind, kernel, purpose.
    """
    found = []
    for line in lines:
        fields = line.split(",")
        places = [place for place, field in enumerate(fields) if field.partition(":")[0] == event]
        if places and len(fields) > places[0] + 4:
            kind, kernel, purpose = fields[places[0] + 2 : places[0] + 5]
            algorithm = re.search(r"\balg:(\w+)", line)
            found.append(Primitive(kind, kernel, purpose, algorithm.group(1) if algorithm else ""))
    return tuple(found)


def _lines_during(call: Callable[[], Result]) -> tuple[Result, list[str] | None]:
    """The result of a call, and the lines that oneDNN writes during it; None without a standard output.

    Other output of the call is written after it.
    """
    with _redirecting, contextlib.ExitStack() as stack:
        try:
            kept = os.dup(1)
        except OSError:  # a process may be started without one
            return call(), None
        stack.callback(os.close, kept)
        file = stack.enter_context(tempfile.TemporaryFile())
        lines: list[str] = []
        stack.callback(_separate, file, lines)
        # oneDNN writes to the descriptor, whatever `sys.stdout` is.
        os.dup2(file.fileno(), 1)
        try:
            result = call()
        finally:
            os.dup2(kept, 1)
    return result, lines


def _separate(file: IO[bytes], of_onednn: list[str]) -> None:
    """Append the lines of oneDNN to the list, and write all others to standard output."""
    file.seek(0)
    with os.fdopen(1, "wb", closefd=False) as standard_output:
        for line in file:
            if line.startswith((b"onednn_verbose", b"dnnl_verbose")):
                of_onednn.append(line.decode(errors="replace").rstrip())
            else:
                standard_output.write(line)
