"""A plug-in of pytest that puts the modules of `rnnimpl.torch` in place of `torch.nn`'s, for tests of PyTorch's own.

    python -m pytest -p tests.in_place_of_torch_nn -c /dev/null pytorch/test/test_nn.py -k "rnn or lstm or gru"

`pytorch` is a checkout of PyTorch at the version that is installed.
"""

from __future__ import annotations

import torch

import rnnimpl.torch
from tests.torch_twins import NAMES

for name in NAMES:
    for package in (torch.nn, torch.nn.modules):
        setattr(package, name, getattr(rnnimpl.torch, name))
