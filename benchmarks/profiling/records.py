"""The records of a profile, a line each of `profiles.jsonl`: what their keys mean."""

from __future__ import annotations

from collections.abc import Mapping

PHASE_NAMES: Mapping[str, str] = {"1": "forward", "2": "backward"}
"""The phases of a call by their keys in a record."""
GPU = "GPU, microseconds a call"
"""In place of a library, in `functions.csv`, whose counts are this then."""
