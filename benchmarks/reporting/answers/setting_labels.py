"""Settings in words: what differs between them, and what they share."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.presentation.plain_text import count
from benchmarks.reporting.answers.findings import CELL_LABELS, Setting
from benchmarks.workload import Mode

_FIELDS = ("run", "cell", "mode", "threads", "device", "dtype", "precision", "conditions")


def setting_labels(places: Sequence[tuple[str, Setting, Mode]]) -> tuple[list[str], str]:
    """A label for each (run, setting, mode) of the fields in which they differ, and in words the fields they share.

    `LSTM, inference, 1 thread` with `cpu, float32`. The mode is always in the label, the run and the usual precision
    never in what is shared.
    """
    known = [_words(*place) for place in places]
    varying = {field for field in _FIELDS if len({words[field] for words in known}) > 1} | {"mode"}
    labels = [", ".join(words[field] for field in _FIELDS if field in varying and words[field]) for words in known]
    first = known[0] if known else {}
    shared = [first[field] for field in _FIELDS if first and field not in (*varying, "run") and first[field]]
    return labels, ", ".join(shared)


def _words(run: str, setting: Setting, mode: Mode) -> dict[str, str]:
    return {
        "run": run,
        "cell": CELL_LABELS.get(setting.cell, setting.cell),
        "mode": mode,
        "threads": count(setting.threads, "thread") if setting.device == "cpu" else "",
        "device": setting.device,
        "dtype": setting.dtype,
        "precision": "" if setting.precision == "ieee" else setting.precision,
        "conditions": setting.conditions,
    }
