"""The interface of an implementation, and the one place that defines the shapes of its arrays.

Shape letters, here and everywhere else:

    T  time steps                 H  hidden units
    B  sequences in a batch       L  layers
    I  input features             D  directions, 1 or 2

A recurrent layer (Elman 1990, in the form and with the names of `torch.nn.RNN`) computes for t = 0 ... T-1

    h[t] = f(x[t] @ w_ih.T + b_ih + h[t-1] @ w_hh.T + b_hh)          f is tanh or relu

Layer l > 0 takes the output of layer l-1, whose two directions stand side by side in the last axis.
"""

from __future__ import annotations

import abc
import dataclasses
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
from rnnimpl.dtypes import DTYPES, Dtype, Precision, carrier, round_to

Array = TypeVar("Array")
NumpyArray: TypeAlias = npt.NDArray[Any]
Nonlinearity = Literal["tanh", "relu"]

NONLINEARITIES: tuple[Nonlinearity, ...] = get_args(Nonlinearity)

COMPILED = "RNNIMPL_COMPILED"
"""The environment variable that may name a folder for what is compiled: later processes find it there, and say so in
`describe`. Without it, each process compiles anew."""


class Unavailable(Exception):
    """This machine cannot run the implementation; the message says what is missing and what would help."""


class Unsupported(Exception):
    """The implementation does not do this config or mode; the message says which part of it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RnnConfig:
    """What network is computed. The fields are the arguments of `torch.nn.RNN`.

    Raises ValueError or TypeError, naming the field, when a value makes no network.
    """

    input_size: int
    hidden_size: int
    num_layers: int = 1
    nonlinearity: Nonlinearity = "tanh"
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
        if self.nonlinearity not in NONLINEARITIES:
            raise ValueError(f"nonlinearity is {self.nonlinearity!r}; expected one of {', '.join(NONLINEARITIES)}")
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

    def cells(self) -> Iterator[tuple[int, int]]:
        """(layer, direction) of each of the L*D single-layer networks, in the order of `h0` and `h_n`."""
        return ((layer, direction) for layer in range(self.num_layers) for direction in range(self.num_directions))

    def layer_input_size(self, layer: int) -> int:
        """Features that layer `layer` takes: I for the first, D*H for the others."""
        return self.input_size if layer == 0 else self.num_directions * self.hidden_size

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every weight by `torch.nn.RNN`'s name, in the order of its parameters."""
        H = self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {}
        for layer, direction in self.cells():
            names = cell_weight_names(layer, direction)
            shapes[names.w_ih] = (H, self.layer_input_size(layer))
            shapes[names.w_hh] = (H, H)
            if self.bias:
                shapes[names.b_ih] = (H,)
                shapes[names.b_hh] = (H,)
        return shapes


class CellWeights(NamedTuple, Generic[Array]):
    """The weights of one layer in one direction: w_ih (H, I), w_hh (H, H), b_ih (H,), b_hh (H,); no bias is None."""

    w_ih: Array
    w_hh: Array
    b_ih: Array | None
    b_hh: Array | None


class CellWeightNames(NamedTuple):
    """The names `torch.nn.RNN` gives the weights of one layer in one direction."""

    w_ih: str
    w_hh: str
    b_ih: str
    b_hh: str


def cell_weight_names(layer: int, direction: int) -> CellWeightNames:
    """The names of one cell's weights; direction 1 is the reverse: `weight_ih_l0`, `weight_hh_l0_reverse` ..."""
    suffix = f"l{layer}_reverse" if direction else f"l{layer}"
    return CellWeightNames(f"weight_ih_{suffix}", f"weight_hh_{suffix}", f"bias_ih_{suffix}", f"bias_hh_{suffix}")


def select_cell(config: RnnConfig, arrays: Mapping[str, Array], layer: int, direction: int) -> CellWeights[Array]:
    """Pick one cell's weights out of arrays kept by `torch.nn.RNN`'s names."""
    names = cell_weight_names(layer, direction)
    if not config.bias:
        return CellWeights(arrays[names.w_ih], arrays[names.w_hh], None, None)
    return CellWeights(*(arrays[name] for name in names))


@dataclasses.dataclass(frozen=True, eq=False)
class Weights:
    """The weights of a network as read-only NumPy arrays by `torch.nn.RNN`'s names.

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

        The distribution is nn.RNN's, the generator NumPy's PCG64, so every implementation and every machine
        gets the same values from the same seed.
        """
        generator = np.random.default_rng(seed)
        bound = config.hidden_size**-0.5
        drawn = {name: generator.uniform(-bound, bound, shape) for name, shape in config.weight_shapes().items()}
        return cls(config, {name: round_to(array, config.dtype) for name, array in drawn.items()})

    @classmethod
    def from_state_dict(cls, config: RnnConfig, mapping: Mapping[str, Any], prefix: str = "") -> Weights:
        """Take the weights of an `nn.RNN`: its `state_dict()`, or NumPy arrays by the same names.

        With a prefix, such as "encoder.rnn.", only the names that begin with it count, without it: those of one module
        of a larger one. Values are rounded to the config's dtype, as `nn.Module.load_state_dict` does. Raises TypeError
        for values that are no real numbers, ValueError for names and shapes that do not fit, saying of the forms that
        are known what would help.
        """
        arrays = state_dict.select(mapping, prefix)
        known = state_dict.explain(arrays, config.weight_shapes())
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
        """Copies of the arrays by `nn.RNN`'s names; `torch.as_tensor` on each gives what it can load."""
        return {name: array.copy() for name, array in self.arrays.items()}

    def cell(self, layer: int, direction: int) -> CellWeights[NumpyArray]:
        """The weights of one layer in one direction."""
        return select_cell(self.config, self.arrays, layer, direction)


def _misfit(config: RnnConfig, names: Iterable[str]) -> str:
    """Which names are missing and which are not expected."""
    shapes, given = config.weight_shapes(), list(names)
    missing = [name for name in shapes if name not in given]
    unknown = [name for name in given if name not in shapes]
    return f"the weights do not fit {config}: missing {missing or 'none'}, not expected {unknown or 'none'}"


@dataclasses.dataclass(frozen=True, eq=False)
class Grads(Generic[Array]):
    """Gradients in the framework's own arrays: x (T, B, I), h0 (L*D, B, H), weights by `nn.RNN`'s names.

    h0's gradient is there also when h0 was not given: it is the gradient with respect to the zeros.
    """

    x: Array
    h0: Array
    weights: Mapping[str, Array]


class Rnn(abc.ABC, Generic[Array]):
    """One way to compute a recurrent network on one device.

    An instance belongs to one config and one set of weights. `Array` is the framework's own array type;
    `from_numpy` and `to_numpy` cross over and are never timed.
    """

    devices: ClassVar[tuple[str, ...]]
    """Kinds of device it runs on: ("cpu",), ("cuda",) or both. Written as a literal, it is read without importing."""

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
    def forward(self, x: Array, h0: Array | None = None) -> tuple[Array, Array]:
        """Inference: x (T, B, I), h0 (L*D, B, H) or None for zeros -> y (T, B, D*H), h_n (L*D, B, H).

        Records no gradients, leaves its inputs as they were and keeps nothing for the next call; its
        results stay what they are when it is called again. Work may still be queued on the device when it
        returns. Raises TypeError for arrays of another dtype than the config's and ValueError for shapes that
        do not fit (`check_dtypes` and `check_shapes` do it).
        """

    @abc.abstractmethod
    def vjp(self, x: Array, h0: Array | None = None) -> tuple[Array, Array, Callable[[Array, Array], Grads[Array]]]:
        """Training: the same y and h_n, and pullback(dy, dh_n) -> Grads for cotangents of their shapes.

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

    def check_dtypes(self, expected: Any, **arrays: Any) -> None:
        """Raise TypeError unless each array has the framework's dtype `expected`; one that is None is passed over.

        For use in `forward`, `vjp` and the pullback: an integer or a wider x would otherwise be computed in its
        own dtype, converted in silence, or read as other numbers.
        """
        for name, array in arrays.items():
            dtype = getattr(array, "dtype", None)
            if dtype is expected or array is None or _equal(dtype, expected):
                continue
            what = f"has dtype {dtype}" if dtype is not None else f"is a {type(array).__name__}"
            numpy = isinstance(array, np.ndarray) and isinstance(expected, np.dtype)
            remedy = f"convert it with {name}.astype(numpy.{expected})" if numpy else "from_numpy makes such arrays"
            raise TypeError(f"{name} {what}; expected {expected} for dtype {self.config.dtype}: {remedy}")

    def check_cotangents(self, dy: Any, dh_n: Any, y: Any, h_n: Any) -> None:
        """Raise ValueError unless dy has the shape of y and dh_n that of h_n; for use in the pullback."""
        for name, array, result_name, result in (("dy", dy, "y", y), ("dh_n", dh_n, "h_n", h_n)):
            shape, expected = tuple(array.shape), tuple(result.shape)
            if shape != expected:
                raise ValueError(f"{name} has shape {shape}; expected {expected}, the shape of {result_name}")

    def check_shapes(self, x: Any, h0: Any | None) -> None:
        """Raise ValueError unless x is (T, B, I) and h0 is None or (L*D, B, H); for use in `forward` and `vjp`."""
        config = self.config
        shape = tuple(x.shape)
        if len(shape) != 3 or shape[2] != config.input_size or 0 in shape:
            reason = f"input_size is {config.input_size}" if 0 not in shape else "T and B are 1 or more"
            raise ValueError(f"x has shape {shape}; expected (T, B, {config.input_size}): {reason}")
        if h0 is not None:
            expected = (config.num_layers * config.num_directions, shape[1], config.hidden_size)
            if tuple(h0.shape) != expected:
                raise ValueError(
                    f"h0 has shape {tuple(h0.shape)}; expected {expected}: (L*D, B, H) with "
                    f"num_layers {config.num_layers}, num_directions {config.num_directions} and x's B of {shape[1]}"
                )


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
