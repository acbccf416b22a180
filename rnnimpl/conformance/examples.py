"""What the checks compute on: small networks of awkward sizes, with their data and what is expected of them."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from typing import NamedTuple

import numpy as np

from rnnimpl.dtypes import DTYPES, Dtype, round_to
from rnnimpl.expectation import Expectation
from rnnimpl.interface import NONLINEARITIES, NumpyArray, RnnConfig, Weights
from rnnimpl.tolerance import expect


class Data(NamedTuple):
    """x (T, B, I), h0 (L*D, B, H) and the cotangents dy (T, B, D*H), dh_n (L*D, B, H), in the config's carrier."""

    x: NumpyArray
    h0: NumpyArray
    dy: NumpyArray
    dh_n: NumpyArray


@dataclasses.dataclass(frozen=True)
class Example:
    """A network, a sequence length T, a batch size B and the seed from which weights and data are drawn.

    x and h0 are standard normal times `scale`. Where the sum of I terms is large tanh is nearly 1, and the gradients
    then say more of the last bits of tanh than of what they are gradients of.
    """

    config: RnnConfig
    T: int
    B: int
    seed: int = 0
    scale: float = 1.0

    @property
    def id(self) -> str:
        """What pytest's -k finds: `T11-B5-I13-H7-L2-D2-tanh-bias-float32`."""
        c = self.config
        bias = "bias" if c.bias else "nobias"
        sizes = f"T{self.T}-B{self.B}-I{c.input_size}-H{c.hidden_size}-L{c.num_layers}-D{c.num_directions}"
        return f"{sizes}-{c.nonlinearity}-{bias}-{c.dtype}"

    def resized(self, *, T: int | None = None, B: int | None = None) -> Example:
        """The same network on data of another size."""
        return dataclasses.replace(self, T=T or self.T, B=B or self.B)

    def reseeded(self) -> Example:
        """The same network and sizes with other weights and other data."""
        return dataclasses.replace(self, seed=self.seed + 1)

    def weights(self) -> Weights:
        """The weights, drawn as `nn.RNN` draws them."""
        return Weights.init(self.config, self.seed)

    def data(self) -> Data:
        """The data; new arrays at each call, so that one check cannot spoil the next."""
        c = self.config
        generator = np.random.default_rng((self.seed, self.T, self.B))
        state = (c.num_layers * c.num_directions, self.B, c.hidden_size)
        shapes = ((self.T, self.B, c.input_size), state, (self.T, self.B, c.num_directions * c.hidden_size), state)
        scales = (self.scale, self.scale, 1, 1)
        drawn = (scale * generator.standard_normal(shape) for scale, shape in zip(scales, shapes, strict=True))
        return Data(*(round_to(array, c.dtype) for array in drawn))

    def data_without(self, cotangent: str) -> Data:
        """The data with dy or dh_n zero: the loss depends on the final state or on the output alone."""
        data = self.data()
        return data._replace(**{cotangent: np.zeros_like(getattr(data, cotangent))})

    def expected(self, *, given_h0: bool = True, without: str | None = None) -> Expectation:
        """What the reference gives for this data, with h0 or from zeros; `without` as in `data_without`."""
        return _expected(self, given_h0, without)

    def expected_from_zeros(self) -> Expectation:
        """What the reference gives from a state of zeros, without gradients, which take several times as long."""
        return _expected_from_zeros(self)


@functools.lru_cache(maxsize=1024)
def _expected_from_zeros(example: Example) -> Expectation:
    return expect(example.config, example.weights(), example.data().x, None)


@functools.lru_cache(maxsize=1024)
def _expected(example: Example, given_h0: bool, without: str | None) -> Expectation:
    x, h0, dy, dh_n = example.data_without(without) if without else example.data()
    return expect(example.config, example.weights(), x, h0 if given_h0 else None, dy, dh_n)


# No two sizes are equal, so no axis can be taken for another; all are odd or prime, which kernels written for
# multiples of 16 have to mask.
SIZES = {"input_size": 13, "hidden_size": 7}
T, B = 11, 5


def every_structure() -> tuple[Example, ...]:
    """Each nonlinearity x layers x directions x bias x dtype."""
    return tuple(
        Example(
            RnnConfig(
                **SIZES,
                num_layers=num_layers,
                nonlinearity=nonlinearity,
                bias=bias,
                bidirectional=bidirectional,
                dtype=dtype,
            ),
            T,
            B,
        )
        for nonlinearity, num_layers, bidirectional, bias, dtype in itertools.product(
            NONLINEARITIES, (1, 2, 3), (False, True), (True, False), DTYPES
        )
    )


def pairwise() -> tuple[Example, ...]:
    """Twelve of `every_structure`: each value of a field is there with each value of every other field.

    For implementations that take seconds to build a network.
    """

    def chosen(config: RnnConfig) -> bool:
        layers, dtype = config.num_layers, DTYPES.index(config.dtype)
        wanted = (
            NONLINEARITIES[(layers + dtype) % 2],
            (layers + dtype // 2) % 2 == 1,
            (layers + dtype + dtype // 2) % 2 == 1,
        )
        return (config.nonlinearity, config.bidirectional, config.bias) == wanted

    return tuple(example for example in every_structure() if chosen(example.config))


def representative() -> tuple[Example, ...]:
    """A few networks that between them have every value of every field: for what hardly depends on structure."""

    def example(dtype: Dtype, **fields: object) -> Example:
        return Example(RnnConfig(**SIZES, dtype=dtype, **fields), T, B)  # type: ignore[arg-type]  # fields by name

    return (
        example("float32"),
        example("float32", num_layers=2, bidirectional=True),
        example("float32", num_layers=2, nonlinearity="relu", bias=False),
        example("float64", bidirectional=True, nonlinearity="relu"),
        example("float16", num_layers=2),
        example("bfloat16", num_layers=2),
    )
