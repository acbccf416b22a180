"""ONNX files with recurrent nodes, made from the weights of PyTorch's modules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

OPERATORS = {nn.RNN: ("RNN", "0"), nn.LSTM: ("LSTM", "0312"), nn.GRU: ("GRU", "102")}
"""The operator of each module, and the blocks of PyTorch's weights in the operator's order."""


def write(path: Path, *modules: nn.RNNBase, sizes: tuple[Any, Any] = ("T", "B"), **attributes: Any) -> None:
    """Write the modules one after another, a node for each layer, as a graph from x to y.

    `sizes` are the T and B of its input, a number or a name; `attributes` are those of every node.
    """
    from onnx import TensorProto, helper, save

    nodes: list[Any] = []
    arrays: list[Any] = []
    x = "x"
    for number, module in enumerate(modules):
        for layer in range(module.num_layers):
            x = _layer(module, layer, f"{type(module).__name__.lower()}_{number}_{layer}", x, nodes, arrays, attributes)
    features = modules[0].input_size
    graph = helper.make_graph(
        nodes,
        "recurrent",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [*sizes, features])],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, None)],
        arrays,
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)


def _layer(
    module: nn.RNNBase, layer: int, name: str, x: str, nodes: list[Any], arrays: list[Any], given: Mapping[str, Any]
) -> str:
    """Add one layer's node, and those that give its output the form (T, B, D*H); the name of the output."""
    from onnx import helper, numpy_helper

    operator, order = OPERATORS[type(module)]
    ends = ("", "_reverse") if module.bidirectional else ("",)
    weights = {kind: [_weight(module, f"{kind}_l{layer}{end}", order) for end in ends] for kind in KINDS}
    biases = [np.concatenate(pair) for pair in zip(weights["bias_ih"], weights["bias_hh"], strict=True)]
    for kind, stacked in (("W", weights["weight_ih"]), ("R", weights["weight_hh"]), ("B", biases)):
        arrays.append(numpy_helper.from_array(np.stack(stacked), f"{name}.{kind}"))
    arrays.append(numpy_helper.from_array(np.array([0, 0, len(ends) * module.hidden_size]), f"{name}.shape"))
    attributes = {"linear_before_reset": 1} if operator == "GRU" else {}
    direction = "bidirectional" if module.bidirectional else "forward"
    inputs = [x, f"{name}.W", f"{name}.R", f"{name}.B"]
    options = {"direction": direction, "hidden_size": module.hidden_size, **attributes, **given}
    nodes.append(helper.make_node(operator, inputs, [f"{name}.y"], name, **options))
    nodes.append(helper.make_node("Transpose", [f"{name}.y"], [f"{name}.t"], perm=[0, 2, 1, 3]))
    nodes.append(helper.make_node("Reshape", [f"{name}.t", f"{name}.shape"], [f"{name}.out"]))
    return f"{name}.out"


KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def _weight(module: nn.RNNBase, name: str, order: str) -> np.ndarray[Any, Any]:
    array = torch.nn.Module.get_parameter(module, name).detach().numpy()
    blocks = np.split(array, len(order))
    return np.concatenate([blocks[int(place)] for place in order])
