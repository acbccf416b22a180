"""The contract of an implementation, and the one place to import from to write one.

The description of a network, which is `rnnimpl.network`, can be imported from here as well. Shape letters, here and
everywhere else:

    T  time steps                 H  hidden units
    B  sequences in a batch       L  layers
    I  input features             D  directions, 1 or 2

    G  gates of a cell, 1, 3 or 4

A recurrent layer computes for t = 0 ... T-1, from x[t], a state and its weights, the next state; the first array of the
state is the output of the step. What a step computes is the cell: `rnnimpl.cells` has the formula of each. Weights have
the names and shapes of `torch.nn.RNN`, `nn.LSTM` and `nn.GRU`: the gates are blocks of H rows.

Layer l > 0 takes the output of layer l-1, whose two directions are concatenated in the last axis.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, NoReturn, SupportsIndex, TypeAlias

import numpy as np

from rnnimpl.dtypes import Precision
from rnnimpl.lengths import Lengths, checked_lengths
from rnnimpl.network import (
    CELL_NAMES,
    Array,
    CellName,
    LayerWeightNames,
    LayerWeights,
    NumpyArray,
    RnnConfig,
    State,
    Weights,
    layer_weight_names,
    select_layer,
)

__all__ = [
    "CELL_NAMES",
    "COMPILED",
    "Array",
    "CellName",
    "Grads",
    "LayerWeightNames",
    "LayerWeights",
    "Lengths",
    "NotCopied",
    "NumpyArray",
    "Pullback",
    "Rnn",
    "RnnConfig",
    "State",
    "Unavailable",
    "Unsupported",
    "Weights",
    "layer_weight_names",
    "select_layer",
]

COMPILED = "RNNIMPL_COMPILED"
"""The environment variable that may name a folder for compiled code, which later processes then load.

Without it each process compiles for itself. `describe` says which of the two happened.
"""


class Unavailable(Exception):
    """This machine cannot run the implementation; the message says what is missing and what would help."""


class Unsupported(Exception):
    """The implementation does not compute this config or mode; the message names the part that it lacks."""


@dataclasses.dataclass(frozen=True, eq=False)
class Grads(Generic[Array]):
    """Gradients in the framework's own arrays: x (T, B, I), each array of the state (L*D, B, H), weights by name.

    The state has a gradient whether one was given or not; without one it is the gradient with respect to the zeros.
    """

    x: Array
    state: State[Array]
    weights: Mapping[str, Array]


Pullback: TypeAlias = Callable[[Array, State[Array]], Grads[Array]]
"""pullback(dy, dstate_n) -> Grads, from the cotangents of y (T, B, D*H) and of the final state, each (L*D, B, H)."""


class Rnn(abc.ABC, Generic[Array]):
    """One way to compute a recurrent network on one device.

    An instance belongs to one config and one set of weights. `Array` is the framework's own array type; `from_numpy`
    and `to_numpy` convert from and to NumPy and are never timed.
    """

    devices: ClassVar[tuple[str, ...]]
    """The kinds of device it runs on: ("cpu",), ("cuda",) or both.

    A literal in the class, as are the next four: a list of implementations reads them without importing the file.
    """

    cells: ClassVar[tuple[str, ...]] = ("tanh", "relu")
    """The cells it computes, a literal."""

    requires: ClassVar[tuple[str, ...]] = ()
    """The requirements beside NumPy, such as ("torch>=2.11", "python<3.14"); a literal."""

    only_when_named: ClassVar[str] = ""
    """The reason why it runs only when it is named, a literal; empty where it runs with all others."""

    keeps_compiled: ClassVar[str] = ""
    """What its first use on a machine makes and keeps in the user's cache, a literal; empty where it keeps nothing."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        """Build everything that does not depend on the input; timed as set-up, not as a call.

        Raises Unavailable when this machine cannot run it on `device`, Unsupported when it does not compute `config`,
        ValueError when the weights were made for another config.
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
    def configure_process(cls, *, threads: int, precision: Precision) -> None:  # noqa: ARG003  # for subclasses
        """Set the number of CPU threads and the precision of the whole process, before any instance is built.

        `precision` says how float32 products are computed: `ieee`, or `tf32` where the hardware has it. Raises
        Unsupported for a precision that the implementation does not have. A thread count that the environment fixes
        before the process starts, as OMP_NUM_THREADS does, needs nothing here.
        """
        if precision != "ieee":
            raise Unsupported(f"{cls.__name__} computes in ieee precision only; got precision {precision!r}")

    @abc.abstractmethod
    def from_numpy(self, array: NumpyArray) -> Array:
        """Copy an array of the config's carrier dtype to the device. Raises TypeError for another dtype."""

    @abc.abstractmethod
    def to_numpy(self, array: Array) -> NumpyArray:
        """Copy an array from the device to NumPy, in the config's carrier dtype."""

    @abc.abstractmethod
    def forward(
        self, x: Array, state: State[Array] | None = None, lengths: Lengths = None
    ) -> tuple[Array, State[Array]]:
        """Inference: x (T, B, I), a state or None for zeros -> y (T, B, D*H) and the final state.

        A state is a tuple of arrays (L*D, B, H), (h,) or (h, c) of an LSTM: `y, (h_n,) = rnn.forward(x)`. The call
        records no gradients, leaves its inputs unchanged and keeps nothing for the next call; a later call leaves its
        results unchanged. Work may still be queued on the device when it returns (`synchronize` waits for it).

        `lengths` has the number of steps of each sequence. Steps of x beyond it are padding, which may hold anything:
        y is zero there, the final state is the one at the sequence's own last step, and the reverse direction begins
        at that step. Raises Unsupported where an implementation computes equal lengths only (`refuse_lengths`).

        Raises TypeError for a state that is no tuple and for arrays of another dtype than the config's, ValueError for
        a state with another number of arrays and for shapes that do not fit: `check_inputs` raises all of them, and
        `check_lengths` those for lengths.
        """

    @abc.abstractmethod
    def vjp(
        self, x: Array, state: State[Array] | None = None, lengths: Lengths = None
    ) -> tuple[Array, State[Array], Pullback[Array]]:
        """Training: y and the final state of `forward`, and a pullback: dy and dstate_n of their shapes -> Grads.

        The form is that of `jax.vjp`, but a pullback can be called once only: it may free what it used. `vjp` and the
        pullback refuse arrays as `forward` does; `check_cotangents` raises for the pullback. Raises Unsupported where
        an implementation computes inference only. Beyond a sequence's length dy is ignored, whatever it holds, and the
        gradient of x is zero.
        """

    def synchronize(self) -> None:
        """Wait until all work queued on the device is done; does nothing unless overridden."""

    @abc.abstractmethod
    def describe(self) -> dict[str, str]:
        """The path that runs, as text by name: `library` with its version; algorithm, BLAS and threads where known."""

    def check_dtype(self, array: NumpyArray) -> None:
        """Raise TypeError unless a NumPy array has the config's carrier dtype; for use in `from_numpy`."""
        expected = self.config.carrier
        if array.dtype != expected:
            raise TypeError(
                f"the array has dtype {array.dtype}; expected {expected} for dtype {self.config.dtype}: "
                f"convert it with array.astype(numpy.{expected})"
            )

    def check_inputs(self, x: Any, state: Any, dtype: Any) -> None:
        """Raise unless x is (T, B, I) and the state None or a tuple of (L*D, B, H), all of the framework's `dtype`.

        For use in `forward` and `vjp`. Raises TypeError for another dtype and a state that is no tuple, ValueError for
        a shape. Without the check an integer or a wider x may be computed in its own dtype, converted without notice,
        or read as other numbers.
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

    @staticmethod
    def check_lengths(lengths: Any, x: Any) -> Lengths:
        """The lengths of the sequences of x (T, B, I) as a tuple of `int`; None where all of them have T steps.

        For use in `forward` and `vjp`, after `check_inputs`. Raises TypeError for what are no whole numbers on the
        host, ValueError for another number than B and for a length that is not from 1 to T.
        """
        return None if lengths is None else checked_lengths(lengths, *x.shape[:2])

    def refuse_lengths(self, lengths: Any, x: Any) -> None:
        """Raise Unsupported where sequences have unequal lengths, for an implementation that computes equal ones only.

        Raises what `check_lengths` raises.
        """
        if self.check_lengths(lengths, x) is not None:
            raise Unsupported(f"{type(self).__name__} computes sequences of equal lengths only; got unequal lengths")

    def check_cotangents(self, dy: Any, dstate_n: Any, y: Any, dtype: Any) -> None:
        """Raise unless dy has the shape of y and dstate_n is a tuple of (L*D, B, H), all of the framework's `dtype`.

        For use in the pullback. Raises TypeError and ValueError as `check_inputs` does.
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
    """A base that refuses copies, for implementations with native memory, compiled code or handles of a device.

    It comes first among the bases. `copy.copy` would share those with the instance that frees them, and another process
    does not have them.
    """

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Raise TypeError: `copy.copy`, `copy.deepcopy` and `pickle` all call this method."""
        name = type(self).__name__
        raise TypeError(
            f"{name} cannot be copied or pickled: it holds memory or code that belongs to one instance in one process; "
            f"build another from the same weights instead: {name}(config, weights, device)"
        )


def _equal(dtype: Any, expected: Any) -> bool:
    """Whether two dtypes are the same; NumPy raises TypeError where it does not know the other, which is then not."""
    try:
        return bool(dtype == expected)
    except TypeError:
        return False
