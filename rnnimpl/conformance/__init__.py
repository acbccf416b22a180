"""The suite of checks that every implementation must pass, usable from any project and without pytest.

    from rnnimpl import conformance

    for result in conformance.run(MyRnn, device="cpu"):
        print(result)

Each check is a function `check_*(implementation, example, device)` that returns the error it measured or raises
`ConformanceError`; `cases()` pairs every check with the examples it is meant for, `slow_cases()` with those that take
long. What a check needs of a network's cell it declares itself (`needs`).
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
