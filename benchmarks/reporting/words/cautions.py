"""Doubts about a run in words: a sentence each."""

from __future__ import annotations

from benchmarks.presentation.plain_text import count, listed, share
from benchmarks.reporting.answers.doubts import DISTURBED, Doubts, OwnProcesses
from benchmarks.reporting.words.answer_words import Mark

LONGER = "To measure longer:"
"""Stands before the command that does."""


def command_that_helps(doubts: Doubts, resume: str) -> str:
    """`resume`, the command that goes on with the sweep, where that would end a doubt; else empty."""
    return resume if doubts.unfinished or doubts.without_interval or doubts.noisy else ""


def cautions(doubts: Doubts, mark: Mark) -> list[str]:
    """A sentence for each doubt, the one that matters most first; none without doubts.

    `mark` marks names as code, as Markdown or a terminal does.
    """
    said = []
    if doubts.unfinished:
        said.append(f"The sweep was not finished: it measured {count(doubts.unfinished, 'workload')}.")
    if doubts.held_back:
        variables = listed([mark(variable) for variable in doubts.held_back])
        several = len(doubts.held_back) > 1
        said.append(
            f"{variables} {'were' if several else 'was'} set: a library that heeds {'them' if several else 'it'} may "
            f"have run slower code than the processor allows; unset {'them' if several else 'it'} and measure again."
        )
    if doubts.without_interval:
        said.append(
            f"{doubts.without_interval} of {count(doubts.measured, 'case')} "
            f"{'has' if doubts.without_interval == 1 else 'have'} too few blocks for an interval."
        )
    if doubts.disturbed:
        said.append(
            f"Other programs took {share(DISTURBED)} or more of the cores in {doubts.disturbed} of "
            f"{count(doubts.measured, 'case')}: measure again on an idle machine."
        )
    if doubts.noisy:
        verb = "is" if doubts.noisy == 1 else "are"
        said.append(f"{doubts.noisy} of {count(doubts.measured, 'case')} {verb} noisy (interval wider than asked for).")
    if doubts.too_fast:
        fastest = doubts.too_fast
        said.append(
            f"{count(fastest.cases, 'case')} took less time than the hardware limit allows, most of all "
            f"{mark(fastest.implementation)} on {mark(fastest.workload)} with {share(fastest.share_of_attainable)} of "
            "it: the limit was measured too low, or the calls did not compute all that they should."
        )
    for name, own in doubts.processes.items():
        said += _own_processes(name, own, mark)
    if doubts.lost:
        said.append(
            f"Visits to {count(doubts.lost, 'case')} were cut short from outside; what was measured before is kept."
        )
    return said


def _own_processes(name: str, own: OwnProcesses, mark: Mark) -> list[str]:
    """Sentences on the processes that the implementation `name` started."""
    said = []
    if own.most:
        said.append(f"{mark(name)} has up to {own.most} processes of its own at a time; they are measured with it.")
    if own.unsuspended_seconds:
        said.append(
            f"{mark(name)} used up to {own.unsuspended_seconds:.1f} s of the cores while others were measured: these "
            "may look slower than they are."
        )
    return said
