"""The whole recurrence in C++, forward and backward, compiled for this machine at first use.

How it works and what bounds it: docs/fused_kernels.md.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np

from rnnimpl.dtypes import Precision
from rnnimpl.interface import (
    NONLINEARITIES,
    Grads,
    NumpyArray,
    Rnn,
    RnnConfig,
    Unsupported,
    Weights,
    cell_weight_names,
)
from rnnimpl.native.build import library


class FusedCpu(Rnn[NumpyArray]):
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
        functions = self.library.functions
        self._forward = getattr(functions, f"rnn_forward_{config.dtype}")
        self._backward = getattr(functions, f"rnn_backward_{config.dtype}")
        self._destroy = getattr(functions, f"rnn_destroy_{config.dtype}")
        create = getattr(functions, f"rnn_create_{config.dtype}")
        create.restype = ctypes.c_void_p
        L, D, I, H = config.num_layers, config.num_directions, config.input_size, config.hidden_size
        nonlinearity = NONLINEARITIES.index(config.nonlinearity)
        arrays = list(_by_cell(config, weights.state_dict()))
        network = create(L, D, _long(I), _long(H), nonlinearity, self.thread_count, _pointers(arrays))
        if network is None:
            raise MemoryError(f"no memory for the packed weights of {config}")
        self._network = ctypes.c_void_p(network)

    def __del__(self) -> None:
        if hasattr(self, "_network"):
            self._destroy(self._network)

    def from_numpy(self, array: NumpyArray) -> NumpyArray:
        self.check_dtype(array)
        return array.copy()

    def to_numpy(self, array: NumpyArray) -> NumpyArray:
        return array.copy()

    def forward(self, x: NumpyArray, h0: NumpyArray | None = None) -> tuple[NumpyArray, NumpyArray]:
        x, h0 = self._inputs(x, h0)
        return self._run(x, h0, None)

    def vjp(
        self, x: NumpyArray, h0: NumpyArray | None = None
    ) -> tuple[NumpyArray, NumpyArray, Callable[[NumpyArray, NumpyArray], Grads[NumpyArray]]]:
        x, h0 = self._inputs(x, h0)
        config = self.config
        T, B, _ = x.shape
        # The outputs of all layers but the last, which the backward pass needs.
        hidden = np.empty((config.num_layers - 1, T, B, config.num_directions * config.hidden_size), dtype=x.dtype)
        y, h_n = self._run(x, h0, hidden)

        def pullback(dy: NumpyArray, dh_n: NumpyArray) -> Grads[NumpyArray]:
            return self._gradients(x, h0, hidden, y, self._cotangent(dy, y), self._cotangent(dh_n, h_n))

        return y, h_n, pullback

    def describe(self) -> dict[str, str]:
        return {
            "library": "rnnimpl native",
            "compiler": self.library.compiler,
            "vector_bits": str(self.library.functions.rnn_vector_bits()),
            "threads": str(self.thread_count),
        }

    def _inputs(self, x: NumpyArray, h0: NumpyArray | None) -> tuple[NumpyArray, NumpyArray | None]:
        """Check x and h0; rows of x and all of h0 become contiguous."""
        self.check_shapes(x, h0)
        self.check_dtype(x)
        if x.strides[2] != x.itemsize or not x.flags.aligned:
            x = np.ascontiguousarray(x)
        if h0 is not None:
            self.check_dtype(h0)
            h0 = np.ascontiguousarray(h0)
        return x, h0

    def _run(self, x: NumpyArray, h0: NumpyArray | None, hidden: NumpyArray | None) -> tuple[NumpyArray, NumpyArray]:
        config = self.config
        T, B, _ = x.shape
        H, D = config.hidden_size, config.num_directions
        y = np.empty((T, B, D * H), dtype=x.dtype)
        h_n = np.empty((config.num_layers * D, B, H), dtype=x.dtype)
        failed = self._forward(
            self._network, _long(T), _long(B), *_sequence(x), _address(h0), _address(hidden), _address(y), _address(h_n)
        )
        if failed:
            raise MemoryError(f"no memory for the forward pass of {config} with T = {T} and B = {B}")
        return y, h_n

    def _cotangent(self, given: NumpyArray, of: NumpyArray) -> NumpyArray:
        """Check a cotangent against what it belongs to, and make it contiguous."""
        if given.shape != of.shape:
            raise ValueError(f"the cotangent has shape {given.shape}; expected {of.shape}, as what it belongs to")
        self.check_dtype(given)
        return np.ascontiguousarray(given)

    def _gradients(
        self,
        x: NumpyArray,
        h0: NumpyArray | None,
        hidden: NumpyArray,
        y: NumpyArray,
        dy: NumpyArray,
        dh_n: NumpyArray,
    ) -> Grads[NumpyArray]:
        config = self.config
        T, B, _ = x.shape
        dx = np.empty(x.shape, dtype=x.dtype)
        dh0 = np.empty(dh_n.shape, dtype=x.dtype)
        gradients = {name: np.empty(shape, dtype=x.dtype) for name, shape in config.weight_shapes().items()}
        failed = self._backward(
            self._network,
            _long(T),
            _long(B),
            *_sequence(x),
            *(_address(array) for array in (h0, hidden, y, dy, dh_n, dx, dh0)),
            _pointers(list(_by_cell(config, gradients))),
        )
        if failed:
            raise MemoryError(f"no memory for the backward pass of {config} with T = {T} and B = {B}")
        return Grads(dx, dh0, gradients)


_long = ctypes.c_long


def _address(array: NumpyArray | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if array is None else array.ctypes.data)


def _sequence(x: NumpyArray) -> tuple[ctypes.c_void_p, ctypes.c_long, ctypes.c_long]:
    """Address and strides of the first two axes, in elements."""
    return _address(x), _long(x.strides[0] // x.itemsize), _long(x.strides[1] // x.itemsize)


def _by_cell(config: RnnConfig, arrays: Mapping[str, NumpyArray]) -> Iterator[NumpyArray | None]:
    """w_ih, w_hh, b_ih, b_hh of each cell in turn; None where there is no bias."""
    for layer, direction in config.cells():
        for name in cell_weight_names(layer, direction):
            yield arrays.get(name)


def _pointers(arrays: Sequence[NumpyArray | None]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * len(arrays))(*(None if array is None else array.ctypes.data for array in arrays))


def _default_threads() -> int:
    given = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return int(given) if given.isdecimal() and int(given) > 0 else len(os.sched_getaffinity(0))
