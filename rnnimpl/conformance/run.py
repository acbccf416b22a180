"""Which check is made on which examples, and making them all on one implementation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, Literal, NamedTuple, TypeAlias

from rnnimpl.conformance import arguments, calls, copies, results, results_at_sizes, sequences
from rnnimpl.conformance.compare import ConformanceError, Measured
from rnnimpl.conformance.examples import Example, every_structure, representative
from rnnimpl.conformance.sizes import every_size
from rnnimpl.interface import Rnn, Unavailable, Unsupported

Check: TypeAlias = Callable[[type[Rnn[Any]], Example, str], Measured | None]
Status: TypeAlias = Literal["passed", "failed", "unsupported", "unavailable"]


class Case(NamedTuple):
    """A check on an example."""

    check: Check
    example: Example

    @property
    def id(self) -> str:
        """`check_output-T11-B5-I13-H7-L1-D1-tanh-bias-float32`."""
        return f"{self.check.__name__}-{self.example.id}"


@dataclasses.dataclass(frozen=True)
class CheckResult:
    """What a check found: `message` says why it did not pass, `measured` the error where one was measured."""

    check: str
    example: str
    status: Status
    message: str = ""
    measured: Measured | None = None


def cases() -> list[Case]:
    """Every check with its examples: numbers on every structure of network and at many sizes, behaviour on a few."""
    return [
        Case(check, example)
        for module, examples in (
            (results, every_structure()),
            (results_at_sizes, every_size()),
            (sequences, representative()),
            (calls, representative()),
            (arguments, representative()),
            (copies, representative()),
        )
        for check in _checks(module)
        for example in examples
        if check is not sequences.check_two_halves or not example.config.bidirectional
    ]


def run(
    implementation: type[Rnn[Any]],
    device: str = "cpu",
    *,
    selected: Iterable[Case] | None = None,
    progress: Callable[[CheckResult], None] | None = None,
) -> list[CheckResult]:
    """Make the checks, all unless some are selected; `progress` is called with each result as it comes.

    An exception of the implementation is a result, not an exception: Unsupported and Unavailable are statuses,
    any other is a failure with its type and message.
    """
    found = []
    for case in cases() if selected is None else selected:
        result = _run_case(implementation, case, device)
        if progress is not None:
            progress(result)
        found.append(result)
    return found


def _run_case(implementation: type[Rnn[Any]], case: Case, device: str) -> CheckResult:
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
    except BaseException as error:  # noqa: BLE001  # whatever another's code raises, SystemExit too, is what this reports
        return CheckResult(check, example, "failed", f"{type(error).__name__}: {error}")
    return CheckResult(check, example, "passed", measured=measured)


def _checks(module: ModuleType) -> list[Check]:
    """The checks a module defines, in its order."""
    return [value for name, value in vars(module).items() if name.startswith("check_")]
