"""What a changed input adds to a call is measured in turns with an unchanged one."""

from __future__ import annotations

import pytest

from benchmarks.measuring.calls.timing import CallSeconds
from benchmarks.measuring.check_cost import CheckCost, compare_blocks, costs_of, main, table


class FakeClock:
    """Goes on by what calls take, and slows down for all calls alike."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def call(self, seconds: float) -> CallSeconds:
        """A call that takes as long, and longer the later it is."""
        duration = seconds * (1 + self.now / 10)
        self.now += duration
        return CallSeconds(duration, 0.0)


def test_the_ratio_is_of_neighbouring_blocks() -> None:
    """A machine that becomes slower all along does not change it."""
    clock = FakeClock()
    seconds, ratio = compare_blocks(lambda: clock.call(0.001), lambda: clock.call(0.0012), clock)
    assert seconds > 0.001
    assert ratio == pytest.approx(1.2, rel=0.01)


def test_what_an_implementation_lacks_is_left_out() -> None:
    """numpy_loop has a time of this workload, and none of one in bfloat16."""
    workloads = [f"cpu/inference/T2-B1-I3-H3-L1-tanh-{dtype}" for dtype in ("float32", "bfloat16")]
    (cost,) = costs_of("numpy_loop", workloads)
    assert cost.workload == workloads[0]
    assert 0 < cost.seconds < 1
    assert 0.5 < cost.ratio < 2


def test_the_table_has_a_line_for_each_implementation_and_one_for_all() -> None:
    costs = [
        CheckCost(implementation=name, workload=str(number), seconds=1.0, ratio=ratio)
        for number, (name, ratio) in enumerate([("one", 1.0), ("one", 1.1), ("other", 1.5)])
    ]
    assert table(costs).splitlines()[2:] == [
        "| one | 2 | 1.050 | 1.000 | 1.100 |",
        "| other | 1 | 1.500 | 1.500 | 1.500 |",
        "| all | 3 | 1.100 | 1.000 | 1.500 |",
    ]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["quik"], "quick"),
        (["quick", "--cell", "lstn"], "lstm"),
        (["quick", "--impl", "numpy_lop"], "numpy_loop"),
    ],
)
def test_what_is_not_known_is_refused(words: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert named in capsys.readouterr().err


def test_no_case_is_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    """fused_cuda runs on no CPU."""
    assert main(["quick", "--impl", "fused_cuda"]) == 3
    assert "no case was measured" in capsys.readouterr().err
