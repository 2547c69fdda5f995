"""`steps(z).latex()`: a reader who follows the derivation line by line gets the gradients; and it is short."""

from __future__ import annotations

import re
from typing import Any

import mpmath
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from latex_reader import read
from test_source import functions

import microgrid as mg
from microgrid import Program, Value, nn, ops, steps
from microgrid.core.primitive import OPS
from microgrid.numbers.arithmetic import VALUES
from microgrid.numbers.mpmath_numbers import mpmath_numbers
from microgrid.testing.strategies import points, programs

NAMES = (
    "add sub mul div neg exp log sin cos tan tanh sigmoid softplus atan erf sqrt relu constant_power power logaddexp"
)
FOLLOWED = [OPS[name] for name in NAMES.split()]
FUNCTIONS = functions()
SIGMOID = r"\sigma\left(x\right) \cdot \left(1 - \sigma\left(x\right)\right)"


def lines(text: str) -> list[str]:
    inside = text.removeprefix("\\begin{aligned}\n").removesuffix("\n\\end{aligned}")
    assert inside != text
    return inside.split(" \\\\\n")


def follow(text: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """The numbers of all left sides, computed from the formulas alone; a gradient is called by its formula."""
    known: dict[str, Any] = {**inputs, r"\mathrm{pi}": mpmath.pi}
    gradient = re.compile(r"\\frac\{\\partial ((?:[^{}]|\{[^{}]*\})*)\}\{\\partial ((?:[^{}]|\{[^{}]*\})*)\}")
    keys: dict[str, str] = {}

    def name(match: re.Match[str]) -> str:
        return keys.setdefault(match[0], rf"\mathrm{{gradient{'abcdefghijklmnopqrstuvwxyz'[len(keys)]}}}")

    for line in lines(text):
        left, _, right = line.partition(" &= ")
        formula = re.split(r" (?:=|\\approx) ", right)[0].replace(r"\pi", r"\mathrm{pi}")
        known[gradient.sub(name, left)] = read(gradient.sub(name, formula), FUNCTIONS)(known)
    return {**known, **{formula: known[key] for formula, key in keys.items()}}


def check(program: Program, at: list[float]) -> bool:
    """True if the gradients are finite, and those that the derivation gives."""
    leaves = [Value(x, label=f"x{i}") for i, x in enumerate(at)]
    (root,) = program.replay(leaves, VALUES)
    with mpmath.workdps(700):  # quotients of tiny numbers cancel
        exact = program.gradient(value=True).replay([mpmath.mpf(x) for x in at], mpmath_numbers())
        if not all(mpmath.isfinite(x) for x in exact):
            return False
        numbers = {f"x_{{{i}}}": mpmath.mpf(x) for i, x in enumerate(at)}
        try:
            found = follow(steps(root).latex(), numbers)
            found |= follow(program.gradient(value=True).latex(), numbers)
        except ZeroDivisionError:  # a textbook's formula has no value where a convention gives one
            return False
        for result in "zf":
            assert mpmath.almosteq(found[result], exact[-1], 1e-25, 1e-25)
            for i, slope in enumerate(exact[:-1]):
                key = rf"\frac{{\partial {result}}}{{\partial x_{{{i}}}}}"
                used = result == "f" or i in {j for _, operands in program.instructions for j in operands}
                assert (key in found) == used
                if used and mpmath.isnan(found[key]):  # nor where it is 0 times the logarithm of 0
                    return False
                if used:
                    assert mpmath.almosteq(found[key], slope, 1e-20, 1e-20), (key, found[key], slope)
    return True


@settings(deadline=None, max_examples=80)
@given(st.data(), programs(ops=FOLLOWED, max_size=9, max_inputs=3))
def test_who_follows_the_lines_gets_the_gradients(data: st.DataObject, program: Program) -> None:
    assume(len(program.instructions) > 0)
    assume(check(program, data.draw(points(program))))


def test_a_wrong_rule_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    from microgrid.pictures import symbols

    program = mg.trace(lambda x0: mg.tanh(x0 * 2.0) * x0)(0.5)
    assert check(program, [0.5])
    monkeypatch.setattr(ops.tanh, "textbook", ("1 - z",))
    symbols.rule.cache_clear()
    try:
        with pytest.raises(AssertionError):
            check(program, [0.5])
    finally:
        symbols.rule.cache_clear()


def labelled(value: Value, label: str) -> Value:
    value.label = label
    return value


def test_a_formula_is_as_short_as_a_textbooks() -> None:
    x, y = Value(2.0, label="x"), Value(-3.0, label="y")
    assert lines(steps(x * y + x**2 / 3).latex()) == [
        r"z &= x \cdot y + \frac{{x}^{2}}{3} \approx -4.667",
        r"\frac{\partial z}{\partial x} &= \frac{1}{3} \cdot 2 \cdot x + y = 1.333 - 3 \approx -1.667",
        r"\frac{\partial z}{\partial y} &= x = 2",
    ]
    assert (
        lines(steps((x - y) ** 2).latex())[-1] == r"\frac{\partial z}{\partial y} &= -2 \cdot \left(x - y\right) = -10"
    )


@pytest.mark.parametrize(
    ("f", "slope"),
    [
        (mg.relu, r"\left[x > 0\right]"),
        (lambda x: mg.relu(mg.log(x)), r"\left[\log \left(x\right) > 0\right] \cdot \frac{1}{x}"),
        (mg.atan, r"\frac{1}{1 + {x}^{2}}"),
        (mg.tanh, r"1 - {\left(\tanh x\right)}^{2}"),
        (mg.erf, r"\frac{2}{\sqrt{\pi}} \cdot e^{-{x}^{2}}"),
        (
            mg.gelu,
            r"0.5 \cdot \left(1 + \operatorname{erf} \left(\frac{x}{\sqrt{2}}\right)\right) + "
            r"\frac{x \cdot e^{\frac{-{x}^{2}}{2}}}{\sqrt{2 \cdot \pi}}",
        ),
        (lambda x: mg.sigmoid(x) ** 2, r"2 \cdot \sigma\left(x\right) \cdot " + SIGMOID),
        (lambda x: x * x, r"2 \cdot x"),
        (lambda x: mg.cos(mg.cos(x)), r"\sin \left(\cos x\right) \cdot \sin \left(x\right)"),
        (
            lambda x: mg.sin(x) / -x,
            r"-\frac{-\sin \left(x\right)}{{\left(-x\right)}^{2}} + \frac{1}{-x} \cdot \cos \left(x\right)",
        ),
    ],
)
def test_a_gradient_is_written_as_in_a_textbook_not_as_it_is_computed(f: Any, slope: str) -> None:
    program = mg.trace(lambda x: f(x))(0.5)
    assert program.gradient().latex() == slope
    assert program.gradient().simplify().latex() == slope


def test_a_gradient_by_several_variables_has_a_line_for_each() -> None:
    program = mg.trace(lambda w, f: mg.tanh(w * f[0]) - f[1])(0.5, [1.0, 2.0])
    slope = r"\left(1 - {\left(\tanh \left(w \cdot f_{0}\right)\right)}^{2}\right)"
    assert lines(program.gradient(value=True).latex()) == [
        r"f &= \tanh \left(w \cdot f_{0}\right) - f_{1}",
        rf"\frac{{\partial f}}{{\partial w}} &= {slope} \cdot f_{{0}}",
        rf"\frac{{\partial f}}{{\partial f_{{0}}}} &= {slope} \cdot w",
        r"\frac{\partial f}{\partial f_{1}} &= -1",
    ]
    taken = mg.trace(lambda f, x: f * x)(1.0, 2.0).gradient().latex()
    assert lines(taken)[0] == r"\frac{\partial \tilde{f}}{\partial f} &= x"


def test_softmax_with_cross_entropy_is_derived_in_nine_lines() -> None:
    a, b, c = (Value(x, label=name) for x, name in ((2.0, "a"), (1.0, "b"), (0.1, "c")))
    total = labelled(mg.exp(a), "A") + labelled(mg.exp(b), "B") + labelled(mg.exp(c), "C")
    loss = labelled(mg.log(labelled(total, "S")) - b, "L")
    assert lines(steps(loss).latex()) == [
        r"A &= e^{a} \approx 7.389",
        r"B &= e^{b} \approx 2.718",
        r"C &= e^{c} \approx 1.105",
        r"S &= A + B + C \approx 11.21",
        r"L &= \log \left(S\right) - b \approx 1.417",
        r"\frac{\partial L}{\partial S} &= \frac{1}{S} \approx 0.08919",
        r"\frac{\partial L}{\partial a} &= \frac{\partial L}{\partial S} \cdot A \approx 0.659",
        r"\frac{\partial L}{\partial b} &= -1 + \frac{\partial L}{\partial S} \cdot B = -1 + 0.2424 \approx -0.7576",
        r"\frac{\partial L}{\partial c} &= \frac{\partial L}{\partial S} \cdot C \approx 0.09857",
    ]


def test_choices_are_brackets_or_cases() -> None:
    x, y = Value(2.0, label="x"), Value(0.5, label="y")
    assert r"= y \cdot \left[x > 0\right] = 0.5" in steps(mg.relu(x) * y).latex()
    assert (
        r"\begin{cases} 1 & x > y \\ 0.5 & x = y \\ 0 & \text{otherwise} \end{cases}" in steps(mg.maximum(x, y)).latex()
    )


def test_seeds_gradients_from_before_and_nodes_without_a_rule_are_in_it() -> None:
    x = Value(3.0, label="x")
    (x * 2.0).backward()
    text = steps(x * x, accumulate=True, seed=5.0).latex()
    assert lines(text)[1] == r"\frac{\partial z}{\partial x} &= 2 + 5 \cdot x + 5 \cdot x = 2 + 15 + 15 = 32"
    given = Value(7.0, (x,), (0.25,)) * 2.0
    assert lines(steps(given).latex())[-1] == r"\frac{\partial z}{\partial x} &= 2 \cdot 0.25 = 0.5"


def test_names_are_different_and_hostile_ones_are_text() -> None:
    text = steps(nn.MLP(2, [2, 1], seed=1)([Value(1.0), Value(2.0)])).latex()
    left = [line.partition(" &= ")[0] for line in lines(text)]
    assert len(set(left)) == len(left)
    assert r"\frac{\partial z}{\partial w_{1}^{(0,1)}}" in left
    z, e, odd = Value(1.0, label="z"), Value(2.0, label="e"), Value(3.0, label=r"50% \& {x_1}$")
    text = steps(z * e * odd).latex()
    assert r"\text{50\% \textbackslash{}\& \{x\_1\}\$}" in text
    assert lines(text)[0].startswith("u_{1} &= z")
    assert r"\tilde{e}" in text


def test_what_would_be_a_book_is_refused() -> None:
    total = Value(0.0)
    for i in range(150):
        total = mg.tanh(total + Value(0.1, label=f"x{i}_{'a' * 500}"))
    with pytest.raises(ValueError, match="100000 characters"):
        steps(total).latex()
