"""The verdict of a comparison in words: a sentence, the rows of a table, and Markdown for a summary or a comment."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.presentation.plain_text import LONGEST, NOTHING, clean, code, count, escape, interval, share, table
from benchmarks.regression.environments.installed import PYTHON, PackageDifference, package_differences
from benchmarks.regression.regress import Result

HEADER = ("case", "verdict", "ratio", "interval, or why none", "pairs", "matters from", "could have found")
LONGEST_COMMENT = 60_000
"""The most characters of a comment: hosts of repositories take some 65,000."""
COMMENT_MARK = "<!-- rnnbench regress -->"
"""The beginning of a comment, by which it can be found again."""
UNCONFIRMED = "not confirmed"
"""The verdict in words on a case that seems slower and that the budget was too short to confirm."""
_WITHOUT_CHANGE = ("same", "cannot tell")


def rows(result: Result) -> list[tuple[str, ...]]:
    """A row a case, under the columns of the table; a case that was not compared has its kind and the reason.

    Those for which the budget was too short have none: `not_judged` names them.
    """
    found: list[tuple[str, ...]] = []
    if result.decision is not None:
        for case, judgement in result.decision.final.items():
            each = judgement.estimate
            numbers = (f"{each.ratio:.3f}", interval(each.low, each.high), f"{each.pairs}")
            verdict = UNCONFIRMED if case in result.unconfirmed else judgement.verdict
            found.append((case, verdict, *numbers, share(judgement.threshold), share(each.detectable)))
    judgeable = {case: each for case, each in result.excluded.items() if each.kind != "not judged"}
    found += [(case, kind, "", reason, "", "", "") for case, (kind, reason) in judgeable.items()]
    return found


def not_judged(result: Result) -> list[str]:
    """The cases for which the budget was too short, in the order in which they matter."""
    return [case for case, each in result.excluded.items() if each.kind == "not judged"]


def summary(result: Result) -> str:
    """The verdict in a sentence or two."""
    sentences = [_verdict(result)]
    if result.slower and result.unconfirmed:
        sentences.append(_unconfirmed(result))
    if result.lost:
        case = result.lost[0]
        sentences.append(
            f"{_are(len(result.lost), 'case')} broken on head and not on base, such as {clean(case, LONGEST)} "
            f"({clean(result.excluded[case][1], LONGEST)}): mend the code or the suite."
        )
    late = not_judged(result)
    if late:
        sentences.append(f"{_are(len(late), 'case')} not judged: {result.excluded[late[0]].reason}.")
    return " ".join(sentences)


def _verdict(result: Result) -> str:
    if result.decision is None:
        return f"Nothing was judged: {_why_nothing(result)}."
    of = f"{len(result.slower)} of {len(result.decision.final)} cases slower"
    if result.unfit and result.slower:
        return (
            f"{of} by far, confirmed in fresh processes: more than the machine explains, which was unfit to judge "
            f"small changes on ({result.unfit})."
        )
    if result.unfit:
        return f"The machine was unfit to judge on: {result.unfit}."
    if result.slower:
        return f"{of}, confirmed in fresh processes."
    if result.unconfirmed:
        return _unconfirmed(result)
    cases = count(len(result.decision.final), "case")
    if not result.decided:
        return f"None of {cases} can be told: the intervals are too wide; give a longer --budget or a quieter machine."
    return f"No confirmed slowdown in {cases}."


def _unconfirmed(result: Result) -> str:
    assert result.decision is not None
    case, number = result.unconfirmed[0], len(result.unconfirmed)
    each = result.decision.first[case].estimate
    cases = count(len(result.decision.final), "case")
    shown = f"{clean(case, LONGEST)}: {each.ratio:.2f} ({interval(each.low, each.high)}) over {each.pairs} pairs"
    return (
        f"{number} of {cases} {'seems' if number == 1 else 'seem'} slower ({shown}), and the budget ended before that "
        "was confirmed: give a longer --budget."
    )


def _why_nothing(result: Result) -> str:
    broken = {case: reason for case, (kind, reason) in result.excluded.items() if kind == "broken"}
    if broken:
        case, reason = next(iter(broken.items()))
        return (
            f"{_are(len(broken), 'case')} broken, such as {clean(case, LONGEST)} ({clean(reason, LONGEST)}); mend it, "
            "or name another --base"
        )
    if any(kind in ("new", "gone") for kind, _ in result.excluded.values()):
        new = sum(kind == "new" for kind, _ in result.excluded.values())
        gone = sum(kind == "gone" for kind, _ in result.excluded.values())
        return f"base and head have no case in common ({new} new, {gone} gone); name a --base that has these cases"
    return "base and head have no case in common"


def _are(number: int, noun: str) -> str:
    return f"{count(number, noun)} {'is' if number == 1 else 'are'}"


def markdown(result: Result) -> str:
    """The result as Markdown: the sentence, the table, and the pairs and environments behind it."""
    cells = [[code(row[0]), row[1], row[2], escape(row[3]), *row[4:]] for row in rows(result)]
    late = not_judged(result)
    return _paragraphs(
        [
            f"## Is {code(result.head)} slower than {code(result.base)}?",
            escape(summary(result)),
            table(HEADER, cells),
            folded("Cases that are not judged", ", ".join(map(code, late))) if late else "",
            *measured_by(result),
        ]
    )


def measured_by(result: Result) -> list[str]:
    """The pairs, environments, packages and control behind a verdict, as paragraphs of Markdown."""
    suspected = result.decision.suspected if result.decision else ()
    return [
        f"{len(result.pairs)} pairs of fresh processes in {result.seconds:.0f} s on {escape(result.machine['key'])}.",
        f"{count(len(suspected), 'case')} seemed slower and {'was' if len(suspected) == 1 else 'were'} measured again: "
        "ratio, interval and pairs are those of the second measurement alone."
        if suspected
        else "",
        *(escape(line) for line in result.environment),
        installed_text(result),
        *(
            f"{escape(name)}: {each.ratio:.3f} ({interval(each.low, each.high)})"
            for name, each in result.control.items()
        ),
    ]


def installed_text(result: Result) -> str:
    """The packages of both sides in Markdown: a table of those that differ, and the list of all of them."""
    if not result.installed:
        return ""
    base, head = (result.installed[side] for side in ("base", "head"))
    wanted = [each for variant in result.variants.values() for each in variant.requirements]
    differ = package_differences(base, head, wanted)
    rows = [
        (code(each.name), escape(each.base or NOTHING), escape(each.head or NOTHING), _why_there(each, wanted))
        for each in differ
    ]
    both = ", ".join(f"{escape(name)} {escape(version)}" for name, version in head.items() if base.get(name) == version)
    parts = [table(("package", "base", "head", "why"), rows) if rows else "", folded("Packages of both sides", both)]
    return "\n\n".join(part for part in parts if part)


def _why_there(each: PackageDifference, wanted: Sequence[str]) -> str:
    if each.name == PYTHON:
        return "the interpreter"
    return "asked for" if each.asked_for else "came along" if wanted else "the revision's"


def folded(title: str, text: str) -> str:
    """A part of a Markdown page that is shown on a click."""
    return f"<details><summary>{title}</summary>\n\n{text}\n\n</details>"


def comment(result: Result) -> str:
    """The verdict as a comment on a request: the sentence, what changed, and the rest folded; it fits a request.

    A comment that would be too long lacks the folded parts, then the end of the table, and says so.
    """
    lines = [[code(row[0]), row[1], row[2], escape(row[3])] for row in rows(result)]
    changed = [line for line in lines if line[1] not in _WITHOUT_CHANGE]
    unchanged = [line for line in lines if line[1] in _WITHOUT_CHANGE]
    top = [COMMENT_MARK, f"**{escape(summary(result))}**", f"{code(result.head)} against {code(result.base)}."]
    folds = [
        folded(f"{count(len(unchanged), 'case')} without a change", table(HEADER[:4], unchanged)) if unchanged else "",
        folded("How it was measured", "\n\n".join(measured_by(result))),
    ]
    whole = _paragraphs([*top, table(HEADER[:4], changed) if changed else "", *folds])
    if len(whole) <= LONGEST_COMMENT:
        return whole
    shown = len(changed)
    while True:
        left = len(lines) - shown
        rest = f"{count(left, 'case')} of {len(lines)} are in the job's summary alone." if left else ""
        short = _paragraphs([*top, table(HEADER[:4], changed[:shown]) if shown else "", rest])
        if len(short) <= LONGEST_COMMENT or not shown:
            return short
        shown //= 2


def _paragraphs(parts: Sequence[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"
