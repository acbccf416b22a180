"""The peaks in the record of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.limits.peak import Peak


def read_peaks(record: Mapping[str, Any]) -> list[Peak]:
    """The peaks in a run's record. Entries that are no peak, by a stranger or a later version, are left out."""
    found = record.get("peaks")
    peaks: list[Peak] = []
    for mapping in found if isinstance(found, list) else []:
        try:
            peaks.append(Peak.from_json(mapping))
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
    return peaks
