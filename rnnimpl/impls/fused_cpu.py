"""The whole recurrence in C++, forward and backward, compiled for this machine at first use.

How it works and what bounds it: docs/fused_kernels.md.
"""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import math
import os
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from rnnimpl.dtypes import Precision
from rnnimpl.interface import (
    Grads,
    Lengths,
    NotCopied,
    NumpyArray,
    Pullback,
    RnnConfig,
    State,
    Weights,
    layer_weight_names,
)
from rnnimpl.native.build import kernels
from rnnimpl.native.calls import (
    BackwardArguments,
    ForwardArguments,
    Native,
    address,
    address_of_contiguous,
    addresses,
    c_lengths,
)
from rnnimpl.native.reuse import Reusable, Reused
from rnnimpl.numpy_arrays import NumpyArrays

_KEPT_RESULTS = 2
"""Results of so many earlier calls may be filled again: a loop holds those of one call while it makes the next."""
# Looked up once: the address of a small network's x takes as long as a part of its computation.
_addressof, _from_buffer = ctypes.addressof, ctypes.c_char.from_buffer
_LINE = 16
"""Numbers that make at least the 64 bytes of a cache line, to which what is saved is aligned."""


class FusedCpu(NotCopied, NumpyArrays):
    """Packed weights, register blocks, threads that share sequences or hidden units and sleep between calls.

    An instance keeps the memory of the results of its last two calls, and fills it again once the caller has let go.
    """

    devices = ("cpu",)
    cells = ("tanh", "relu", "lstm", "gru")
    dtypes = ("float32", "float64")
    keeps_compiled = "the kernels of a cell and dtype with the machine's C++ compiler"

    threads: ClassVar[int | None] = None
    """CPU threads of instances built from now on; None: OMP_NUM_THREADS, else one for each core of the process."""

    @classmethod
    def configure_process(cls, *, threads: int, precision: Precision) -> None:
        super().configure_process(threads=threads, precision=precision)
        cls.threads = threads

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        self.library = kernels(config.cell, config.dtype)
        self.thread_count = self.threads or _default_threads()
        # The backward pass packs them when it is first asked for.
        self._weights = weights
        self._native = Native(self.library)
        layout = _Layout.of(config)
        names = [name for layer in config.layers() for name in layer_weight_names(*layer)]
        self._network = self._native.create(
            config.num_layers,
            config.num_directions,
            config.input_size,
            config.hidden_size,
            self.thread_count,
            addresses(weights.arrays.get(name) for name in names),
            (ctypes.c_long * len(names))(*(layout.begins.get(name, -1) for name in names)),
        )
        if self._network is None:
            raise MemoryError(f"no memory for the packed weights of {config}")
        self._saved_size = self._native.saved_size(self._network)
        self._state_count = len(config.state_names)
        self._checked: tuple[tuple[int, ...], tuple[int, ...]] = (), ()
        self._outputs = Reused(functools.partial(_Outputs, config), _KEPT_RESULTS)
        self._last: _Outputs | None = None
        self._unaligned_bits = self._dtype.itemsize - 1
        self._forward, self._network_pointer = self._native.forward, ctypes.c_void_p(self._network)
        self._saved = Reused(functools.partial(_Saved, config), _KEPT_RESULTS)
        self._grads = Reused(functools.partial(_Gradients, config, layout), _KEPT_RESULTS)

    def __del__(self) -> None:
        if getattr(self, "_network", None) is not None:
            self._native.destroy(self._network)

    def forward(
        self, x: NumpyArray, state: State[NumpyArray] | None = None, lengths: Lengths = None
    ) -> tuple[NumpyArray, State[NumpyArray]]:
        last = self._last
        outputs = self._go_on(x, last) if last is not None and state is last.state_n and lengths is None else None
        if outputs is None:
            self._check(x, state)
            outputs, _ = self._run(x, state, lengths, None)
        y, state_n = outputs.y, outputs.state_n
        self._last = outputs
        self._outputs.give_back(outputs)
        return y, state_n

    def _go_on(self, x: NumpyArray, last: _Outputs) -> _Outputs | None:
        """The results of x from the state that the last call returned; None where x is not as plain as that call's was.

        A stream of small calls comes here each time: the state's addresses are known, and it needs no check.
        """
        if x.__class__ is not np.ndarray or x.dtype is not self._dtype or x.shape != last.x_shape:
            return None
        try:
            x_address = _addressof(_from_buffer(x))  # type: ignore[arg-type]  # an array is a buffer
        except (TypeError, ValueError, BufferError):  # it is strided or read-only
            return None
        if x_address & self._unaligned_bits:
            return None
        outputs = self._outputs.take(last.size)
        arguments = outputs.arguments
        if outputs.begins_at != last.ends_at:
            _, B, I = last.x_shape
            arguments.x_step, arguments.x_row, arguments.saved = B * I, I, None
            arguments.lengths, outputs.has_lengths = None, False
            arguments.h0, arguments.c0 = outputs.begins_at = last.ends_at
        arguments.x = x_address
        if self._forward(self._network_pointer, outputs.pointer_object):
            raise MemoryError(f"no memory for the forward pass of {self.config} with x {x.shape}")
        return outputs

    def vjp(
        self, x: NumpyArray, state: State[NumpyArray] | None = None, lengths: Lengths = None
    ) -> tuple[NumpyArray, State[NumpyArray], Pullback[NumpyArray]]:
        self._check(x, state)
        T, B, _ = x.shape
        # The outputs of all layers but the last, and what gates were; the backward pass needs them.
        saved = self._saved.take((T * B * self._saved_size,)) if self._saved_size else None
        outputs, inputs = self._run(x, state, lengths, None if saved is None else saved.address)
        # The pullback refers to the arrays themselves, and by that nothing else is written to them.
        y, state_n, buffer = outputs.y, outputs.state_n, None if saved is None else saved.array
        self._outputs.give_back(outputs)
        if saved is not None:
            self._saved.give_back(saved)

        def pullback(dy: NumpyArray, dstate_n: State[NumpyArray]) -> Grads[NumpyArray]:
            if not (self._is_plain(dy, y.shape) and self._is_plain_state(dstate_n, state_n[0].shape)):
                self.check_cotangents(dy, dstate_n, y, self._dtype)
            return self._gradients(outputs.pointer, (T, B), (dy, *dstate_n), (inputs, y, buffer))

        return y, state_n, pullback

    def describe(self) -> dict[str, str]:
        return {
            "library": "rnnimpl native",
            "compiler": self.library.compiler,
            "vector_bits": str(self._native.vector_bits()),
            "threads": str(self.thread_count),
        }

    def _check(self, x: NumpyArray, state: State[NumpyArray] | None) -> None:
        """Raise what `check_inputs` raises; that takes longer than a small network, and is left out where it can be."""
        x_shape, state_shape = self._checked
        if self._is_plain(x, x_shape) and (state is None or self._is_plain_state(state, state_shape)):
            return
        self.check_inputs(x, state, self._dtype)
        self._checked = tuple(x.shape), (self.config.num_stacked, x.shape[1], self.config.hidden_size)

    def _is_plain(self, array: NumpyArray, shape: tuple[int, ...]) -> bool:
        """Whether this is an array of NumPy's own type, of the network's dtype and of this shape."""
        return array.__class__ is np.ndarray and array.dtype is self._dtype and array.shape == shape

    def _is_plain_state(self, state: State[NumpyArray], shape: tuple[int, ...]) -> bool:
        if state.__class__ is not tuple or len(state) != self._state_count:
            return False
        return all(self._is_plain(array, shape) for array in state)

    def _run(
        self, x: NumpyArray, state: State[NumpyArray] | None, lengths: Lengths, saved: int | None
    ) -> tuple[_Outputs, tuple[object, ...]]:
        """The results of the forward pass, and the arrays that it read, whose addresses are in its arguments."""
        T, B, I = x.shape
        outputs = self._outputs.take((T, B))
        outputs.begins_at = None
        arguments = outputs.arguments
        flags = x.flags
        if flags.carray:
            arguments.x, arguments.x_step, arguments.x_row = address_of_contiguous(x), B * I, I
        else:
            if x.strides[2] != x.itemsize or not flags.aligned:
                x = np.ascontiguousarray(x)
            step, row, item = x.strides
            arguments.x, arguments.x_step, arguments.x_row = x.ctypes.data, step // item, row // item
        inputs: tuple[object, ...] = (x,)
        if state is None:
            arguments.h0 = arguments.c0 = None
        else:
            h0, *c0 = state = tuple(map(np.ascontiguousarray, state))
            arguments.h0, arguments.c0 = address(h0), address(c0[0]) if c0 else None
            inputs = (x, *state)
        arguments.saved = saved
        if lengths is not None or outputs.has_lengths:
            given = self.check_lengths(lengths, x)
            ends = None if given is None else c_lengths(given)
            arguments.lengths, outputs.has_lengths = ends and ctypes.addressof(ends), ends is not None
            inputs = (*inputs, ends)
        if self._native.forward(self._network, outputs.pointer):
            raise MemoryError(f"no memory for the forward pass of {self.config} with T = {T} and B = {B}")
        return outputs, inputs

    def _gradients(
        self,
        forward_arguments: int,
        size: tuple[int, int],
        cotangents: tuple[NumpyArray, ...],
        read: tuple[object, ...],  # noqa: ARG002  # the arrays with addresses in the arguments: alive until the end
    ) -> Grads[NumpyArray]:
        grads = self._grads.take(size)
        contiguous = tuple(map(np.ascontiguousarray, cotangents))
        arguments = grads.arguments
        arguments.dy, arguments.dh_n = address(contiguous[0]), address(contiguous[1])
        if len(contiguous) == 3:
            arguments.dc_n = address(contiguous[2])
        if self._native.backward(self._network, forward_arguments, grads.pointer):
            raise MemoryError(f"no memory for the backward pass of {self.config} with T, B = {size}")
        given = Grads(grads.x, grads.state, dict(grads.weights))
        self._grads.give_back(grads)
        return given


@dataclasses.dataclass(frozen=True)
class _Layout:
    """The places of the gradients of all weights in one array, which the library fills: `begins` by weight's name.

    An array each would take longer than a small network.
    """

    begins: Mapping[str, int]
    shapes: Mapping[str, tuple[int, ...]]
    total: int

    @classmethod
    def of(cls, config: RnnConfig) -> _Layout:
        shapes = config.weight_shapes()
        begins, total = {}, 0
        for name, shape in shapes.items():
            begins[name] = total
            total += math.prod(shape)
        return cls(begins, shapes, total)

    def views(self, array: NumpyArray) -> dict[str, NumpyArray]:
        """The gradient of each weight, in the array of all."""
        return {
            name: array[self.begins[name] :][: math.prod(shape)].reshape(shape) for name, shape in self.shapes.items()
        }


class _Outputs(Reusable):
    """y and the final state of T steps of B sequences, with the arguments of the pass that fills them.

    `ends_at` has the addresses of the final state's arrays, None for the second where there is none; `begins_at` those
    of the initial state where the arguments hold them and a contiguous x, else None; `has_lengths` says whether the
    arguments hold lengths.
    """

    __slots__ = (
        "arguments",
        "begins_at",
        "ends_at",
        "has_lengths",
        "pointer",
        "pointer_object",
        "state_n",
        "x_shape",
        "y",
    )

    begins_at: tuple[int, int | None] | None

    def __init__(self, config: RnnConfig, size: tuple[int, ...]) -> None:
        self.size = size
        T, B = size
        self.x_shape = T, B, config.input_size
        self.begins_at = None
        self.has_lengths = False
        self.y = np.empty((T, B, config.num_directions * config.hidden_size), config.carrier)
        self.state_n = _new_state(config, B)
        self.arrays = (self.y, self.state_n, *self.state_n)
        h_n, *c_n = map(address_of_contiguous, self.state_n)
        self.ends_at = h_n, c_n[0] if c_n else None
        self.arguments = ForwardArguments(T=T, B=B, y=address_of_contiguous(self.y), h_n=h_n, c_n=self.ends_at[1])
        self.pointer = ctypes.addressof(self.arguments)
        # ctypes would make one of the number in each call.
        self.pointer_object = ctypes.c_void_p(self.pointer)


class _Saved(Reusable):
    """So many numbers that the forward pass saves for the backward pass."""

    __slots__ = ("address", "array")

    def __init__(self, config: RnnConfig, size: tuple[int, ...]) -> None:
        self.size = size
        self.array = np.empty(size[0] + _LINE, config.carrier)
        self.arrays = (self.array,)
        self.address = address_of_contiguous(self.array)


class _Gradients(Reusable):
    """All gradients of a call with T steps of B sequences, with the arguments of the pass that fills them."""

    __slots__ = ("arguments", "pointer", "state", "weights", "x")

    def __init__(self, config: RnnConfig, layout: _Layout, size: tuple[int, ...]) -> None:
        self.size = size
        T, B = size
        self.x = np.empty((T, B, config.input_size), config.carrier)
        self.state = _new_state(config, B)
        of_weights = np.empty(layout.total, config.carrier)
        self.weights = layout.views(of_weights)
        self.arrays = (self.x, self.state, *self.state, of_weights, *self.weights.values())
        dh0, *dc0 = map(address_of_contiguous, self.state)
        self.arguments = BackwardArguments(
            dx=address_of_contiguous(self.x),
            dh0=dh0,
            dc0=dc0[0] if dc0 else None,
            weights=address_of_contiguous(of_weights),
        )
        self.pointer = ctypes.addressof(self.arguments)


def _new_state(config: RnnConfig, B: int) -> tuple[NumpyArray, ...]:
    shape = config.num_stacked, B, config.hidden_size
    return tuple(np.empty(shape, config.carrier) for _ in config.state_names)


def _default_threads() -> int:
    given = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return int(given) if given.isdecimal() and int(given) > 0 else len(os.sched_getaffinity(0))
