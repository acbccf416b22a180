"""Recurrent layers of an ONNX file, as records."""

from __future__ import annotations

from pathlib import Path

from benchmarks.models.layers import Found, Layer, LeftOut
from rnnimpl.onnx_file import open_file


def find_layers(path: Path) -> Found:
    """The recurrent layers of an ONNX file. Raises as `rnnimpl.onnx_file.open_file`."""
    file = open_file(path, with_values=False)
    layers = []
    for network in file.networks:
        T, B = network.sizes
        batch_first = network.batch_first
        layers.append(Layer(name=network.name, config=network.config, batch_first=batch_first, fixed_T=T, fixed_B=B))
    return Found(tuple(layers), tuple(LeftOut(name=each.name, reason=each.reason) for each in file.refused))
