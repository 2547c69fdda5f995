"""Expressions that people type: what they mean, where they are wrong, and that none of them runs as code."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import microgrid
import microgrid.special
from microgrid import OPS, Value, grad, hessian, trace
from microgrid.functions.composed import COMPOSED
from microgrid.text.expression import (
    LONGEST,
    REDUCTIONS,
    Expression,
    ExpressionError,
    _arguments,
    _static,
    check_name,
    functions,
    special,
    variables,
)

# --- what they mean ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("log(x) * sin(y)", math.log(2.0) * math.sin(0.5)),
        ("-x**2", -4.0),
        ("x**-y", 2.0**-0.5),
        ("2**3**2", 512.0),
        ("x - y - 1", 0.5),
        ("  x +\n\ty ", 2.5),
        ("7 // x % 2", 1.0),
        ("+x - -y", 2.5),
        ("pi + tau + e", math.pi + math.tau + math.e),
        ("0x10 + 1_0 + .5 + 1e-1", 26.6),
        ("maximum(x, y) + max(x, y, 3) + sum(x, y, 1)", 8.5),
        ("clip(x, -1, 1)", 1.0),
        ("clip(x, x / 2, x / 4)", 0.5),
        ("elu(x) + elu(-x, 2)", 2.0 + 2.0 * math.expm1(-2.0)),
        ("where(greater(x, y), 1, 2)", 1.0),
        ("norm(3, 4) + arctan(0)", 5.0),
        ("9**9**9**9", math.inf),
        ("x**999999999", math.inf),
        ("(-1)**0.5", math.nan),
        ("1/0 - log(0)", math.inf),
    ],
)
def test_they_mean_what_mathematics_means(text: str, expected: float) -> None:
    assert Expression(text, ["x", "y"])(2.0, 0.5) == pytest.approx(expected, nan_ok=True, abs=0.0, rel=1e-15)


def test_every_function_of_the_package_can_be_called() -> None:
    assert set(functions()) >= {*OPS, *COMPOSED, *REDUCTIONS}
    assert set(functions()) >= {alias for op in OPS.values() for alias in op.aliases}
    for name in {*functions()} & {*microgrid.__all__}:
        assert callable(getattr(microgrid, name))


@pytest.mark.parametrize("name", functions())
def test_every_function_takes_variables_in_every_place_or_says_where_not(name: str) -> None:
    least, most, _ = _arguments(functions()[name])
    refused = set()
    for count in range(int(least), int(min(most, 3)) + 1):
        for places in itertools.product((False, True), repeat=count):
            variables = [f"v{i}" for i, variable in enumerate(places) if variable]
            try:
                f = Expression(f"{name}({', '.join(f'v{i}' if v else '0.5' for i, v in enumerate(places))})", variables)
            except ExpressionError as error:
                refused.add(error.message)
                continue
            for at in (0.75, 0.0, -1.5, math.inf, math.nan):
                program = trace(f)(*[at] * len(variables))
                assert program.latex()
                if variables:
                    hessian(f, range(len(variables)))(*[at] * len(variables))
    assert refused <= {"this argument must be a plain number: write one, as 1.0"}


@pytest.mark.parametrize("name", special())
def test_a_special_function_is_that_of_microgrid_special(name: str) -> None:
    function = getattr(microgrid.special, name)
    least, _, _ = _arguments(function)
    whole = _static(function, least)  # orders
    texts = ["2" if i in whole else f"v{i}" for i in range(least)]
    names = [text for text in texts if text != "2"]
    f = Expression(f"{name}({', '.join(texts)})", names)
    at = [0.4 + 0.1 * i for i in range(len(names))]

    def directly(*xs: Any) -> Any:
        given = iter(xs)
        return function(*(2.0 if i in whole else next(given) for i in range(least)))

    assert f(*at) == directly(*at)
    assert grad(f, range(len(at)))(*at) == grad(directly, range(len(at)))(*at)
    for i in whole:
        with pytest.raises(ExpressionError, match="must be a plain number"):
            Expression(f"{name}({', '.join('x' if k == i else '0.5' for k in range(least))})", ["x"])


def test_names_of_special_functions_are_free_for_variables() -> None:
    assert variables("gamma(x)*beta + y0*psi + j0(k)") == ["x", "beta", "y0", "psi", "k"]
    assert Expression("gamma(x) * beta", ["x", "beta"])(4.0, 0.5) == 3.0
    assert check_name("gamma") == "gamma"
    with pytest.raises(ExpressionError, match="gamma is a number, no function"):
        Expression("gamma(gamma)", ["gamma"])
    with pytest.raises(ExpressionError, match="did you mean gamma"):
        Expression("gamm(x)", ["x"])
    with pytest.raises(ExpressionError, match="there is no function besselj: write jv"):
        Expression("besselj(1, x)", ["x"])


def test_on_values_it_is_recorded_and_differentiates_to_any_order() -> None:
    f = Expression("x**3 * y", ["x", "y"])
    assert [str(op) for op in (i.op.name for i in trace(f)(2.0, 5.0).instructions)] == ["constant_power", "mul"]
    assert grad(f, (0, 1))(2.0, 5.0) == (60.0, 8.0)
    assert hessian(f, (0, 1))(2.0, 5.0) == ((60.0, 12.0), (12.0, 0.0))


def test_a_variable_of_a_constants_name_hides_it() -> None:
    assert Expression("e + pi", ["e"])(1.0) == 1.0 + math.pi


def test_a_name_that_was_given_has_the_given_number() -> None:
    with pytest.raises(TypeError, match=r"x \+ y has 2 variable\(s\), got 1"):
        Expression("x + y", ["x", "y"])(1.0)


def test_an_op_of_ones_own_can_be_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OPS, "thrice", OPS["exp"])
    assert Expression("thrice(x)", ["x"])(0.0) == 1.0


def test_the_longest_sum_is_not_recursed_into() -> None:
    x = Value(1.0)
    total = Expression("+".join("x" * 2000), ["x"])(x)
    total.backward()
    assert (total.data, x.grad) == (2000.0, 2000.0)


NUMBERS = st.floats(-3.0, 3.0).map(lambda x: repr(round(x, 3)))
FORMULAS = st.recursive(
    st.sampled_from(["x", "y"]) | NUMBERS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*"]), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        inner.map(lambda t: f"sin({t})"),
        inner.map(lambda t: f"-({t})"),
    ),
    max_leaves=20,
)


@given(FORMULAS)
def test_it_agrees_with_python_on_what_both_can_read(text: str) -> None:
    expected = eval(text, {"sin": math.sin, "x": 1.25, "y": -0.75})
    assert Expression(text, ["x", "y"])(1.25, -0.75) == pytest.approx(expected, rel=1e-12, abs=1e-12)


# --- attacks -------------------------------------------------------------------------------------------------------

ATTACKS: list[tuple[str, str, int]] = [
    # text, a part of what is said, the column of the caret
    ("__import__('os').system('echo')", ".system: nothing here has attributes", 16),
    ("__import__('os')", "there is no function __import__", 0),
    ("x.__class__", ".__class__: nothing here has attributes", 1),
    ("x.__class__.__bases__[0].__subclasses__()", "nothing here has attributes", 24),
    ("().__class__", "nothing here has attributes", 2),
    ("x.sin()", "write sin(x)", 1),
    ("math.sin(x)", "write sin(x)", 4),
    ("np.pi * x", "write pi", 2),
    ("exec(x)", "there is no function exec", 0),
    ("open('f')", "there is no function open", 0),
    ("(lambda: x)()", "there is no lambda", 1),
    ("lambda: x", "there is no lambda", 0),
    ("(y := 2)", "there is no := here", 1),
    ("y := 2", "values follow it, as x=2", 2),
    ("f'{x}'", "there is no text here", 0),
    ("'a' * x", "there is no text here", 0),
    ("b'a'", "there is no text here", 0),
    ("x + sin(x=2)", "write the number alone", 8),
    ("sin(**x)", "have no names", 4),
    ("sum(*x)", "give the numbers one by one", 4),
    ("x > 0", "write greater(x, y)", 2),
    ("(x) == y", "equal(x, y)", 4),
    ("0 < x < 1", "write greater(x, y)", 2),
    ("x is y", "there are no comparisons", 2),
    ("x if y else 1", "write where(greater(x, 0), a, b)", 0),
    ("x and y", "multiply conditions", 0),
    ("not x", "write equal(x, 0)", 0),
    ("x^2", "write ** for it", 1),
    ("((x))^2", "write ** for it", 5),
    ("x @ y", "write * between numbers", 2),
    ("x << 2", "write x * 2**n", 2),
    ("~x", "write -x", 0),
    ("|x|", "write abs(x)", 0),
    ("[x]", "give the numbers one by one", 0),
    ("sum([x, y])", "give the numbers one by one", 4),
    ("{x}", "use parentheses", 0),
    ("{}", "use parentheses", 0),
    ("x, y", "decimals take a point", 0),
    ("x[0]", "a name of its own, as x0", 0),
    ("[i for i in x]", "write numbers, names", 0),
    ("sum(i for i in x)", "write numbers, names", 3),
    ("await x", "write numbers, names", 0),
    ("(yield x)", "write numbers, names", 1),
    ("...", "Ellipsis is no number", 0),
    ("None", "None is no number", 0),
    ("x * True", "True is no number", 4),
    ("1j * x", "there are no complex numbers", 0),
    ("x + 1e999", "beyond the largest number", 4),
    ("1" * 400, "beyond the largest number", 0),
    ("2x", "write 2 * x", 0),
    ("x y", "an operator is missing", 2),
    ("sin x", "sin(x) for a function", 4),
    ("2(x)", "write * for a product", 0),
    ("x(2)", "write x * (...)", 0),
    ("sin(x)(y)", "write * for a product", 0),
    ("sin + 1", "write sin(...)", 0),
    ("sin(cos)", "write cos(...)", 4),
    ("sine(x)", "did you mean sin?", 0),
    ("ln(x)", "write log(...)", 0),
    ("x + z", "write z=1.0 after the expression", 4),
    ("sin(x, y)", "sin takes 1 argument, got 2: write sin(x)", 0),
    ("atan2(x)", "atan2 takes 2 arguments, got 1: write atan2(y, x)", 0),
    ("max()", "write max(x, y, z)", 0),
    ("elu(x, 1, 2)", "elu takes 1 to 2 arguments, got 3: write elu(x, alpha)", 0),
    ("sinc_derivative(x, y)", "must be a plain number", 19),
    ("constant_power(x, x * y)", "must be a plain number", 18),
    ("x = 2", "values follow it, as x=2", 2),
    ("x += 1", "values follow it", 2),
    ("x +", "an operand is missing after the last operator", 3),
    ("", "the expression is empty", 0),
    ("   ", "the expression is empty", 0),
    ("(x", "each ( needs its )", 0),
    ("x)", "each ( needs its )", 1),
    ("(x]", "each ( needs its )", 2),
    ("  (x]", "each ( needs its )", 4),
    ("x # comment", "# has no meaning here", 2),
    ("x; y", "; has no meaning here", 1),
    ("x\\\n+ y", "has no meaning here", 1),
    ("import os", "this cannot be read", 0),
    ("\uff4cog(x)", "FULLWIDTH LATIN SMALL LETTER L cannot be read", 0),  # Python would read it as log
    ("y + \u0445", "CYRILLIC SMALL LETTER HA cannot be read", 4),
    ("\U0001d431", "MATHEMATICAL BOLD SMALL X cannot be read", 0),
    ("x \u2212 1", "MINUS SIGN cannot be read: write -", 2),
    ("x\u00b2", "write **2", 1),
    ("2 \u00d7 x", "write *", 2),
    ("\u03c0", "write pi", 0),
    ("x\u200b", "ZERO WIDTH SPACE cannot be read", 1),
    ("x\u202e", "RIGHT-TO-LEFT OVERRIDE cannot be read", 1),
    ("\u0663 * x", "ARABIC-INDIC DIGIT THREE cannot be read", 0),
    ("x\x00", "U+0000 cannot be read", 1),
    ("x\x1b[31m", "U+001B cannot be read", 1),
    ("\ud800", "U+D800 cannot be read", 0),
]


@pytest.mark.parametrize(("text", "message", "column"), ATTACKS, ids=[ascii(text)[:40] for text, *_ in ATTACKS])
def test_what_is_no_formula_is_refused_at_its_column(text: str, message: str, column: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        Expression(text, ["x", "y"])
    assert message in caught.value.message
    assert caught.value.column == column
    said = str(caught.value).splitlines()
    assert len(said) == 3
    assert said[2].strip() == "^"


@pytest.mark.parametrize(
    "text",
    [
        "(" * 300 + "x" + ")" * 300,
        "-" * 9000 + "x",
        "**".join("x" * 3000),
        "sin(" * 2000 + "x" + ")" * 2000,
        "not " * 2000 + "x",
        "lambda:" * 1400 + "x",
        "x." * 3000 + "x",
        "x" + "[0]" * 3000,
        "x" + "(0)" * 3000,
        "x" * (LONGEST + 1),
        "9" * 5000,
        "(" * 9000,
        "f'{" * 200,
    ],
    ids=lambda text: f"{text[:6]}..{len(text)}",
)
def test_deep_and_long_texts_are_refused_with_a_short_answer(text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        Expression(text, ["x"])
    assert len(str(caught.value)) < 500


def test_a_long_sum_is_added_up_or_refused() -> None:
    result = 10_000.0
    with contextlib.suppress(ExpressionError):  # the parser goes deeper from Python 3.13 on
        result = Expression("+".join("x" * 5000), ["x"])(2.0)
    assert result == 10_000.0


@given(st.text(max_size=60) | st.text("xy01.+-*/%()=, 'sin[]{}:@^&|~<>!_\\\n", max_size=60))
def test_no_text_does_anything_but_give_a_number_or_an_expression_error(text: str) -> None:
    result: Any = 0.0
    with contextlib.suppress(ExpressionError):
        result = Expression(text, ["x", "y"])(1.5, 0.5)
    assert isinstance(result, float)


WATCHED = """
import json, sys
from microgrid.text.expression import Expression, ExpressionError, special
special()  # a name that is not known is looked for there, too: that module's import is no doing of the text
texts = json.load(sys.stdin)
seen = []
sys.addaudithook(lambda event, arguments: seen.append(event))
for text in texts:
    try:
        Expression(text, ["x", "y"])(1.5, 0.5)
    except ExpressionError:
        pass
found = sorted(set(seen))
eval("0")  # the negative control: the hook sees code that runs
print(json.dumps([found, "exec" in seen]))
"""


def test_no_attack_makes_the_interpreter_do_anything_but_parse() -> None:
    texts = json.dumps([text for text, *_ in ATTACKS])
    done = subprocess.run([sys.executable, "-c", WATCHED], input=texts, capture_output=True, text=True, check=True)
    events, control = json.loads(done.stdout)
    assert control
    assert "compile" in events  # which is ast.parse
    assert not {event.split(".")[0] for event in events} & {"exec", "import", "open", "os", "subprocess", "socket"}


def test_a_long_text_is_shown_around_the_place() -> None:
    with pytest.raises(ExpressionError) as caught:
        Expression("x + " * 100 + "q + " + "x + " * 100 + "x", ["x"])
    _, shown, caret = str(caught.value).splitlines()
    assert shown[caret.index("^")] == "q"
    assert len(shown) < 120


@pytest.mark.parametrize("name", ["", "2x", "x-1", "log", "arcsin", "inf", "None", "if", "\u0445", "x.y", "a b"])
def test_what_cannot_be_the_name_of_a_variable_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"variable"):
        check_name(name)
