"""The whole recurrence in C++, forward and backward, compiled for this machine at first use.

How it works and what bounds it: docs/fused_kernels.md.
"""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, TypeAlias

import numpy as np

from rnnimpl.dtypes import Precision
from rnnimpl.interface import (
    NONLINEARITIES,
    Grads,
    NotCopied,
    NumpyArray,
    Rnn,
    RnnConfig,
    Unsupported,
    Weights,
    cell_weight_names,
)
from rnnimpl.native.build import Library, library


class FusedCpu(NotCopied, Rnn[NumpyArray]):
    """Packed weights, register blocks, threads that share sequences or hidden units and sleep between calls."""

    devices = ("cpu",)

    threads: ClassVar[int | None] = None
    """CPU threads of instances built from now on; None: OMP_NUM_THREADS, else one for each core of the process."""

    @classmethod
    def configure_process(cls, *, threads: int, precision: Precision) -> None:
        super().configure_process(threads=threads, precision=precision)
        cls.threads = threads

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        if config.dtype not in ("float32", "float64"):
            raise Unsupported(f"fused_cpu computes in float32 and float64; got dtype {config.dtype}")
        self.library = library()
        self.thread_count = self.threads or _default_threads()
        self._dtype = config.carrier
        self._states = config.num_layers * config.num_directions
        self._width = config.num_directions * config.hidden_size
        self._gradient_parts = tuple(_parts(config))
        self._native = _Native(self.library, config.dtype)
        self._network = self._native.create(
            config.num_layers,
            config.num_directions,
            config.input_size,
            config.hidden_size,
            NONLINEARITIES.index(config.nonlinearity),
            self.thread_count,
            _addresses(weights.arrays.get(name) for cell in config.cells() for name in cell_weight_names(*cell)),
        )
        if self._network is None:
            raise MemoryError(f"no memory for the packed weights of {config}")

    def __del__(self) -> None:
        if getattr(self, "_network", None) is not None:
            self._native.destroy(self._network)

    def from_numpy(self, array: NumpyArray) -> NumpyArray:
        self.check_dtype(array)
        return array.copy()

    def to_numpy(self, array: NumpyArray) -> NumpyArray:
        return array.copy()

    def forward(self, x: NumpyArray, h0: NumpyArray | None = None) -> tuple[NumpyArray, NumpyArray]:
        x, h0 = self._inputs(x, h0)
        return self._run(x, _sequence(x), h0, None)

    def vjp(
        self, x: NumpyArray, h0: NumpyArray | None = None
    ) -> tuple[NumpyArray, NumpyArray, Callable[[NumpyArray, NumpyArray], Grads[NumpyArray]]]:
        x, h0 = self._inputs(x, h0)
        T, B, _ = x.shape
        # The outputs of all layers but the last; the backward pass needs them.
        hidden = np.empty((self.config.num_layers - 1, T, B, self._width), dtype=x.dtype)
        given = _sequence(x)
        y, h_n = self._run(x, given, h0, hidden)

        def pullback(dy: NumpyArray, dh_n: NumpyArray) -> Grads[NumpyArray]:
            self._check_dtype("dy", dy)
            self._check_dtype("dh_n", dh_n)
            if dy.shape != y.shape or dh_n.shape != h_n.shape:
                self.check_cotangents(dy, dh_n, y, h_n)
            dy, dh_n = np.ascontiguousarray(dy), np.ascontiguousarray(dh_n)
            return self._gradients(x, given, h0, hidden, y, dy, dh_n)

        return y, h_n, pullback

    def describe(self) -> dict[str, str]:
        return {
            "library": "rnnimpl native",
            "compiler": self.library.compiler,
            "vector_bits": str(self.library.functions.rnn_vector_bits()),
            "threads": str(self.thread_count),
        }

    def _inputs(self, x: NumpyArray, h0: NumpyArray | None) -> tuple[NumpyArray, NumpyArray | None]:
        """Check x and h0; make the rows of x and all of h0 contiguous."""
        self._check_dtype("x", x)
        if h0 is not None:
            self._check_dtype("h0", h0)
        self.check_shapes(x, h0)
        if x.strides[2] != x.itemsize or not x.flags.aligned:
            x = np.ascontiguousarray(x)
        if h0 is not None:
            h0 = np.ascontiguousarray(h0)
        return x, h0

    def _run(
        self, x: NumpyArray, given: _SequenceArguments, h0: NumpyArray | None, hidden: NumpyArray | None
    ) -> tuple[NumpyArray, NumpyArray]:
        T, B, _ = x.shape
        y = np.empty((T, B, self._width), dtype=x.dtype)
        h_n = np.empty((self._states, B, self.config.hidden_size), dtype=x.dtype)
        failed = self._native.forward(
            self._network, T, B, *given, _address(h0), _address(hidden), _address_of_new(y), _address_of_new(h_n)
        )
        if failed:
            raise MemoryError(f"no memory for the forward pass of {self.config} with T = {T} and B = {B}")
        return y, h_n

    def _check_dtype(self, name: str, array: NumpyArray) -> None:
        # The rest takes as long as a small network, and nearly always this decides.
        if not (isinstance(array, np.ndarray) and array.dtype is self._dtype):
            self.check_dtypes(self._dtype, **{name: array})

    def _gradients(
        self,
        x: NumpyArray,
        given: _SequenceArguments,
        h0: NumpyArray | None,
        hidden: NumpyArray,
        y: NumpyArray,
        dy: NumpyArray,
        dh_n: NumpyArray,
    ) -> Grads[NumpyArray]:
        T, B, _ = x.shape
        dx = np.empty(x.shape, dtype=x.dtype)
        dh0 = np.empty(dh_n.shape, dtype=x.dtype)
        gradients = np.empty(self._gradient_parts[-1][2], dtype=x.dtype)
        failed = self._native.backward(
            self._network,
            T,
            B,
            *given,
            _address(h0),
            _address(hidden),
            _address(y),
            _address(dy),
            _address(dh_n),
            _address_of_new(dx),
            _address_of_new(dh0),
            _address_of_new(gradients),
        )
        if failed:
            raise MemoryError(f"no memory for the backward pass of {self.config} with T = {T} and B = {B}")
        weights = {name: gradients[begin:end].reshape(shape) for name, begin, end, shape in self._gradient_parts}
        return Grads(dx, dh0, weights)


def _parts(config: RnnConfig) -> Iterator[tuple[str, int, int, tuple[int, ...]]]:
    """Name, begin, end and shape of each weight's gradient in the one array that the library fills with them all.

    An array each would take longer than a small network.
    """
    begin = 0
    for name, shape in config.weight_shapes().items():
        yield name, begin, begin + math.prod(shape), shape
        begin += math.prod(shape)


class _Native:
    """The functions of `native/api.cpp` for one dtype, with the types of their arguments."""

    def __init__(self, compiled: Library, dtype: str) -> None:
        whole, size, pointer = ctypes.c_int, ctypes.c_long, ctypes.c_void_p
        sequence = [pointer, size, size]

        def function(name: str, result: type[Any] | None, *arguments: type[Any]) -> Any:
            # ctypes lets go of the interpreter's lock while such a function runs.
            found = getattr(compiled.functions, f"rnn_{name}_{dtype}")
            found.restype, found.argtypes = result, arguments
            return found

        self.create = function("create", pointer, whole, whole, size, size, whole, whole, pointer)
        self.destroy = function("destroy", None, pointer)
        self.forward = function("forward", whole, pointer, size, size, *sequence, *[pointer] * 4)
        self.backward = function("backward", whole, pointer, size, size, *sequence, *[pointer] * 8)


# Looked up once: a pass needs ten addresses, and a small network takes no longer than they do.
_addressof, _from_buffer = ctypes.addressof, ctypes.c_char.from_buffer


def _address(array: NumpyArray | None) -> int | None:
    """Where the array's first element lies; None, a null pointer, for None and for nothing."""
    if array is None or array.size == 0:
        return None
    return _address_of_new(array) if array.flags.carray else array.ctypes.data


def _address_of_new(array: NumpyArray) -> int:
    """The same of an array that was just made: not empty, contiguous, to be written to.

    Several times faster than `array.ctypes`, which would take longer than a small network.
    """
    return _addressof(_from_buffer(array))  # type: ignore[arg-type]  # it is a buffer


def _addresses(arrays: Iterable[NumpyArray | None]) -> ctypes.Array[ctypes.c_void_p]:
    addresses = [_address(array) for array in arrays]
    return (ctypes.c_void_p * len(addresses))(*addresses)


_SequenceArguments: TypeAlias = tuple[int | None, int, int]


def _sequence(x: NumpyArray) -> _SequenceArguments:
    """Address and strides of the first two axes, in elements."""
    step, row, item = x.strides
    return _address(x), step // item, row // item


def _default_threads() -> int:
    given = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return int(given) if given.isdecimal() and int(given) > 0 else len(os.sched_getaffinity(0))
