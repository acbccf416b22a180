"""How far gradients may differ because the slope of a cell jumps: the ambiguous units of relu."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rnnimpl.expectation import name_grads, relative
from rnnimpl.interface import NumpyArray, RnnConfig, State
from rnnimpl.plain_loop import Units
from rnnimpl.reference import LayerKey, LayerRun, backward

FEW_UNITS = 20_000
MOST_GROUPS = 8
"""In a network with at most FEW_UNITS units over all steps, ambiguous relu units are switched in MOST_GROUPS groups."""


def find_kinks(
    config: RnnConfig,
    runs: Mapping[LayerKey, LayerRun],
    dy: NumpyArray,
    dstate_n: State[NumpyArray],
    delta: Mapping[LayerKey, float],
) -> dict[str, float]:
    """The relative differences of gradients that a jump of relu's slope allows, by name; empty without ambiguous units.

    A unit with |a| <= delta, the error allowed in its pre-activation, is ambiguous: it may be active in one right
    implementation and not in another. The difference is that between the reference and the gradients with all ambiguous
    units active, and with none of them. In a network with few units, groups of ambiguous units are switched in turn, so
    that the effect of one does not cancel that of another.
    """
    usual: dict[LayerKey, Units] = {key: layer_run.saved(0) for key, layer_run in runs.items()}
    ambiguous = {key: np.abs(layer_run.saved(1)) <= delta[key] for key, layer_run in runs.items()}
    count = sum(int(units.sum()) for units in ambiguous.values())
    if not count:
        return {}
    switched: list[dict[LayerKey, Units]]
    if sum(units.size for units in usual.values()) > FEW_UNITS:
        switched = [
            {key: usual[key] | ambiguous[key] for key in runs},
            {key: usual[key] & ~ambiguous[key] for key in runs},
        ]
    else:
        generator = np.random.default_rng(0)
        group = {key: generator.integers(MOST_GROUPS, size=units.shape) for key, units in usual.items()}
        switched = [
            {key: usual[key] ^ (ambiguous[key] & (group[key] == number)) for key in runs}
            for number in range(MOST_GROUPS)
        ]
    reference = name_grads(config, backward(config, runs, dy, dstate_n, active=usual)[0])
    changed = {name: np.zeros_like(value) for name, value in reference.items()}
    for active in switched:
        for name, value in name_grads(config, backward(config, runs, dy, dstate_n, active=active)[0]).items():
            changed[name] += np.abs(value - reference[name])
    return {name: relative(float(change.max()), reference[name]) for name, change in changed.items()}
