"""The interface of an implementation, and the one place that defines the shapes of its arrays.

Shape letters, here and everywhere else:

    T  time steps                 H  hidden units
    B  sequences in a batch       L  layers
    I  input features             D  directions, 1 or 2

    G  gates of a cell, 1, 3 or 4

A recurrent layer computes for t = 0 ... T-1, from x[t], a state and its weights, the next state; the first array of the
state is the output of the step. What a step computes is the cell: `rnnimpl.cells` has the formula of each. Weights have
the names and shapes of `torch.nn.RNN`, `nn.LSTM` and `nn.GRU`: the gates are blocks of H rows.

Layer l > 0 takes the output of layer l-1, whose two directions stand side by side in the last axis.
"""

from __future__ import annotations

import abc
import dataclasses
import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import (
    Any,
    ClassVar,
    Generic,
    Literal,
    NamedTuple,
    NoReturn,
    SupportsIndex,
    TypeAlias,
    TypeVar,
    get_args,
)

import numpy as np
import numpy.typing as npt

from rnnimpl import state_dict
from rnnimpl.cells import CELLS
from rnnimpl.dtypes import DTYPES, Dtype, Precision, carrier, round_to

Array = TypeVar("Array")
NumpyArray: TypeAlias = npt.NDArray[Any]
CellName = Literal["tanh", "relu", "lstm", "gru"]
State: TypeAlias = tuple[Array, ...]
"""What a step hands to the next, in the order of the cell's states: (h,), or (h, c) of an LSTM. Each is (L*D, B, H)."""

CELL_NAMES: tuple[CellName, ...] = get_args(CellName)

COMPILED = "RNNIMPL_COMPILED"
"""The environment variable that may name a folder for what is compiled: later processes find it there, and say so in
`describe`. Without it, each process compiles anew."""


class Unavailable(Exception):
    """This machine cannot run the implementation; the message says what is missing and what would help."""


class Unsupported(Exception):
    """The implementation does not do this config or mode; the message says which part of it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RnnConfig:
    """What network is computed. `cell` is one of `rnnimpl.cells`; the other fields are the arguments of `torch.nn.RNN`.

    Raises ValueError or TypeError, naming the field, when a value makes no network.
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
            nearest = difflib.get_close_matches(str(self.cell).lower(), CELL_NAMES, n=1)
            hint = f"did you mean {nearest[0]}? " if nearest else ""
            raise ValueError(f"cell is {self.cell!r}; {hint}Expected one of {', '.join(CELL_NAMES)}")
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype is {self.dtype!r}; expected one of {', '.join(DTYPES)}")

    @property
    def num_directions(self) -> int:
        """D: 2 when bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    @property
    def carrier(self) -> np.dtype[Any]:
        """The dtype of NumPy arrays handed in and out (float32 for bfloat16, see `rnnimpl.dtypes`)."""
        return carrier(self.dtype)

    @property
    def num_gates(self) -> int:
        """G: blocks of H rows in each weight."""
        return CELLS[self.cell].num_gates

    @property
    def state_names(self) -> tuple[str, ...]:
        """What the state is made of: ("h",), or ("h", "c") of an LSTM."""
        return CELLS[self.cell].states

    @property
    def num_stacked(self) -> int:
        """L*D: single-layer networks, which is the first axis of a state."""
        return self.num_layers * self.num_directions

    def state_shapes(self, B: int) -> tuple[tuple[int, int, int], ...]:
        """The shape (L*D, B, H) of each array of a state."""
        return ((self.num_stacked, B, self.hidden_size),) * len(self.state_names)

    def layers(self) -> Iterator[tuple[int, int]]:
        """(layer, direction) of each of the L*D single-layer networks, in the order of a state's first axis."""
        return ((layer, direction) for layer in range(self.num_layers) for direction in range(self.num_directions))

    def layer_input_size(self, layer: int) -> int:
        """Features that layer `layer` takes: I for the first, D*H for the others."""
        return self.input_size if layer == 0 else self.num_directions * self.hidden_size

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every weight by `torch.nn`'s name, in the order of its parameters."""
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
    """The weights of a layer in one direction: w_ih (G*H, I), w_hh (G*H, H), b_ih and b_hh (G*H,); no bias is None."""

    w_ih: Array
    w_hh: Array
    b_ih: Array | None
    b_hh: Array | None


class LayerWeightNames(NamedTuple):
    """The names `torch.nn` gives the weights of one layer in one direction."""

    w_ih: str
    w_hh: str
    b_ih: str
    b_hh: str


def layer_weight_names(layer: int, direction: int) -> LayerWeightNames:
    """The names of one layer's weights; direction 1 is the reverse: `weight_ih_l0`, `weight_hh_l0_reverse` ..."""
    suffix = f"l{layer}_reverse" if direction else f"l{layer}"
    return LayerWeightNames(f"weight_ih_{suffix}", f"weight_hh_{suffix}", f"bias_ih_{suffix}", f"bias_hh_{suffix}")


def select_layer(config: RnnConfig, arrays: Mapping[str, Array], layer: int, direction: int) -> LayerWeights[Array]:
    """Pick one layer's weights out of arrays kept by `torch.nn`'s names."""
    names = layer_weight_names(layer, direction)
    if not config.bias:
        return LayerWeights(arrays[names.w_ih], arrays[names.w_hh], None, None)
    return LayerWeights(*(arrays[name] for name in names))


@dataclasses.dataclass(frozen=True, eq=False)
class Weights:
    """The weights of a network as read-only NumPy arrays by the names of `torch.nn.RNN`, `nn.LSTM` and `nn.GRU`.

    Raises ValueError when a name is missing or not known, a shape does not fit the config, or the dtype
    is not the config's carrier.
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
        """Draw every weight and bias from U(-1/sqrt(H), 1/sqrt(H)), as `torch.nn.RNN.reset_parameters` does.

        The distribution is that of nn.RNN, nn.LSTM and nn.GRU, the generator NumPy's PCG64, so every implementation and
        every machine gets the same values from the same seed.
        """
        generator = np.random.default_rng(seed)
        bound = config.hidden_size**-0.5
        drawn = {name: generator.uniform(-bound, bound, shape) for name, shape in config.weight_shapes().items()}
        return cls(config, {name: round_to(array, config.dtype) for name, array in drawn.items()})

    @classmethod
    def from_state_dict(cls, config: RnnConfig, mapping: Mapping[str, Any], prefix: str = "") -> Weights:
        """Take the weights of an `nn.RNN`, `nn.LSTM` or `nn.GRU`: its `state_dict()`, or arrays by the same names.

        With a prefix, such as "encoder.rnn.", only the names that begin with it count, without it: those of one module
        of a larger one. Values are rounded to the config's dtype, as `nn.Module.load_state_dict` does. Raises TypeError
        for values that are no real numbers, ValueError for names and shapes that do not fit, saying of the forms that
        are known what would help.
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
        """What `copy` and `pickle` make another from: a mapping proxy is nothing that they can take."""
        return type(self), (self.config, dict(self.arrays))

    def state_dict(self) -> dict[str, NumpyArray]:
        """Copies of the arrays by `torch.nn`'s names; `torch.as_tensor` on each gives what it can load."""
        return {name: array.copy() for name, array in self.arrays.items()}

    def layer(self, layer: int, direction: int) -> LayerWeights[NumpyArray]:
        """The weights of one layer in one direction."""
        return select_layer(self.config, self.arrays, layer, direction)


def _misfit(config: RnnConfig, names: Iterable[str]) -> str:
    """Which names are missing and which are not expected."""
    shapes, given = config.weight_shapes(), list(names)
    missing = [name for name in shapes if name not in given]
    unknown = [name for name in given if name not in shapes]
    return f"the weights do not fit {config}: missing {missing or 'none'}, not expected {unknown or 'none'}"


@dataclasses.dataclass(frozen=True, eq=False)
class Grads(Generic[Array]):
    """Gradients in the framework's own arrays: x (T, B, I), each array of the state (L*D, B, H), weights by name.

    The state's gradient is there also when none was given: it is the gradient with respect to the zeros.
    """

    x: Array
    state: State[Array]
    weights: Mapping[str, Array]


Pullback: TypeAlias = Callable[[Array, State[Array]], Grads[Array]]
"""pullback(dy, dstate_n): the gradients from those of y (T, B, D*H) and of the final state."""


class Rnn(abc.ABC, Generic[Array]):
    """One way to compute a recurrent network on one device.

    An instance belongs to one config and one set of weights. `Array` is the framework's own array type;
    `from_numpy` and `to_numpy` cross over and are never timed.
    """

    devices: ClassVar[tuple[str, ...]]
    """Kinds of device it runs on: ("cpu",), ("cuda",) or both. Written as a literal, it is read without importing."""

    cells: ClassVar[tuple[str, ...]] = ("tanh", "relu")
    """The cells it computes. A literal, too."""

    requires: ClassVar[tuple[str, ...]] = ()
    """What must be installed beside NumPy, as requirements: ("torch>=2.11", "python<3.14"). A literal, too."""

    only_when_named: ClassVar[str] = ""
    """Why what runs all implementations leaves this one out unless it is named; empty for most. A literal, too."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        """Build everything that does not depend on the input; timed as set-up, not as a call.

        Raises Unavailable when this machine cannot run it on `device`, Unsupported when it does not do
        `config`, ValueError when the weights were made for another config.
        """
        if weights.config != config:
            raise ValueError(f"the weights were made for {weights.config}; expected {config}")
        kind = device.partition(":")[0]
        if kind not in ("cpu", "cuda"):
            raise ValueError(f"device is {device!r}; expected cpu, cuda or cuda:N")
        if kind not in self.devices:
            raise Unsupported(f"{type(self).__name__} runs on {' and '.join(self.devices)}; got device {device!r}")
        if config.cell not in self.cells:
            raise Unsupported(f"{type(self).__name__} computes {', '.join(self.cells)}; got cell {config.cell!r}")
        self.config = config
        self.device = device

    @classmethod
    def configure_process(cls, *, threads: int, precision: Precision) -> None:  # noqa: ARG003  # for those that need it
        """Set what belongs to the whole process, before any instance is built: CPU threads and precision.

        `precision` says how float32 products are computed: `ieee`, or `tf32` where the hardware has it.
        Raises Unsupported for a precision the implementation does not have. Thread counts that the
        environment fixes before start (OMP_NUM_THREADS and its like) need nothing here.
        """
        if precision != "ieee":
            raise Unsupported(f"{cls.__name__} computes in ieee precision only; got precision {precision!r}")

    @abc.abstractmethod
    def from_numpy(self, array: NumpyArray) -> Array:
        """Move an array of the config's carrier dtype to the device. Raises TypeError for another dtype."""

    @abc.abstractmethod
    def to_numpy(self, array: Array) -> NumpyArray:
        """Move an array from the device to NumPy, in the config's carrier dtype."""

    @abc.abstractmethod
    def forward(self, x: Array, state: State[Array] | None = None) -> tuple[Array, State[Array]]:
        """Inference: x (T, B, I), a state or None for zeros -> y (T, B, D*H) and the final state.

        A state is a tuple of arrays (L*D, B, H), (h,) or (h, c) of an LSTM: `y, (h_n,) = rnn.forward(x)`. Records no
        gradients, leaves its inputs as they were and keeps nothing for the next call; its results stay what they are
        when it is called again. Work may still be queued on the device when it returns. Raises TypeError for a state
        that is no tuple and arrays of another dtype than the config's, and ValueError for a state of another number of
        arrays and shapes that do not fit (`check_inputs` does it).
        """

    @abc.abstractmethod
    def vjp(self, x: Array, state: State[Array] | None = None) -> tuple[Array, State[Array], Pullback[Array]]:
        """Training: the same y and final state, and pullback(dy, dstate_n) -> Grads for cotangents of their shapes.

        As `jax.vjp`, but the pullback may be called once: it may free what it used. Both refuse arrays as
        `forward` does (`check_cotangents` knows the pullback's shapes). Raises Unsupported where an
        implementation does inference only.
        """

    def synchronize(self) -> None:
        """Wait until all work queued on the device is done. Nothing to wait for unless overridden."""

    @abc.abstractmethod
    def describe(self) -> dict[str, str]:
        """Which path runs: at least `library` with its version; algorithm, BLAS, threads where known."""

    def check_dtype(self, array: NumpyArray) -> None:
        """Raise TypeError unless `array` has the config's carrier dtype; for use in `from_numpy`."""
        expected = self.config.carrier
        if array.dtype != expected:
            raise TypeError(
                f"the array has dtype {array.dtype}; expected {expected} for dtype {self.config.dtype}: "
                f"convert it with array.astype(numpy.{expected})"
            )

    def check_inputs(self, x: Any, state: Any, dtype: Any) -> None:
        """Raise unless x is (T, B, I) and the state None or a tuple of (L*D, B, H), all of the framework's `dtype`.

        For use in `forward` and `vjp`. TypeError for a dtype or what is no tuple, ValueError for a shape: an integer or
        a wider x would otherwise be computed in its own dtype, converted in silence, or read as other numbers.
        """
        if x.__class__ is not np.ndarray or x.dtype is not dtype:
            self._check_dtype_of("x", x, dtype)
        config = self.config
        shape = tuple(x.shape)
        if len(shape) != 3 or shape[2] != config.input_size or 0 in shape:
            reason = f"input_size is {config.input_size}" if 0 not in shape else "T and B are 1 or more"
            raise ValueError(f"x has shape {shape}; expected (T, B, {config.input_size}): {reason}")
        if state is not None:
            self._check_state("state", state, tuple(f"{name}0" for name in config.state_names), shape[1], dtype)

    def check_cotangents(self, dy: Any, dstate_n: Any, y: Any, dtype: Any) -> None:
        """Raise unless dy has the shape of y and dstate_n is a tuple of (L*D, B, H), all of the framework's `dtype`.

        For use in the pullback; raises as `check_inputs` does.
        """
        self._check_dtype_of("dy", dy, dtype)
        shape, expected = tuple(dy.shape), tuple(y.shape)
        if shape != expected:
            raise ValueError(f"dy has shape {shape}; expected {expected}, the shape of y")
        names = tuple(f"d{name}_n" for name in self.config.state_names)
        self._check_state("dstate_n", dstate_n, names, expected[1], dtype)

    def _check_state(self, what: str, state: Any, names: tuple[str, ...], B: int, dtype: Any) -> None:
        form = f"({', '.join(names)}{',' if len(names) == 1 else ''})"
        if not isinstance(state, tuple):
            raise TypeError(f"{what} is a {type(state).__name__}; expected a tuple {form}")
        if len(state) != len(names):
            raise ValueError(
                f"{what} has {len(state)} arrays; expected {len(names)} for cell {self.config.cell}: {form}"
            )
        config = self.config
        expected = (config.num_stacked, B, config.hidden_size)
        for name, array in zip(names, state, strict=True):
            self._check_dtype_of(name, array, dtype)
            if tuple(array.shape) != expected:
                raise ValueError(
                    f"{name} has shape {tuple(array.shape)}; expected {expected}: (L*D, B, H) with "
                    f"num_layers {config.num_layers}, num_directions {config.num_directions} and B of {B}"
                )

    def _check_dtype_of(self, name: str, array: Any, expected: Any) -> None:
        dtype = getattr(array, "dtype", None)
        if dtype is expected or _equal(dtype, expected):
            return
        what = f"has dtype {dtype}" if dtype is not None else f"is a {type(array).__name__}"
        numpy = isinstance(array, np.ndarray) and isinstance(expected, np.dtype)
        remedy = f"convert it with {name}.astype(numpy.{expected})" if numpy else "from_numpy makes such arrays"
        raise TypeError(f"{name} {what}; expected {expected} for dtype {self.config.dtype}: {remedy}")


class NotCopied:
    """For implementations that hold native memory, compiled code or handles of a device: derive from it first.

    `copy.copy` would share them with the instance that frees them, and no other process has them.
    """

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Refuse what `copy.copy`, `copy.deepcopy` and `pickle` all ask for."""
        name = type(self).__name__
        raise TypeError(
            f"{name} cannot be copied or pickled: it holds what belongs to one instance in one process; "
            f"build another from the same weights instead: {name}(config, weights, device)"
        )


def _equal(dtype: Any, expected: Any) -> bool:
    """Whether two dtypes are the same. NumPy raises where the other is a framework's that it does not know."""
    try:
        return bool(dtype == expected)
    except TypeError:
        return False
