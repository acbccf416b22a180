"""Weights of PyTorch as the kernels multiply with them, packed again when, and only when, they changed."""

from __future__ import annotations

import ctypes
import functools
import math
import os
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

import torch

from rnnimpl.dtypes import Dtype
from rnnimpl.native.build import kernels
from rnnimpl.native.calls import BackwardArguments, ForwardArguments, Native, c_lengths

DTYPES: Mapping[torch.dtype, Dtype] = MappingProxyType({torch.float32: "float32", torch.float64: "float64"})
"""The dtypes of the kernels, by PyTorch's."""
_LINE = 16
"""Numbers that make at least the 64 bytes of a cache line, to which what is saved is aligned."""
_MOST_KEPT = 4
"""Networks that share their first weight and are kept packed at once."""


class Structure(NamedTuple):
    """What the weights of a network do not say: its cell, of `rnnimpl.cells`, its layers, its directions."""

    cell: str
    num_layers: int
    bidirectional: bool

    @property
    def num_stacked(self) -> int:
        """L*D, the first axis of a state."""
        return self.num_layers * (2 if self.bidirectional else 1)

    @property
    def num_states(self) -> int:
        """The arrays of a state: h, and c of an LSTM."""
        return 2 if self.cell == "lstm" else 1


Inputs: TypeAlias = tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]
"""x (T, B, I), h0 and c0 (L*D, B, H) or None for zeros.

Or x (N, I), the data of a `PackedSequence`: the N valid steps, with lengths from the longest to the shortest. y, its
gradient and that of x are packed then, too.
"""


class Results(NamedTuple):
    """y (T, B, D*H), h_n and c_n (L*D, B, H), and what the backward pass needs; c_n is empty but for an LSTM's."""

    y: torch.Tensor
    h_n: torch.Tensor
    c_n: torch.Tensor
    saved: torch.Tensor


class Gradients(NamedTuple):
    """The gradients of x (T, B, I), h0, c0 (L*D, B, H), and all weights in one array; one not asked for is empty."""

    x: torch.Tensor
    h0: torch.Tensor
    c0: torch.Tensor
    weights: torch.Tensor


@functools.cache
def _native(cell: str, dtype: str) -> Native:
    native = Native(kernels(cell, dtype))
    runtime = _openmp_of_torch()
    if runtime is not None:
        native.borrow_threads(*runtime)
    return native


@functools.cache
def _openmp_of_torch() -> tuple[int, int] | None:
    """The addresses of GOMP_parallel and omp_get_thread_num in PyTorch's OpenMP; None where it uses another runtime.

    Threads of OpenMP spin for milliseconds after each operation of PyTorch, on cores that other threads would wait for.
    """
    try:
        library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
        functions = library.GOMP_parallel, library.omp_get_thread_num
    except (OSError, AttributeError):
        return None
    parallel, number = (ctypes.cast(function, ctypes.c_void_p).value for function in functions)
    return None if parallel is None or number is None else (parallel, number)


class Packed:
    """A network whose weights are packed; `weights` are in the order of a `torch.nn` module's parameters.

    Raises Unavailable where there are no kernels, and MemoryError. Any number of threads may call it; they take turns.
    """

    def __init__(self, structure: Structure, weights: Sequence[torch.Tensor], threads: int) -> None:
        # The backward pass packs them when it is first asked for.
        self._weights = [weight.detach().contiguous() for weight in weights]
        self._structure = structure
        self.hidden_size = H = weights[1].shape[1]
        self.input_size = weights[0].shape[1]
        self._native = _native(structure.cell, DTYPES[weights[0].dtype])
        self.total = sum(weight.numel() for weight in weights)
        has_bias = len(weights) == 4 * structure.num_stacked
        pointers, begins, begin = [], [], 0
        for index, weight in enumerate(self._weights):
            pointers.append(weight.data_ptr())
            begins.append(begin)
            begin += weight.numel()
            if not has_bias and index % 2:
                pointers += [0, 0]
                begins += [-1, -1]
        D = 2 if structure.bidirectional else 1
        self.output_size = D * H
        self._network = self._native.create(
            structure.num_layers,
            D,
            self.input_size,
            H,
            threads,
            (ctypes.c_void_p * len(pointers))(*pointers),
            (ctypes.c_long * len(begins))(*begins),
        )
        if self._network is None:
            raise MemoryError(f"no memory for the packed weights of {structure} with I = {self.input_size} and H = {H}")
        self.saved_size: int = self._native.saved_size(self._network)

    def __del__(self) -> None:
        if getattr(self, "_network", None) is not None:
            self._native.destroy(self._network)

    def has_changed_weights(self) -> bool:
        """Whether the weights have other numbers than those that were packed, as far as `packed_weights` compares."""
        return bool(self._native.weights_changed(self._network))

    def forward(self, inputs: Inputs, *, save: bool, lengths: Sequence[int] | None = None) -> Results:
        """The results of a call, of sequences of these lengths, None for T; `save` what a backward pass needs."""
        x = inputs[0]
        T, B = batch_size(x, lengths)
        rows = math.prod(x.shape[:-1])
        state = self._structure.num_stacked, B, self.hidden_size
        results = Results(
            y=x.new_empty((*x.shape[:-1], self.output_size)),
            h_n=x.new_empty(state),
            c_n=x.new_empty(state if self._structure.num_states == 2 else (0,)),
            saved=x.new_empty(saved_numbers(self.saved_size, rows) if save else 0),
        )
        read, arguments = self._arguments(inputs, results, lengths)
        if self._native.forward(self._network, ctypes.addressof(arguments)):
            raise MemoryError(f"no memory for the forward pass of {self._structure} with T = {T} and B = {B}")
        del read
        return results

    def backward(
        self,
        cotangents: Sequence[torch.Tensor | None],
        inputs: Inputs,
        results: tuple[torch.Tensor, torch.Tensor],
        *,
        wants_x: bool,
        wants_weights: bool,
        lengths: Sequence[int] | None = None,
    ) -> Gradients:
        """The gradients from those of y, h_n and c_n, None for zeros, and from the inputs, y and what was saved."""
        x = inputs[0]
        y, saved = results
        T, B = batch_size(x, lengths)
        state = self._structure.num_stacked, B, self.hidden_size
        has_cell_state = self._structure.num_states == 2
        empty = x.new_empty(0)
        read, before = self._arguments(inputs, Results(y, empty, empty, saved), lengths)
        shapes = (y.shape, state, state)[: 2 + has_cell_state]
        given = [
            x.new_zeros(shape) if cotangent is None else cotangent.contiguous()
            for cotangent, shape in zip(cotangents, shapes, strict=False)
        ]
        grads = Gradients(
            x=x.new_empty(x.shape) if wants_x else empty,
            h0=x.new_empty(state),
            c0=x.new_empty(state) if has_cell_state else empty,
            weights=x.new_empty(self.total) if wants_weights else empty,
        )
        arguments = BackwardArguments(
            dy=given[0].data_ptr(),
            dh_n=given[1].data_ptr(),
            dc_n=given[2].data_ptr() if has_cell_state else None,
            dx=grads.x.data_ptr() or None,
            dh0=grads.h0.data_ptr(),
            dc0=grads.c0.data_ptr() or None,
            weights=grads.weights.data_ptr() or None,
        )
        pointers = ctypes.addressof(before), ctypes.addressof(arguments)
        if self._native.backward(self._network, *pointers):
            raise MemoryError(f"no memory for the backward pass of {self._structure} with T = {T} and B = {B}")
        del read
        return grads

    @staticmethod
    def _arguments(inputs: Inputs, results: Results, lengths: Sequence[int] | None) -> tuple[object, ForwardArguments]:
        """The record of a forward pass, with what it reads, which has to live as long as it is used."""
        x = inputs[0]
        T, B = batch_size(x, lengths)
        if x.stride(-1) != 1 and x.shape[-1] > 1:
            x = x.contiguous()
        h0, c0 = (None if tensor is None else tensor.contiguous() for tensor in inputs[1:])
        ends = None if lengths is None else c_lengths(lengths)
        arguments = ForwardArguments(
            T=T,
            B=B,
            x=x.data_ptr(),
            x_step=x.stride(0),
            x_row=x.stride(-2),
            h0=None if h0 is None else h0.data_ptr(),
            c0=None if c0 is None else c0.data_ptr(),
            saved=results.saved.data_ptr() or None,
            y=results.y.data_ptr(),
            h_n=results.h_n.data_ptr(),
            c_n=results.c_n.data_ptr() or None,
            lengths=None if ends is None else ctypes.addressof(ends),
            packed=x.dim() == 2,
        )
        return (x, h0, c0, ends), arguments


def batch_size(x: torch.Tensor, lengths: Sequence[int] | None) -> tuple[int, int]:
    """T and B of an x (T, B, I), or (N, I) with the lengths of its sequences."""
    if x.dim() == 3:
        return x.shape[0], x.shape[1]
    assert lengths is not None
    return max(lengths), len(lengths)


def saved_numbers(saved_size: int, rows: int) -> int:
    """Numbers that a forward pass saves of so many steps of all sequences, where each saves `saved_size`."""
    return rows * saved_size + _LINE if saved_size else 0


class _Kept:
    """A packed network, with what its weights were when it was packed."""

    def __init__(self, structure: Structure, weights: Sequence[torch.Tensor], threads: int) -> None:
        self.structure, self.threads = structure, threads
        # Another process changes shared memory, and inference tensors change, without a version that says so. What is
        # not contiguous was copied, and the copy does not change.
        self.lasts = all(
            weight.is_contiguous() and not weight.untyped_storage().is_shared() and not weight.is_inference()
            for weight in weights
        )
        if self.lasts:
            self.weights = [(weakref.ref(weight), weight._version, weight.data_ptr()) for weight in weights]
        # After the versions: what another thread changes meanwhile is packed again.
        self.packed = Packed(structure, weights, threads)

    def is_of(self, structure: Structure, weights: Sequence[torch.Tensor], threads: int) -> bool:
        """Whether it is of these tensors as they are now."""
        if structure != self.structure or threads != self.threads or len(weights) != len(self.weights):
            return False
        for (of, version, pointer), weight in zip(self.weights, weights, strict=True):
            if of() is not weight or weight._version != version or weight.data_ptr() != pointer:
                return False
        return not self.packed.has_changed_weights()

    def is_lost(self, weights: Sequence[torch.Tensor]) -> bool:
        """Whether no later call can find it, where `weights` are packed anew."""
        known = [of() for of, _, _ in self.weights]
        if len(known) == len(weights) and all(one is other for one, other in zip(known, weights, strict=True)):
            return True
        return any(weight is None for weight in known)


_kept: dict[int, list[_Kept]] = {}
"""Packed networks by the identity of their first weight; they go with it."""
_packs = 0


def packed_weights(structure: Structure, weights: Sequence[torch.Tensor]) -> Packed:
    """The packed network of these weights: that of an earlier call, unless one of them changed since.

    A change is another tensor, other memory, or a new version of the same (`Tensor._version`), which every change in
    place makes that autograd knows of. For changes that it does not know of, by `Tensor.data` or NumPy, numbers are
    compared: all of a weight of up to 4096 (2**18 in float64), else 64 of them, evenly apart. Weights in shared memory,
    those that are not contiguous, and inference tensors are packed in every call. Raises what `Packed` raises.
    """
    global _packs
    threads = torch.get_num_threads()
    first = id(weights[0])
    for kept in _kept.get(first, ()):
        if kept.is_of(structure, weights, threads):
            return kept.packed
    _packs += 1
    new = _Kept(structure, weights, threads)
    if new.lasts:
        if first not in _kept:
            weakref.finalize(weights[0], _kept.pop, first, None).atexit = False
        others = [kept for kept in _kept.get(first, ()) if not kept.is_lost(weights)]
        _kept[first] = [new, *others][:_MOST_KEPT]
    return new.packed


def pack_count() -> int:
    """How many times this process has packed weights."""
    return _packs


# A thread that computed while the process forked holds the lock of its network forever in the child.
os.register_at_fork(after_in_child=_kept.clear)
