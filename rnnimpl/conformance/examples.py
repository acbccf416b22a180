"""The examples of the checks: small networks of awkward sizes, with data and expected results."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from rnnimpl.dtypes import DTYPES, Dtype, round_to
from rnnimpl.expectation import Expectation
from rnnimpl.interface import CELL_NAMES, NumpyArray, RnnConfig, State, Weights
from rnnimpl.tolerance import expect


class Data(NamedTuple):
    """x (T, B, I), the state, and the cotangents dy (T, B, D*H) and dstate_n, in the config's carrier.

    The state and dstate_n are tuples of arrays (L*D, B, H), one for each of the cell's states.
    """

    x: NumpyArray
    state: State[NumpyArray]
    dy: NumpyArray
    dstate_n: State[NumpyArray]

    @property
    def arrays(self) -> tuple[NumpyArray, ...]:
        """All arrays in one tuple: x, the state, dy, dstate_n."""
        return (self.x, *self.state, self.dy, *self.dstate_n)


@dataclasses.dataclass(frozen=True)
class Example:
    """A network, a number of steps T, a batch size B and the seed of its weights and data.

    x and the state are standard normal times `scale`. A small scale keeps a sum of many terms small: tanh of a large
    sum is nearly 1, and its gradients then depend on the last bits of tanh.
    """

    config: RnnConfig
    T: int
    B: int
    seed: int = 0
    scale: float = 1.0

    @property
    def id(self) -> str:
        """The name of the example, such as `T11-B5-I13-H7-L2-D2-tanh-bias-float32`."""
        c = self.config
        bias = "bias" if c.bias else "nobias"
        sizes = f"T{self.T}-B{self.B}-I{c.input_size}-H{c.hidden_size}-L{c.num_layers}-D{c.num_directions}"
        return f"{sizes}-{c.cell}-{bias}-{c.dtype}"

    @property
    def cotangents(self) -> tuple[str, ...]:
        """The names of the cotangents: `dy`, `dh_n` and, of an LSTM, `dc_n`."""
        return ("dy", *(f"d{name}_n" for name in self.config.state_names))

    def resized(self, *, T: int | None = None, B: int | None = None) -> Example:
        """The same network on data of another size."""
        return dataclasses.replace(self, T=T or self.T, B=B or self.B)

    def reseeded(self) -> Example:
        """The same network and sizes with different weights and data."""
        return dataclasses.replace(self, seed=self.seed + 1)

    def weights(self) -> Weights:
        """The weights, drawn as `torch.nn` draws them: b_ih and b_hh are two draws, and neither is zero."""
        return Weights.init(self.config, self.seed)

    def data(self) -> Data:
        """The data, in new arrays at each call: a check that changes them does not affect the next."""
        c = self.config
        generator = np.random.default_rng((self.seed, self.T, self.B))

        def draw(shape: tuple[int, ...], scale: float) -> NumpyArray:
            return round_to(scale * generator.standard_normal(shape), c.dtype)

        return Data(
            x=draw((self.T, self.B, c.input_size), self.scale),
            state=tuple(draw(shape, self.scale) for shape in c.state_shapes(self.B)),
            dy=draw((self.T, self.B, c.num_directions * c.hidden_size), 1),
            dstate_n=tuple(draw(shape, 1) for shape in c.state_shapes(self.B)),
        )

    def lengths(self) -> tuple[int, ...]:
        """Unequal lengths of the sequences, in no order: evenly from 1 to T - 1, so that the last step is all padding.

        With fewer steps than sequences, or with one sequence, some are equal.
        """
        ramp = np.linspace(1, max(1, self.T - 1), self.B).round().astype(int)
        return tuple(int(length) for length in np.random.default_rng((7, self.B)).permutation(ramp))

    def padding(self) -> NumpyArray:
        """Whether a step of a sequence is padding, (T, B)."""
        return np.arange(self.T)[:, None] >= np.array(self.lengths())

    def data_of_one(self, cotangent: str) -> Data:
        """The data with all cotangents but one set to zero: a loss of y alone, or of one array of the final state."""
        data = self.data()
        dy, *dstate_n = (
            array if name == cotangent else np.zeros_like(array)
            for name, array in zip(self.cotangents, (data.dy, *data.dstate_n), strict=True)
        )
        return data._replace(dy=dy, dstate_n=tuple(dstate_n))

    def expected(self, *, given_state: bool = True, cotangent: str | None = None) -> Expectation:
        """The reference's results for the data, with its state or from zeros; `cotangent` as in `data_of_one`."""
        return _expected(self, given_state, cotangent)

    def expected_of_lengths(self, *, given_state: bool = True) -> Expectation:
        """The reference's results for the data with sequences of `lengths`."""
        return _expected_of_lengths(self, given_state)

    def expected_from_zeros(self) -> Expectation:
        """The reference's results from a state of zeros, without gradients, which take several times as long."""
        return _expected_from_zeros(self)


@functools.lru_cache(maxsize=1024)
def _expected_from_zeros(example: Example) -> Expectation:
    return expect(example.config, example.weights(), example.data().x, None)


@functools.lru_cache(maxsize=1024)
def _expected_of_lengths(example: Example, given_state: bool) -> Expectation:
    data = example.data()
    state = data.state if given_state else None
    lengths = example.lengths()
    return expect(example.config, example.weights(), data.x, state, data.dy, data.dstate_n, lengths=lengths)


@functools.lru_cache(maxsize=1024)
def _expected(example: Example, given_state: bool, cotangent: str | None) -> Expectation:
    data = example.data_of_one(cotangent) if cotangent else example.data()
    return expect(
        example.config, example.weights(), data.x, data.state if given_state else None, data.dy, data.dstate_n
    )


# Different sizes, so that a confusion of axes shows. All are odd or prime: kernels for multiples of 16 need masks.
SIZES = {"input_size": 13, "hidden_size": 7}
T, B = 11, 5


def every_structure() -> tuple[Example, ...]:
    """All combinations of cell, 1 to 3 layers, directions, bias and dtype."""
    return tuple(
        Example(
            RnnConfig(**SIZES, num_layers=num_layers, cell=cell, bias=bias, bidirectional=bidirectional, dtype=dtype),
            T,
            B,
        )
        for cell, num_layers, bidirectional, bias, dtype in itertools.product(
            CELL_NAMES, (1, 2, 3), (False, True), (True, False), DTYPES
        )
    )


@functools.cache
def structures() -> tuple[Example, ...]:
    """A covering set of `every_structure`: all combinations of the values of any three fields occur in it."""
    return _cover(every_structure(), together=3, first=representative())


@functools.cache
def pairwise() -> tuple[Example, ...]:
    """A covering set of `structures` for slow implementations: all pairs of values of any two fields occur in it."""
    return _cover(structures(), together=2)


@functools.cache
def representative() -> tuple[Example, ...]:
    """A few networks with every value of every field but three layers, for checks that hardly depend on structure."""

    def example(dtype: Dtype, **fields: object) -> Example:
        return Example(RnnConfig(**SIZES, dtype=dtype, **fields), T, B)  # type: ignore[arg-type]  # fields by name

    examples = (
        example("float32"),
        example("float32", num_layers=2, bidirectional=True),
        example("float32", num_layers=2, cell="relu", bias=False),
        example("float64", bidirectional=True, cell="relu"),
        example("float16", num_layers=2),
        example("bfloat16", num_layers=2),
        example("float32", cell="lstm"),
        example("float64", cell="lstm", num_layers=2, bidirectional=True, bias=False),
        example("float32", cell="gru", num_layers=2),
        example("float16", cell="gru", bidirectional=True),
    )
    shown = {each.config.cell for each in examples}
    return (*examples, *(example("float32", cell=cell) for cell in CELL_NAMES if cell not in shown))


def _cover(candidates: Iterable[Example], *, together: int, first: Iterable[Example] = ()) -> tuple[Example, ...]:
    """The examples in `first`, then repeatedly the candidate that adds the most combinations of values.

    The result has every combination of the values of `together` fields that occurs in the candidates.
    """
    fields = {example: _combinations(example.config, together) for example in candidates}
    chosen = list(first)
    missing: set[object] = set().union(*fields.values())
    for example in chosen:
        missing -= fields[example]
    while missing:
        best = max(fields, key=lambda example: len(fields[example] & missing))
        chosen.append(best)
        missing -= fields[best]
    return tuple(chosen)


def _combinations(config: RnnConfig, together: int) -> set[object]:
    """Every combination of `together` fields of the config with their values."""
    return set(itertools.combinations(dataclasses.asdict(config).items(), together))
