"""Loops in plain Python: `scan`, `fori_loop` and `while_loop` run their step, and record what it records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import microgrid as mg
from microgrid import Value, draw, fori_loop, grad, hessian, scan, steps, trace, while_loop


@dataclass
class Point:
    x: Any
    y: Any


def test_a_scan_gives_the_last_carry_and_every_y() -> None:
    assert scan(lambda c, x: (c + x, c * x), 0.0, [1.0, 2.0, 3.0]) == (6.0, [0.0, 2.0, 9.0])
    assert scan(lambda c, x: (c + x, c), 0.0, [1.0, 2.0, 3.0], reverse=True) == (6.0, [5.0, 3.0, 0.0])
    assert scan(lambda c, _: (2.0 * c, None), 1.0, length=5) == (32.0, None)
    assert scan(lambda c, x: (c, x), 1.0, []) == (1.0, [])


def test_what_comes_in_several_sequences_goes_out_in_several() -> None:
    pairs = {"a": [1.0, 2.0], "b": (range(2), [Value(5.0), Value(7.0)])}
    carry, ys = scan(lambda c, x: (c, {"s": x["a"] + x["b"][0], "t": (x["b"][1], [c, c])}), 1.0, pairs)
    assert carry == 1.0
    assert ys["s"] == [1.0, 3.0]
    assert [v.data for v in ys["t"][0]] == [5.0, 7.0]
    assert ys["t"][1] == [[1.0, 1.0], [1.0, 1.0]]
    points = Point([1.0, 2.0], [3.0, 4.0])
    assert scan(lambda c, p: (c, Point(p.y, p.x)), (), points)[1] == Point([3.0, 4.0], [1.0, 2.0])


def test_the_rows_of_an_array_are_taken_and_arrays_are_stacked() -> None:
    xs = np.arange(6.0).reshape(3, 2)
    carry, ys = scan(lambda c, x: (c + x, c * 2.0), np.zeros(2), xs)
    assert carry.tolist() == [6.0, 9.0]
    assert ys.tolist() == [[0.0, 0.0], [0.0, 2.0], [4.0, 8.0]]
    slopes = grad(lambda w: mg.sum(scan(lambda c, x: (c, x * w), (), xs)[1].ravel().tolist()))(2.0)
    assert slopes == 15.0


def test_loops_are_the_ones_written_by_hand() -> None:
    def by_hand(w: Any) -> Any:
        h, total = w, 0.0
        for i in range(2, 6):
            h = mg.tanh(h * w + i)
            total = total + h
        while total > 1.0:
            total = total / (1.0 + w)
        return total

    def looped(w: Any) -> Any:
        _, total = fori_loop(2, 6, lambda i, c: (h := mg.tanh(c[0] * w + i), c[1] + h), (w, 0.0))
        return while_loop(lambda t: t > 1.0, lambda t: t / (1.0 + w), total, max_iterations=50)

    assert looped(0.7) == by_hand(0.7)
    assert grad(looped)(0.7) == grad(by_hand)(0.7)
    assert hessian(looped)(0.7) == pytest.approx(hessian(by_hand)(0.7), rel=1e-14)


def test_each_iteration_has_a_frame() -> None:
    w = Value(2.0, label="w")
    carry, ys = scan(lambda c, x: (c * w, c + x), w, [1.0, 2.0])
    assert [y.module for y in ys] == ["t=0", "t=1"]
    assert carry.module == "t=1"
    assert fori_loop(3, 5, lambda i, c: c * w, w).module == "i=4"
    nested = scan(lambda c, _: (fori_loop(0, 2, lambda i, v: v * w, c), None), w, length=1)[0]
    assert nested.module == "t=0.i=1"
    assert "t=1" in draw(carry).svg
    assert steps(carry) is not None


def test_a_traced_program_is_unrolled() -> None:
    program = trace(lambda x: scan(lambda c, t: (c * x + t, None), x, [1.0, 2.0])[0])(3.0)
    assert str(program).count(" * ") == 2
    assert program(2.0) == 12.0


def test_the_keys_of_a_dict_may_come_in_another_order() -> None:
    carry, ys = scan(lambda c, x: ({"b": c["a"], "a": c["b"]}, {"u": x} | {"v": x}), {"a": 1.0, "b": 2.0}, [0.0, 1.0])
    assert carry == {"a": 1.0, "b": 2.0}
    assert ys == {"u": [0.0, 1.0], "v": [0.0, 1.0]}


VALUE: Any = Value(2.0)
HALF: Any = 2.5


def one(c: Any, x: Any) -> Any:
    return c, x


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: scan(lambda c, x: c, 0.0, [1.0]), TypeError, "must return a pair.*`return carry, None`"),
        (lambda: scan(lambda c, x: ((c, c), x), 0.0, [1.0]), TypeError, "t=0, returned as carry.*began with a number"),
        (
            lambda: scan(lambda c, x: (c + np.zeros(2), x), 0.0, [1.0]),
            TypeError,
            r"an array of shape \(2,\), and began with a number",
        ),
        (lambda: scan(lambda c, x: (c, x if x else [x]), 0.0, [0.0, 1.0]), TypeError, "t=1, returned as y a number"),
        (lambda: scan(one, "a", [1.0]), TypeError, "carry is 'a'"),
        (lambda: scan(one, {"a": None}, [1.0]), TypeError, r"carry\['a'\] is None.*it is \(\)"),
        (lambda: scan(one, True, [1.0]), TypeError, "use 1.0 and 0.0"),
        (lambda: scan(one, 0.0, ([1.0], [1.0, 2.0])), ValueError, r"xs\[0\] has 1, xs\[1\] 2"),
        (lambda: scan(one, 0.0, [1.0], length=2), ValueError, "xs has 1, length= 2"),
        (lambda: scan(one, 0.0), ValueError, "or length="),
        (lambda: scan(one, 0.0, ()), ValueError, "or length="),
        (lambda: scan(one, 0.0, length=-1), ValueError, "from 0 on"),
        (lambda: scan(one, 0.0, length=VALUE), TypeError, "static="),
        (lambda: scan(one, 0.0, Value(2.0)), TypeError, "xs of scan is a Value"),
        (lambda: scan(one, 0.0, (x for x in [1.0])), TypeError, r"list\(xs\)"),
        (lambda: scan(one, 0.0, [1.0], checkpoint=0), ValueError, "checkpoint is True, False"),
        (lambda: fori_loop(0, HALF, one, 0.0), TypeError, "upper of fori_loop must be a whole number, got 2.5"),
        (lambda: fori_loop(VALUE, 2, one, 0.0), TypeError, "lower of fori_loop.*a Value.*while_loop"),
        (lambda: while_loop(lambda c: c, lambda c: c, 1.0, max_iterations=1), TypeError, "returned 1.0: compare it"),
        (
            lambda: while_loop(lambda c: c, lambda c: c, Value(1.0), max_iterations=1),
            TypeError,
            "returned a Value: compare it",
        ),
        (
            lambda: while_loop(lambda c: True, lambda c: c, 1.0, max_iterations=3),
            RuntimeError,
            "max_iterations=3.*such as",
        ),
        (
            lambda: while_loop(lambda c: True, lambda c: (c, c), 1.0, max_iterations=3),
            TypeError,
            "iteration 0, returned",
        ),
        (lambda: while_loop(lambda c: True, lambda c: c, 1.0, max_iterations=-3), ValueError, "from 0 on"),
    ],
)
def test_what_cannot_be_is_said(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
