"""A scan of sizes in words: a sentence a line, and a table of its leaps."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.presentation.plain_text import code, count, interval, listed, times
from benchmarks.reporting.sections.limited_table import cut
from benchmarks.reporting.topics.scan import CLIFF, FIRST, LEAST_VISITS, Line, Neighbours
from benchmarks.reporting.words.answer_words import ratio


def scan_section(lines: Sequence[Line]) -> str:
    """A paragraph on each line, then every leap with its interval; empty without lines."""
    if not lines:
        return ""
    several_runs = len({line.panel.run for line in lines}) > 1
    said = [
        f"- **{line.panel.title(several_runs=several_runs)}.** {code(line.implementation)}, {verdict(line)}."
        for line in lines
    ]
    rule = (
        f"A cliff is where two sizes that follow one another differ by more than {times(CLIFF)} in the time of a unit "
        f"of work, from {' and '.join(f'{axis} {size}' for axis, size in FIRST.items())} on. A leap is doubtful where "
        f"its interval includes that, or one of the two was visited fewer than {LEAST_VISITS} times. A pair is open "
        "where it leaps by its interval alone. Both need more visits: `sweep --resume` makes them."
    )
    return "\n\n".join(part for part in ("\n".join(said), rule, leaps(lines)) if part)


def verdict(line: Line) -> str:
    """One line in a clause: its cliffs, doubtful leaps and open pairs, and the pair that is furthest apart."""
    sizes = f"{line.axis} {line.pairs[0].smaller} to {line.pairs[-1].larger}"
    cliffs = [pair for pair in line.pairs if pair.cliff]
    doubtful = [pair for pair in line.pairs if pair.beyond and not pair.cliff]
    unsettled = [pair for pair in line.pairs if pair.open]
    none = "no sure cliff" if doubtful or unsettled else "no cliff"
    parts = [_numbered(cliffs, "cliff") if cliffs else none]
    parts += [_numbered(doubtful, "doubtful leap")] if doubtful else []
    parts += [_numbered(unsettled, "open pair")] if unsettled else []
    far, fast = line.farthest, line.fast_farthest
    return (
        f"{sizes}, {count(len(line.pairs), 'pair')} of neighbours: {listed(parts)}; the furthest apart are "
        f"{far.smaller} and {far.larger}, by {ratio(far.apart)}, and in the fastest tenth of the samples "
        f"{fast.smaller} and {fast.larger}, by {times(fast.fast_factor)}"
    )


def _numbered(pairs: Sequence[Neighbours], noun: str) -> str:
    shown = [f"{pair.smaller}/{pair.larger}" for pair in pairs[:MOST_NAMED]]
    more = f" and {len(pairs) - MOST_NAMED} more" if len(pairs) > MOST_NAMED else ""
    return f"{count(len(pairs), noun)} ({', '.join(shown)}{more})"


MOST_NAMED = 8
"""Pairs that a sentence names; the table has them all."""


def leaps(lines: Sequence[Line]) -> str:
    """A row for each pair of neighbours that is further apart than a cliff, the doubtful ones included."""
    header = ["run", "line", "implementation", "from", "to", "a unit of work takes", "cliff"]
    rows = []
    for line in lines:
        for pair in line.pairs:
            if pair.beyond:
                apart = f"{times(pair.ratio.median)} ({interval(pair.ratio.low, pair.ratio.high)})"
                place = [code(line.panel.run), line.panel.title(several_runs=False), code(line.implementation)]
                sure = "yes" if pair.cliff else "doubtful"
                rows.append([*place, f"{line.axis} {pair.smaller}", f"{line.axis} {pair.larger}", apart, sure])
    return cut((line.panel.run for line in lines), header, rows)
