"""The recurrence of all steps in one CUDA kernel for each layer, its weights in registers, forward and backward.

docs/fused_gpu.md explains how it works and what bounds it.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import torch
from torch.nn import functional

from rnnimpl.cuda import driver, nvrtc
from rnnimpl.cuda.launch_plan import Chip, LaunchPlan, choose
from rnnimpl.cuda.source import KERNEL, VECTOR_BYTES, Arguments, kernel_source
from rnnimpl.cuda.stepwise import run_steps
from rnnimpl.dtypes import Dtype
from rnnimpl.interface import (
    Grads,
    Lengths,
    NotCopied,
    Pullback,
    RnnConfig,
    Unavailable,
    Unsupported,
    Weights,
    layer_weight_names,
)
from rnnimpl.torch_base import TorchRnn, TorchState


class FusedCuda(NotCopied, TorchRnn):
    """One product projects the input of all steps and directions; one launch then runs all steps where weights fit.

    Where they do not fit, each step is a product and a pointwise kernel. The dtypes are float16, bfloat16 and float32.
    The kernel sums the products of the recurrence in float32, and computes them in it also with precision tf32.
    """

    devices = ("cuda",)
    cells = ("tanh", "relu")
    requires = ("torch>=2.11",)

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cuda") -> None:
        super().__init__(config, weights, device)
        if config.dtype == "float64":
            raise Unsupported("fused_cuda computes in float16, bfloat16 and float32; got dtype float64")
        self.chip = self.find_chip()
        self.layers = [self._stack(layer) for layer in range(config.num_layers)]
        self.plans: dict[int, LaunchPlan | None] = {}
        self.kernels: dict[LaunchPlan, driver.Kernel] = {}

    def find_chip(self) -> Chip:
        """The GPU as a plan needs it. Raises Unavailable on a GPU that is too old, and without NVRTC."""
        properties = torch.cuda.get_device_properties(self.device)
        least = (8, 0) if self.config.dtype == "bfloat16" else (7, 0)
        if (properties.major, properties.minor) < least:
            raise Unavailable(
                f"{properties.name} has compute capability {properties.major}.{properties.minor}; "
                f"fused_cuda needs {least[0]}.{least[1]} for {self.config.dtype}"
            )
        nvrtc.library(str(torch.version.cuda))
        return Chip(multiprocessors=properties.multi_processor_count)

    def choose_plan(self, batch: int) -> LaunchPlan | None:
        """The launch plan for a batch of this size; None for a product and a pointwise kernel in each step."""
        return choose(
            hidden=self.config.hidden_size,
            batch=batch,
            directions=self.config.num_directions,
            itemsize=self.dtype.itemsize,
            chip=self.chip,
        )

    def launch(self, plan: LaunchPlan, arguments: Arguments) -> None:
        """Queue one launch on the current stream; the first one of a plan compiles its kernel."""
        device = self.layers[0].w_ih.device
        with torch.cuda.device(device):
            if plan not in self.kernels:
                self.kernels[plan] = _load_kernel(plan, self.config.dtype, device)
            self.kernels[plan].launch(
                (plan.slices, plan.row_blocks, plan.directions),
                plan.threads,
                arguments,
                torch.cuda.current_stream(device).cuda_stream,
                cooperative=plan.slices > 1,
            )

    def run(self, x: torch.Tensor, state: TorchState) -> tuple[torch.Tensor, TorchState]:
        ys = self._run_layers(x, state[0])
        return ys[-1], (self._last_states(ys),)

    def vjp(
        self, x: torch.Tensor, state: TorchState | None = None, lengths: Lengths = None
    ) -> tuple[torch.Tensor, TorchState, Pullback[torch.Tensor]]:
        x, (h0,) = self._inputs(x, state)
        self.refuse_lengths(lengths, x)
        x, h0 = x.detach(), h0.detach()
        with torch.no_grad():
            ys = self._run_layers(x, h0)
            h_n = self._last_states(ys)

        def pullback(dy: torch.Tensor, dstate_n: TorchState) -> Grads[torch.Tensor]:
            self.check_cotangents(dy, dstate_n, ys[-1], self.dtype)
            with torch.no_grad():
                return self._gradients(x, h0, ys, dy, dstate_n[0])

        return ys[-1], (h_n,), pullback

    def describe(self) -> dict[str, str]:
        described = super().describe()
        chosen = [
            f"B {batch}: {'a product and a pointwise kernel in each step' if plan is None else plan.describe()}"
            for batch, plan in self.plans.items()
        ]
        return described | {"recurrence": "; ".join(chosen) or "not chosen before the first call"}

    def _stack(self, layer: int) -> _Layer:
        """The weights of both directions of a layer, stacked."""
        names = [layer_weight_names(layer, direction) for direction in range(self.config.num_directions)]
        weights = {name: tensor.detach() for name, tensor in self.weights.items()}
        w_hh = torch.stack([weights[each.w_hh] for each in names])
        bias = torch.cat([weights[each.b_ih] + weights[each.b_hh] for each in names]) if self.config.bias else None
        w_ih = torch.cat([weights[each.w_ih] for each in names])
        return _Layer(w_ih, bias, w_hh, w_hh.transpose(1, 2).contiguous())

    def _run_layers(self, x: torch.Tensor, h0: torch.Tensor) -> list[torch.Tensor]:
        """The outputs (T, B, D*H) of every layer."""
        ys = []
        h0 = self._own("h0", h0)
        for layer, initial in zip(self.layers, self._by_layer(h0), strict=True):
            projection = functional.linear(x, layer.w_ih, layer.bias)  # (T, B, D*H)
            x = self._recur(projection, layer.w_hh, initial=initial)
            ys.append(x)
        return ys

    def _last_states(self, ys: list[torch.Tensor]) -> torch.Tensor:
        H, D = self.config.hidden_size, self.config.num_directions
        last = [y[-1 if direction == 0 else 0, :, _columns(direction, H)] for y in ys for direction in range(D)]
        return torch.stack(last)  # (L*D, B, H)

    def _by_layer(self, states: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """h0 or dh_n (L*D, B, H) -> L times (D, B, H)."""
        return states.view(self.config.num_layers, self.config.num_directions, *states.shape[1:]).unbind(0)

    def _gradients(
        self, x: torch.Tensor, h0: torch.Tensor, ys: list[torch.Tensor], dy: torch.Tensor, dh_n: torch.Tensor
    ) -> Grads[torch.Tensor]:
        config = self.config
        H = config.hidden_size
        dy = self._own("dy", dy)
        dh_n = self._own("dh_n", dh_n)
        dh0: list[torch.Tensor] = []
        weights: dict[str, torch.Tensor] = {}
        for number in reversed(range(config.num_layers)):
            layer, y, below = self.layers[number], ys[number], ys[number - 1] if number else x
            initial = self._by_layer(h0)[number]
            da = self._recur(dy, layer.w_hh_transposed, addend=self._by_layer(dh_n)[number], states=y)  # (T, B, D*H)
            dw_ih = da.flatten(0, 1).t() @ below.flatten(0, 1)  # (D*H, I)
            db = da.sum((0, 1))  # (D*H,)
            dh0_of_layer = []
            for direction in range(config.num_directions):
                columns = _columns(direction, H)
                da_layer, y_layer = da[:, :, columns], y[:, :, columns]
                if direction:
                    first, later, before = da_layer[-1], da_layer[:-1], y_layer[1:]
                else:
                    first, later, before = da_layer[0], da_layer[1:], y_layer[:-1]
                dh0_of_layer.append(first @ layer.w_hh[direction])
                names = layer_weight_names(number, direction)
                weights[names.w_ih] = dw_ih[columns]
                weights[names.w_hh] = torch.addmm(
                    first.t() @ initial[direction], later.flatten(0, 1).t(), before.flatten(0, 1)
                )
                weights |= {names.b_ih: db[columns], names.b_hh: db[columns]}
            dh0 = dh0_of_layer + dh0
            dy = da @ layer.w_ih  # (T, B, I), summed over directions
        return Grads(dy, (torch.stack(dh0),), {name: weights[name] for name in self.weights})

    def _recur(
        self,
        given: torch.Tensor,
        weights: torch.Tensor,
        *,
        initial: torch.Tensor | None = None,
        addend: torch.Tensor | None = None,
        states: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The recurrence of one layer, as `recurrence.cu` has it; backward where `states` are given -> (T, B, D*H)."""
        T, B, _ = given.shape
        nonlinearity = self.config.cell
        if B not in self.plans:
            self.plans[B] = self.choose_plan(B)
        plan = self.plans[B]
        if plan is None:
            return run_steps(given, weights, nonlinearity, initial=initial, addend=addend, states=states)
        output = torch.empty_like(given)
        if plan.slices > 1:
            # All bits set marks a state that is not written yet; no state has that value.
            output.view(torch.int32 if output.itemsize == 4 else torch.int16).fill_(-1)
        arrays = (given, weights, initial, addend, states, output)
        pointers = [None if array is None else array.data_ptr() for array in arrays]
        D = self.config.num_directions
        for first_direction in range(0, D, plan.directions):
            self.launch(plan, Arguments(*pointers, T, B, D, first_direction, plan.rows, nonlinearity == "relu"))
        return output

    def _own(self, name: str, array: torch.Tensor) -> torch.Tensor:
        """The array or a copy of it, contiguous and aligned. Raises ValueError for an array on another device."""
        device = self.layers[0].w_ih.device
        if array.device != device:
            raise ValueError(f"{name} is on {array.device}; expected {device}, where the weights are")
        array = array.contiguous()
        return array if array.data_ptr() % VECTOR_BYTES == 0 else array.clone()


class _Layer(NamedTuple):
    """The weights of a layer's directions: w_ih (D*H, I), bias (D*H,), w_hh and its transpose (D, H, H)."""

    w_ih: torch.Tensor
    bias: torch.Tensor | None
    w_hh: torch.Tensor
    w_hh_transposed: torch.Tensor


def _columns(direction: int, H: int) -> slice:
    """The columns of a direction in an array (T, B, D*H)."""
    return slice(direction * H, (direction + 1) * H)


def _load_kernel(plan: LaunchPlan, dtype: Dtype, device: torch.device) -> driver.Kernel:
    properties = torch.cuda.get_device_properties(device)
    architecture = f"sm_{properties.major}{properties.minor}"
    machine_code = _machine_code(kernel_source(plan, dtype), architecture)
    return driver.Kernel(machine_code, KERNEL, plan.shared_bytes)


@functools.cache
def _machine_code(source: str, architecture: str) -> bytes:
    """The machine code of a source, compiled once in a process: batch sizes that share a source share it."""
    return nvrtc.compile_cubin(nvrtc.library(str(torch.version.cuda)), source, architecture)
