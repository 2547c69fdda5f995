"""`Transformer`: attention, then two linear layers, each added to its input; and `GPT`, a language model of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from microgrid.core.primitive import Op
from microgrid.core.scope import no_grad
from microgrid.engine import record_unary
from microgrid.nn.attention import Attention, Cache, Rows
from microgrid.nn.embedding import Embedding
from microgrid.nn.initializers import Generator, Initializer, generator, normal
from microgrid.nn.linear import Linear, added
from microgrid.nn.module import Module, evaluating
from microgrid.nn.normalization import LayerNorm, RMSNorm
from microgrid.nn.perceptron import Activation, activation_named, activation_shown
from microgrid.nn.shapes import fitted, lists, misfit, whole


class Transformer(Module):
    """A block x + attention(norm1(x)), then x + linear2(activation(linear1(norm2(x)))): x of shape (time, embed_dim).

    It is PyTorch's TransformerEncoderLayer with norm_first=True and without dropout, and is causal by default.
    `dim_feedforward` is 4 * embed_dim unless given; `norm` makes a norm for a width, `LayerNorm` by default.

    >>> block = Transformer(4, num_heads=2)
    >>> [len(row) for row in block([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])]
    [4, 4]
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dim_feedforward: int | None = None,
        bias: bool = True,
        *,
        activation: Activation = "relu",
        norm: Callable[[int], Module] = LayerNorm,
        causal: bool = True,
        init: str | Initializer | None = None,
        seed: int | Generator | None = None,
    ) -> None:
        source, hidden = generator(seed), 4 * embed_dim if dim_feedforward is None else dim_feedforward
        self.norm1 = norm(embed_dim)
        self.attention = Attention(embed_dim, num_heads, bias, causal=causal, init=init, seed=source)
        self.norm2 = norm(embed_dim)
        self.linear1 = Linear(embed_dim, hidden, bias, init=init, seed=source)
        self.linear2 = Linear(hidden, embed_dim, bias, init=init, seed=source)
        self.activation = activation_named(activation)

    def __call__(self, x: Any, cache: Cache | None = None) -> Rows:
        """Return a row for each time step of x, which follow on those in the cache."""
        rows: Rows = fitted(self, x, ("time", self.attention.embed_dim))
        rows = added(rows, self.attention(self.norm1(rows), cache))
        hidden = self.linear1(self.norm2(rows))
        activation = self.activation
        if activation is not None:
            one = partial(record_unary, activation) if isinstance(activation, Op) else activation
            hidden = [[one(v) for v in row] for row in hidden]
        rows = added(rows, self.linear2(hidden))
        return rows

    def __repr__(self) -> str:
        attention = self.attention
        sizes = f"{attention.embed_dim}, {attention.num_heads}, {len(self.linear1.weight)}"
        return f"Transformer({sizes}{activation_shown(self.activation)})"


class GPT(Module):
    """A language model of letters, or of any tokens: the sum of embeddings of a token and of its place, blocks, logits.

    `vocabulary` is a string of letters, whose tokens are their places in it; the token after the last letter stands for
    the beginning and the end of a text. Or it is the number of tokens; then the last one stands for these. A call takes
    tokens of shape (time), at most `context` of them, and gives a row of logits for each next one.

    It is Karpathy's microgpt: RMSNorm without weights, before the blocks, too; no biases; weights drawn from a normal
    distribution with the standard deviation 0.08. Of one layer, width 16, 4 heads and context 16 for 26 letters it has
    4,192 parameters.

    >>> GPT("abcdefghijklmnopqrstuvwxyz").count_parameters()
    4192
    """

    def __init__(
        self,
        vocabulary: int | str,
        *,
        width: int = 16,
        heads: int = 4,
        layers: int = 1,
        context: int = 16,
        init: str | Initializer | None = None,
        seed: int | Generator | None = None,
    ) -> None:
        if isinstance(vocabulary, str) and len(set(vocabulary)) != len(vocabulary):
            raise ValueError(f"GPT: the vocabulary must have each letter once, got {vocabulary!r}")
        self.letters = vocabulary if isinstance(vocabulary, str) else ""
        size = len(vocabulary) + 1 if isinstance(vocabulary, str) else vocabulary
        whole("GPT", vocabulary=size, width=width, heads=heads, layers=layers, context=context)
        draw: Any = {"init": normal(0.08) if init is None else init, "seed": generator(seed)}
        self.context, self.end = context, size - 1
        self.padding = float(self.end)  # a token that follows has no effect on those before: see `fit`
        self.tokens = Embedding(size, width, **draw)
        self.places = Embedding(context, width, **draw)
        self.norm = _norm(width)
        self.blocks = [Transformer(width, heads, bias=False, norm=_norm, **draw) for _ in range(layers)]
        self.head = Linear(width, size, False, **draw)

    def __call__(self, tokens: Any, caches: Sequence[Cache] = ()) -> Rows:
        """Return the logits for the token after each of these, which follow on those in the caches, one for a block."""
        first = len(caches[0]) if caches else 0
        listed = lists(tokens)
        if not isinstance(listed, list) or not listed or any(isinstance(token, list) for token in listed):
            raise misfit(self, listed, ("time",), "tokens")
        if first + len(listed) > self.context:
            raise ValueError(f"{self!r} takes at most {self.context} tokens, got {first + len(listed)}")
        rows = added(self.tokens(listed), self.places(list(range(first, first + len(listed)))))
        rows = self.norm(rows)
        if caches and len(caches) != len(self.blocks):
            raise ValueError(f"{self!r} takes a cache for each of its {len(self.blocks)} block(s), got {len(caches)}")
        for k, block in enumerate(self.blocks):
            rows = block(rows, caches[k] if caches else None)
        logits: Rows = self.head(rows)
        return logits

    def encode(self, text: str) -> list[int]:
        """Return the tokens of the letters of a text. Raises ValueError for a letter that it does not know."""
        for letter in text:
            if letter not in self.letters:
                known = f"the letters {self.letters!r}" if self.letters else "numbers for tokens, no letters"
                raise ValueError(f"{self!r} has {known}; there is {letter!r} in {text!r}")
        return [self.letters.index(letter) for letter in text]

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the letters of tokens, without those for the beginning and the end."""
        return "".join([self.letters[token] for token in tokens if token != self.end])

    def samples(self, texts: Sequence[str] | Sequence[Sequence[int]]) -> tuple[list[list[int]], list[list[int]]]:
        """Return the tokens of each text from its beginning, and for each token the one after it, for `fit`.

        Of a text that is longer than the context the first part is taken.
        """
        tokens = [[self.end, *self._encoded(text), self.end] for text in texts]
        return [t[:-1][: self.context] for t in tokens], [t[1:][: self.context] for t in tokens]

    def attention(self, text: str | Sequence[int]) -> list[list[list[list[float]]]]:
        """Return the weights of attention over a text, as numbers of shape (layers, heads, time, time).

        The first time step is the beginning of the text. A row belongs to a step, and has the weight of each step that
        it attends to: those before it and itself.

        >>> [[round(w, 2) for w in row] for row in GPT("an", seed=0).attention("an")[0][3]]
        [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.34, 0.34, 0.32]]
        """
        caches = [Cache() for _ in self.blocks]
        with no_grad(), evaluating(self):
            self([self.end, *self._encoded(text)], caches)
        return [[[[w.data for w in row] for row in rows] for rows in cache.matrices()] for cache in caches]

    def generate(
        self,
        prompt: str | Sequence[int] | None = None,
        *,
        temperature: float = 1.0,
        seed: int | Generator | None = None,
    ) -> Any:
        """Return the prompt, letters or tokens, continued until the text ends or the context is full.

        The next token is drawn from softmax(logits / temperature) by the generator of `seed`; at temperature 0 it is
        the likeliest. Keys and values are kept, so that a token costs what its own attention does.

        >>> GPT("ab", seed=1).generate("ab", seed=3).startswith("ab")
        True
        """
        if isinstance(temperature, bool) or not 0.0 <= temperature < math.inf:
            raise ValueError(f"temperature is a number from 0 on, got {temperature!r}")
        source = generator(seed)
        text = self._encoded("" if prompt is None else prompt)
        if len(text) >= self.context:
            raise ValueError(f"the prompt has {len(text)} tokens, and fewer than the context of {self.context} fit")
        caches = [Cache() for _ in self.blocks]
        new = [self.end, *text]
        with no_grad(), evaluating(self):
            while True:
                logits = [v.data for v in self(new, caches)[-1]]
                token = _drawn(logits, temperature, source)
                if token == self.end:
                    break
                text.append(token)
                if len(text) == self.context:
                    break
                new = [token]
        return self.decode(text) if self.letters and not isinstance(prompt, (list, tuple)) else text

    def _encoded(self, text: Sequence[Any]) -> list[int]:
        return self.encode(text) if isinstance(text, str) else list(text)

    def __repr__(self) -> str:
        width = len(self.head.weight[0])
        heads, layers = self.blocks[0].attention.num_heads, len(self.blocks)
        sizes = f"width={width}, heads={heads}, layers={layers}, context={self.context}"
        return f"GPT({self.letters or self.end + 1!r}, {sizes})"


def _norm(width: int) -> RMSNorm:
    return RMSNorm(width, 1e-5, elementwise_affine=False)


def _drawn(logits: list[float], temperature: float, source: Generator) -> int:
    """Draw a token by its logits."""
    largest = max(logits)
    if temperature == 0.0:
        return logits.index(largest)
    weights = [math.exp((x - largest) / temperature) for x in logits]
    return int(source.choices(range(len(logits)), weights)[0])
