"""`Attention` of several heads over a sequence, and the keys, values and weights that it keeps from call to call."""

from __future__ import annotations

import math
from typing import Any

from microgrid.core.scope import frame
from microgrid.engine import Value, constant, dot
from microgrid.functions import reductions
from microgrid.nn.initializers import Generator, Initializer, generator, xavier
from microgrid.nn.linear import Linear
from microgrid.nn.module import Module
from microgrid.nn.shapes import fitted, whole

Rows = list[list[Value]]


class Cache:
    """Keys and values of the time steps so far, so that a further step computes its own only; and its weights.

    `weights` has for each head a row of each time step: the weights of the steps that it attended to.

    >>> attention, cache = Attention(2, 1, seed=0), Cache()
    >>> whole = attention([[1.0, 0.0], [0.0, 1.0]])
    >>> steps = [attention([x], cache=cache)[0] for x in ([1.0, 0.0], [0.0, 1.0])]
    >>> [v.data for v in steps[1]] == [v.data for v in whole[1]]
    True
    """

    def __init__(self) -> None:
        self.keys: Rows = []
        self.values: Rows = []
        self.weights: list[Rows] = []

    def __len__(self) -> int:
        return len(self.keys)

    def matrices(self) -> list[Rows]:
        """Return the weights of each head as a square matrix, with 0 for the time steps after each."""
        return [[[*row, *[constant(0.0) for _ in rows[len(row) :]]] for row in rows] for rows in self.weights]


class Attention(Module):
    """Means of the values at all time steps, or of those so far, by the softmax of query . key / sqrt(size of a head).

    x of shape (time, embed_dim) gives (time, embed_dim). Each of `num_heads` heads has its own part of the queries,
    keys and values, which are linear in x; `output` is linear in what the heads found, side by side. With
    `causal=True` a time step attends to itself and those before (Vaswani et al. 2017). Weights are drawn as those of
    PyTorch's MultiheadAttention, whose rows of in_proj_weight are those of `query`, `key` and `value`; biases are 0.

    A call with a `Cache` takes x for the time steps after those in it, and adds them to it. `weights(x)` tells what
    each time step attends to.

    >>> sequence = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    >>> [len(row) for row in Attention(2, 1)(sequence)]
    [2, 2, 2]
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        bias: bool = True,
        *,
        causal: bool = True,
        init: str | Initializer | None = None,
        seed: int | Generator | None = None,
    ) -> None:
        whole("Attention", embed_dim=embed_dim, num_heads=num_heads)
        if embed_dim % num_heads:
            raise ValueError(f"Attention: num_heads must divide embed_dim, got {num_heads} and {embed_dim}")
        self.embed_dim, self.num_heads, self.causal = embed_dim, num_heads, causal
        source, inner = generator(seed), _of_three if init is None else init
        self.query = Linear(embed_dim, embed_dim, bias, init=inner, seed=source)
        self.key = Linear(embed_dim, embed_dim, bias, init=inner, seed=source)
        self.value = Linear(embed_dim, embed_dim, bias, init=inner, seed=source)
        self.output = Linear(embed_dim, embed_dim, bias, init="fan_in" if init is None else init, seed=source)

    def __call__(self, x: Any, cache: Cache | None = None) -> Rows:
        """Return a row for each time step of x."""
        if cache is not None and not self.causal:
            raise ValueError("an Attention with causal=False looks ahead, so a cache of the steps so far is no use")
        return self._rows(x, Cache() if cache is None else cache)

    def weights(self, x: Any) -> list[Rows]:
        """Return the weights of each head, of shape (num_heads, time, time): a row for each time step of x.

        It has the weight of each step, which add up to 1; 0 for those after it, if causal.

        >>> [[round(w.data, 2) for w in row] for row in Attention(2, 1, seed=0).weights([[1.0, 0.0], [0.0, 1.0]])[0]]
        [[1.0, 0.0], [0.45, 0.55]]
        """
        cache = Cache()
        self._rows(x, cache)
        return cache.matrices()

    def _rows(self, x: Any, cache: Cache) -> Rows:
        xs = fitted(self, x, ("time", self.embed_dim))
        first = len(cache)
        queries = self.query(xs)
        cache.keys += self.key(xs)
        cache.values += self.value(xs)
        cache.weights = cache.weights or [[] for _ in range(self.num_heads)]
        size = self.embed_dim // self.num_heads
        heads = [self._head(h, size, queries, first, cache) for h in range(self.num_heads)]
        rows: Rows = self.output([[v for row in rows for v in row] for rows in zip(*heads, strict=True)])
        return rows

    def _head(self, h: int, size: int, queries: Rows, first: int, cache: Cache) -> Rows:
        part = slice(h * size, (h + 1) * size)
        with frame(f"head={h}"):
            keys = [key[part] for key in cache.keys]
            columns = list(zip(*[value[part] for value in cache.values], strict=True))
            rows = []
            for t, query in enumerate(queries, first):
                seen = t + 1 if self.causal else len(keys)
                with frame(f"t={t}"):
                    asked = [q * (1.0 / math.sqrt(size)) for q in query[part]]
                    weights = reductions.softmax([dot(asked, key) for key in keys[:seen]])
                    rows.append([dot(weights, list(column[:seen])) for column in columns])
                    cache.weights[h].append(weights)
            return rows

    def __repr__(self) -> str:
        return f"Attention({self.embed_dim}, {self.num_heads}{'' if self.causal else ', causal=False'})"


def _of_three(generator: Any, inputs: int, outputs: int) -> float:
    return xavier()(generator, inputs, 3 * outputs)
