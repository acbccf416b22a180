"""The analysis of runs for a report, each part computed once: sections and plots show it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property

import pandas as pd

from benchmarks.limits.peak import Peak
from benchmarks.reporting.answers.doubts import Doubts, find_doubts
from benchmarks.reporting.answers.ranking import Ranking, ranking_frame, rankings
from benchmarks.reporting.answers.ratios import ratios_frame
from benchmarks.reporting.answers.setting_answers import SettingAnswer, answers_frame, setting_answers
from benchmarks.reporting.answers.slices import Panel, measured
from benchmarks.reporting.answers.workload_winners import winners_by_workload
from benchmarks.reporting.topics.scan import Line, scan_lines, scan_panels
from benchmarks.runs.frames import runs_frame
from benchmarks.runs.loading import LoadedRun, once_per_machine


@dataclasses.dataclass(frozen=True, eq=False)
class Analysis:
    """The runs of a report and all that follows from them."""

    runs: Sequence[LoadedRun]
    subject: str | None = None
    """The implementation that is ranked against the best of the others; None: the fastest."""

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The frame of `load_run`: a row a case."""
        return runs_frame(self.runs)

    @cached_property
    def measured(self) -> pd.DataFrame:
        """The rows of the frame that have times, as `slices.measured` gives them."""
        return measured(self.frame)

    @cached_property
    def peaks(self) -> Mapping[str, Sequence[Peak]]:
        """{label of a run: its peaks}."""
        return {run.label: run.peaks for run in self.runs}

    @cached_property
    def answers(self) -> Sequence[SettingAnswer]:
        """The answer in each mode of each setting, in the order of the runs."""
        return [answer for run in self.runs for answer in setting_answers(run)]

    @cached_property
    def answers_frame(self) -> pd.DataFrame:
        """The answers as rows of `answer.csv`."""
        return answers_frame(self.answers)

    @cached_property
    def ratios_frame(self) -> pd.DataFrame:
        """The ratios of every two implementations on each workload, as rows of `ratios.csv`."""
        return ratios_frame(self.runs)

    @cached_property
    def winners(self) -> pd.DataFrame:
        """The fastest by workload, as `winners_by_workload` gives it."""
        return winners_by_workload(self.frame)

    @cached_property
    def rankings(self) -> Sequence[Ranking]:
        """The subject against the best of the others. Raises ValueError when no run has the subject."""
        return rankings(self.runs, self.subject)

    @cached_property
    def ranking_frame(self) -> pd.DataFrame:
        """The rankings as rows of `ranking.csv`."""
        return ranking_frame(self.rankings)

    @cached_property
    def doubts(self) -> Mapping[str, Doubts]:
        """{label of a run: reasons to doubt its numbers}."""
        return {run.label: find_doubts(self.frame[self.frame["run"] == run.label], run.record) for run in self.runs}

    @cached_property
    def once(self) -> Mapping[str, float]:
        """{implementation: seconds that its first use on a machine costs, such as compiling}, the most of all runs."""
        found: dict[str, float] = {}
        for run in self.runs:
            for name, seconds in once_per_machine(run.record).items():
                found[name] = max(seconds, found.get(name, 0.0))
        return found

    @cached_property
    def scan_panels(self) -> Sequence[Panel]:
        """The panels in which sizes follow one another."""
        return scan_panels(self.measured)

    @cached_property
    def scan_lines(self) -> Sequence[Line]:
        """Each implementation over sizes that follow one another."""
        return scan_lines(self.scan_panels)
