"""What the first use of an implementation on a machine costs."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.measuring.sweeping.first_use import first_use, first_uses
from rnnimpl.registry import listing
from tests.synthetic_runs import workload

OF = workload(T=2, B=1, H=8, threads=1)
SLOW = '''"""Keeps a file in the user's cache, and takes long to make it."""

import time

from rnnimpl.cache import private_folder
from rnnimpl.impls.numpy_loop import NumpyLoop


class Slow(NumpyLoop):
    keeps_compiled = "a file"

    def __init__(self, config, weights, device="cpu"):
        kept = private_folder("slow") / "made"
        if not kept.exists():
            time.sleep(0.5)
            kept.touch()
        super().__init__(config, weights, device)
'''


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An implementation that has been used before by this user."""
    (tmp_path / "slow.py").write_text(SLOW, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    cache = tmp_path / "cache"
    (cache / "slow").mkdir(parents=True, mode=0o700)
    (cache / "slow").chmod(0o700)
    (cache / "slow" / "made").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    return "slow:Slow"


def test_what_is_kept_does_not_make_the_first_use_faster(slow: str, tmp_path: Path) -> None:
    """It is made again in an empty cache; who keeps nothing, and a short sweep, are not measured."""
    begun: list[str] = []
    sources = {"mine": slow, "numpy_loop": "numpy_loop"}
    found = first_uses(sources, [OF], tmp_path, 300.0, begin=begun.append)
    assert begun == ["mine"]
    assert 0.5 < found["mine"]["tanh float32"] < 5
    assert first_uses(sources, [OF], tmp_path, 299.0) == {}


def test_what_fails_has_no_time(tmp_path: Path) -> None:
    """A name that is no implementation gives none, and leaves no process behind."""
    assert first_use("no_such", OF, tmp_path / "cache", 10.0) is None


def test_ours_says_what_it_keeps() -> None:
    assert "C++" in listing("fused_cpu").keeps_compiled
    assert listing("nn_rnn").keeps_compiled == ""
