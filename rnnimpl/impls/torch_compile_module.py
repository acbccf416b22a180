"""`torch.nn.LSTM` through `torch.compile`: oneDNN's LSTM with its weights packed once.

`nn.LSTM` on a CPU calls oneDNN, which reorders the weights in every call. With `allow_rnn` TorchDynamo takes the module
into a graph; with freezing TorchInductor takes the weights as constants and reorders them when it compiles. Both are
set for the whole process while a graph is made: freezing as an option of `torch.compile` alone leaves the weights
arguments of the graph, which are reordered in every call. Frozen weights cannot be trained.
"""

from __future__ import annotations

import torch
from torch._dynamo import config as dynamo_config
from torch._inductor import config as inductor_config

from rnnimpl import onednn, torch_inductor
from rnnimpl.dtypes import Precision
from rnnimpl.interface import Lengths, NotCopied, Pullback, RnnConfig, Unsupported, Weights
from rnnimpl.torch_base import TorchRnn, TorchState


class TorchCompileModule(NotCopied, TorchRnn):
    """One frozen graph for each shape of x, in which each layer and direction is one primitive of oneDNN."""

    devices = ("cpu",)
    cells = ("lstm",)
    requires = ("torch>=2.11",)
    only_when_named = "compiling takes some seconds for each network and shape"

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        if config.dtype != "float32":
            # In other dtypes PyTorch computes nn.LSTM by a loop, which would be unrolled, or as the processor has it.
            raise Unsupported(f"TorchCompileModule is oneDNN's LSTM in float32; got dtype {config.dtype}")
        torch_inductor.find_compiler(device)
        self.module = torch.nn.LSTM(
            config.input_size,
            config.hidden_size,
            config.num_layers,
            bias=config.bias,
            bidirectional=config.bidirectional,
            dtype=self.dtype,
        ).train(mode=False)
        self.module.load_state_dict(self.weights)
        self.module.requires_grad_(False)
        self.weights = dict(self.module.named_parameters())
        self.compiled = torch.compile(self.module, fullgraph=True, dynamic=False)
        self.graphs: set[tuple[object, ...]] = set()
        """The properties of a call by which TorchDynamo chooses a graph, of each call so far."""
        self.last_shape: tuple[int, ...] | None = None

    @classmethod
    def configure_process(cls, *, threads: int, precision: Precision) -> None:
        super().configure_process(threads=threads, precision=precision)
        torch_inductor.configure()

    def run(self, x: torch.Tensor, state: TorchState) -> tuple[torch.Tensor, TorchState]:
        self.last_shape = tuple(x.shape)
        arrays = (x, *state)
        graph = (torch.get_num_threads(), *((each.shape, each.stride(), each.is_inference()) for each in arrays))
        if graph in self.graphs:
            y, state_n = self.compiled(x, state)
            return y, state_n
        with dynamo_config.patch(allow_rnn=True), inductor_config.patch(freezing=True):
            y, state_n = self.compiled(x, state)
        self.graphs.add(graph)
        return y, state_n

    def vjp(
        self,
        x: torch.Tensor,  # noqa: ARG002  # the interface has it
        state: TorchState | None = None,  # noqa: ARG002  # the same
        lengths: Lengths = None,  # noqa: ARG002  # the same
    ) -> tuple[torch.Tensor, TorchState, Pullback[torch.Tensor]]:
        raise Unsupported("TorchCompileModule does inference only: its weights are frozen")

    def describe(self) -> dict[str, str]:
        """As `Rnn.describe`: `path` has the kernel that oneDNN runs in a call like the last one, and its reorders."""
        described = super().describe()
        if self.last_shape is None:
            return described | {"path": "nn.LSTM by TorchInductor, frozen: not called yet"}
        x = torch.zeros(self.last_shape, dtype=self.dtype)
        executed = onednn.executed_by_torch(lambda: self.forward(x))
        path = f"nn.LSTM by TorchInductor, frozen: {onednn.rnn_kernels(executed)}"
        if executed:
            reorders = sum(each.kind == "reorder" for each in executed)
            path += f", {reorders} reorders a call" if reorders else ", weights packed once"
        return described | {"path": path}
