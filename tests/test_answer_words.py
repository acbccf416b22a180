"""The answer in words: the sentence, the rows, the exceptions, as Markdown and on a terminal."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.cells import cell_len

from benchmarks.presentation.plain_text import code
from benchmarks.reporting.answers.setting_answers import SettingAnswer, setting_answers
from benchmarks.reporting.sections.answer_section import answer_section
from benchmarks.reporting.words.answer_lines import answer_lines
from benchmarks.reporting.words.answer_words import exceptions, headline, plain, rows, shares_of_the_limit
from benchmarks.trial import Trial
from tests.synthetic_runs import loaded, measured, realistic_trials, trial, typed, workload

SHORT, CENTRE, LONG = (workload(T=T) for T in (16, 64, 256))
CLEAR = [
    *measured(SHORT, {"nn_rnn": 4.0, "mine": 1.0, "one": 2.0}),
    *measured(LONG, {"nn_rnn": 9.0, "mine": 1.0, "one": 3.0}),
]


def answers(folder: Path, trials: Sequence[Trial]) -> list[SettingAnswer]:
    return setting_answers(loaded(folder, trials))


def said(folder: Path, trials: Sequence[Trial]) -> str:
    return typed(" ".join(headline(answers(folder, trials), plain)))


def test_one_is_fastest_everywhere(tmp_path: Path) -> None:
    assert said(tmp_path / "run", CLEAR) == (
        "Use mine. It is surely the fastest on all 2 workloads. The smallest lead is 2.00x (2.00-2.00), over one: "
        "inference, T16 B16 H256."
    )


def test_ties_and_defeats_are_counted(tmp_path: Path) -> None:
    trials = [
        *CLEAR,
        *measured(CENTRE, {"nn_rnn": 9.0, "mine": 1.0, "one": 1.01}, mine=0.1),
        *measured(workload(T=512), {"nn_rnn": 9.0, "mine": 1.0, "one": 0.9}),
    ]
    assert "It is surely the fastest on 2 of 4 workloads, tied on 1 and slower than another on 1." in said(
        tmp_path / "run", trials
    )


def test_two_settings_may_have_two_answers(tmp_path: Path) -> None:
    """The one that wins more settings is named first; sizes of one do not stand for the other."""
    trials = [
        *CLEAR,
        *measured(workload("training"), {"nn_rnn": 1.0, "mine": 2.0, "one": 3.0}),
        *measured(workload("training", threads=1), {"nn_rnn": 3.0, "mine": 1.0, "one": 2.0}),
    ]
    assert said(tmp_path / "run", trials).startswith(
        "Use mine for “inference, 2 threads” and “training, 1 thread”; nn_rnn for training, 2 threads. "
        "Each is surely the fastest on all 4 workloads."
    )


def test_what_is_too_close_is_no_answer(tmp_path: Path) -> None:
    trials = measured(CENTRE, {"nn_rnn": 3.0, "mine": 1.0, "one": 1.01}, mine=0.1)
    assert said(tmp_path / "run", trials).startswith(
        "Too close to call between mine and one. It is tied on the only workload."
    )


def test_without_intervals_there_is_no_number(tmp_path: Path) -> None:
    """Five blocks are too few, however far the times are apart."""
    trials = [
        trial(name, CENTRE, time, blocks=(3,) * 5) for name, time in (("nn_rnn", 9.0), ("mine", 1.0), ("one", 2.0))
    ]
    found = answers(tmp_path / "run", trials)
    assert headline(found, plain) == ["The fastest is not yet known: too few blocks were measured for an interval."]
    (row,) = rows(found, plain)
    ratios = (row.against_baseline, row.against_best_other, row.smallest_lead)
    assert (row.fastest, *ratios, row.otherwise) == ("not yet known",) * 5
    lines = answer_lines(found, [], 80)
    assert not any("9.0" in line for line in lines)


def test_an_answer_in_one_setting_is_none_in_another(tmp_path: Path) -> None:
    """What cannot be compared is not counted among the workloads, and the choice is for the settings that can."""
    trials = [
        *measured(CENTRE, {"nn_rnn": 9.0, "mine": 1.0}),
        *(trial(name, workload("training"), time, blocks=(3,)) for name, time in (("nn_rnn", 9.0), ("mine", 1.0))),
    ]
    assert said(tmp_path / "run", trials) == (
        "Use mine for inference. It is surely the fastest on the only workload that can be compared. The smallest lead "
        "is 9.00x (9.00-9.00), over nn_rnn: inference, T64 B16 H256. The fastest is not yet known for training: too "
        "few blocks were measured for an interval."
    )


def test_without_an_answer_there_is_no_alternative_to_it(tmp_path: Path) -> None:
    """Two of three can be compared, and whether the third is faster is not known."""
    trials = [
        trial(name, CENTRE, time, blocks=(3,) * blocks)
        for name, time, blocks in (("nn_rnn", 9.0, 6), ("mine", 1.0, 5), ("one", 2.0, 6))
    ]
    found = answers(tmp_path / "run", trials)
    assert found[0].alternative is not None
    assert found[0].alternative.known
    assert rows(found, plain)[0].otherwise == "not yet known"
    assert not any("one" in line for line in answer_lines(found, [], 80))


@pytest.mark.parametrize(
    ("trials", "words"),
    [
        ([], "Nothing was measured."),
        ([trial("nn_rnn", CENTRE)], "There is no comparison: only nn_rnn was measured."),
        (
            [trial("nn_rnn", CENTRE), trial("again", CENTRE, source="nn_rnn")],
            "There is no comparison: only nn_rnn was measured.",
        ),
    ],
    ids=["nothing", "one", "one under two names"],
)
def test_without_a_comparison_there_is_a_sentence_alone(tmp_path: Path, trials: list[Trial], words: str) -> None:
    found = answers(tmp_path / "run", trials)
    assert headline(found, plain) == [words]
    assert "|" not in answer_section(found)


def test_the_share_of_the_limit_in_the_fastest_samples_is_told_where_it_is_much_larger(tmp_path: Path) -> None:
    """The range over settings, of the median and of the fastest samples; where they are near, nothing is told."""
    of_run = answers(tmp_path / "run", CLEAR)
    assert shares_of_the_limit(of_run) == ""
    assert shares_of_the_limit(_with_shares(of_run, 0.4, 0.41)) == ""
    assert shares_of_the_limit([*_with_shares(of_run, 0.4, 0.8), *_with_shares(of_run, 0.6, 0.9)]) == (
        "By its median time the fastest reaches 40 % to 60 % of the limit, and 80 % to 90 % in the fastest tenth of "
        "its samples: noise makes the difference."
    )
    assert shares_of_the_limit([]) == ""


def _with_shares(of: Sequence[SettingAnswer], typical: float, fast: float) -> list[SettingAnswer]:
    return [
        dataclasses.replace(each, limit=dataclasses.replace(each.limit, share=typical, fast_share=fast))
        for each in of
        if each.limit is not None
    ]


def test_a_row_has_the_leads_the_limit_and_the_alternative(tmp_path: Path) -> None:
    """Where another is better than the alternative, it is named with the sizes."""
    trials = [*CLEAR, *measured(CENTRE, {"nn_rnn": 1.5, "mine": 1.0, "one": 8.0}, mine=0.1)]
    (row,) = rows(answers(tmp_path / "run", trials), code)
    assert typed(row.otherwise) == "`one` 1.04x; `nn_rnn` for T 64"
    assert row.fastest == "`mine`"
    assert typed(row.smallest_lead) == "1.50x `nn_rnn`"
    assert row.of_limit.endswith(" %")


def test_only_regions_that_differ_are_named(tmp_path: Path) -> None:
    trials = [
        *CLEAR,
        *measured(CENTRE, {"nn_rnn": 9.0, "mine": 1.0, "one": 1.01}, mine=0.1),
        *measured(workload(T=512), {"nn_rnn": 9.0, "mine": 1.0, "one": 0.9}),
    ]
    assert exceptions(answers(tmp_path / "run", trials), plain) == [
        "inference: one is faster for T 512",
        "inference: tied with one for T 64",
    ]
    assert exceptions(answers(tmp_path / "clear", CLEAR), plain) == []
    assert "not surely" not in answer_section(answers(tmp_path / "again", CLEAR))


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_names_are_whole_at_any_width(tmp_path: Path, width: int) -> None:
    """Lines fit, every name is on one line, and the leads are shown where there is room."""
    names = ["nn_rnn", "torch_hoisted", "torch_compile_module", "onnxruntime_rnn"]
    modes, cells, threads = ("inference", "training"), ("lstm", "tanh"), (1, 2)
    workloads = [workload(mode, cell=cell, threads=n) for cell in cells for n in threads for mode in modes]
    found = answers(tmp_path / "run", realistic_trials(workloads, names))
    caution = "torch_compile_module used up to 3.0 s of the cores in others' turns."
    command = "python -m benchmarks sweep --resume results/default-20260101-120000"
    lines = answer_lines(found, [caution], width, [command])
    assert all(cell_len(line) <= width for line in lines)
    text = "\n".join(lines)
    for answer in found:
        assert answer.alternative is not None
        assert answer.alternative.fastest in text
    assert ("of limit" in text) == (width >= 80)
    assert "! torch_compile_module used" in text
    assert "  To measure longer:\n    python -m benchmarks sweep" in text
    assert shlex.split(text.partition("longer:")[2].replace("\\\n", "")) == command.split()


def test_markdown_marks_every_name(tmp_path: Path) -> None:
    """The table has a row a setting, and says what all rows share."""
    text = typed(answer_section(answers(tmp_path / "run", CLEAR)))
    assert text.startswith("**Use `mine`.** It is surely the fastest on all 2 workloads.")
    assert "| inference | 6.00x (6.00-6.00) | 2.45x (2.45-2.45) | 2.00x `one` |" in text
    assert "All: tanh RNN, 2 threads, cpu, float32." in text
    assert "geometric mean over the 2 workloads of a row" in text
    alone = answer_section(answers(tmp_path / "alone", measured(SHORT, {"nn_rnn": 4.0, "mine": 1.0})))
    assert "Times as fast: on the workload of a row" in alone


def test_of_many_that_are_tied_three_are_named(tmp_path: Path) -> None:
    others = {f"like_{letter}": 1.01 for letter in "abcde"}
    trials = [*CLEAR, *measured(CENTRE, {"nn_rnn": 9.0, "mine": 1.0, **others}, mine=0.1)]
    (line,) = exceptions(answers(tmp_path / "run", trials), plain)
    assert "tied with like_a, like_b, like_c or 2 more for" in line
