"""A profile on a terminal: a bar and a verdict for each case; tables stay in `profile.md`."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from benchmarks.presentation.plain_text import clean, seconds, share
from benchmarks.profiling.reporting.frames import shares_of
from benchmarks.profiling.reporting.plots import workload_words
from benchmarks.profiling.sampling.kinds import KIND_NAMES, KINDS, WorkKind
from benchmarks.workload import Workload

BAR = 40
"""Places of a bar, which stands for the whole call."""
_FILLS = "█▓▒░·:+x=~"
"""A fill for each kind of work, in the order of `KINDS`."""


def summary_lines(folder: Path, width: int) -> list[str]:
    """The cases of a profile's folder, the fastest first: the time of a call, what it goes to, and the verdict.

    A case's verdict is its sentence in `profile.md`, and the caution above all stands first.
    """
    text = (folder / "profile.md").read_text(encoding="utf-8")
    frame = pd.read_csv(folder / "breakdown.csv")
    times = pd.read_csv(folder / "limits.csv").set_index("case")["median_seconds"].to_dict()
    lines = [line for said in _quoted(text) for line in _wrapped(f"! {said}", width, "  ")]
    shown: set[str] = set()
    for workload, cases in frame.groupby("workload", sort=False):
        verdicts = _verdicts(text, str(workload))
        names = dict(zip(cases["case"], cases["implementation"], strict=True))
        lines += ["", clean(workload)]
        for case in sorted(names, key=lambda case: times.get(case, 0.0)):
            shares = shares_of(frame, case)["median"]
            found = {kind: float(shares.get(kind, 0.0)) / float(shares.sum()) for kind in KINDS}
            shown |= {kind for kind, part in found.items() if round(BAR * part) > 0}
            name = clean(names[case])
            lines += ["", f"  {name}  {seconds(times[case]) if case in times else ''}", f"    {_bar(found)}"]
            lines += _wrapped(f"    {_largest(found)}", width, "    ")
            lines += _wrapped(f"    {verdicts[name]}", width, "    ") if name in verdicts else []
    legend = "   ".join(
        f"{fill} {KIND_NAMES[kind]}" for fill, kind in zip(_FILLS, KINDS, strict=False) if kind in shown
    )
    return [*lines, "", *_wrapped(legend, width, "")]


def _bar(shares: Mapping[WorkKind, float]) -> str:
    return "".join(_FILLS[number] * round(BAR * shares[kind]) for number, kind in enumerate(KINDS))


def _largest(shares: Mapping[WorkKind, float]) -> str:
    """The kinds with a twentieth of the call or more, the largest first."""
    known = sorted((kind for kind in KINDS if shares[kind] >= 0.05), key=lambda kind: -shares[kind])
    return ", ".join(f"{KIND_NAMES[kind]} {share(shares[kind])}" for kind in known)


def _quoted(text: str) -> list[str]:
    """The cautions of a profile, without their marks."""
    marked = [line for line in text.split("\n") if line.startswith("> **Caution.** ")]
    return [_unmarked(line.removeprefix("> **Caution.** ")) for line in marked]


def _verdicts(text: str, workload: str) -> dict[str, str]:
    """{implementation: its verdict} of the section of a workload."""
    heading = f"\n## {workload_words(Workload.parse(workload))}\n"
    if heading not in text:
        return {}
    section = text.split(heading, 1)[1].split("\n## ", 1)[0]
    bullets = [line.removeprefix("- `") for line in section.split("\n") if line.startswith("- `")]
    return {name: _unmarked(said) for name, _, said in (bullet.partition("` ") for bullet in bullets)}


def _unmarked(text: str) -> str:
    return clean(text.replace("`", ""))


def _wrapped(text: str, width: int, rest: str) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False)
