"""The file by which a worker says what it compiles: anything may stand in its place, and no wait comes of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.measuring.processes.compiling_notice import LONGEST_NOTE, CompilingNotice


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "worker.compiling"


def test_what_a_worker_writes_is_read_without_escape_codes(path: Path) -> None:
    """It goes with its worker, and there may be none."""
    notice = CompilingNotice(path)
    assert notice.read() == ""
    path.write_text("compiling\x1b[31m kernels")
    assert notice.read() == "compiling [31m kernels"
    notice.remove()
    notice.remove()
    assert not path.exists()


@pytest.mark.parametrize("kind", ["pipe", "folder", "link", "garbage", "large"])
def test_anything_else_in_its_place_holds_nobody_up(path: Path, kind: str) -> None:
    """A named pipe would be waited for, and a link could lead to a file of the user's."""
    secret = path.with_name("secret")
    secret.write_text("a secret")
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to(secret)
        case "garbage":
            path.write_bytes(b"\xff\x00" * 10)
        case "large":
            path.write_bytes(b"x" * 10_000_000)
    notice = CompilingNotice(path)
    read = notice.read()
    assert len(read) <= LONGEST_NOTE
    assert bool(read) is (kind in ("garbage", "large"))
    notice.remove()
    assert secret.read_text() == "a secret"
