"""Networks of scalars: perceptrons, and layers for sequences, images and text; `Module`, the base of your own.

Layers for sequences, images and text have the names, parameters, shapes and initial distributions that they have in
PyTorch. They take nested lists, or NumPy arrays, of numbers or Values, and return nested lists of Values. A module maps
one sample, without an axis for the batch; `BatchNorm` alone takes a batch.
"""

from typing import TYPE_CHECKING, Any

from microgrid.nn.initializers import fan_in, he, normal, uniform, xavier
from microgrid.nn.module import Module, functional_call
from microgrid.nn.perceptron import ACTIVATIONS, MLP, Activation, Layer, Neuron, Sequential

if TYPE_CHECKING:
    from microgrid.nn.attention import Attention, Cache
    from microgrid.nn.convolution import Conv1d, Conv2d
    from microgrid.nn.dropout import Dropout
    from microgrid.nn.embedding import Embedding
    from microgrid.nn.linear import Flatten, Linear, Residual
    from microgrid.nn.normalization import BatchNorm, LayerNorm, RMSNorm
    from microgrid.nn.pooling import AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d
    from microgrid.nn.recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell, detached
    from microgrid.nn.transformer import GPT, Transformer

__all__ = [
    "ACTIVATIONS",
    "GPT",
    "GRU",
    "LSTM",
    "MLP",
    "RNN",
    "Activation",
    "Attention",
    "AvgPool1d",
    "AvgPool2d",
    "BatchNorm",
    "Cache",
    "Conv1d",
    "Conv2d",
    "Dropout",
    "Embedding",
    "Flatten",
    "GRUCell",
    "LSTMCell",
    "Layer",
    "LayerNorm",
    "Linear",
    "MaxPool1d",
    "MaxPool2d",
    "Module",
    "Neuron",
    "RMSNorm",
    "RNNCell",
    "Residual",
    "Sequential",
    "Transformer",
    "detached",
    "fan_in",
    "functional_call",
    "he",
    "normal",
    "uniform",
    "xavier",
]

_LAYERS = {
    "attention": ("Attention", "Cache"),
    "convolution": ("Conv1d", "Conv2d"),
    "dropout": ("Dropout",),
    "embedding": ("Embedding",),
    "linear": ("Flatten", "Linear", "Residual"),
    "normalization": ("BatchNorm", "LayerNorm", "RMSNorm"),
    "pooling": ("AvgPool1d", "AvgPool2d", "MaxPool1d", "MaxPool2d"),
    "recurrent": ("GRU", "GRUCell", "LSTM", "LSTMCell", "RNN", "RNNCell", "detached"),
    "transformer": ("GPT", "Transformer"),
}
"""Layers that load when they are first used, by their file."""


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    for file, names in _LAYERS.items():
        if name in names:
            import importlib

            return getattr(importlib.import_module(f"microgrid.nn.{file}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
