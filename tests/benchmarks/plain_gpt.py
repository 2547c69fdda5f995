"""A GPT of 4,192 parameters as a script writes it: a scalar class of its own, lists, Adam in a loop.

In the style of Karpathy's microgpt: each node holds its children and the local derivatives by them.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

from microgrid import nn


class Plain:
    """A number that remembers what it was computed from."""

    __slots__ = ("_children", "_local_grads", "data", "grad")

    def __init__(self, data: float, children: tuple[Plain, ...] = (), local_grads: tuple[float, ...] = ()) -> None:
        self.data = data
        self.grad = 0.0
        self._children = children
        self._local_grads = local_grads

    def __add__(self, other: Any) -> Plain:
        other = other if isinstance(other, Plain) else Plain(other)
        return Plain(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other: Any) -> Plain:
        other = other if isinstance(other, Plain) else Plain(other)
        return Plain(self.data * other.data, (self, other), (other.data, self.data))

    def __pow__(self, power: float) -> Plain:
        return Plain(self.data**power, (self,), (power * self.data ** (power - 1.0),))

    def log(self) -> Plain:
        return Plain(math.log(self.data), (self,), (1.0 / self.data,))

    def exp(self) -> Plain:
        result = math.exp(self.data)
        return Plain(result, (self,), (result,))

    def relu(self) -> Plain:
        return Plain(max(0.0, self.data), (self,), (float(self.data > 0.0),))

    def __neg__(self) -> Plain:
        return self * -1.0

    def __sub__(self, other: Any) -> Plain:
        return self.__add__(-other)

    def __truediv__(self, other: Any) -> Plain:
        return self.__mul__(other**-1.0)

    __radd__ = __add__
    __rmul__ = __mul__

    def backward(self) -> None:
        order: list[Plain] = []
        visited: set[Plain] = set()

        def visit(node: Plain) -> None:
            if node not in visited:
                visited.add(node)
                for child in node._children:
                    visit(child)
                order.append(node)

        visit(self)
        self.grad = 1.0
        for node in reversed(order):
            for child, slope in zip(node._children, node._local_grads):  # noqa: B905  # as such scripts write it
                child.grad += slope * node.grad


def trainer(value: Callable[[float], Any], model: nn.GPT, *, lr: float = 0.01) -> Callable[[Sequence[int]], float]:
    """Return a function that makes a step of Adam on the tokens of a text, and returns the loss before it.

    `value` makes a number that is differentiated; the weights are those of the model, which is left alone.
    """

    sys.setrecursionlimit(100_000)  # the plain backward pass recurses over the depth of the graph

    def matrix(weights: list[list[Any]]) -> list[list[Any]]:
        return [[value(w.data) for w in row] for row in weights]

    [block] = model.blocks
    attention = block.attention
    heads, size = attention.num_heads, attention.embed_dim // attention.num_heads
    letters, places, out = matrix(model.tokens.weight), matrix(model.places.weight), matrix(model.head.weight)
    query, key, found = (matrix(part.weight) for part in (attention.query, attention.key, attention.value))
    output, up, down = (matrix(part.weight) for part in (attention.output, block.linear1, block.linear2))
    matrices = (letters, places, query, key, found, output, up, down, out)
    parameters = [p for rows in matrices for row in rows for p in row]

    def linear(x: list[Any], w: list[list[Any]]) -> list[Any]:
        return [sum(wi * xi for wi, xi in zip(row, x)) for row in w]  # noqa: B905  # as such scripts write it

    def softmax(logits: list[Any]) -> list[Any]:
        largest = max(x.data for x in logits)
        exps = [(x - largest).exp() for x in logits]
        total: Any = sum(exps)
        return [e / total for e in exps]

    def rmsnorm(x: list[Any]) -> list[Any]:
        squares: Any = sum(xi * xi for xi in x)
        scale = (squares / float(len(x)) + 1e-5) ** -0.5
        return [xi * scale for xi in x]

    def logits(token: int, place: int, keys: list[Any], values: list[Any]) -> list[Any]:
        x = rmsnorm([a + b for a, b in zip(letters[token], places[place], strict=True)])
        normed = rmsnorm(x)
        q = linear(normed, query)
        keys.append(linear(normed, key))
        values.append(linear(normed, found))
        joined: list[Any] = []
        for h in range(heads):
            part = slice(h * size, (h + 1) * size)
            scores = [sum(a * b for a, b in zip(q[part], k[part], strict=True)) * (1.0 / math.sqrt(size)) for k in keys]
            weights = softmax(scores)
            joined += [
                sum(w * v for w, v in zip(weights, column, strict=True))
                for column in zip(*[v[part] for v in values], strict=True)
            ]
        x = [a + b for a, b in zip(x, linear(joined, output), strict=True)]
        hidden = [h.relu() for h in linear(rmsnorm(x), up)]
        x = [a + b for a, b in zip(x, linear(hidden, down), strict=True)]
        return linear(x, out)

    means, squares = [0.0] * len(parameters), [0.0] * len(parameters)
    count = itertools.count(1)

    def step(tokens: Sequence[int]) -> float:
        keys: list[Any] = []
        values: list[Any] = []
        losses = [
            -softmax(logits(token, place, keys, values))[following].log()
            for place, (token, following) in enumerate(itertools.pairwise(tokens))
        ]
        total: Any = sum(losses)
        loss = total * (1.0 / len(losses))
        loss.backward()
        k = next(count)
        for i, p in enumerate(parameters):
            means[i] = 0.9 * means[i] + 0.1 * p.grad
            squares[i] = 0.999 * squares[i] + 0.001 * p.grad**2
            p.data -= lr * (means[i] / (1.0 - 0.9**k)) / ((squares[i] / (1.0 - 0.999**k)) ** 0.5 + 1e-8)
            p.grad = 0.0
        return float(loss.data)

    return step
