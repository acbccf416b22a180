"""The answer as data: who is fastest in a setting, by how much, where not, and what comes next."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.reporting.answers.setting_answers import ANSWER_COLUMNS, SettingAnswer, answers_frame, setting_answers
from tests.synthetic_runs import default_workloads, failed, loaded, measured, realistic_trials, trial, workload

SHORT, CENTRE, LONG = (workload(T=T) for T in (16, 64, 256))


def only(answers: list[SettingAnswer]) -> SettingAnswer:
    (answer,) = answers
    return answer


THREE = [
    *measured(SHORT, {"mine": 1.0, "one": 2.0, "nn_rnn": 4.0}),
    *measured(CENTRE, {"mine": 1.0, "one": 8.0, "nn_rnn": 4.0}),
    *measured(LONG, {"mine": 1.0, "one": 0.5, "nn_rnn": 4.0}),
]


def test_an_answer_has_the_fastest_its_leads_and_its_exceptions(tmp_path: Path) -> None:
    """Against the baseline 4x on each; against the best other 2x, 4x and 1/2; another is faster on the longest."""
    answer = only(setting_answers(loaded(tmp_path / "run", THREE)))
    assert (answer.fastest, answer.baseline, answer.close) == ("mine", "nn_rnn", ())
    assert answer.against_baseline is not None
    assert answer.against_baseline.median == pytest.approx(4.0)
    assert [each.peer.case.implementation for each in answer.leads] == ["one", "one", "nn_rnn"]
    assert [each.ratio.median for each in answer.leads] == pytest.approx([0.5, 2.0, 4.0])
    assert answer.against_best_other is not None
    assert answer.against_best_other.median == pytest.approx(4 ** (1 / 3))
    assert answer.smallest_lead is answer.leads[0]
    assert answer.sure == (SHORT, CENTRE)
    (exception,) = answer.exceptions
    assert (exception.names, exception.tied, exception.workloads) == (("one",), False, (LONG,))
    assert exception.where == "for T 256"
    assert (answer.tied, answer.beaten, answer.known) == (0, 1, True)


def test_the_alternative_is_the_answer_without_the_fastest(tmp_path: Path) -> None:
    """It has no alternative of its own, and its leads are over those that are left."""
    alternative = only(setting_answers(loaded(tmp_path / "run", THREE))).alternative
    assert alternative is not None
    assert (alternative.fastest, alternative.alternative) == ("one", None)
    assert [each.peer.case.implementation for each in alternative.leads] == ["nn_rnn"] * 3
    assert [each.where for each in alternative.exceptions] == ["for T 64"]


def test_an_alternative_is_no_copy_of_the_fastest(tmp_path: Path) -> None:
    trials = [trial("mine", CENTRE, 1.0), trial("again", CENTRE, 1.0, source="mine"), trial("one", CENTRE, 3.0)]
    answer = only(setting_answers(loaded(tmp_path / "run", trials)))
    assert answer.alternative is not None
    assert answer.alternative.fastest == "one"


def test_some_can_be_set_aside(tmp_path: Path) -> None:
    """The answer for those who may not use them; the baseline stays what ratios are taken against."""
    run = loaded(tmp_path / "run", THREE)
    answer = only(setting_answers(run, without={"mine", "nn_rnn"}))
    assert (answer.fastest, answer.baseline, answer.leads) == ("one", "nn_rnn", ())
    assert answer.against_baseline is not None
    assert answer.against_baseline.median == pytest.approx((2 * 0.5 * 8) ** (1 / 3))
    assert answer.alternative is None
    assert setting_answers(run, without={"mine", "one", "nn_rnn"}) == []


def test_what_is_too_close_is_tied(tmp_path: Path) -> None:
    """The nearer of two is named first where it is tied more often."""
    trials = [
        *measured(SHORT, {"mine": 1.0, "one": 1.01, "two": 1.02}, mine=0.1),
        *measured(CENTRE, {"mine": 1.0, "one": 3.0, "two": 1.01}, mine=0.1),
        *measured(LONG, {"mine": 1.0, "one": 3.0, "two": 3.0}),
    ]
    answer = only(setting_answers(loaded(tmp_path / "run", trials)))
    (exception,) = answer.exceptions
    assert (exception.names, exception.tied, exception.workloads) == (("two", "one"), True, (SHORT, CENTRE))
    assert (len(answer.sure), answer.tied, answer.beaten) == (1, 2, 0)


def test_without_intervals_nothing_is_known(tmp_path: Path) -> None:
    trials = [trial(name, CENTRE, time, blocks=(3,) * 5) for name, time in (("nn_rnn", 9.0), ("mine", 1.0))]
    answer = only(setting_answers(loaded(tmp_path / "run", trials)))
    assert not answer.known
    assert (answer.sure, answer.tied) == ((), 1)


def test_one_implementation_has_no_lead(tmp_path: Path) -> None:
    answer = only(setting_answers(loaded(tmp_path / "run", [trial("nn_rnn", CENTRE)])))
    assert (answer.leads, answer.against_best_other, answer.smallest_lead, answer.alternative) == ((), None, None, None)
    assert (answer.sure, answer.known) == ((CENTRE,), False)


def test_a_workload_that_few_share_is_left_out(tmp_path: Path) -> None:
    """What most implementations have in common is compared, so that a failure is no advantage."""
    trials = [*THREE, failed("one", workload(B=1), "crashed", "SIGSEGV"), *measured(workload(B=1), {"two": 1.0})]
    answer = only(setting_answers(loaded(tmp_path / "run", trials)))
    assert answer.workloads == (SHORT, CENTRE, LONG)


def test_shares_of_the_limit_follow_the_bounds(tmp_path: Path) -> None:
    """The share of each workload is its bound over the time, and the median of three is the middle one."""
    run = loaded(tmp_path / "run", THREE)
    limit = only(setting_answers(run)).limit
    bounds = [run.bounds[each] for each in (SHORT, CENTRE, LONG)]
    shares = sorted(bound.attainable_seconds for bound in bounds if bound is not None)
    assert limit is not None
    assert [limit.lowest, limit.share, limit.highest] == pytest.approx(shares)
    least = [0.5 * bounds[2].attainable_seconds ** -1, 2 / shares[0], 4 / bounds[1].attainable_seconds]  # type: ignore[union-attr]
    assert limit.lead_allowed == pytest.approx(math.prod(least) ** (1 / 3))
    assert only(setting_answers(loaded(tmp_path / "bare", THREE, peaks=[]))).limit is None


def test_the_limit_is_also_compared_with_the_fastest_samples(tmp_path: Path) -> None:
    """A fifth of the samples take 0.5 and 1 s, the others 1 and 4 s: they alone decide."""
    trials = [
        trial(name, CENTRE, [fast] * 6 + [slow] * 24, blocks=[3] * 10)
        for name, fast, slow in (("mine", 0.5, 1.0), ("nn_rnn", 1.0, 4.0))
    ]
    run = loaded(tmp_path / "run", trials)
    limit, bound = only(setting_answers(run)).limit, run.bounds[CENTRE]
    assert limit is not None
    assert bound is not None
    least = bound.attainable_seconds
    assert (limit.share, limit.fast_share) == pytest.approx((least / 1.0, least / 0.5))
    assert (limit.lead_allowed, limit.fast_lead_allowed) == pytest.approx((4.0 / least, 1.0 / least))


def test_the_frame_has_a_row_an_answer(tmp_path: Path) -> None:
    """Numbers of `answer.csv` are those of the answers, also through a file."""
    answers = setting_answers(loaded(tmp_path / "run", realistic_trials(default_workloads())))
    path = tmp_path / "answer.csv"
    answers_frame(answers).to_csv(path, index=False)
    frame = pd.read_csv(path)
    assert list(frame.columns) == list(ANSWER_COLUMNS)
    assert list(frame["mode"]) == [answer.mode for answer in answers] == ["inference", "training"]
    for row, answer in zip(frame.to_dict("records"), answers, strict=True):
        assert answer.against_best_other is not None
        assert answer.smallest_lead is not None
        assert answer.alternative is not None
        assert row["fastest"] == answer.fastest
        assert row["against_best_other_low"] == pytest.approx(answer.against_best_other.low)
        assert row["smallest_lead_workload"] == answer.smallest_lead.workload.id
        assert row["sure"] + row["tied"] + row["beaten"] == row["workloads"] == 17
        assert row["alternative"] == answer.alternative.fastest
        assert answer.limit is not None
        assert row["fast_share"] == pytest.approx(answer.limit.fast_share)
        assert row["fast_lead_allowed"] == pytest.approx(answer.limit.fast_lead_allowed)
