"""`Embedding`: a row of parameters for each token."""

from __future__ import annotations

import math
from typing import Any

from microgrid import ops
from microgrid.core.scope import current_reader
from microgrid.engine import Value, neuron
from microgrid.functions import reductions
from microgrid.nn.initializers import Draw, Generator, Initializer, generator
from microgrid.nn.module import Module
from microgrid.nn.shapes import by_rows, lists, whole


class Embedding(Module):
    """A table with a row for each of `num_embeddings` tokens: tokens of shape (...) give (..., embedding_dim).

    A token is a whole number from 0 on, plain or in a Value. Rows are drawn from the normal distribution, as in
    PyTorch, or by an initializer. Compiled code, and functions that are differentiated, get their tokens as numbers
    that may change from call to call: there a row is the sum of all rows, each times 1 if it is the token's and else
    0, which has the same numbers, and is nan for what is no token.

    >>> letters = Embedding(26, 3)
    >>> letters([7, 8])[1] == letters.weight[8]
    True
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        *,
        init: str | Initializer = "normal",
        seed: int | Generator | None = None,
    ) -> None:
        whole("Embedding", num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        self.weight = Draw(init, generator(seed), num_embeddings, embedding_dim).weights(num_embeddings, embedding_dim)

    def __call__(self, tokens: Any) -> Any:
        """Return the row of a token, or of each token in nested lists."""
        tokens = lists(tokens)
        if not isinstance(tokens, list):
            return self._row(tokens)
        return by_rows(tokens, lambda row: [self._row(token) for token in row])

    def _row(self, token: Any) -> list[Value]:
        if isinstance(token, Value) and current_reader() is not None:
            return self._chosen(token)
        number = token.data if isinstance(token, Value) else token
        if isinstance(number, bool) or number != int(number) or not 0 <= number < len(self.weight):
            raise ValueError(f"{self!r} has the tokens 0 to {len(self.weight) - 1}, got {number!r}")
        row: list[Value] = list(self.weight[int(number)])
        return row

    def _chosen(self, token: Value) -> list[Value]:
        """Return the row of a token whose number may change, recorded so that it can."""
        chosen = [ops.equal(token, float(k)) for k in range(len(self.weight))]
        start = ops.where(reductions.sum(chosen), 0.0, math.nan)
        return [neuron([row[j] for row in self.weight], chosen, start, None, "") for j in range(len(self.weight[0]))]

    def __repr__(self) -> str:
        return f"Embedding({len(self.weight)}, {len(self.weight[0])})"
