"""pip, venv and interpreters as processes that end with this one, or after a time limit."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

INSTALL_SECONDS = 1800
"""The time limit of a build: large frameworks are downloaded and C++ is compiled in less."""
_OF_ANOTHER_ENVIRONMENT = ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER")
"""The variables by which pip would install elsewhere, or find packages outside its environment."""
_NO_REASON = ("note:", "hint:", "[notice]", "warning:", "deprecation:")
_OUTPUT_BEGINS, _OUTPUT_ENDS = re.compile(r"\[\d+ lines of output\]$"), "[end of output]"
_ERROR = re.compile(r"error\b|exception\b", re.IGNORECASE)
_COMMAND_FAILED = re.compile(r"error: command\b.*\bfailed\b|CalledProcessError", re.IGNORECASE)
_LONGEST = 600


def failure(
    command: list[str], folder: Path, *, seconds: float = INSTALL_SECONDS, variables: Mapping[str, str] | None = None
) -> str:
    """Run a command in a folder; the reason of its failure, or an empty text.

    `variables` are further environment variables, such as CC. The processes that it starts end with this one. Only the
    user can write the files that it makes.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _OF_ANOTHER_ENVIRONMENT}
    environment |= variables or {}
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
    return _reason(said) or f"it ended with {process.returncode}" if process.returncode else ""


def output_of(command: list[str], *, seconds: float) -> str:
    """What a command prints. Raises ValueError with the last line of its errors where it fails or takes longer."""
    try:
        done = subprocess.run(  # noqa: S603  # an environment's interpreter, or its pip
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ValueError(str(error)) from None
    if done.returncode != 0:
        raise ValueError((done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1][-_LONGEST:])
    return done.stdout


def _end(group: int) -> None:
    # pip builds in child processes.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _reason(said: str) -> str:
    """The reason in the output of pip: the last error of the build backend, or why pip refused the build.

    Without either it is the end of the output, without pip's advice.
    """
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if _OUTPUT_ENDS in lines:
        end = lines.index(_OUTPUT_ENDS)
        begin = max((at for at in range(end) if _OUTPUT_BEGINS.search(lines[at])), default=-1)
        output = lines[begin + 1 : end]
        # The error of a compiler says more than that of the build backend, by which a command has failed.
        errors = [line for line in output if _ERROR.search(line)]
        causes = [line for line in errors if not _COMMAND_FAILED.search(line)]
        return (causes[-1:] or errors[-1:] or output[-1:] or [""])[0][-_LONGEST:]
    invalid = [line for line in lines if " is invalid: " in line]
    kept = [line for line in lines if not line.lower().startswith(_NO_REASON)]
    return (invalid[-1] if invalid else "\n".join(kept))[-_LONGEST:]
