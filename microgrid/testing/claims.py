"""Claimed derivatives: numbers in the structure of the arguments, or of the result and the arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from microgrid.core import tree
from microgrid.functional import assembled
from microgrid.testing.subject import Subject, as_number, bare


def claimed_gradient(gradient: Any, subject: Subject) -> list[float]:
    """Return the claimed numbers in the order of the inputs, matched by keys and places, never by position alone."""
    listed = _lists(gradient)
    numbers, shape = tree.flatten(listed, as_number, "gradient")
    count = len(subject.numbers)
    names = subject.parameters()
    if len(numbers) != count:
        misfit = _misshapen(gradient, names, subject.structure)
        raise ValueError(misfit or f"the arguments have {count} number(s), the claimed gradient {len(numbers)}")
    ways: list[Any] = [list(subject.structure)]
    if len(names) == 1:
        ways.append(subject.structure[0])  # the gradient of the only argument, without a tuple
    ways.append(dict(zip(names, subject.structure, strict=True)))
    for way in ways:
        order = _matched(listed, way)
        if order is not None:
            return [x for _, x in sorted(order)]
    if isinstance(shape, list) and shape == list(range(count)) and not _has_keys(subject.structure):
        return numbers  # one flat list
    expected = tree.shape(subject.structure[0] if len(names) == 1 else subject.structure)
    misfit = _misshapen(gradient, names, subject.structure)
    raise ValueError(misfit or f"the claimed gradient is structured {tree.shape(shape)}, but the arguments {expected}")


def _misshapen(gradient: Any, names: Sequence[str], structure: Sequence[tree.Structure]) -> str:
    """Return the text on the first array of a claim that has another shape than its argument; "" if there is none."""
    claims = [gradient] if hasattr(gradient, "shape") else gradient
    if not isinstance(claims, (list, tuple)) or len(claims) != len(names):
        return ""
    for name, claim, argument in zip(names, claims, structure, strict=True):
        shape = getattr(claim, "shape", None)
        if isinstance(argument, tree.Array) and shape is not None and tuple(shape) != argument.shape:
            turned = ": it is transposed" if tuple(shape) == argument.shape[::-1] else ""
            return f"the gradient of {name} has the shape {tuple(shape)}, {name} itself {argument.shape}{turned}"
    return ""


def _matched(claim: Any, structure: tree.Structure) -> list[tuple[int, float]] | None:
    """Return each input with its number; None where the two do not match."""
    if isinstance(structure, int):
        return None if isinstance(claim, (dict, list)) else [(structure, float(bare(claim)))]
    if isinstance(structure, tree.Array):
        return _matched(claim, tree.unflatten(structure, range(structure.first + structure.size), tree.nested))
    if isinstance(structure, tree.Instance):
        return _matched(claim, structure.content)
    if isinstance(structure, dict):
        if not isinstance(claim, dict) or set(claim) != set(structure):
            return None
        pairs = [(claim[key], part) for key, part in structure.items()]
    elif isinstance(claim, list) and len(claim) == len(structure):
        pairs = list(zip(claim, structure, strict=True))
    else:
        return None
    parts = [_matched(*pair) for pair in pairs]
    return None if any(part is None for part in parts) else [found for part in parts for found in part or ()]


def _has_keys(structure: tree.Structure) -> bool:
    if isinstance(structure, (int, tree.Array)):
        return False
    return isinstance(structure, (dict, tree.Instance)) or any(map(_has_keys, structure))


def _lists(x: Any) -> Any:
    """Return nested containers with NumPy's arrays as lists, and what data classes hold in their places."""
    if hasattr(x, "tolist"):
        return x.tolist()
    if isinstance(x, dict):
        return {key: _lists(item) for key, item in x.items()}
    held = tree.contents(x)
    if held is not None:
        return _lists(held[0])
    return [_lists(item) for item in x] if isinstance(x, (list, tuple)) else x


def claimed_jacobian(
    jacobian: Any, results: tree.Structure, arguments: Sequence[tree.Structure], outputs: int, inputs: int
) -> list[list[float]]:
    """Return the claimed numbers by result and input. They are structured as by `jacobian`, or given as plain rows."""
    rows = [[o * inputs + i for i in range(inputs)] for o in range(outputs)]
    inner: tree.Structure = arguments[0] if len(arguments) == 1 else list(arguments)
    layout = _lists(assembled(rows, results, inner, inputs))
    listed = _lists(jacobian)
    order = _matched(listed, layout) or _matched(listed, rows)
    if order is None:
        raise ValueError(
            f"the claimed Jacobian of {outputs} result(s) by {inputs} number(s) is structured {_said(listed)}, "
            f"but the function's {tree.shape(layout)}"
        )
    numbers = [x for _, x in sorted(order)]
    return [numbers[o * inputs : (o + 1) * inputs] for o in range(outputs)]


def _said(listed: Any) -> str:
    return tree.shape(tree.flatten(listed, lambda leaf, _: leaf, "")[1])
