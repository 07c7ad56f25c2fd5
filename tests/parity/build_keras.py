"""Basenji2's architecture in Keras, written from facts/cs282a.md section 1.2, with random weights.

The same code builds in tf-keras (Keras 2, what the published file was made with) and in Keras 3. Every random number
comes from NumPy, so that both hold the same weights.
"""

from __future__ import annotations

import itertools
from types import ModuleType
from typing import Any

import numpy as np

from model.trunk import TrunkConfig


def sigmoid_gelu_layer(keras: ModuleType) -> type:
    """Return the layer that Basenji had until 2022, x * sigmoid(1.702 x)."""

    class GELU(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x * keras.activations.sigmoid(1.702 * x)

    return GELU


def build(
    keras: ModuleType, config: TrunkConfig, *, length: int = 131_072, targets: int | None = None
) -> tuple[Any, Any]:
    """Return the whole model, one-hot ``[N, length, 4]`` to targets, and its trunk, both with untouched weights.

    Without targets both are the trunk.
    """
    layers = keras.layers
    sigmoid_gelu = sigmoid_gelu_layer(keras)

    def gelu(x: Any) -> Any:
        if config.gelu == "sigmoid":
            return sigmoid_gelu()(x)
        return keras.activations.gelu(x, approximate=config.gelu == "tanh")

    def block(x: Any, filters: int, width: int, dilation: int = 1, dropout: float = 0.0) -> Any:
        x = layers.Conv1D(filters, width, padding="same", dilation_rate=dilation, use_bias=False)(gelu(x))
        x = layers.BatchNormalization(momentum=0.9, epsilon=config.batch_norm_epsilon)(x)
        return layers.Dropout(dropout)(x) if dropout else x

    inputs = keras.Input(shape=(length, 4))
    x = inputs
    widths = [(config.stem_filters, config.stem_kernel)]
    widths += [(filters, config.tower_kernel) for filters in config.tower_widths()]
    for filters, width in widths:
        x = layers.MaxPooling1D(2, padding="same")(block(x, filters, width))
    for rate in config.dilations():
        narrow = block(x, config.residual_filters, config.residual_kernel, dilation=rate)
        x = layers.Add()([x, block(narrow, config.residual_width, 1, dropout=config.residual_dropout)])
    x = layers.Cropping1D(config.crop)(x)
    x = gelu(block(x, config.embedding_filters, 1, dropout=config.embedding_dropout))
    trunk = keras.Model(inputs, x)
    if targets is None:
        return trunk, trunk
    return keras.Model(inputs, layers.Dense(targets, activation="softplus")(x)), trunk


def randomise(model: Any, seed: int) -> None:
    """Give every layer with weights random ones: he-normal kernels, and BatchNorm constants far from 0 and 1.

    Those after a 1x1 convolution scale down, so that the sum over residual blocks stays in the range of trained ones.
    """
    rng = np.random.default_rng(seed)
    width = 0
    for layer in model.layers:
        shapes = [tuple(weight.shape) for weight in layer.weights]
        if len(shapes) == 4:
            gamma = (0.1, 0.5) if width == 1 else (0.5, 1.5)
            ranges = (gamma, (-0.3, 0.3), (-0.3, 0.3), (0.2, 0.9))
            layer.set_weights([rng.uniform(*ends, shape) for ends, shape in zip(ranges, shapes, strict=True)])
        elif shapes:
            width = shapes[0][0]
            kernel = rng.normal(0, np.sqrt(2 / np.prod(shapes[0][:-1])), shapes[0])
            layer.set_weights([kernel, *(rng.normal(0, 0.3, shape) for shape in shapes[1:])])


def unsettle_counters(keras: ModuleType, layers: int) -> None:
    """Make layers that are thrown away, so that the next model's names start in the middle: conv1d_7, ..."""
    for _ in range(layers):
        keras.layers.Conv1D(1, 1)
        keras.layers.BatchNormalization()


def one_hot(codes: np.ndarray) -> np.ndarray:
    """Return codes ``[length]`` as one-hot float32 ``[1, length, 4]``; what is not 0..3 is all zeros."""
    return (codes[None, :, None] == np.arange(4)).astype(np.float32)


def random_codes(length: int, seed: int) -> np.ndarray:
    """Return random bases with a run of N."""
    codes = np.random.default_rng(seed).integers(0, 4, length).astype(np.uint8)
    codes[length // 3 : length // 3 + 300] = 4
    return codes


def pairs_of(model: Any) -> list[str]:
    """Return the names of the layers with weights, in order (to show that they are not the alphabet's)."""
    return list(itertools.chain.from_iterable([layer.name] for layer in model.layers if layer.weights))
