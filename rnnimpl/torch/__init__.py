"""`RNN`, `LSTM` and `GRU` of `torch.nn`, computed by the kernels of `fused_cpu`; `replace` puts them into a model.

    import rnnimpl.torch

    print(rnnimpl.torch.replace(model))  # swaps what it can, in place, and says what it left and why

The modules take the arguments of `torch.nn`'s, hold the same parameters under the same names, and return the same
results. What the kernels lack they compute as `torch.nn` does, and say so once: `docs/use_it.md` has the cases.
"""

from __future__ import annotations

from rnnimpl.torch.modules import GRU, LSTM, RNN
from rnnimpl.torch.obstacles import FallbackWarning, obstacle
from rnnimpl.torch.packed_weights import pack_count
from rnnimpl.torch.swap import Replacement, replace, restore

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "FallbackWarning",
    "Replacement",
    "obstacle",
    "pack_count",
    "replace",
    "restore",
]
