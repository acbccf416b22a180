"""The process that makes checks on one implementation at its parent's requests; `apart` is the parent's side.

Requests and replies are lines of JSON on two pipes, each reply with the token of its request:

    {"token": T, "load": NAME}             -> {"token": T, "devices": ["cpu"], "cells": ["tanh"]}
                                           or {"token": T, "refused": SENTENCE}
    {"token": T, "case": ID, "device": D}  -> {"token": T, "status": S, "message": M, "measured": [NAME, E, TOL, SAME]}

The process ends when the pipe of requests is closed. Prints of the implementation go to standard output and standard
error, which are other pipes.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import json
import os
import signal
import sys
from typing import Any

from rnnimpl.conformance.run import CheckResult, cases, run, slow_cases
from rnnimpl.interface import Rnn, Unavailable
from rnnimpl.registry import load

PR_SET_PDEATHSIG = 1
"""The option of prctl that sets the signal of a parent's death, from <sys/prctl.h>."""


def main(requests: int, replies: int, parent: int) -> None:
    """Answer requests until their pipe is closed; the arguments are descriptors of pipes and the parent's ID."""
    _end_with(parent)
    # A fault in native code writes its traceback before the process ends.
    faulthandler.enable()
    by_id = {case.id: case for case in (*cases(), *slow_cases())}
    implementation: type[Rnn[Any]] | None = None
    with open(requests, encoding="utf-8") as lines, open(replies, "w", encoding="utf-8") as answers:
        for line in lines:
            request = json.loads(line)
            if "load" in request:
                implementation, reply = _load(request["load"])
            else:
                assert implementation is not None, "a check is asked for before an implementation was loaded"
                reply = _check(implementation, request["device"], by_id[request["case"]])
            answers.write(json.dumps(reply | {"token": request["token"]}) + "\n")
            answers.flush()


def _load(name: str) -> tuple[type[Rnn[Any]] | None, dict[str, Any]]:
    """The class and the reply: its devices and cells, or a sentence on why it cannot be loaded."""
    try:
        found = load(name)
    except (ValueError, TypeError, Unavailable) as error:
        return None, {"refused": str(error)}
    except BaseException as error:  # noqa: BLE001  # an exit at import is a reply, too
        module = name.partition(":")[0]
        return None, {
            "refused": f"implementation is {name!r}, but importing {module} ends with {type(error).__name__}: {error}; "
            "expected a module that can be imported: the code of a script belongs under "
            "`if __name__ == '__main__':`"
        }
    return found, {"devices": found.devices, "cells": found.cells}


def _check(implementation: type[Rnn[Any]], device: str, case: Any) -> dict[str, Any]:
    try:
        (result,) = run(implementation, device, selected=[case])
    except KeyboardInterrupt:
        # The call raised it: Ctrl-C does not reach this process, which is in a session of its own.
        result = CheckResult(case.check.__name__, case.example.id, "failed", "KeyboardInterrupt, raised by the call")
    return {"status": result.status, "message": result.message, "measured": result.measured}


def _end_with(parent: int) -> None:
    """Let the system kill this process when its parent ends, on Linux, which alone can do that."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
