"""A verdict in ten lines: a word for each, then what it says."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import program
from benchmarks.advice.question import Question
from benchmarks.advice.use import how_to_use
from benchmarks.advice.verdict import Verdict
from benchmarks.models.layers import Found
from benchmarks.models.source import Source
from benchmarks.presentation.lines import command_lines
from benchmarks.presentation.plain_text import at_least, count, error, interval, listed, seconds, share, times
from benchmarks.reporting.answers.findings import describe_conditions
from benchmarks.statistics import Estimate
from rnnimpl.wrapping import wrapped

_COLUMN = 9
_ALL = "all that was measured:"
_CODE = "do"
"""The word before code, which is not broken into lines."""
MOST_LAYERS = 3
"""The most layers, or others, that a line names."""


def answer(verdict: Verdict, source: Source, found: Found, run: Path) -> str:
    """The answer to a question on lines without an end; `run` is the folder that has every sample."""
    lines = [*_lines(verdict, source, found), ("run", f"{run}; {_ALL} {_report_command(run)}")]
    return "\n".join(f"{word:<{_COLUMN}}{said}" for word, said in lines)


def terminal_lines(verdict: Verdict, source: Source, found: Found, run: Path, width: int) -> list[str]:
    """The same for a terminal of `width` places: names are whole, code and the command can be pasted."""
    lines: list[str] = []
    for word, said in [*_lines(verdict, source, found), ("run", f"{run}; {_ALL}")]:
        line = f"{word:<{_COLUMN}}{said}"
        lines += [line] if word == _CODE else wrapped(line, width, rest=" " * _COLUMN)
    return [*lines, *command_lines(_report_command(run), width, indent=_COLUMN)]


def _report_command(run: Path) -> str:
    return program.command("report", str(run))


def _lines(verdict: Verdict, source: Source, found: Found) -> list[tuple[str, str]]:
    """What is said under each word, but for the run."""
    return [
        ("model", f"{source.text}, {_asked(verdict.question)}"),
        ("layers", _layers(verdict.question, found)),
        ("answer", _answer(verdict)),
        ("next", _next(verdict)),
        ("set-up", _set_up(verdict)),
        ("exact", _exact(verdict)),
        ("limit", _limit(verdict)),
        ("whole", _whole(verdict)),
        (_CODE, how_to_use(verdict, source, found)),
    ]


def _asked(question: Question) -> str:
    workload = question.largest
    on = describe_conditions(workload.device, workload.dtype, workload.precision, workload.threads)
    return f"{question.given}, {question.mode}, {on}"


def _layers(question: Question, found: Found) -> str:
    configs = {workload.config: workload for workload in question.workloads}
    said = []
    for layer in found.layers:
        workload = configs.get(layer.config)
        if workload is not None:
            calls = question.workloads[workload] if len(question.workloads) == len(found.layers) else 1
            sizes = f"T {workload.T}, B {workload.B}" + (f", {calls} calls" if calls > 1 else "")
            assumed = f" ({layer.assumed})" if layer.assumed else ""
            said.append(f"{layer.name or 'the model'} is {layer.described}, {sizes}{assumed}")
    packed = "; packed sequences were measured as if all had the longest's length" if question.is_packed else ""
    return _shortened(said, "layer") + packed


def _answer(verdict: Verdict) -> str:
    best, present = verdict.best, verdict.present
    close = f"; too close to call: {listed(list(verdict.close))}" if verdict.close else ""
    if best is present:
        call = f"{seconds(best.seconds)} a call"
        return f"keep {best.name}, the present one: {call}, and nothing is surely faster{close}{_remedy(verdict)}"
    if present is None or verdict.speedup is None:
        unknown = f"{verdict.question.present}, the present one, was not measured"
        return f"use {best.name}: {seconds(best.seconds)} a call; {unknown}{close}"
    said = f"use {best.name}: {times(verdict.speedup.median)} as fast as {present.name}, the present one"
    return f"{said} ({_range(verdict.speedup)}): {seconds(best.seconds)} for {seconds(present.seconds)} a call{close}"


def _remedy(verdict: Verdict) -> str:
    """The remedy where another is faster, and not surely."""
    is_doubtful = any(against.median < 1 for _, against in verdict.others)
    return "; a larger --budget may tell" if is_doubtful else ""


def _next(verdict: Verdict) -> str:
    others = [(engine, against) for engine, against in verdict.others if engine is not verdict.present]
    if verdict.best is not verdict.present and not others:
        return "nothing else was measured"
    said = [f"{engine.name} takes {times(against.median)} the time ({_range(against)})" for engine, against in others]
    unmeasured = [f"{name} none" for name in verdict.not_measured]
    return _shortened([*said, *unmeasured], "implementation") or "nothing else was measured"


def _set_up(verdict: Verdict) -> str:
    if verdict.best is verdict.present:
        return "none: it is the present one"
    extra, calls = verdict.extra_seconds, verdict.payback_calls
    preparing = verdict.best.preparation_seconds
    if extra is None or verdict.present is None:
        return f"{seconds(preparing)} to build it and for the first call"
    if extra <= 0:
        return f"{seconds(preparing)} to build it and for the first call, no more than {verdict.present.name} takes"
    paid = "never paid back" if calls is None else f"paid back after {count(int(at_least(calls)), 'call')}"
    return f"{seconds(extra)} more than {verdict.present.name} takes, to build it and for the first call; {paid}"


def _exact(verdict: Verdict) -> str:
    said = f"largest error {error(verdict.best.error)} of the largest value, against float64"
    if verdict.present is None or verdict.present is verdict.best:
        return said
    return f"{said}; {verdict.present.name} has {error(verdict.present.error)}"


def _limit(verdict: Verdict) -> str:
    reached = verdict.share_of_attainable
    if reached is None:
        return "unknown: no peak of the machine was measured"
    further = f"nothing could be more than {times(1 / reached)} as fast" if reached < 1 else "nothing could be faster"
    bound = f"; it is bound by: {verdict.bound_by}" if verdict.bound_by else ""
    return f"{share(min(reached, 1.0))} of what this machine can do: {further}{bound}"


def _whole(verdict: Verdict) -> str:
    part = verdict.question.share
    if part is None:
        return f"the share of the model's time is unknown: {verdict.question.unknown_share}"
    of_layers = part.of_layers
    bounds = f" ({share(of_layers.low)} to {share(of_layers.high)})" if math.isfinite(of_layers.low) else ""
    said = f"the recurrent layers take {share(min(of_layers.median, 1.0))}{bounds} of a call of"
    said += f" {seconds(part.whole_seconds)}"
    if verdict.model_speedup is None:
        return said
    after = part.whole_seconds / verdict.model_speedup
    return f"{said}; with {verdict.best.name} it would take {seconds(after)}, {times(verdict.model_speedup)} as fast"


def _range(ratio: Estimate) -> str:
    if not math.isfinite(ratio.low):
        return "no interval: measured too briefly"
    return f"95 % interval {interval(ratio.low, ratio.high)}"


def _shortened(said: Sequence[str], noun: str) -> str:
    """The first parts of a line, and how many more there are."""
    more = len(said) - MOST_LAYERS
    return "; ".join([*said[:MOST_LAYERS], *([f"and {count(more, f'more {noun}')}"] if more > 0 else [])])


def left_out(found: Found) -> Iterator[str]:
    """A line for each recurrent layer that was left out."""
    for each in found.left_out:
        yield f"left out {each}"
