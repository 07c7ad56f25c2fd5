"""ONNX graphs of a trunk in 8-bit integers, for onnxruntime's CPU kernels.

Channels are last throughout, ``[N, 1, positions, channels]``, and convolutions are written as the integer operations
that onnxruntime has (its own domain), not as floating-point ones between quantisers that it has to find and fuse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from model.engine.quantize import STEM_STEP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model.engine.quantize import ByteLayer, Bytes, ByteTrunk
    from model.trunk import GeluVariant

_ORT = "com.microsoft"
_POSITIONS = 2
"""The axis of positions."""


Given = str | np.ndarray | np.generic
"""What an operation is given: the name of what was computed, or a constant."""


def tower_graph(trunk: ByteTrunk, signed: bool) -> bytes:
    """Return the graph from base codes uint8 ``[N, L]`` to tower bins float32 ``[N, 1, L / 128, C]``, zero-padded.

    ``signed``: weights as int8. Otherwise they are the same numbers as uint8 about 128, for processors that add up
    products of uint8 and int8 in 16 bits, where they overflow.
    """
    graph = _Graph(trunk.gelu, signed)
    codes = graph.add("Unsqueeze", "codes", np.array([1, 3]))
    found = graph.add("Equal", codes, np.array([0, 1, 2, 3] * 2, np.uint8))
    x = graph.add("Where", found, np.array([STEM_STEP] * 4 + [1] * 4, np.uint8), np.uint8(0))
    low = (trunk.stem.weight + STEM_STEP // 2) % STEM_STEP - STEM_STEP // 2
    parts = np.concatenate([(trunk.stem.weight - low) // STEM_STEP, low], axis=2).astype(np.int8)
    x = graph.byte_convolution(x, trunk.stem, parts)
    for layer in trunk.tower[:-1]:
        x = graph.byte_convolution(graph.activated_bytes(x, layer.entry), layer, layer.weight)
    x = graph.float_convolution(graph.activated_bytes(x, trunk.tower[-1].entry), trunk.tower[-1], padded=True)
    width = len(trunk.tower[-1].bias)
    pairs = graph.add("Reshape", x, np.array([0, 0, -1, 2, width]))
    return graph.finish(graph.add("ReduceMax", pairs, np.array([3]), keepdims=0), codes=(TensorProto.UINT8, ["N", "L"]))


def residual_graph(trunk: ByteTrunk, signed: bool, padded: bool) -> bytes:
    """Return the graph from tower bins to the residual stream, both float32 ``[N, 1, bins, C]``.

    ``padded``: zeros beyond both ends, then the crop; otherwise only the bins that see no end are left.
    """
    graph = _Graph(trunk.gelu, signed)
    x = "x"
    for narrow, widen in trunk.residual:
        y = graph.float_convolution(graph.bytes_of(graph.activation(x), narrow.entry), narrow, padded)
        y = graph.float_convolution(graph.bytes_of(graph.activation(y), widen.entry), widen, padded)
        x = graph.add("Add", x if padded else graph.cut(x, narrow.reach), y)
    x = graph.cut(x, trunk.crop) if padded else x
    return graph.finish(x, x=(TensorProto.FLOAT, ["N", 1, "B", len(trunk.embed.weight[0, 0])]))


def embedding_graph(trunk: ByteTrunk, signed: bool) -> bytes:
    """Return the graph from the residual stream to the embedding, both float32 ``[N, 1, bins, channels]``."""
    graph = _Graph(trunk.gelu, signed)
    x = graph.bytes_of(graph.activation("x"), trunk.embed.entry)
    x = graph.activation(graph.float_convolution(x, trunk.embed, padded=True))
    return graph.finish(x, x=(TensorProto.FLOAT, ["N", 1, "B", len(trunk.embed.weight[0, 0])]))


class _Graph:
    """A graph that grows by one operation at a time; each method returns the name of what it computes."""

    def __init__(self, gelu: GeluVariant, signed: bool) -> None:
        self._gelu, self._signed = gelu, signed
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._bytes: dict[str, Bytes] = {}

    def add(self, kind: str, *inputs: Given, domain: str = "", **attributes: Any) -> str:
        """Add an operation on what has a name, on constants, or (an empty name) on nothing."""
        names = [given if isinstance(given, str) else self._constant(given) for given in inputs]
        output = f"{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, names, [output], output, domain=domain, **attributes))
        return output

    def _constant(self, value: np.ndarray | np.generic) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def bytes_of(self, x: str, kept: Bytes) -> str:
        """Float32 to bytes."""
        return self.add("QuantizeLinear", x, np.float32(kept.scale), np.uint8(kept.zero))

    def activation(self, x: str) -> str:
        """The GELU, in float32."""
        if self._gelu == "sigmoid":
            return self.add("QuickGelu", x, domain=_ORT, alpha=1.702)
        return self.add("Gelu", x, approximate="tanh" if self._gelu == "tanh" else "none")

    def activated_bytes(self, x: str, kept: Bytes) -> str:
        """Bytes to the bytes of their GELU."""
        was = self._bytes[x]
        x = self.add("DequantizeLinear", x, np.float32(was.scale), np.uint8(was.zero))
        return self.bytes_of(self.activation(x), kept)

    def byte_convolution(self, x: str, layer: ByteLayer, weight: np.ndarray) -> str:
        """Bytes to bytes: zero padding, convolution, max-pooling. ``weight`` int8 ``[out, kernel, in]``."""
        assert layer.result is not None
        bias = np.rint(layer.bias / (layer.scale.astype(np.float64) * layer.entry.scale)).astype(np.int32)
        entry: tuple[Given, ...] = (x, np.float32(layer.entry.scale), np.uint8(layer.entry.zero))
        weights = self._weights(weight.transpose(0, 2, 1)[:, :, None]), layer.scale, self._weight_zero(len(bias))
        result = np.float32(layer.result.scale), np.uint8(layer.result.zero)
        x = self.add(
            "QLinearConv",
            *entry,
            *weights,
            *result,
            bias,
            domain=_ORT,
            channels_last=1,
            kernel_shape=[1, weight.shape[1]],
            dilations=[1, layer.dilation],
            pads=[0, layer.reach, 0, layer.reach],
        )
        if layer.pool > 1:
            x = self.add("NhwcMaxPool", x, domain=_ORT, kernel_shape=[1, layer.pool], strides=[1, layer.pool])
        self._bytes[x] = layer.result
        return x

    def float_convolution(self, x: str, layer: ByteLayer, padded: bool) -> str:
        """Bytes to float32, with zero padding or none: a product of matrices of the kernel's taps side by side."""
        kernel, reach = layer.weight.shape[1], layer.reach
        if padded and reach:
            x = self.add("Pad", x, np.array([reach] * 2), np.uint8(layer.entry.zero), np.array([_POSITIONS]))
        if kernel > 1:
            steps = range(0, kernel * layer.dilation, layer.dilation)
            x = self.add("Concat", *(self._slice(x, step, step - 2 * reach) for step in steps), axis=3)
        weight = self._weights(layer.weight.reshape(len(layer.bias), -1).T)
        scales, zeros = (np.float32(layer.entry.scale), layer.scale), (np.uint8(layer.entry.zero), self._weight_zero())
        return self.add("MatMulIntegerToFloat", x, weight, *scales, *zeros, layer.bias, domain=_ORT)

    def cut(self, x: str, bins: int) -> str:
        """Leave out so many positions at both ends."""
        return self._slice(x, bins, -bins)

    def _slice(self, x: str, first: int, end: int) -> str:
        last = end if end < 0 else np.iinfo(np.int64).max
        return self.add("Slice", x, np.array([first]), np.array([last]), np.array([_POSITIONS]))

    def _weights(self, weight: np.ndarray) -> np.ndarray:
        stored = weight if self._signed else (weight.astype(np.int16) + 128).astype(np.uint8)
        return np.ascontiguousarray(stored)

    def _weight_zero(self, count: int | None = None) -> np.ndarray:
        zero = np.int8(0) if self._signed else np.uint8(128)
        return np.asarray(zero) if count is None else np.full(count, zero)

    def finish(self, output: str, **inputs: tuple[int, Sequence[str | int]]) -> bytes:
        """Return the graph that computes ``output`` float32 from inputs by name, type and shape."""
        given = [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()]
        result = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", 1, "positions", "channels"])
        graph = helper.make_graph(self._nodes, "trunk", given, [result], self._constants)
        opsets = [helper.make_opsetid("", 20), helper.make_opsetid(_ORT, 1)]
        made: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()
        return made
