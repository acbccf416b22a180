"""Campaigns with known numbers: the folders that jobs leave, from formulas instead of measurements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.files import make_folder, write
from benchmarks.runs.campaign import Campaign, Part
from benchmarks.trial import Trial
from benchmarks.workload import Workload
from tests.synthetic_runs import record, run_of


def campaign_of(
    folder: Path,
    parts: Mapping[str, Sequence[Workload]],
    implementations: Iterable[str] = ("nn_rnn", "numpy_loop"),
    **kinds: Mapping[str, Any],
) -> Campaign:
    """A campaign whose parts are named after their kind: `zen5-000`; kinds without a table have an empty one."""
    found = tuple(Part(name, name.rpartition("-")[0], tuple(workloads)) for name, workloads in parts.items())
    campaign = Campaign(
        folder=folder,
        name=folder.name,
        sweep={"name": "synthetic", "summary": "Made up", "target_interval": 0.05, "budget_seconds": 390.0},
        implementations={name: name for name in implementations},
        kinds={part.kind: kinds.get(part.kind, {}) for part in found},
        parts=found,
    )
    folder.mkdir(parents=True, exist_ok=True)
    campaign.write()
    return campaign


def measured_by(
    campaign: Campaign,
    part: str,
    node: str,
    trials: Sequence[Trial],
    *,
    finished: bool = True,
    rate: float = 1.0,
    **fields: Any,
) -> None:
    """The run folder of a node that measured these trials; its peaks are `rate` times those of other nodes."""
    of_run = record(trials)
    for peak in of_run["peaks"]:
        peak["seconds"] /= rate
        for name in ("flops_per_second", "bytes_per_second"):
            peak[name] = peak[name] and peak[name] * rate
    run_of(campaign.run_folder(part, node), trials, **{**of_run, "finished_at": None, **fields})
    if finished:
        write(make_folder(campaign.folder, f"runs/{part}"), "finished.json", "{}\n")
