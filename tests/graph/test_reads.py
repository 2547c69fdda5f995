"""A number that leaves the graph is seen, whatever way it takes."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from microgrid import Value, compile, grad, no_grad, trace
from microgrid.testing import check_gradient


@no_grad()
def unrecorded(x: Any) -> Any:
    return x * 2.0


WAYS: dict[str, Callable[[Any], Any]] = {
    "data": lambda x: x.data,
    "item": lambda x: x.item(),
    "detach": lambda x: x.detach(),
    "grad": lambda x: x.grad + 1.0,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "deepcopy in a list": lambda x: copy.deepcopy([x])[0],
    "pickle": lambda x: pickle.loads(pickle.dumps(x)),
    "partials": lambda x: (x * x).partials[0],
    "str": lambda x: float(str(x)[11:14]),
    "repr": lambda x: len(repr(x)),
    "format": lambda x: float(f"{x:.17g}"),
    "format without a specification": lambda x: len(f"{x}"),
    "no_grad": unrecorded,
    "micrograd's _prev": lambda x: (x * x).operands[0].data,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("of", [lambda x: x, lambda x: x * 3.0 + 1.0], ids=["an input", "a result"])
def test_a_way_out_of_the_graph_is_told(way: str, of: Callable[[Any], Any]) -> None:
    def f(x: Value) -> Any:
        return WAYS[way](of(x)) * 2.0 + x

    assert len(trace(f)(0.5).reads) == 1
    with pytest.raises(TypeError, match=r"compiled code would go on with that number|it reads the \.grad"):
        compile(f)(0.5)
    assert check_gradient(f, 0.5).verdict != "PASS"


@pytest.mark.parametrize(
    "way", [way for way in WAYS if way not in ("detach", "copy", "deepcopy", "deepcopy in a list", "pickle", "no_grad")]
)
def test_a_plain_number_from_there_is_no_result(way: str) -> None:
    with pytest.raises(TypeError, match="its derivative would be lost"):
        grad(lambda x: WAYS[way](x))(0.5)


def test_reading_a_constant_is_no_reading_out() -> None:
    scale = Value(2.0)
    assert trace(lambda x: x * len(repr(scale)))(0.5).reads == ()
