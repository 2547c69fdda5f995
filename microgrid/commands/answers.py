"""Answers of the playground: an expression and its derivatives, a network and its film. No text is run as code."""

from __future__ import annotations

import contextlib
import functools
import html
import json
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from microgrid import datasets, losses, nn
from microgrid.commands.given import plain
from microgrid.engine import Value, constant
from microgrid.exercises import exercise
from microgrid.functional import hessian
from microgrid.pictures import stepper
from microgrid.program import trace
from microgrid.steps import Steps, steps
from microgrid.text.expression import Expression, ExpressionError, check_name, variables

EXAMPLES = {
    "a neuron": "tanh(w1*x1 + w2*x2 + b)#w1=-3&x1=2&w2=1&x2=0.5&b=6.9",
    "softmax with cross-entropy": "logsumexp(z1, z2, z3) - z2#z1=1&z2=0.2&z3=-1",
    "a dead relu": "(relu(w*x + b) - y)**2#w=-1&x=2&b=0.5&y=1",
    "a saturated sigmoid": "(sigmoid(w*x + b) - y)**2#w=5&x=2&b=-1&y=0",
    "a value used twice": "(a*b + a)*b#a=2&b=-3",
    "Rosenbrock's valley": "(1 - x)**2 + 100*(y - x**2)**2#x=-1.2&y=1",
}
"""Expressions to begin with, as their addresses have them."""

MOST_OPERATIONS, MOST_POINTS, MOST_EPOCHS, WIDEST, DEEPEST = 5_000, 300, 400, 16, 3
"""Limits of what the playground computes: more would keep a person waiting."""

ACTIVATIONS = ("tanh", "relu", "sigmoid", "silu")


_parsing = threading.Lock()
"""Held while syntax trees are made: `ast.parse` of two threads at once is a SystemError in CPython 3.11."""


class Refused(ValueError):
    """A request that has no answer; its text says what to ask instead."""


def answer(request: str) -> str:
    """Return the answer to a request, both JSON. One that is refused has `error`, with the place of a typing error."""
    try:
        asked = json.loads(request)
        kinds: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "expression": expression, "train": train, "step": training_step, "exercise": practice,
        }  # fmt: skip
        if not isinstance(asked, dict) or asked.get("kind") not in kinds:
            raise Refused(f"a request has a kind: {', '.join(kinds)}")
        with contextlib.nullcontext() if asked["kind"] == "train" else _parsing:
            found = kinds[asked["kind"]](asked)
    except ExpressionError as error:
        found = {"error": error.message, "column": error.column}
    except (ValueError, TypeError, KeyError, ImportError, ArithmeticError, RecursionError) as error:
        found = {"error": str(error) if not isinstance(error, KeyError) else f"the request has no {error}"}
    return json.dumps(plain(found))


def expression(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return value and gradient of an expression, and the parts that are asked for."""
    text = asked["text"]
    if not isinstance(text, str):
        raise Refused("an expression is text")
    names = variables(text)
    for name in names:
        check_name(name)
    function = Expression(text, names)
    at = _numbers(asked.get("values", {}), names)
    traced = trace(function)(*at.values())
    if len(traced.instructions) > MOST_OPERATIONS:
        raise Refused(f"that is {len(traced.instructions):,} operations: the playground shows {MOST_OPERATIONS:,}")
    leaves = [Value(x, label=name) for name, x in at.items()]
    result = function(*leaves)
    root = result if isinstance(result, Value) else constant(result)
    root.backward()
    found: dict[str, Any] = {
        "names": names, "values": list(at.values()), "value": root.data, "gradient": [leaf.grad for leaf in leaves],
        "operations": len(traced.instructions),
    }  # fmt: skip

    def passes() -> Steps:
        return steps(function(*(Value(x, label=name) for name, x in at.items())))

    parts: dict[str, Callable[[], Any]] = {
        "stepper": lambda: passes().html(),
        "page": lambda: stepper.page(passes()),
        "program": lambda: f"{traced}\n\n# its gradient\n{traced.gradient().simplify()}" if names else str(traced),
        "latex": lambda: _latex(traced, root),
        "hessian": lambda: hessian(function, range(len(names)))(*at.values()) if names else [],
        "check": lambda: _check(function, list(at.values())),
    }
    for part in asked.get("parts", []):
        if part not in parts:
            raise Refused(f"there is no part {part!r}: ask for {', '.join(parts)}")
        found[part] = parts[part]() if root.operands or part in ("program", "latex") else None
    return found


def _numbers(given: Any, names: Sequence[str]) -> dict[str, float]:
    """Return a number for each name; 1 for one without."""
    if not isinstance(given, dict):
        raise Refused("values are numbers by name")
    found = {}
    for name in names:
        x = given.get(name, 1.0)
        try:
            found[name] = float(x)
        except (TypeError, ValueError):
            raise Refused(f"{name} = {x!r} is no number: write one, as 0.5") from None
    return found


def _latex(traced: Any, root: Value) -> list[tuple[str, str]]:
    """Return the formula and the derivation of its derivatives, each with its title, without one that is too long."""
    found = []
    for title, written in (("formula", traced.latex), ("derivation", lambda: steps(root).latex())):
        with contextlib.suppress(ValueError):
            found.append((title, written()))
    return found


def _check(function: Any, at: list[float]) -> dict[str, Any]:
    from microgrid.commands.check import as_json
    from microgrid.testing import check_gradient

    report = check_gradient(function, *at)
    return {**as_json(report), "html": report._repr_html_()}


def train(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Train a small network of scalars on points of the plane; return its film, loss and accuracy."""
    from microgrid.film import Film
    from microgrid.training import fit

    x, y = _points(asked)
    model = _model(asked)
    epochs = _whole(asked, "epochs", 60, MOST_EPOCHS)
    film = Film(x, y, frames=min(40, max(2, epochs)))
    history = fit(
        model, x, y, loss="hinge", lr=_rate(asked), epochs=epochs,
        batch_size=min(len(x), 16), seed=_whole(asked, "seed", 0, 10**6, least=0), callbacks=[film], progress=False,
        metrics=["accuracy"],
    )  # fmt: skip
    accuracy = history["accuracy"][-1]
    return {"film": film.html(), "loss": history.loss[-1], "accuracy": accuracy, "parameters": len(model.parameters())}


def training_step(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stepper of the loss of a network on the first points, at the start of its training."""
    x, y = _points(asked)
    model = _model(asked)
    count = min(len(x), _whole(asked, "samples", 2, 8))
    terms = [
        losses.hinge(model(list(map(float, row))), target) for row, target in zip(x[:count], y[:count], strict=True)
    ]
    loss = functools.reduce(lambda a, b: a + b, terms) / float(count)
    return {"stepper": steps(loss).html(), "loss": loss.data}


def practice(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stepper of an exercise, which asks."""
    difficulty, seed = _whole(asked, "difficulty", 1, 3), _whole(asked, "seed", 1, 10**6)
    return {"stepper": stepper.html(steps(exercise(difficulty, seed=seed)), practice=1)}


def _points(asked: Mapping[str, Any]) -> tuple[list[list[float]], list[float]]:
    """Return points and their labels, -1 and 1: of a data set, or those given."""
    data = asked.get("data", "moons")
    if data in ("moons", "spirals", "circles", "xor"):
        count = _whole(asked, "count", 100, MOST_POINTS, least=4)
        if data == "xor":
            x, y = datasets.xor()
        elif data == "spirals":
            x, y = datasets.spirals(count, arms=2)
        else:
            x, y = getattr(datasets, data)(count)
        return [list(map(float, row)) for row in x], [1.0 if label > 0 else -1.0 for label in y]
    points = asked.get("points", [])
    if not isinstance(points, list) or not 2 <= len(points) <= MOST_POINTS:
        raise Refused(f"click from 2 to {MOST_POINTS} points, of both kinds")
    clicked = [[float(a), float(b)] for a, b, _ in points]
    kinds = [1.0 if label > 0 else -1.0 for _, _, label in points]
    if not all(math.isfinite(z) for row in clicked for z in row):
        raise Refused("a point has two finite numbers")
    if len(set(kinds)) < 2:
        raise Refused("click points of both kinds: there is nothing to tell apart yet")
    return clicked, kinds


def _model(asked: Mapping[str, Any]) -> nn.MLP:
    layers = asked.get("layers", [8, 8])
    if (
        not isinstance(layers, list)
        or len(layers) > DEEPEST
        or not all(isinstance(n, int) and 1 <= n <= WIDEST for n in layers)
    ):
        raise Refused(f"at most {DEEPEST} hidden layers of 1 to {WIDEST} neurons: write 8, 8")
    activation = asked.get("activation", "tanh")
    if activation not in ACTIVATIONS:
        raise Refused(f"the activation is {', '.join(ACTIVATIONS)}")
    return nn.MLP(2, [*layers, 1], activation=activation, init="xavier", seed=_whole(asked, "seed", 0, 10**6, least=0))


def _whole(asked: Mapping[str, Any], name: str, default: int, most: int, *, least: int = 1) -> int:
    x = asked.get(name, default)
    if not isinstance(x, int) or isinstance(x, bool) or not least <= x <= most:
        raise Refused(f"{name} is a whole number from {least} to {most}, got {html.escape(repr(x))}")
    return x


def _rate(asked: Mapping[str, Any]) -> float:
    rate = asked.get("rate", 0.1)
    if not isinstance(rate, (int, float)) or not 0.0 < rate <= 10.0:
        raise Refused(f"the learning rate is a number from 0 to 10, got {html.escape(repr(rate))}")
    return float(rate)
