"""Which kernels oneDNN ran, in its own words. PyTorch and OpenVINO each bring a oneDNN of their own.

oneDNN writes one line a primitive to standard output, when a primitive is created, executed, or both, as it is told by
`ONEDNN_VERBOSE` (https://uxlfoundation.github.io/oneDNN/dev_guide_verbose.html):

    onednn_verbose,v1,primitive,exec,cpu,rnn,brgemm:avx512_core,forward_inference,...,alg:vanilla_lstm ...,0.14

The functions here have such lines written during one call, read them, and keep them off the screen. Before and after
it, executing a primitive writes nothing.
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
"""What oneDNN reads in the environment, once: the second is the older name of the first."""
NOT_KNOWN = "kernel not known"

_redirecting = threading.RLock()


@dataclasses.dataclass(frozen=True)
class Primitive:
    """A primitive of oneDNN as one line tells it: what it does, which kernel does it, and for which pass.

    `algorithm` is that of an RNN: vanilla_rnn, vanilla_lstm or lbr_gru, the GRU with its reset gate after the product.
    """

    kind: str
    kernel: str
    purpose: str
    algorithm: str


def executed_by_torch(call: Callable[[], object]) -> tuple[Primitive, ...] | None:
    """The primitives of PyTorch's oneDNN that a call executes, in their order; None where they cannot be read.

    () means that PyTorch computed the call without oneDNN. Where a user has set `ONEDNN_VERBOSE`, what is written is
    left to them, and the answer is None.
    """
    import torch

    if _asked_by_user():
        call()
        return None
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]  # torch leaves it untyped
        call()
        return ()

    def told() -> None:
        with torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON):  # type: ignore[no-untyped-call]  # the same
            call()

    _, lines = _lines_during(told)
    return None if lines is None else _parse(lines, "exec")


def created_during(call: Callable[[], Result]) -> tuple[Result, tuple[Primitive, ...] | None]:
    """What a call gives, and the primitives it has oneDNN create; None where oneDNN does not tell.

    For a library whose oneDNN takes orders from the environment alone, when it is first used, as OpenVINO's does: from
    the first call of this function on, it writes a line for each primitive that it creates, and none where one is
    executed. It does not tell where it was used before. Where a user has set `ONEDNN_VERBOSE`, what is written is left
    to them, and the answer is None.
    """
    if _asked_by_user():
        return call(), None
    os.environ[VARIABLES[0]] = "profile_create"
    try:
        result, lines = _lines_during(call)
    finally:
        os.environ.pop(VARIABLES[0], None)
    # Silence is no answer: a network without any primitive is not to be told from a oneDNN that does not tell.
    return result, _parse(lines or (), "create") or None


def rnn_kernels(primitives: Sequence[Primitive] | None) -> str:
    """The RNN kernels among the primitives in words: "oneDNN vanilla_lstm brgemm:avx512_core"."""
    if primitives is None:
        return f"oneDNN, {NOT_KNOWN}"
    found = [f"{each.algorithm} {each.kernel}" for each in primitives if each.kind == "rnn"]
    # The forward and the backward pass are two primitives of one kernel, and so are two layers.
    return f"oneDNN {', '.join(dict.fromkeys(found))}" if found else "no RNN primitive of oneDNN"


def _asked_by_user() -> bool:
    return any(variable in os.environ for variable in VARIABLES)


def _parse(lines: Sequence[str], event: str) -> tuple[Primitive, ...]:
    """The primitives that lines tell of with this event: `exec`, or `create` whether it was in oneDNN's cache or not.

    The fields before the event differ by version, those after it do not: event, engine, kind, kernel, purpose.
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
    """What a call gives, and the lines that oneDNN writes during it; None where there is no standard output.

    What others write to standard output meanwhile is written after it.
    """
    with _redirecting, contextlib.ExitStack() as stack:
        try:
            kept = os.dup(1)
        except OSError:  # a process may be started without one
            return call(), None
        stack.callback(os.close, kept)
        file = stack.enter_context(tempfile.TemporaryFile())
        lines: list[str] = []
        stack.callback(_share_out, file, lines)
        # oneDNN writes to the descriptor, whatever `sys.stdout` is.
        os.dup2(file.fileno(), 1)
        try:
            result = call()
        finally:
            os.dup2(kept, 1)
    return result, lines


def _share_out(file: IO[bytes], ours: list[str]) -> None:
    """Lines of oneDNN to the list, all others to standard output."""
    file.seek(0)
    with os.fdopen(1, "wb", closefd=False) as standard_output:
        for line in file:
            if line.startswith((b"onednn_verbose", b"dnnl_verbose")):
                ours.append(line.decode(errors="replace").rstrip())
            else:
                standard_output.write(line)
