"""docs/regression.md and docs/history.md state the limits by which verdicts and steps are found."""

from __future__ import annotations

from pathlib import Path

from benchmarks.history import steps
from benchmarks.regression import measuring
from benchmarks.regression.judging import fitness, verdicts
from benchmarks.regression.judging.stopping import Rule

DOCS = Path(__file__).resolve().parents[1] / "docs"
WORDS = {2: "two", 3: "three", 4: "four", 5: "five", 8: "eight", 10: "ten"}


def said(page: str) -> str:
    """The text of a page on one line."""
    return " ".join((DOCS / page).read_text(encoding="utf-8").split())


def percent(share: float) -> str:
    """A share as the pages write it."""
    return f"{100 * share:g} %"


def test_the_page_states_the_rule_in_force() -> None:
    """The analyses, their errors and the tolerance are those of the default rule."""
    text, rule = said("regression.md"), Rule()
    *others, last = map(str, rule.interim_analyses)
    analyses = WORDS[len(rule.interim_analyses)]
    assert f"Cases are judged after {', '.join(others)} and {last} pairs;" in text
    assert f"{analyses.capitalize()} analyses have {analyses} chances to be wrong: each has a fifth of the" in text
    assert f"a fifth of the {rule.suspicion} that all have together" in text
    assert (
        f"in the next {WORDS[rule.confirmation_pairs]} pairs and judged by these alone, at {rule.confirmation}," in text
    )
    alarms = percent(rule.suspicion * rule.confirmation)
    assert (
        f"at most {rule.suspicion} \N{MULTIPLICATION SIGN} {rule.confirmation} = {alarms} of runs of equal code" in text
    )
    assert f"the tolerance ({percent(rule.tolerance)};" in text
    assert f"judged by its {percent(verdicts.CONFIDENCE)} interval" in text
    assert verdicts.POWER == 0.8
    assert "would be found four times in five" in text


def test_the_page_states_when_a_machine_is_unfit() -> None:
    """The control may differ by a share, and has to be known to another; a slowdown by far has an error of its own."""
    text = said("regression.md")
    assert (
        f"surely differs by more than {percent(fitness.CONTROL_SHIFT)} between the sides, "
        f"or is known to no better than {percent(fitness.CONTROL_WIDTH)}, the machine was unfit"
    ) in text
    assert f"each bound at {percent(fitness.BY_FAR_ERROR)} over all cases and both parts of the control" in text


def test_the_page_states_the_limits_of_waits() -> None:
    """A part of the budget in the dry run, and a multiple of it in pairs."""
    text = said("regression.md")
    assert measuring.LIMIT_SHARE == 0.1
    assert (
        f"a case may take a tenth of the budget ({measuring.LEAST_LIMIT_SECONDS:g} s at least), in pairs "
        f"{WORDS[measuring.LIMIT_TIMES]} times the longest turn"
    ) in text
    assert measuring.SECONDS_A_CASE == 0.3
    assert "measures each case for three tenths of a second" in text
    assert measuring.MOST_FAILURES == 2
    assert "one that fails twice is broken" in text


def test_the_page_states_which_steps_are_reported() -> None:
    """A step has a least size, a least length of its levels, and a probability of a false alarm."""
    text = said("history.md")
    assert f"at least {WORDS[steps.SHORTEST]} revisions on both sides, is {percent(steps.LEAST_STEP)} or more" in text
    assert f"larger than noise makes with a probability of {percent(steps.FALSE_ALARMS)} in all cases together" in text
