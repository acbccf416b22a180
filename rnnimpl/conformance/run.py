"""The checks with their examples, and a run of them on one implementation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, Literal, NamedTuple, TypeAlias

from rnnimpl.conformance import arguments, calls, copies, lengths, results, results_at_sizes, sequences
from rnnimpl.conformance.compare import ConformanceError, MeasuredError
from rnnimpl.conformance.examples import Example, every_structure, representative, structures
from rnnimpl.conformance.needs import fits
from rnnimpl.conformance.sizes import every_size, many_rows
from rnnimpl.interface import Rnn, Unavailable, Unsupported

Check: TypeAlias = Callable[[type[Rnn[Any]], Example, str], MeasuredError | None]
Status: TypeAlias = Literal["passed", "failed", "unsupported", "unavailable"]


class CheckCase(NamedTuple):
    """A check on an example."""

    check: Check
    example: Example

    @property
    def id(self) -> str:
        """The name of the pair: `check_output-T11-B5-I13-H7-L1-D1-tanh-bias-float32`."""
        return f"{self.check.__name__}-{self.example.id}"


@dataclasses.dataclass(frozen=True)
class CheckResult:
    """The result of a check on an example.

    `message` is the reason why it did not pass, `measured` the error where one was measured.
    """

    check: str
    example: str
    status: Status
    message: str = ""
    measured: MeasuredError | None = None


def cases() -> list[CheckCase]:
    """Every check with its examples: checks of results on many structures and sizes, the others on a few."""
    return _cases(
        (results, structures()),
        (results_at_sizes, every_size()),
        (sequences, representative()),
        (calls, representative()),
        (arguments, representative()),
        (copies, representative()),
        (lengths, representative()),
    )


def slow_cases() -> list[CheckCase]:
    """The cases that `cases` leaves out because they take long: all other structures, and many rows."""
    chosen = set(structures())
    others = tuple(example for example in every_structure() if example not in chosen)
    return _cases((results, others), (results_at_sizes, many_rows()))


def _cases(*selection: tuple[ModuleType, Iterable[Example]]) -> list[CheckCase]:
    """The checks of each module with each of its examples that meets the check's need."""
    return [
        CheckCase(check, example)
        for module, examples in selection
        for check in _checks(module)
        for example in examples
        if fits(check, example)
    ]


def run(
    implementation: type[Rnn[Any]],
    device: str = "cpu",
    *,
    selected: Iterable[CheckCase] | None = None,
    progress: Callable[[CheckResult], None] | None = None,
) -> list[CheckResult]:
    """Make the checks, all of `cases()` unless some are selected -> their results in the same order.

    `progress` is called with each result as it comes. Examples of a cell that the implementation does not name are not
    run, and unsupported. An exception of the implementation is a result: Unsupported and Unavailable are statuses, any
    other is a failure with its type and message. KeyboardInterrupt is raised.
    """
    found = []
    for case in cases() if selected is None else selected:
        result = not_named(case, implementation.cells) or _run_case(implementation, case, device)
        if progress is not None:
            progress(result)
        found.append(result)
    return found


def not_named(case: CheckCase, cells: Iterable[str]) -> CheckResult | None:
    """The result, unsupported, of a case whose cell is not in `cells`; None where it is."""
    named, cell = tuple(cells), case.example.config.cell
    if cell in named:
        return None
    message = f"the class names the cells {', '.join(named)}; the example has cell {cell}"
    return CheckResult(case.check.__name__, case.example.id, "unsupported", message)


def _run_case(implementation: type[Rnn[Any]], case: CheckCase, device: str) -> CheckResult:
    check, example = case.check.__name__, case.example.id
    try:
        measured = case.check(implementation, case.example, device)
    except ConformanceError as error:
        return CheckResult(check, example, "failed", str(error), error.measured)
    except Unsupported as error:
        return CheckResult(check, example, "unsupported", str(error))
    except Unavailable as error:
        return CheckResult(check, example, "unavailable", str(error))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # every exception of the implementation, SystemExit too, is a result
        return CheckResult(check, example, "failed", f"{type(error).__name__}: {error}")
    return CheckResult(check, example, "passed", measured=measured)


def _checks(module: ModuleType) -> list[Check]:
    """The checks a module defines, in its order."""
    return [value for name, value in vars(module).items() if name.startswith("check_")]
