"""The language model: what it generates, keys and values kept from token to token, texts as samples."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from microgrid import nn, no_grad
from microgrid.engine import newest

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def model(**options: Any) -> nn.GPT:
    """A small model whose logits differ much."""
    return nn.GPT("abcd", width=4, heads=2, layers=2, context=7, init="normal", seed=3, **options)


def test_cached_keys_and_values_give_the_bits_of_a_run_without() -> None:
    gpt, tokens = model(), [4, 0, 3, 3, 1, 2, 0]
    expected = [[v.data for v in row] for row in gpt(tokens)]
    for pieces in ([1] * 7, [3, 1, 3], [7]):
        caches, rest, rows = [nn.Cache() for _ in gpt.blocks], list(tokens), []
        for size in pieces:
            rows += gpt(rest[:size], caches)
            del rest[:size]
        assert [[v.data for v in row] for row in rows] == expected
    for end in range(1, 7):
        assert [v.data for v in gpt(tokens[:end])[-1]] == expected[end - 1]


@pytest.mark.parametrize("causal", [True, False])
def test_what_heads_find_are_the_means_of_the_values_by_the_weights_that_are_told(causal: bool) -> None:
    layer = nn.Attention(4, 2, causal=causal, seed=5)
    x = [[0.5, -1.0, 2.0, 0.0], [1.0, 1.0, -3.0, 0.5], [2.0, 0.0, 1.0, -1.0]]
    weights, values = layer.weights(x), layer.value(x)
    assert [[sum(w.data for w in row) for row in rows] for rows in weights] == [pytest.approx([1.0] * 3)] * 2
    assert [[w.data == 0.0 for w in row] for row in weights[1]] == [
        [causal and s > t for s in range(3)] for t in range(3)
    ]
    found = [
        [sum(w * v[j] for w, v in zip(weights[j // 2][t], values, strict=True)) for j in range(4)] for t in range(3)
    ]
    expected = [[v.data for v in row] for row in layer.output(found)]
    assert [[v.data for v in row] for row in layer(x)] == [pytest.approx(row) for row in expected]


def test_the_attention_of_a_text_is_that_of_its_tokens_however_they_come() -> None:
    gpt = model()
    told = gpt.attention("addb")
    assert [len(told), len(told[0]), len(told[0][0]), len(told[0][0][0])] == [2, 2, 5, 5]
    assert told == gpt.attention([0, 3, 3, 1])
    caches = [nn.Cache() for _ in gpt.blocks]
    for token in [4, 0, 3, 3, 1]:
        gpt([token], caches)
    assert [[[[w.data for w in row] for row in rows] for rows in c.matrices()] for c in caches] == told
    assert [[row[:3] for row in rows[:3]] for rows in told[1]] == gpt.attention("ad")[1]  # what follows has no effect
    assert len({repr(rows) for layer in told for rows in layer}) == 4


def test_a_token_costs_a_constant_and_its_own_attention() -> None:
    gpt = nn.GPT("abcd", width=4, heads=2, context=30, seed=0)
    cache = nn.Cache()
    costs = []
    for token in [4, *[0, 1, 2] * 9]:
        before = newest()
        gpt([token], [cache])
        costs.append(newest() - before)
    steps = {b - a for a, b in itertools.pairwise(costs[3:])}
    assert len(steps) == 1  # each token before it costs as much as any other
    assert 0 < steps.pop() < costs[0] / 4


def test_generation_is_that_of_the_probabilities_without_a_cache() -> None:
    gpt = model()

    def by_hand(prompt: list[int], temperature: float, seed: int) -> list[int]:
        generator, text = random.Random(seed), list(prompt)
        while len(text) < gpt.context:
            with no_grad():
                logits = [v.data / temperature for v in gpt([gpt.end, *text])[-1]]
            weights = [2.718281828459045 ** (x - max(logits)) for x in logits]
            token = generator.choices(range(5), weights)[0]
            if token == gpt.end:
                break
            text.append(token)
        return text

    for seed in range(10):
        assert gpt.generate([0], temperature=2.0, seed=seed) == by_hand([0], 2.0, seed)
        assert gpt.generate("a", temperature=2.0, seed=seed) == gpt.decode(by_hand([0], 2.0, seed))
    texts = Counter(gpt.generate(temperature=3.0, seed=seed) for seed in range(50))
    assert len(texts) > 5
    assert set("".join(texts)) <= set("abcd")
    assert max(map(len, texts)) <= 7
    likeliest = gpt.generate(temperature=0.0)
    assert gpt.generate(temperature=1e-9, seed=1) == likeliest == gpt.generate(temperature=0.0, seed=2)


def test_tokens_without_letters_are_numbers() -> None:
    gpt = nn.GPT(5, width=4, heads=1, context=3, seed=0)
    assert gpt.end == 4
    text = gpt.generate([1], seed=0)
    assert text[0] == 1
    assert set(text) <= {0, 1, 2, 3}
    assert gpt.samples([[0, 1], [2, 2, 2, 2]]) == ([[4, 0, 1], [4, 2, 2]], [[0, 1, 4], [2, 2, 2]])
    assert nn.GPT("ab").samples(["ba"]) == ([[2, 1, 0]], [[1, 0, 2]])


def test_the_model_of_microgpt_has_its_size() -> None:
    gpt = nn.GPT(LETTERS, seed=0)
    assert gpt.count_parameters() == nn.GPT(27).count_parameters() == 4192
    drawn = [p.data for p in gpt.parameters()]
    assert sum(x * x for x in drawn) / len(drawn) == pytest.approx(0.08**2, rel=0.05)
    assert repr(gpt) == f"GPT({LETTERS!r}, width=16, heads=4, layers=1, context=16)"


@pytest.mark.parametrize(
    ("misuse", "advice"),
    [
        (lambda: model().attention("abcdabcd"), "takes at most 7 tokens, got 9"),
        (lambda: nn.GPT("aba"), "the vocabulary must have each letter once, got 'aba'"),
        (lambda: nn.GPT(0), "GPT: vocabulary must be a whole number from 1 on, got 0"),
        (lambda: nn.GPT(3, width=6, heads=4), "num_heads must divide embed_dim, got 4 and 6"),
        (lambda: model().generate("x"), "has the letters 'abcd'; there is 'x' in 'x'"),
        (lambda: nn.GPT(3).generate("a"), "has numbers for tokens, no letters; there is 'a' in 'a'"),
        (lambda: model().generate("abcdabcd"), "the prompt has 8 tokens, and fewer than the context of 7 fit"),
        (lambda: model().generate(temperature=-1.0), "temperature is a number from 0 on, got -1.0"),
        (lambda: model()([5]), r"tokens \(Embedding\)|has the tokens 0 to 4, got 5"),
        (lambda: model()([[1]]), r"GPT takes tokens of shape \(time\), got \(1, 1\)"),
        (lambda: nn.Attention(2, 1, causal=False)([[1.0, 2.0]], nn.Cache()), "looks ahead, so a cache"),
    ],
)
def test_misuse_says_what_to_change(misuse: Callable[[], Any], advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        misuse()
