"""Make the folders of a large campaign and merge them: `python -m tests.large_campaign --jobs 1000`.

The trials are made from formulas, in the form in which jobs leave them: 4 workloads by 8 implementations in 3 rounds a
job, 6 blocks of 3 samples each, on four kinds of machine of eight nodes. Merging runs in a process of its own, whose
time and largest memory are printed.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.files import write
from benchmarks.json_lines import to_json
from benchmarks.runs.frames import load_run
from tests.synthetic_campaigns import campaign_of
from tests.synthetic_runs import realistic_trials, record, workload

KINDS = ("zen4", "zen5", "xeon", "graviton")
NODES = 8
ROUNDS = 3
IMPLEMENTATIONS = (*(f"implementation_{at}" for at in range(7)), "nn_rnn")


def make(folder: Path, jobs: int) -> None:
    """Write the folders of so many jobs."""
    sizes = itertools.product(("inference", "training"), range(8, 8 + 16 * jobs, 8), (1, 4, 16, 64))
    parts = {
        f"{KINDS[job % len(KINDS)]}-{job // len(KINDS):05d}": [
            workload(mode, H=H, B=B) for mode, H, B in itertools.islice(sizes, 4)
        ]
        for job in range(jobs)
    }
    campaign = campaign_of(folder, parts, IMPLEMENTATIONS)
    for job, part in enumerate(campaign.parts):
        trials = [
            each
            for number in range(ROUNDS)
            for each in realistic_trials(part.workloads, IMPLEMENTATIONS, seed=3 * job + number, round_number=number)
        ]
        place = campaign.run_folder(part.name, f"{part.kind}-n{job % NODES}")
        place.mkdir(parents=True)
        of_run: dict[str, Any] = {"schema": 4, **record(trials)}
        write(place, "run.json", to_json(of_run))
        write(place, "trials.jsonl", "".join(to_json(each.to_json()) + "\n" for each in trials))
        write(place.parent, "finished.json", "{}\n")


def merge(folder: Path) -> None:
    """Read the campaign and print what that took."""
    start = time.perf_counter()
    frame = load_run(folder)
    seconds = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    machines = ", ".join(f"{name} {size}" for name, size in frame.groupby("machine", sort=False).size().items())
    print(f"{len(frame)} cases ({machines}) of {int(frame['rounds'].sum())} visits: {seconds:.1f} s, {memory:.0f} MiB")


def main() -> None:
    """Make a campaign in a temporary folder and merge it."""
    parser = argparse.ArgumentParser(prog="python -m tests.large_campaign", description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--merge", type=Path, help="merge the campaign in this folder, and make none")
    chosen = parser.parse_args()
    if chosen.merge is not None:
        merge(chosen.merge)
        return
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "campaign"
        make(folder, chosen.jobs)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        print(f"{chosen.jobs} jobs, {size / 2**20:.0f} MiB of files", flush=True)
        subprocess.run([sys.executable, "-m", "tests.large_campaign", "--merge", str(folder)], check=True)


if __name__ == "__main__":
    main()
