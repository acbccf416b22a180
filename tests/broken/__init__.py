"""Broken implementations, each with one fault, and the check that must find it.

A file has the name of the module of `rnnimpl.conformance` whose checks find its faults; `cells` has those of LSTM and
GRU.
"""

from __future__ import annotations

import importlib

from tests.broken.base import CAUGHT_BY

__all__ = ["CAUGHT_BY", "SUBJECTS"]

SUBJECTS = ("results", "sequences", "calls", "arguments", "copies", "lengths", "results_at_sizes", "cells")
"""The files, in the order of the table in docs/conformance.md."""

for subject in SUBJECTS:
    importlib.import_module(f"{__name__}.{subject}")
