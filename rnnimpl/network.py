"""The description of a network: its config, its weights, and the shapes of its arrays.

Shape letters are those of `rnnimpl.interface`, which has all of these names, too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from rnnimpl import state_dict
from rnnimpl.cells import CELLS
from rnnimpl.dtypes import DTYPES, Dtype, carrier, round_to
from rnnimpl.suggestions import did_you_mean

Array = TypeVar("Array")
"""The array type of a framework."""
NumpyArray: TypeAlias = npt.NDArray[Any]
CellName = Literal["tanh", "relu", "lstm", "gru"]
State: TypeAlias = tuple[Array, ...]
"""The arrays that a step hands to the next, in the order of the cell's states: (h,), or (h, c) of an LSTM.

Each is (L*D, B, H).
"""

CELL_NAMES: tuple[CellName, ...] = get_args(CellName)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RnnConfig:
    """A recurrent network without its weights.

    `cell` is one of `rnnimpl.cells`; the other fields are the arguments of `torch.nn.RNN`. Raises ValueError or
    TypeError, naming the field, for a value that describes no network.
    """

    input_size: int
    hidden_size: int
    num_layers: int = 1
    cell: CellName = "tanh"
    bias: bool = True
    bidirectional: bool = False
    dtype: Dtype = "float32"

    def __post_init__(self) -> None:
        for name in ("input_size", "hidden_size", "num_layers"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
                raise TypeError(f"{name} is {value!r}; expected a whole number of 1 or more")
            if value < 1:
                raise ValueError(f"{name} is {value}; expected 1 or more")
        for name in ("bias", "bidirectional"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} is {getattr(self, name)!r}; expected True or False")
        if self.cell not in CELL_NAMES:
            hint = did_you_mean(str(self.cell), CELL_NAMES, most=1)
            raise ValueError(f"cell is {self.cell!r}; {hint}Expected one of {', '.join(CELL_NAMES)}")
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype is {self.dtype!r}; expected one of {', '.join(DTYPES)}")

    @property
    def num_directions(self) -> int:
        """D: 2 when bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    @property
    def carrier(self) -> np.dtype[Any]:
        """The dtype of its NumPy arrays: `dtype` itself, float32 for bfloat16 (see `rnnimpl.dtypes`)."""
        return carrier(self.dtype)

    @property
    def num_gates(self) -> int:
        """G: the number of blocks of H rows in each weight."""
        return CELLS[self.cell].num_gates

    @property
    def state_names(self) -> tuple[str, ...]:
        """The names of a state's arrays: ("h",), or ("h", "c") of an LSTM."""
        return CELLS[self.cell].states

    @property
    def num_stacked(self) -> int:
        """L*D: the number of layers over both directions, which is the first axis of a state."""
        return self.num_layers * self.num_directions

    def state_shapes(self, B: int) -> tuple[tuple[int, int, int], ...]:
        """The shape (L*D, B, H) of each array of a state."""
        return ((self.num_stacked, B, self.hidden_size),) * len(self.state_names)

    def zero_state(self, B: int) -> State[NumpyArray]:
        """A state of zeros for B sequences, from which a call without a state starts: (L*D, B, H) in the carrier."""
        dtype = self.carrier
        return tuple([np.zeros(shape, dtype) for shape in self.state_shapes(B)])

    def layers(self) -> Iterator[tuple[int, int]]:
        """Each (layer, direction) in the order of a state's first axis; direction 1 is the reverse one."""
        return ((layer, direction) for layer in range(self.num_layers) for direction in range(self.num_directions))

    def layer_input_size(self, layer: int) -> int:
        """The number of features that a layer takes: I for the first layer, D*H for the others."""
        return self.input_size if layer == 0 else self.num_directions * self.hidden_size

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every weight by its name in `torch.nn`, in the order of a module's parameters."""
        H = self.hidden_size
        rows = self.num_gates * H
        shapes: dict[str, tuple[int, ...]] = {}
        for layer, direction in self.layers():
            names = layer_weight_names(layer, direction)
            shapes[names.w_ih] = (rows, self.layer_input_size(layer))
            shapes[names.w_hh] = (rows, H)
            if self.bias:
                shapes[names.b_ih] = (rows,)
                shapes[names.b_hh] = (rows,)
        return shapes


class LayerWeights(NamedTuple, Generic[Array]):
    """The weights of one layer in one direction: w_ih (G*H, I), w_hh (G*H, H), b_ih and b_hh (G*H,) or None.

    I is the number of features that the layer takes.
    """

    w_ih: Array
    w_hh: Array
    b_ih: Array | None
    b_hh: Array | None


class LayerWeightNames(NamedTuple):
    """The names in `torch.nn` of the weights of one layer in one direction."""

    w_ih: str
    w_hh: str
    b_ih: str
    b_hh: str


def layer_weight_names(layer: int, direction: int) -> LayerWeightNames:
    """The names of one layer's weights: `weight_ih_l0` ..., and `weight_ih_l0_reverse` ... in direction 1."""
    suffix = f"l{layer}_reverse" if direction else f"l{layer}"
    return LayerWeightNames(f"weight_ih_{suffix}", f"weight_hh_{suffix}", f"bias_ih_{suffix}", f"bias_hh_{suffix}")


def select_layer(config: RnnConfig, arrays: Mapping[str, Array], layer: int, direction: int) -> LayerWeights[Array]:
    """The weights of one layer in one direction, from arrays by their names in `torch.nn`."""
    names = layer_weight_names(layer, direction)
    if not config.bias:
        return LayerWeights(arrays[names.w_ih], arrays[names.w_hh], None, None)
    return LayerWeights(*(arrays[name] for name in names))


@dataclasses.dataclass(frozen=True, eq=False)
class Weights:
    """The weights of a network as read-only NumPy arrays by the names of `torch.nn.RNN`, `nn.LSTM` and `nn.GRU`.

    Arrays are copied. Raises ValueError when a name is missing or not known, a shape does not fit the config, or a
    dtype is not the config's carrier.
    """

    config: RnnConfig
    arrays: Mapping[str, NumpyArray]

    def __post_init__(self) -> None:
        shapes = self.config.weight_shapes()
        if shapes.keys() != self.arrays.keys():
            raise ValueError(_misfit(self.config, self.arrays))
        frozen: dict[str, NumpyArray] = {}
        for name, shape in shapes.items():
            array = np.array(self.arrays[name])
            if array.shape != shape:
                raise ValueError(f"{name} has shape {array.shape}; expected {shape} for {self.config}")
            if array.dtype != self.config.carrier:
                raise ValueError(
                    f"{name} has dtype {array.dtype}; expected {self.config.carrier} for dtype {self.config.dtype}: "
                    "Weights.from_state_dict converts"
                )
            array.setflags(write=False)
            frozen[name] = array
        object.__setattr__(self, "arrays", MappingProxyType(frozen))

    @classmethod
    def init(cls, config: RnnConfig, seed: int) -> Weights:
        """Draw every weight and bias from U(-1/sqrt(H), 1/sqrt(H)), as `reset_parameters` of `torch.nn.RNN` does.

        The distribution is that of `nn.RNN`, `nn.LSTM` and `nn.GRU`. The generator is NumPy's PCG64: a seed gives the
        same values on every machine.
        """
        generator = np.random.default_rng(seed)
        bound = config.hidden_size**-0.5
        drawn = {name: generator.uniform(-bound, bound, shape) for name, shape in config.weight_shapes().items()}
        return cls(config, {name: round_to(array, config.dtype) for name, array in drawn.items()})

    @classmethod
    def from_state_dict(cls, config: RnnConfig, mapping: Mapping[str, Any], prefix: str = "") -> Weights:
        """The weights of an `nn.RNN`, `nn.LSTM` or `nn.GRU`: its `state_dict()`, or arrays by the same names.

        A prefix such as "encoder.rnn." selects one module of a larger one: the names that begin with it. Values are
        rounded to the config's dtype, as `nn.Module.load_state_dict` rounds them. Raises TypeError for values that are
        not real numbers, ValueError for names and shapes that do not fit, with the remedy where the form is known.
        """
        arrays = state_dict.select(mapping, prefix)
        known = state_dict.explain(arrays, config.weight_shapes(), config.cell)
        if known is not None:
            raise ValueError(known)
        wanted = config.weight_shapes()
        if wanted.keys() != arrays.keys():
            raise ValueError(_misfit(config, arrays))
        return cls(config, {name: round_to(state_dict.to_numpy(name, arrays[name]), config.dtype) for name in wanted})

    def __reduce__(self) -> tuple[type[Weights], tuple[RnnConfig, dict[str, NumpyArray]]]:
        """The arguments from which `copy` and `pickle` build a copy; they cannot take the mapping proxy."""
        return type(self), (self.config, dict(self.arrays))

    def state_dict(self) -> dict[str, NumpyArray]:
        """Copies of the arrays by their names in `torch.nn`; a module loads them after `torch.as_tensor` of each."""
        return {name: array.copy() for name, array in self.arrays.items()}

    def layer(self, layer: int, direction: int) -> LayerWeights[NumpyArray]:
        """The weights of one layer in one direction."""
        return select_layer(self.config, self.arrays, layer, direction)


def _misfit(config: RnnConfig, names: Iterable[str]) -> str:
    """A sentence that lists the missing names and the unexpected ones."""
    shapes, given = config.weight_shapes(), list(names)
    missing = [name for name in shapes if name not in given]
    unknown = [name for name in given if name not in shapes]
    return f"the weights do not fit {config}: missing {missing or 'none'}, not expected {unknown or 'none'}"
