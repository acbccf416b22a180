"""The question that an unknown name is answered with: the known names nearest to it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping


def did_you_mean(name: str, known: Iterable[str] | Mapping[str, str], *, most: int = 3) -> str:
    """The question `did you mean gru or lstm? `, with the blank after it; empty where no known name is near.

    Args:
        name: What was given. Case counts for nothing, and `-` is as good as `_`.
        known: The known names, or a mapping from what may be written to the name that it means.
        most: The largest number of names to suggest.
    """
    meanings = dict(known) if isinstance(known, Mapping) else {each: each for each in known}
    by_spelling: dict[str, list[str]] = {}
    for written, meaning in meanings.items():
        by_spelling.setdefault(_plain(written), []).append(meaning)
    nearest = difflib.get_close_matches(_plain(name), by_spelling, n=most, cutoff=0.5)
    names = dict.fromkeys(meaning for spelling in nearest for meaning in by_spelling[spelling])
    return f"did you mean {' or '.join([*names][:most])}? " if names else ""


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")
