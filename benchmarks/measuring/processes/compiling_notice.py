"""What a worker compiles, by a file that it writes meanwhile and that anything may have taken the place of."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from benchmarks.files import StoreError, open_to_read, remove
from benchmarks.measuring.processes.ended import printable
from rnnimpl.native.compiling import NOTICE

LONGEST_NOTE = 100


class CompilingNotice:
    """The file of one worker."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment variables of the worker that name the file."""
        return {NOTICE: str(self._path)}

    def read(self) -> str:
        """What the worker says that it compiles, at most `LONGEST_NOTE` characters; empty where it does not."""
        try:
            with open_to_read(self._path.parent, self._path.name) as file:
                content = file.read(4 * LONGEST_NOTE)
        except (OSError, StoreError):
            return ""
        return printable(content.decode("utf-8", "replace"))[:LONGEST_NOTE]

    def remove(self) -> None:
        """Remove the file; what cannot be removed stays."""
        with contextlib.suppress(OSError, StoreError):
            remove(self._path.parent, self._path.name)
