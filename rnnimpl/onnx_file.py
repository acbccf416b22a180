"""Recurrent networks in an ONNX file: the nodes RNN, LSTM and GRU as configs and weights, in PyTorch's form.

The operators are those of https://onnx.ai/onnx/operators. Their attributes say where a node computes another function
than `nn.RNN`, `nn.LSTM` or `nn.GRU`; such a node is refused, with the reason.

    config, weights = rnnimpl.onnx_file.read_network("model.onnx", "lstm")
    rnn = rnnimpl.load("fused_cpu")(config, weights, "cpu")
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from rnnimpl.gates import TORCH_ORDER
from rnnimpl.interface import NumpyArray, RnnConfig, Unavailable, Unsupported, Weights, layer_weight_names

GATES = {"RNN": "a", "GRU": "zrn", "LSTM": "iofg"}
"""The gates of each operator's weights in its order, by the letters of `rnnimpl.gates`."""
_ACTIVATIONS: Mapping[str, tuple[str, ...]] = {
    "RNN": ("Tanh",),
    "GRU": ("Sigmoid", "Tanh"),
    "LSTM": ("Sigmoid", "Tanh", "Tanh"),
}
"""The activations of one direction that PyTorch's modules have, which are the operators' defaults."""
_DTYPES = {1: "float32", 10: "float16", 11: "float64", 16: "bfloat16"}
"""The dtypes of onnx.TensorProto.DataType."""
_BETWEEN = ("Squeeze", "Transpose", "Reshape", "Identity", "Dropout", "Cast")
"""Operators between two layers of one module as `torch.onnx.export` writes them."""


@dataclasses.dataclass(frozen=True)
class OnnxNetwork:
    """Nodes that follow one another as the layers of one PyTorch module."""

    name: str
    """The name of the first node, and of the last where there are more: `lstm` or `lstm_0 to lstm_1`."""
    config: RnnConfig
    nodes: tuple[Any, ...]
    """The `onnx.NodeProto` of each layer."""
    batch_first: bool
    sizes: tuple[int | None, int | None]
    """The T and B that the file fixes; None for any."""


@dataclasses.dataclass(frozen=True)
class RefusedNode:
    """A recurrent node that computes something else than PyTorch's modules."""

    name: str
    reason: str


@dataclasses.dataclass(frozen=True)
class OnnxFile:
    """The recurrent part of an ONNX file."""

    networks: tuple[OnnxNetwork, ...]
    refused: tuple[RefusedNode, ...]
    arrays: Mapping[str, Any]
    """{name: onnx.TensorProto} of each array that the file holds."""


def open_file(path: str | os.PathLike[str], *, with_values: bool = True) -> OnnxFile:
    """The recurrent networks of an ONNX file, in the graph and in graphs within it.

    Without values, those in a file of their own are not read. Raises Unsupported for a file that is no ONNX model or
    has no recurrent node, Unavailable where onnx is not installed.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ModuleNotFoundError as error:
        raise Unavailable("reading an ONNX file needs onnx, which is not installed: pip install onnx") from error
    try:
        model = onnx.load(path, load_external_data=with_values)
    except (DecodeError, ValueError) as error:
        raise Unsupported("it is no ONNX file") from error
    nodes = [node for graph in _graphs(model.graph) for node in graph.node]
    if not nodes:
        raise Unsupported("it is no ONNX file: it has no graph with nodes")
    arrays = dict(_constants(model.graph))
    fixed = {each.name: _fixed_sizes(each) for each in model.graph.input}
    recurrent = [node for node in nodes if node.op_type in GATES]
    if not recurrent:
        kinds = ", ".join(sorted({node.op_type for node in nodes})[:8])
        raise Unsupported(f"it has no recurrent layer: no node is an RNN, LSTM or GRU; its nodes are {kinds}")
    read = [_read(node, arrays, fixed) for node in recurrent]
    makers = {name: node for node in nodes for name in node.output}
    networks = _stacked([each for each in read if isinstance(each, OnnxNetwork)], makers)
    return OnnxFile(tuple(networks), tuple(each for each in read if isinstance(each, RefusedNode)), arrays)


def read_network(path: str | os.PathLike[str], name: str | None = None) -> tuple[RnnConfig, Weights]:
    """The config and weights of a network in an ONNX file, by its name; of the only one where no name is given.

    Raises ValueError where there is none of that name or several without one, and as `open_file`.
    """
    file = open_file(path)
    found = [each for each in file.networks if name in (None, each.name)]
    if len(found) != 1:
        refused = "".join(f"; {each.name}: {each.reason}" for each in file.refused)
        names = ", ".join(each.name for each in file.networks) or "none"
        raise ValueError(f"name is {name!r}; expected one of the networks of {os.fspath(path)}: {names}{refused}")
    (network,) = found
    arrays: dict[str, NumpyArray] = {}
    for layer, node in enumerate(network.nodes):
        arrays |= _layer_weights(network.config, layer, node, file.arrays)
    return network.config, Weights.from_state_dict(network.config, arrays)


def _layer_weights(
    config: RnnConfig, layer: int, node: Any, arrays: Mapping[str, Any]
) -> Iterator[tuple[str, NumpyArray]]:
    """(name in torch.nn, array) of the weights of a node: W (D, G*H, I), R (D, G*H, H), B (D, 2*G*H)."""
    from onnx import numpy_helper

    given = {
        kind: numpy_helper.to_array(arrays[name]) for kind, name in zip("WRB", node.input[1:4], strict=False) if name
    }
    w, r, b = given["W"], given["R"], given.get("B")
    for direction in range(config.num_directions):
        names = layer_weight_names(layer, direction)
        yield names.w_ih, _torch_order(w[direction], config.cell, node.op_type)
        yield names.w_hh, _torch_order(r[direction], config.cell, node.op_type)
        if b is not None:
            of_input, of_state = np.split(b[direction], 2)
            yield names.b_ih, _torch_order(of_input, config.cell, node.op_type)
            yield names.b_hh, _torch_order(of_state, config.cell, node.op_type)


def _torch_order(array: NumpyArray, cell: str, operator: str) -> NumpyArray:
    blocks = dict(zip(GATES[operator], np.split(array, len(GATES[operator])), strict=True))
    return np.concatenate([blocks[gate] for gate in TORCH_ORDER[cell]])


def _graphs(graph: Any) -> Iterator[Any]:
    """A graph and those within its nodes: the branches of an If, the body of a Loop or Scan."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node:
                    yield from _graphs(inner)


def _constants(graph: Any) -> Iterator[tuple[str, Any]]:
    """(name, onnx.TensorProto) of each array that the file holds."""
    for each in _graphs(graph):
        for array in each.initializer:
            yield array.name, array
        for node in each.node:
            for attribute in node.attribute if node.op_type == "Constant" else ():
                if attribute.name == "value":
                    yield node.output[0], attribute.t


def _fixed_sizes(graph_input: Any) -> tuple[int | None, ...]:
    """The sizes of an input of the graph; None for one that is free."""
    dims = graph_input.type.tensor_type.shape.dim
    return tuple(each.dim_value if each.HasField("dim_value") else None for each in dims)


def _read(
    node: Any, arrays: Mapping[str, Any], fixed: Mapping[str, tuple[int | None, ...]]
) -> OnnxNetwork | RefusedNode:
    from onnx import helper

    attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    name = node.name or node.output[0] or node.op_type
    x, w, r, b = [*node.input, *[""] * 4][:4]
    reason = _other_function(node, attributes)
    absent = [each for each in (w, r, b) if each and each not in arrays]
    if reason is None and absent:
        reason = f"has weights that are computed in the graph: {absent[0]!r} is no constant"
    if reason is None and arrays[w].data_type not in _DTYPES:
        reason = f"has weights of ONNX's type {arrays[w].data_type}; expected floating-point numbers"
    if reason is not None:
        return RefusedNode(name, f"{node.op_type} {reason}")
    directions, rows, features = arrays[w].dims
    relu = node.op_type == "RNN" and _activations(attributes)[:1] == ("Relu",)
    config = RnnConfig(
        input_size=features,
        hidden_size=rows // len(GATES[node.op_type]),
        cell="relu" if relu else {"RNN": "tanh", "GRU": "gru", "LSTM": "lstm"}[node.op_type],  # type: ignore[arg-type]  # cells
        bias=bool(b),
        bidirectional=directions == 2,
        dtype=_DTYPES[arrays[w].data_type],  # type: ignore[arg-type]  # dtypes
    )
    batch_first = attributes.get("layout", 0) == 1
    first, second = (*fixed.get(x, ()), None, None)[:2]
    return OnnxNetwork(name, config, (node,), batch_first, (second, first) if batch_first else (first, second))


def _activations(attributes: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(each.decode() if isinstance(each, bytes) else each for each in attributes.get("activations", ()))


def _other_function(node: Any, attributes: Mapping[str, Any]) -> str | None:
    """Why the node computes another function than PyTorch's module; None where it computes the same."""
    direction = attributes.get("direction", b"forward").decode()
    if direction == "reverse":
        return "runs backwards alone (direction=reverse); PyTorch's modules run forwards, or in both directions"
    if node.op_type == "GRU" and not attributes.get("linear_before_reset", 0):
        return (
            "has linear_before_reset=0, by which the reset gate multiplies the state before the recurrent product; "
            "nn.GRU, cuDNN and all implementations here multiply after it (linear_before_reset=1): it is another "
            "function, with other results from the same weights"
        )
    if attributes.get("clip"):
        return f"clips its gates (clip={attributes['clip']:g}); PyTorch's modules do not"
    if attributes.get("input_forget"):
        return "couples its input and forget gates (input_forget=1); nn.LSTM does not"
    if node.op_type == "LSTM" and len(node.input) > 7 and node.input[7]:
        return "has peepholes (input P); nn.LSTM has none"
    activations = _activations(attributes)
    usual = _ACTIVATIONS[node.op_type] * (2 if direction == "bidirectional" else 1)
    if activations and activations != usual and not (node.op_type == "RNN" and {*activations} == {"Relu"}):
        return f"has the activations {', '.join(activations)}; PyTorch's module has {', '.join(usual)}"
    return None


def _stacked(nodes: Sequence[OnnxNetwork], makers: Mapping[str, Any]) -> list[OnnxNetwork]:
    """The networks, with nodes that are fed by another of the same form as its further layers."""
    stacks: list[list[OnnxNetwork]] = []
    for each in nodes:
        source = _source(each.nodes[0].input[0], makers)
        below = next((s for s in stacks if s[-1].nodes[0].output[0] == source and _follows(s[-1], each)), None)
        if below is None:
            stacks.append([each])
        else:
            below.append(each)
    return [
        dataclasses.replace(
            stack[0],
            name=" to ".join(dict.fromkeys((stack[0].name, stack[-1].name))),
            config=dataclasses.replace(stack[0].config, num_layers=len(stack)),
            nodes=tuple(node for each in stack for node in each.nodes),
        )
        for stack in stacks
    ]


def _source(name: str, makers: Mapping[str, Any]) -> str:
    """The value that a value is a copy of, in another shape."""
    while name in makers and makers[name].op_type in _BETWEEN:
        name = makers[name].input[0]
    return name


def _follows(below: OnnxNetwork, above: OnnxNetwork) -> bool:
    one = below.config
    return above.config == dataclasses.replace(one, input_size=one.num_directions * one.hidden_size)
