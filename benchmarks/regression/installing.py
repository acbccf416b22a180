"""pip and venv as processes that end: with this one, and after a time."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from pathlib import Path

INSTALL_SECONDS = 1800
"""A build is stopped when it takes longer; large frameworks are downloaded and C++ is compiled in less."""
_OF_ANOTHER_ENVIRONMENT = ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER")
"""Variables that would have pip install elsewhere, or take for installed what is not in its environment."""
_NO_REASON = ("note:", "hint:", "[notice]", "warning:", "deprecation:")
_OUTPUT_BEGINS, _OUTPUT_ENDS = re.compile(r"\[\d+ lines of output\]$"), "[end of output]"
_ERROR = re.compile(r"error\b|exception\b", re.IGNORECASE)
_COMMAND_FAILED = re.compile(r"error: command\b.*\bfailed\b|CalledProcessError", re.IGNORECASE)
_LONGEST = 600


def failure(command: list[str], folder: Path, *, seconds: float = INSTALL_SECONDS) -> str:
    """Run the command there, and say why it failed; empty when it did not. What it started ends with this process.

    What it makes is the user's alone to write.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _OF_ANOTHER_ENVIRONMENT}
    with subprocess.Popen(  # noqa: S603  # pip and venv
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        umask=0o077,
        start_new_session=True,
    ) as process:
        try:
            _, said = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            _end(process.pid)
            return f"{Path(command[0]).name} did not end within {seconds:.0f} s"
        except BaseException:
            _end(process.pid)
            raise
    return _reason(said) or f"pip ended with {process.returncode}" if process.returncode else ""


def _end(group: int) -> None:
    # pip builds in processes of its own.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _reason(said: str) -> str:
    """What the build backend said last of an error, or why pip refused what was built; else the end, without advice."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if _OUTPUT_ENDS in lines:
        end = lines.index(_OUTPUT_ENDS)
        begin = max((at for at in range(end) if _OUTPUT_BEGINS.search(lines[at])), default=-1)
        output = lines[begin + 1 : end]
        # A compiler's own word comes before the build backend's that a command has failed.
        errors = [line for line in output if _ERROR.search(line)]
        causes = [line for line in errors if not _COMMAND_FAILED.search(line)]
        return (causes[-1:] or errors[-1:] or output[-1:] or [""])[0][-_LONGEST:]
    invalid = [line for line in lines if " is invalid: " in line]
    kept = [line for line in lines if not line.lower().startswith(_NO_REASON)]
    return (invalid[-1] if invalid else "\n".join(kept))[-_LONGEST:]
