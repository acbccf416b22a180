"""Text from a run's files made safe to show: names and reasons are a stranger's, and are never markup.

Also numbers for people: seconds in the unit that fits, ratios and shares to the digits that count.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

LONGEST = 300
NOTHING = "\N{EN DASH}"
"""Shown where there is no number."""
TIMES = "\N{MULTIPLICATION SIGN}"

# Underscores within a word are no emphasis, and names are full of them.
_MARKUP = re.compile(r"([\\`*\[\]|~$#@!]|(?<![^\W_])_|_(?![^\W_]))")
_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


def clean(text: object, longest: int | None = None) -> str:
    """The text on one line without control characters, terminal escapes and letters that UTF-8 cannot encode."""
    plain = str(text)
    if not plain.isprintable():
        plain = " ".join("".join(letter if letter.isprintable() else " " for letter in plain).split())
    return plain if longest is None or len(plain) <= longest else plain[: longest - 1] + "…"


def escape(text: object) -> str:
    """The text as Markdown that shows it literally; at most `LONGEST` characters of it."""
    plain = clean(text, LONGEST).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKUP.sub(r"\\\1", plain)


def code(text: object, longest: int = LONGEST) -> str:
    """The text as a Markdown code span, without the backticks and bars that would end it or its cell."""
    return f"`{clean(text, longest).replace('`', chr(39)).replace('|', '¦') or ' '}`"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table of cells that are Markdown already; columns of numbers are right-aligned."""
    rows = [list(row) for row in rows]
    numeric = [
        all(re.match(rf"(?:\*\*|≈ )?[<±-]?\d|{NOTHING}?$", row[at]) for row in rows) for at in range(len(header))
    ]
    rule = ["--:" if right else ":--" for right in numeric]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, rule, *rows))


def seconds(value: float) -> str:
    """A time to three digits in the unit that fits: 1.23 ms."""
    if not math.isfinite(value):
        return NOTHING
    fitting = (each for each in _UNITS if abs(value) >= each[0] * 0.9995)
    unit, name = next(fitting, _UNITS[-1])
    return f"{significant(value / unit)} {name}"


def significant(value: float, digits: int = 3) -> str:
    """A number to `digits` significant digits, never in scientific notation: 0.0123, 1.20, 1230."""
    if not math.isfinite(value):
        return NOTHING
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")  # 0.9999 is 1.00, a digit to the left
    return f"{value:.{max(0, digits - 1 - math.floor(math.log10(abs(rounded))))}f}"


def at_least(value: float) -> str:
    """The next whole number, ignoring rounding errors: 20.0000001 is 20."""
    return f"{math.ceil(round(value, 6))}"


def times(value: float) -> str:
    """A ratio: 1.23×."""
    return f"{significant(value)}{TIMES}" if math.isfinite(value) else NOTHING


def interval(low: float, high: float) -> str:
    """The bounds of a ratio: 1.20–1.26. A bound just above 1 has a digit more, since it decides the verdict."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return "no interval"
    return NOTHING.join(significant(bound, 4 if 1 < bound < 1.01 else 3) for bound in (low, high))


def share(value: float) -> str:
    """A share in percent: 12 %, 0.5 %."""
    return f"{significant(100 * value, 2)} %" if math.isfinite(value) else NOTHING


def error(value: float | None) -> str:
    """A relative error to two digits: 1.1e-7, 0."""
    if value is None or math.isnan(value):
        return NOTHING
    return "0" if value == 0 else re.sub(r"e([+-])0+", r"e\1", f"{value:.1e}").replace("e+", "e")


def count(number: int, noun: str) -> str:
    """A number with its noun: 1 workload, 2 workloads."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def listed(names: Sequence[str], last: str = "and") -> str:
    """Names as in a sentence: a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"
