"""From the records of a profile to `breakdown.csv`, `functions.csv`, `breakdown.png` and `profile.md`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pandas as pd

from benchmarks.profiling.kinds import KIND_NAMES, KINDS, Kind
from benchmarks.profiling.words import conclusion
from benchmarks.reporting.plain_text import NOTHING, code, escape, seconds, share, table, times
from benchmarks.workload import Case

PHASES: Mapping[str, str] = {"1": "forward", "2": "backward"}
COLOURS: Mapping[Kind, str] = {
    "products": "#0072B2",
    "elementwise": "#56B4E9",
    "memory": "#009E73",
    "overhead": "#D55E00",
    "waiting": "#E69F00",
    "engine": "#999999",
}


def breakdown_frame(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a case, repeat, phase and kind. A share of the looks times the phase's unprofiled time is `seconds`."""
    rows = []
    for record in records:
        case = Case.parse(record["case"])
        for phase, looks in record["phases"].items():
            total = sum(looks["kinds"].values())
            of_phase = record["phase_seconds"][int(phase) - 1]
            for kind in KINDS if total else ():
                of_kind = looks["kinds"].get(kind, 0) / total
                taken = of_kind * of_phase
                place = {"case": record["case"], "implementation": case.implementation, "workload": case.workload.id}
                place |= {"repeat": record["repeat"], "phase": PHASES[phase], "kind": kind}
                rows.append(place | {"share": of_kind, "seconds": taken, "step_seconds": taken / case.workload.T})
    columns = ["case", "implementation", "workload", "repeat", "phase", "kind", "share", "seconds", "step_seconds"]
    return pd.DataFrame(rows, columns=columns)


def shares_of(frame: pd.DataFrame, case: str) -> pd.DataFrame:
    """Of a case: each kind's median share of a call over repeats, with the least and the most."""
    own = frame[frame["case"] == case].pivot_table(index="repeat", columns="kind", values="seconds", aggfunc="sum")
    by_repeat = own.div(own.sum(axis=1), axis=0)
    return pd.DataFrame({"median": by_repeat.median(), "least": by_repeat.min(), "most": by_repeat.max()})


def write_report(folder: Path, records: Sequence[Mapping[str, Any]], refused: Mapping[str, str]) -> Path:
    """Write everything that follows from the records; the path of `profile.md`."""
    frame = breakdown_frame(records)
    frame.to_csv(folder / "breakdown.csv", index=False, lineterminator="\n")
    functions = [
        [record["case"], record["repeat"], PHASES[phase], *function]
        for record in records
        for phase, looks in record["phases"].items()
        for function in looks["functions"]
    ]
    columns = ["case", "repeat", "phase", "kind", "library", "function", "looks"]
    pd.DataFrame(functions, columns=columns).to_csv(folder / "functions.csv", index=False, lineterminator="\n")
    lines = ["# Where the time goes", ""]
    if len(frame):
        draw(frame, folder / "breakdown.png")
        lines += ["![What the time of a call goes to](breakdown.png)", "", *_conclusions(frame), "", _table(frame), ""]
        lines += ["Shares are medians over repeats, each in a process of its own, least to most in parentheses.", ""]
        lines += ["## How it was measured", "", _measured(records), ""]
    lines += [f"- {code(case)} could not be profiled: {escape(reason)}" for case, reason in refused.items()]
    lines += [
        "Every place that was seen is in `functions.csv`; `docs/profiling.md` in the project says how to read this."
    ]
    path = folder / "profile.md"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _conclusions(frame: pd.DataFrame) -> list[str]:
    found = []
    for case in frame["case"].unique():
        shares = {kind: float(shares_of(frame, case)["median"].get(kind, 0.0)) for kind in KINDS}
        total = sum(shares.values())
        found.append(f"- {code(case)} {conclusion({kind: each / total for kind, each in shares.items()})}.")
    return found


def _table(frame: pd.DataFrame) -> str:
    rows = []
    for case in frame["case"].unique():
        of_case = shares_of(frame, case)
        cells = []
        for kind in KINDS:
            median, least, most = (float(of_case[column][kind]) for column in ("median", "least", "most"))
            spread = f"{share(median)} ({100 * least:.1f} to {100 * most:.1f})"
            cells.append(spread if most > 0 else NOTHING)
        whole = frame[frame["case"] == case].groupby("repeat")["seconds"].sum().median()
        rows.append([code(case), seconds(float(whole)), *cells])
    return table(["case", "a call", *(KIND_NAMES[kind] for kind in KINDS)], rows)


def _measured(records: Sequence[Mapping[str, Any]]) -> str:
    header = ["case", "repeat", "unprofiled", "profiled / unprofiled", "accounted for", "no core", "threads computing"]
    header += ["context switches a call"]
    rows = []
    for record in records:
        looks = record["phases"].values()
        without = sum(each["without_core"] for each in looks)
        total = sum(sum(each["kinds"].values()) for each in looks) + without
        busy = max((each["computing_threads"] for each in looks), default=0.0)
        ratio = times(record["profiled_seconds"] / record["unprofiled_seconds"])
        place = [code(record["case"]), str(record["repeat"]), seconds(record["unprofiled_seconds"]), ratio]
        shares = [share(record["accounted_share"]), share(without / max(total, 1))]
        rows.append([*place, *shares, f"{busy:.2f}", f"{record['context_switches']:.1f}"])
    return table(header, rows)


def draw(frame: pd.DataFrame, path: Path) -> None:
    """A stacked bar a case, in shares of its call; the time of a call stands beside it."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from benchmarks.reporting.plot_style import DPI, SETTINGS, WIDTH

    cases = list(frame["case"].unique())
    with mpl.rc_context(cast(Any, SETTINGS)):
        figure = Figure(figsize=(WIDTH, 1.3 + 0.38 * len(cases)), layout="constrained")
        axes = figure.add_subplot()
        left = [0.0] * len(cases)
        for kind in KINDS:
            widths = [100 * float(shares_of(frame, case)["median"].get(kind, 0.0)) for case in cases]
            if any(widths):
                axes.barh(cases, widths, left=left, color=COLOURS[kind], label=KIND_NAMES[kind], height=0.7)
            left = [start + width for start, width in zip(left, widths, strict=True)]
        for place, case in enumerate(cases):
            whole = frame[frame["case"] == case].groupby("repeat")["seconds"].sum().median()
            axes.text(left[place] + 1, place, seconds(float(whole)), va="center", fontsize=9)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.set_xlim(0, 112)
        axes.set_xlabel("% of a call's time")
        axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=3, frameon=False, fontsize=9)
        figure.savefig(path, dpi=DPI, metadata={"Software": None})
