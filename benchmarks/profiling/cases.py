"""From the words of the command line to the cases of a profile, each checked before anything is measured."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence

from benchmarks import machine
from benchmarks.machine.nvml import gpu_count
from benchmarks.memory_needed import too_large
from benchmarks.workload import DEFAULT_MODES, DEVICES, Case, Workload, check_name
from rnnimpl.registry import listing, names
from rnnimpl.suggestions import did_you_mean

MOST_CASES = 1000
"""The most cases of one profile: each takes about a minute."""


def parse_cases(texts: Sequence[str], implementations: Sequence[str] = ()) -> tuple[Case, ...]:
    """The cases with these IDs; the ID of a workload stands for a case of the first of `implementations`.

    Raises ValueError for one that cannot be profiled, with the nearest implementation, and for a workload without an
    implementation, with what to add.
    """
    return checked(_case(text, implementations) for text in texts)


def _case(text: str, implementations: Sequence[str]) -> Case:
    if text.partition("/")[0] not in DEVICES:
        return Case.parse(text)
    workload = Workload.parse(text)
    if not implementations:
        raise ValueError(
            f"{text} is a workload; put an implementation before it, such as {Case(_EXAMPLE, workload).id}, or add "
            f"--impl {_EXAMPLE}"
        )
    return Case(implementations[0], workload)


_EXAMPLE = "fused_cpu"


def vary(cases: Iterable[Case], implementations: Sequence[str], sizes: Mapping[str, Sequence[int]]) -> tuple[Case, ...]:
    """The cases with each further implementation and each combination of `sizes`, {T, B, H or L: values}.

    A case with I = H keeps I = H. Raises ValueError as `parse_cases`, for a size without a value or with one below 1,
    and for more than `MOST_CASES` cases.
    """
    for letter, values in sizes.items():
        if not values:
            raise ValueError(f"{letter} is empty; expected one or more whole numbers, or the option left out")
        # Checked here, under the letter that the user gave: with H, I may change too.
        if min(values) < 1:
            raise ValueError(f"{letter} is {min(values)}; expected 1 or more")
    cases = tuple(cases)
    wanted = len(cases) * math.prod(map(len, sizes.values())) * (1 + len(implementations))
    if wanted > MOST_CASES:
        raise ValueError(f"{wanted} cases are to be profiled; expected at most {MOST_CASES}: name fewer sizes")
    found = []
    for case in cases:
        for values in itertools.product(*sizes.values()):
            changed = dict(zip(sizes, values, strict=True))
            if "H" in changed and case.workload.I == case.workload.H:
                changed["I"] = changed["H"]
            workload = dataclasses.replace(case.workload, **changed)  # type: ignore[arg-type]  # sizes are integers
            found += [Case(name, workload) for name in dict.fromkeys([case.implementation, *implementations])]
    return checked(found)


def checked(cases: Iterable[Case]) -> tuple[Case, ...]:
    """The cases without repetitions. Raises ValueError for one that cannot be profiled here."""
    distinct = tuple(dict.fromkeys(cases))
    for case in distinct:
        if case.workload.mode not in DEFAULT_MODES or case.workload.conditions:
            raise ValueError(
                f"case is {case.id!r}; expected one of mode {' or '.join(DEFAULT_MODES)} without further conditions: "
                "profile that case"
            )
        source = check_name(case.implementation)
        if ":" not in source and source not in names():
            hint = did_you_mean(source, {name: Case(name, case.workload).id for name in names()}, most=1)
            raise ValueError(f"case is {case.id!r}; {hint}Known implementations: {', '.join(names())}")
        listing(source)
        if case.workload.device == "cuda" and gpu_count() == 0:
            raise ValueError(f"case is {case.id!r}; this machine has no NVIDIA GPU: expected device cpu")
        if case.workload.threads > machine.usable_cores():
            raise ValueError(
                f"case is {case.id!r}; expected at most {machine.usable_cores()} threads, as many as cores"
            )
        available = machine.available_bytes(case.workload.device)
        refusal = None if available is None else too_large(case.workload, available)
        if refusal:
            raise ValueError(refusal)
    return distinct
