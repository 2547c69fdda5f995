"""The interpreter: its numbers, its instructions, and when it is chosen."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from compare.data import expanded as determinant
from fuzzing.processes import PLANTS
from interpreting import interpreting

import microgrid as mg
from microgrid.compiler import choice, encoding
from microgrid.compiler.interpreted import interpreter
from microgrid.compiler.lanes import Mode

X = np.linspace(-2.0, 2.0, 21)


def compiled(f: Any, **options: Any) -> Any:
    return mg.compile(f, cache=False, **options)


def test_a_slot_that_is_reused_too_early_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding._Encoder, "new", encoding._Encoder.new)  # as it is set back
    PLANTS["reused slot"]()
    with interpreting(), pytest.raises(RuntimeError, match="is not what recording gives"):
        compiled(determinant, strict=True).value_and_grad(np.random.default_rng(0).normal(size=(4, 4)).tolist())


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("samples", [1, 300])
def test_batches_and_their_sums(strict: bool, samples: int) -> None:
    def f(w: Any, x: Any, y: Any) -> Any:
        return mg.sum([mg.tanh(w[i] * x[i] - w[-i] * y) * w[i % 3] for i in range(6)])

    rng = np.random.default_rng(0)
    w, x, y = rng.normal(size=6), rng.normal(size=(samples, 6)), rng.normal(size=samples)
    results = []
    for interpreted in (False, True):
        with interpreting(interpreted):
            step = compiled(f, strict=strict, threads=2 if samples > 100 else None)
            results.append(step.batch_value_and_grad(w, x, y, in_axes=(None, 0, 0)))
    (values, (sums, *own)), (others, (other_sums, *others_own)) = results
    for a, b in [(values, others), *zip(own, others_own, strict=True)]:
        assert np.array_equal(a, b) if strict else np.allclose(a, b, rtol=1e-13, atol=1e-14)
    assert np.allclose(sums, other_sums, rtol=1e-12, atol=1e-13)


def test_sums_of_products_are_few_instructions() -> None:
    """With signs as they come, also where the products are on the left."""

    def f(x: Any, y: Any) -> Any:
        total = x[0]
        for i in range(20):
            total = total + x[i] * y[i]
        for i in range(8):
            total = x[i] * y[-i] + total if i % 2 else total - x[i] * y[-i]
        return total - (total - x[1] * x[2]) * x[0]

    x = X[:20] * 1.1
    with interpreting():
        g = compiled(f, strict=True)
        assert g(x, X[:20]) == f(x.tolist(), X[:20].tolist())
    assert g._ran()._program.dispatches < 10


def test_a_product_that_is_used_twice_is_kept_and_a_sum_is_not_read_too_late() -> None:
    def f(x: Any, y: Any) -> Any:
        product = x * y
        first = product + x
        return (first * product + product) * first - product * y

    expected = mg.value_and_grad(f, argnums=(0, 1))(1.1, 0.7)
    with interpreting():
        assert compiled(f, strict=True).value_and_grad(1.1, 0.7) == expected


def test_inputs_constants_and_repeated_numbers_may_be_results() -> None:
    def f(x: Any, y: Any) -> Any:
        return [x, y, x, 2.0, -0.0, mg.where(x.greater(y), x, y), x * 1.0]

    with interpreting():
        got = compiled(f, strict=True)(1.5, -0.0)
    assert [repr(a) for a in got] == ["1.5", "-0.0", "1.5", "2.0", "-0.0", "1.5", "1.5"]


def test_ops_of_the_user_have_handlers_of_their_own() -> None:
    """One that calls Python, whose exception comes through, and one of the package that calls SciPy."""
    gamma = mg.primitive("interpreted_gamma", math.gamma, lambda z, x: (z,))
    try:
        with interpreting():
            f = compiled(lambda x, y: gamma(x) * mg.special.digamma(y) + gamma(y), strict=True, check=False)
            assert f(3.5, 2.5) == math.gamma(3.5) * mg.special.digamma(2.5) + math.gamma(2.5)
            assert (f.batch([3.5] * 20, [2.5] * 20) == f(3.5, 2.5)).all()
            with pytest.raises(ValueError, match="math domain error"):
                f(-1.0, 1.0)
            assert f(3.5, 2.5) == math.gamma(3.5) * mg.special.digamma(2.5) + math.gamma(2.5)
    finally:
        del mg.OPS["interpreted_gamma"]


def test_more_slots_than_offsets_reach_are_refused() -> None:
    encoded = encoding.Encoded([], [], [], [], [], 1 << 29)
    assert len(encoding.words_of(encoded, [], 0, 1)) == 1
    with pytest.raises(MemoryError, match="536,870,912 numbers are needed at once"):
        encoding.words_of(encoded, [], 0, 16)


def test_one_kernel_serves_all_programs() -> None:
    here = Mode(1, True, 1, 1)
    assert interpreter(here, True) is interpreter(here, True)


# --- the choice ------------------------------------------------------------------------------------------------------


def test_what_llvm_would_take_long_for_is_interpreted_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(0).normal(size=(5, 5)).tolist()
    texts = {}
    for patience, how in ((0.5, "machine code by LLVM, full effort"), (0.12, "LLVM, quick"), (0.001, "interpreted")):
        monkeypatch.setattr(choice, "PATIENCE", patience)
        f = compiled(determinant, strict=True)
        value, gradient = f.value_and_grad(rows)
        assert (value, gradient) == mg.value_and_grad(determinant)(rows)
        assert f"{how}" in f.report()
        assert re.search(r"LLVM is predicted to take 0\.\d+ s", f.report())
        texts[how] = str(f.loops)
    assert texts.pop("interpreted").partition("\n")[2] == texts["LLVM, quick"]
    assert str(f.loops).startswith("# interpreted: LLVM is predicted to take")


def test_loops_are_compiled_whatever_their_length() -> None:
    here = Mode(16, False, 8, 8)
    assert not choice.choose(50_000, 5_000, here).effort
    assert choice.choose(5_000_000, 5_000, here).effort == "light"
    assert choice.choose(50_000, 100, here).effort == "full"
    assert choice.reconsidered(choice.choose(50_000, 100, here), 100_000, here).effort == "light"


def test_either_kind_of_code_is_found_for_another_number_of_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code of one lane by LLVM, of several interpreted: the second needs the tape again."""
    monkeypatch.setattr(choice, "ELEMENT", (1e-5, 1.0))

    def f(x: Any, y: Any) -> Any:
        return [mg.sin(x * y) * mg.exp(x - i * y) for i in (1.0, 2.5, 7.0)]

    g = compiled(f)
    one = g.batch(X[:1], X[:1] + 0.05)
    assert "machine code" in g.report()
    many = g.batch(X, X + 0.05)
    assert "interpreted" in g.report()
    for a, b in zip(one, many, strict=True):
        assert math.isclose(a[0], b[0], rel_tol=1e-14)
