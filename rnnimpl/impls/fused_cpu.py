"""The whole recurrence in C++, forward and backward, compiled for this machine at first use.

How it works and what bounds it: docs/fused_kernels.md.
"""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, TypeAlias

import numpy as np

from rnnimpl.dtypes import Precision
from rnnimpl.interface import (
    Grads,
    NotCopied,
    NumpyArray,
    Pullback,
    RnnConfig,
    State,
    Weights,
    layer_weight_names,
)
from rnnimpl.native.build import Library, kernels
from rnnimpl.numpy_arrays import NumpyArrays


class FusedCpu(NotCopied, NumpyArrays):
    """Packed weights, register blocks, threads that share sequences or hidden units and sleep between calls."""

    devices = ("cpu",)
    cells = ("tanh", "relu", "lstm", "gru")
    dtypes = ("float32", "float64")

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
        self._states = config.num_stacked
        self._two_states = len(config.state_names) == 2
        self._width = config.num_directions * config.hidden_size
        self._gradient_parts = tuple(_parts(config))
        self._native = _Native(self.library)
        names = [name for layer in config.layers() for name in layer_weight_names(*layer)]
        begins = {name: begin for name, begin, _, _ in self._gradient_parts}
        self._network = self._native.create(
            config.num_layers,
            config.num_directions,
            config.input_size,
            config.hidden_size,
            self.thread_count,
            _addresses(weights.arrays.get(name) for name in names),
            (ctypes.c_long * len(names))(*(begins.get(name, -1) for name in names)),
        )
        if self._network is None:
            raise MemoryError(f"no memory for the packed weights of {config}")
        self._kept_size = self._native.kept_size(self._network)

    def __del__(self) -> None:
        if getattr(self, "_network", None) is not None:
            self._native.destroy(self._network)

    def forward(self, x: NumpyArray, state: State[NumpyArray] | None = None) -> tuple[NumpyArray, State[NumpyArray]]:
        x, h0, c0 = self._inputs(x, state)
        y, state_n, _ = self._run(x, h0, c0, None)
        return y, state_n

    def vjp(
        self, x: NumpyArray, state: State[NumpyArray] | None = None
    ) -> tuple[NumpyArray, State[NumpyArray], Pullback[NumpyArray]]:
        x, h0, c0 = self._inputs(x, state)
        T, B, _ = x.shape
        # The outputs of all layers but the last, and what gates were; the backward pass needs them.
        kept = np.empty(T * B * self._kept_size + _LINE, dtype=self._dtype) if self._kept_size else None
        y, state_n, given = self._run(x, h0, c0, kept)

        def pullback(dy: NumpyArray, dstate_n: State[NumpyArray]) -> Grads[NumpyArray]:
            self.check_cotangents(dy, dstate_n, y, self._dtype)
            # Named here, so that nothing that `given` has the address of is freed while the pullback is there.
            return self._gradients(given, (x, h0, kept, y), dy, dstate_n)

        return y, state_n, pullback

    def describe(self) -> dict[str, str]:
        return {
            "library": "rnnimpl native",
            "compiler": self.library.compiler,
            "vector_bits": str(self.library.functions.rnn_vector_bits()),
            "threads": str(self.thread_count),
        }

    def _inputs(
        self, x: NumpyArray, state: State[NumpyArray] | None
    ) -> tuple[NumpyArray, NumpyArray | None, NumpyArray | None]:
        """x with contiguous rows, h0 and c0 contiguous, after checking them."""
        self.check_inputs(x, state, self._dtype)
        if x.strides[2] != x.itemsize or not x.flags.aligned:
            x = np.ascontiguousarray(x)
        if state is None:
            return x, None, None
        return x, np.ascontiguousarray(state[0]), np.ascontiguousarray(state[1]) if self._two_states else None

    def _run(
        self,
        x: NumpyArray,
        h0: NumpyArray | None,
        c0: NumpyArray | None,
        kept: NumpyArray | None,
    ) -> tuple[NumpyArray, State[NumpyArray], _Given]:
        """The results of the forward pass, and of its arguments those that the backward pass takes, too."""
        T, B, _ = x.shape
        step, row, item = x.strides
        y, states = np.empty((T, B, self._width), dtype=self._dtype), self._empty_states(B)
        given: _Given = (
            *(self._network, T, B, _address(x), step // item, row // item),
            None if h0 is None else _address(h0),
            None if kept is None else _address_of_new(kept),
            _address_of_new(y),
        )
        if self._native.forward(*given, None if c0 is None else _address(c0), _address_of_new(states)):
            raise MemoryError(f"no memory for the forward pass of {self.config} with T = {T} and B = {B}")
        return y, tuple(states) if self._two_states else (states,), given

    def _empty_states(self, B: int) -> NumpyArray:
        """A new array for h or, of a cell with two states, for h and c, one after the other."""
        shape = self._states, B, self.config.hidden_size
        return np.empty((2, *shape) if self._two_states else shape, dtype=self._dtype)

    def _gradients(
        self,
        given: _Given,
        used: tuple[NumpyArray | None, ...],
        dy: NumpyArray,
        dstate_n: State[NumpyArray],
    ) -> Grads[NumpyArray]:
        x = used[0]
        assert x is not None
        dy, dh_n = np.ascontiguousarray(dy), np.ascontiguousarray(dstate_n[0])
        dc_n = np.ascontiguousarray(dstate_n[1]) if self._two_states else None
        dx = np.empty(x.shape, dtype=self._dtype)
        dstates = self._empty_states(x.shape[1])
        gradients = np.empty(self._gradient_parts[-1][2], dtype=self._dtype)
        failed = self._native.backward(
            *given,
            _address(dy),
            _address(dh_n),
            None if dc_n is None else _address(dc_n),
            _address_of_new(dx),
            _address_of_new(dstates),
            _address_of_new(gradients),
        )
        if failed:
            raise MemoryError(f"no memory for the backward pass of {self.config} with x of shape {x.shape}")
        weights = {name: gradients[begin:end].reshape(shape) for name, begin, end, shape in self._gradient_parts}
        return Grads(dx, tuple(dstates) if self._two_states else (dstates,), weights)


_LINE = 16
"""Numbers that make at least the 64 bytes of a cache line, to which what is saved is aligned."""


def _parts(config: RnnConfig) -> Iterator[tuple[str, int, int, tuple[int, ...]]]:
    """Name, begin, end and shape of each weight's gradient in the one array that the library fills with them all.

    An array each would take longer than a small network.
    """
    begin = 0
    for name, shape in config.weight_shapes().items():
        yield name, begin, begin + math.prod(shape), shape
        begin += math.prod(shape)


class _Native:
    """The functions of `native/api.cpp`, with the types of their arguments."""

    def __init__(self, compiled: Library) -> None:
        whole, size, pointer = ctypes.c_int, ctypes.c_long, ctypes.c_void_p
        given = [pointer, size, size, pointer, size, size, *[pointer] * 3]

        def function(name: str, result: type[Any] | None, *arguments: type[Any]) -> Any:
            # ctypes lets go of the interpreter's lock while such a function runs.
            found = getattr(compiled.functions, f"rnn_{name}")
            found.restype, found.argtypes = result, arguments
            return found

        self.create = function("create", pointer, whole, whole, size, size, whole, pointer, pointer)
        self.destroy = function("destroy", None, pointer)
        self.kept_size = function("kept_size", size, pointer)
        self.forward = function("forward", whole, *given, pointer, pointer)
        self.backward = function("backward", whole, *given, *[pointer] * 6)


# Looked up once: a pass needs ten addresses, and a small network takes no longer than they do.
_addressof, _from_buffer = ctypes.addressof, ctypes.c_char.from_buffer


def _address(array: NumpyArray) -> int:
    """Where the array's first element lies."""
    return _address_of_new(array) if array.flags.carray else array.ctypes.data


def _address_of_new(array: NumpyArray) -> int:
    """The same of an array that was just made: not empty, contiguous, to be written to.

    Several times faster than `array.ctypes`, which would take longer than a small network.
    """
    return _addressof(_from_buffer(array))  # type: ignore[arg-type]  # it is a buffer


def _addresses(arrays: Iterable[NumpyArray | None]) -> ctypes.Array[ctypes.c_void_p]:
    addresses = [None if array is None else _address(array) for array in arrays]
    return (ctypes.c_void_p * len(addresses))(*addresses)


_Given: TypeAlias = tuple[int | None, int, int, int, int, int, int | None, int | None, int]
"""Network, T, B, x with the strides of its first two axes in elements, h0, what is kept for the way back, and y."""


def _default_threads() -> int:
    given = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return int(given) if given.isdecimal() and int(given) > 0 else len(os.sched_getaffinity(0))
