"""The command line: `python -m rnnimpl list` and `python -m rnnimpl check NAME`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from rnnimpl.verbs import PlainVerbs

if TYPE_CHECKING:
    from rnnimpl.conformance import CheckResult
    from rnnimpl.conformance.apart import CheckRun

app = typer.Typer(
    cls=PlainVerbs,
    help="List the implementations of a recurrent network, and check whether one is right.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command(epilog="Example: python -m rnnimpl list --json")
def list(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:  # noqa: A001  # the verb
    """Show all implementations, and for each device whether it runs here or why not."""
    from rnnimpl.registry import listing, names

    listings = [listing(name) for name in names()]
    if as_json:
        print(json.dumps([vars(each) for each in listings], indent=2))
        return
    from rich.console import Console

    from rnnimpl.listing_text import implementation_lines

    console = Console()
    for line in implementation_lines(listings, console.width):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


@app.command(epilog="Example: python -m rnnimpl check my_package.my_module:MyRnn --device cpu")
def check(
    implementation: Annotated[str, typer.Argument(metavar="NAME|module:Class", help="What to check.")],
    device: Annotated[str, typer.Option(metavar="DEVICE", help="cpu, cuda or cuda:N.")] = "cpu",
    timeout: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="How long one check may take, or the import.")
    ] = 300,
    slow: Annotated[
        bool, typer.Option("--slow", help="Check every structure of network, too, and 65,536 rows (T*B) and more.")
    ] = False,
) -> None:
    """Run the conformance suite on an implementation, in a process of its own; exit status 1 when a check fails."""
    from rich.console import Console

    outcome, count = _run(implementation, device, timeout, slow=slow)
    results = outcome.results
    passed = sum(result.status == "passed" for result in results)
    failed = [result for result in results if result.status == "failed"]
    if not failed and not passed and not outcome.ended:
        _wrong_use(f"{implementation} cannot be checked on {device}: {results[0].message}")
    console = Console()
    for line, is_failed in _table(results, console.width):
        console.print(line, style="red" if is_failed else None, markup=False, highlight=False, soft_wrap=True)
    for check_name in dict.fromkeys(result.check for result in failed):
        mine = [result for result in failed if result.check == check_name]
        failure = f"{check_name} failed {len(mine)} times, first on {mine[0].example}:\n    {mine[0].message}"
        console.print(failure, markup=False, highlight=False, soft_wrap=True)
    rest = len(results) - passed - len(failed)
    counts = f"{passed} passed, {len(failed)} failed, {rest} not supported"
    if len(results) < count:
        counts += f", {count - len(results)} not made"
    if outcome.ended:
        console.print(f"{implementation}: {outcome.ended}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"{implementation} on {device}: {counts}", markup=False, soft_wrap=True)
    if failed or outcome.ended or len(results) < count:
        raise typer.Exit(1)


def _run(implementation: str, device: str, timeout_seconds: float, *, slow: bool) -> tuple[CheckRun, int]:
    """Make all checks, with a progress bar on a terminal -> their outcome, and the number of checks there are.

    The class may be in any module that Python can import, also in the current folder.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from rnnimpl import conformance
    from rnnimpl.conformance.apart import Refused, run_apart

    sys.path.insert(0, str(Path.cwd()))
    cases = conformance.cases() + (conformance.slow_cases() if slow else [])
    made = 0
    try:
        # A check may compile for long: the clock goes on.
        columns = (TextColumn("checking"), BarColumn(bar_width=20), MofNCompleteColumn(), TimeElapsedColumn())
        console = Console(stderr=True)
        with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
            task = progress.add_task("", total=len(cases))

            def advance(_: CheckResult) -> None:
                nonlocal made
                made += 1
                progress.advance(task)

            outcome = run_apart(
                implementation, device, selected=cases, progress=advance, timeout_seconds=timeout_seconds
            )
    except Refused as reason:
        _wrong_use(str(reason))
    except KeyboardInterrupt:
        print(f"interrupted: {made} of {len(cases)} checks were made", file=sys.stderr)
        raise typer.Exit(130) from None
    return outcome, len(cases)


def _table(results: Sequence[CheckResult], width: int) -> Sequence[tuple[str, bool]]:
    """Lines of a table with a row for each check, and whether each is of a check that failed.

    A row has its counts, and the error that is nearest to its tolerance; for a check that compares two calls it has
    the number of examples in which both are equal to the last bit.
    """
    from rnnimpl.text_table import Column, text_table

    statuses = [s for s in ("passed", "failed", "unsupported", "unavailable") if any(r.status == s for r in results)]
    rows: dict[str, Sequence[str]] = {}
    for check in dict.fromkeys(result.check for result in results):
        mine = [result for result in results if result.check == check]
        counts = [sum(result.status == status for result in mine) for status in statuses]
        measured = [result.measured for result in mine if result.measured is not None]
        nearest = max(measured, key=lambda each: each.error / each.tolerance, default=None)
        errors = ("", "") if nearest is None else (f"{nearest.error:.2g}", f"{nearest.tolerance:.2g}")
        identical = [each.identical for each in measured if each.identical is not None]
        bits = f"{sum(identical)} of {len(identical)}" if identical else ""
        rows[check] = [check, *(str(count or "") for count in counts), *errors, bits]
    # What a narrow terminal leaves out first.
    dropped = {"same bits": 1, "error": 2, "tolerance": 2}
    columns = [
        Column(name, [row[at] for row in rows.values()], right=at > 0, dropped=dropped.get(name, 0))
        for at, name in enumerate(("check", *statuses, "error", "tolerance", "same bits"))
    ]
    failed = {result.check for result in results if result.status == "failed"}
    return [(line, line.split()[0] in failed) for line in text_table(columns, width)]


def _wrong_use(message: str) -> NoReturn:
    """Print the message to standard error and exit with status 2."""
    print(message, file=sys.stderr)
    raise typer.Exit(2)


if __name__ == "__main__":
    app(prog_name="python -m rnnimpl")
