"""The suite of checks that every implementation must pass, for any project, without pytest.

    from rnnimpl import conformance

    for result in conformance.run(MyRnn, device="cpu"):
        print(result)

Each check is a function `check_*(implementation, example, device)` that returns the error that it measured or raises
`ConformanceError`. `cases()` pairs every check with its examples, `slow_cases()` with those that take long. A check
declares what it needs of an example (`needs`).
"""

from rnnimpl.conformance.compare import ConformanceError, MeasuredError
from rnnimpl.conformance.examples import Example
from rnnimpl.conformance.run import CheckCase, CheckResult, Status, cases, run, slow_cases

__all__ = [
    "CheckCase",
    "CheckResult",
    "ConformanceError",
    "Example",
    "MeasuredError",
    "Status",
    "cases",
    "run",
    "slow_cases",
]
