"""Doubts about a run in words: a sentence each, with the remedy."""

from __future__ import annotations

from benchmarks.presentation.plain_text import count, listed, share
from benchmarks.reporting.answers.doubts import DISTURBED, Doubts, OwnProcesses
from benchmarks.reporting.words.answer_words import Mark


def cautions(doubts: Doubts, mark: Mark) -> list[str]:
    """A sentence for each doubt, the one that matters most first; none without doubts."""
    said = []
    if doubts.held_back:
        settings = listed([mark(setting) for setting in doubts.held_back])
        are = "were" if len(doubts.held_back) > 1 else "was"
        said.append(
            f"{settings} {are} set: libraries that heed this may have run below what the processor can; unset it and "
            "measure again."
        )
    if doubts.unbounded:
        said.append(
            f"{doubts.unbounded} of {count(doubts.measured, 'case')} have too few blocks for an interval: give a "
            f"larger {mark('--budget')}, or go on with {mark('--resume')}."
        )
    if doubts.disturbed:
        said.append(
            f"Other programs took {share(DISTURBED)} or more of the cores in {doubts.disturbed} of "
            f"{count(doubts.measured, 'case')}: measure again on an idle machine."
        )
    if doubts.noisy:
        said.append(
            f"{doubts.noisy} of {count(doubts.measured, 'case')} are noisy (interval wider than asked for): go on with "
            f"{mark('--resume')}."
        )
    if doubts.too_fast:
        fastest = doubts.too_fast
        said.append(
            f"{count(fastest.cases, 'case')} passed the hardware limit, at most {mark(fastest.implementation)} on "
            f"{mark(fastest.workload)} with {share(fastest.share_of_attainable)}: the limit was measured too low, or "
            "the time was not earned."
        )
    for name, own in doubts.processes.items():
        said += _own_processes(name, own, mark)
    if doubts.lost:
        said.append(
            f"Visits to {count(doubts.lost, 'case')} were cut short from outside; what was measured before is kept."
        )
    return said


def _own_processes(name: str, own: OwnProcesses, mark: Mark) -> list[str]:
    said = []
    if own.most:
        said.append(f"{mark(name)} has up to {own.most} processes of its own at a time; they are measured with it.")
    if own.unsuspended_seconds:
        said.append(
            f"{mark(name)} used up to {own.unsuspended_seconds:.1f} s of the cores in others' turns: what was measured "
            "beside it may look slower than it is."
        )
    return said
