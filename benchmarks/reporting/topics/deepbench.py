"""The times that DeepBench published for recurrent layers, as a frame, to compare with times measured here.

Source: the results spreadsheets of github.com/baidu-research/DeepBench, last changed in 2020. Columns of the frame:

    source, device, sheet   where the row stands: DeepBench, the device's short name, the spreadsheet's sheet
    kind                    train, or inference-server / inference-device
    cell                    rnn (vanilla), lstm or gru
    T, B, H                 time steps, sequences in a batch, hidden units (as many input features, one layer)
    forward_seconds, backward_inputs_seconds, backward_weights_seconds, backward_seconds
                            as published, in seconds; NaN where not published
    forward_tflops          10**12 operations a second as published: of 2*G*H*H*B*T with G gates (1, 4, 3), so
                            without the input projection, which `benchmarks.counts.flops` does count
"""

from __future__ import annotations

import functools
import importlib.resources
import io

import pandas as pd

from benchmarks import program

_TIMES = ("forward", "backward_inputs", "backward_weights", "backward")
_CELLS = {"tanh": "rnn", "relu": "rnn", "lstm": "lstm", "gru": "gru"}
"""DeepBench's name of each cell."""


@functools.cache
def _table() -> pd.DataFrame:
    text = (importlib.resources.files(program.PACKAGE) / "data" / "deepbench_published.csv").read_text(encoding="utf-8")
    frame = pd.read_csv(io.StringIO(text))
    for name in _TIMES:
        frame[f"{name}_ms"] /= 1e3
    return frame.rename(columns={f"{name}_ms": f"{name}_seconds" for name in _TIMES})


def deepbench_published() -> pd.DataFrame:
    """One row a device and size; columns as the module says."""
    return _table().copy()


def join_published(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of a `load_run` frame whose workload DeepBench published, joined with each device's published time.

    A workload is the same when it is a single layer in one direction with as many input features as hidden units, and
    the cell, T, B and H agree. The function of an `rnn`, and the dtype of any row, are not published. Added columns:
    published_cell, published_device, published_sheet, published_forward_seconds, published_total_seconds (NaN where no
    backward time was published).
    """
    published = _table()
    # AMD's sheets have the backward pass as one time, NVIDIA's as two.
    parts = published["backward_inputs_seconds"] + published["backward_weights_seconds"]
    backward = published["backward_seconds"].fillna(parts)
    columns = {
        "published_cell": published["cell"],
        "T": published["T"],
        "B": published["B"],
        "H": published["H"],
        "published_device": published["device"],
        "published_sheet": published["sheet"],
        "published_forward_seconds": published["forward_seconds"],
        "published_total_seconds": published["forward_seconds"] + backward,
    }
    single = frame[(frame["I"] == frame["H"]) & (frame["L"] == 1) & ~frame["bidirectional"]]
    ours = single[single["median_seconds"].notna()]
    # DeepBench has no name for some cells.
    ours = ours.assign(published_cell=ours["cell"].map(_CELLS))
    ours = ours[ours["published_cell"].notna()]
    return ours.merge(pd.DataFrame(columns), on=["published_cell", "T", "B", "H"], how="inner")
