"""Loops that are compiled as loops: `scan`, `fori_loop` and `while_loop`.

In plain Python they run their step, each iteration in a `frame` of its own, and record what it records. A compiled
function traces the step once; its machine code, forward and backward, has a loop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from microgrid.core import tree
from microgrid.core.primitive import as_float, one_line
from microgrid.core.scope import current_loops, frame, user_line
from microgrid.ops import identity


def scan(
    step: Callable[[Any, Any], Any],
    carry: Any,
    xs: Any = None,
    *,
    length: int | None = None,
    reverse: bool = False,
    checkpoint: bool | int = False,
) -> tuple[Any, Any]:
    """Return the last carry, and the y of each iteration, of carry, y = step(carry, x) for each x in xs.

    xs is a list, a range, or an array, whose rows are taken; or a tuple, dict or data class of several of one length,
    of which x holds an item each. Without xs, x is None, and `length` counts the iterations. With `reverse` the last x
    comes first. A y that is a tuple, dict or data class gives one of lists, arrays give an array with one axis more,
    and None gives None. Without any iteration the list is empty.

    The carry holds numbers, `Value`s and arrays of them in any container, and keeps its structure. The step may use
    Values from outside. Compiled code traces it once: what it compares or prints of its numbers is an error there.
    The gradient of a compiled function has loops; so have, if not strict, its Hessian, hvp, and a Jacobian of more
    results than inputs, where loops are long. Within other derivatives, iterations are recorded one by one.

    For gradients, compiled code keeps the carry of each iteration, and results of costly functions. `checkpoint` saves
    memory: k keeps only every k-th carry and recomputes the others, True stands for the root of the length.

    >>> scan(lambda total, x: (total + x, total * x), 0.0, [1.0, 2.0, 3.0])
    (6.0, [0.0, 2.0, 9.0])
    """
    count, item = _sequence(xs, length)
    return _scanned("scan", step, carry, [item(t) for t in range(count)], reverse, checkpoint)


def fori_loop(
    lower: int, upper: int, body: Callable[[int, Any], Any], carry: Any, *, checkpoint: bool | int = False
) -> Any:
    """Return the carry after carry = body(i, carry) for i = lower, ..., upper - 1.

    Bounds are whole numbers. In compiled code i is a number to compute with, and no index: `scan` over what it would
    take. Everything else is as in `scan`.

    >>> fori_loop(0, 10, lambda i, total: total + i, 0.0)
    45.0
    """
    for name, bound in (("lower", lower), ("upper", upper)):
        _whole(bound, f"{name} of fori_loop", "while_loop has a number of iterations that depends on Values")

    def step(carry: Any, i: Any) -> tuple[Any, None]:
        return body(i, carry), None

    return _scanned("fori_loop", step, carry, range(lower, upper), False, checkpoint)[0]


def while_loop(condition: Callable[[Any], bool], step: Callable[[Any], Any], carry: Any, *, max_iterations: int) -> Any:
    """Return the carry after carry = step(carry) for as long as condition(carry) holds.

    The condition is made of comparisons, of any numbers of the carry and from outside. Raises RuntimeError where it
    still holds after `max_iterations`. The derivative is that of the iterations that took place; compiled code counts
    them for each sample, and keeps the carry of each for gradients.

    >>> while_loop(lambda x: x > 1.0, lambda x: x / 2.0, 20.0, max_iterations=100)
    0.625
    """
    if _whole(max_iterations, "max_iterations of while_loop", "it bounds the loop, and the memory of its gradient") < 0:
        raise ValueError(f"max_iterations is a number from 0 on, got {max_iterations}")
    carry, structure = _begun(carry)
    tracer = current_loops()
    if tracer is not None and tracer.takes("while_loop"):
        return tracer.while_loop(condition, step, carry, max_iterations)
    for n in range(max_iterations):
        if not truth(condition(carry)):
            return carry
        with frame(f"n={n}"):
            carry = carry_after(step, carry, structure, f"step of while_loop, in iteration {n},")
    if truth(condition(carry)):
        raise RuntimeError(unfinished(max_iterations, user_line()))
    return carry


def _begun(carry: Any) -> tuple[Any, tree.Structure]:
    """Return the carry with which a loop begins, and its structure."""
    leaves, structure = tree.flatten(carry, _number, "carry")
    return tree.unflatten(structure, own_nodes(leaves, leaves)), structure


def carry_after(step: Callable[[Any], Any], carry: Any, structure: tree.Structure, where: str) -> Any:
    """Return the carry after a step of `while_loop`."""
    before, _ = tree.flatten(carry, _number, "carry")
    after, _ = tree.flatten(returned_carry(step(carry), structure, where), _number, "carry")
    return tree.unflatten(structure, own_nodes(after, before))


def own_nodes(leaves: Sequence[Any], before: Sequence[Any]) -> list[Any]:
    """Return a carry in which each Value is another one, and none of those before.

    Compiled code adds up the contributions to a carry by themselves; so does recording when this is a node of its own.
    """
    seen = {id(x) for x in before}
    found = []
    for x in leaves:
        found.append(identity(x) if id(x) in seen and hasattr(type(x), "_apply_op") else x)
        seen.add(id(x))
    return found


def unfinished(max_iterations: int, line: str) -> str:
    """Return the message for a while_loop that does not end."""
    return (
        f"while_loop at {line} has not ended after max_iterations={max_iterations}: its condition still holds; give "
        f"more, such as max_iterations={max(10 * max_iterations, 10)}, or a condition that comes to an end"
    )


def _scanned(
    name: str, step: Any, carry: Any, items: Sequence[Any], reverse: bool, checkpoint: bool | int
) -> tuple[Any, Any]:
    carry, structure = _begun(carry)
    if not isinstance(checkpoint, bool) and (not isinstance(checkpoint, int) or checkpoint < 1):
        raise ValueError(f"checkpoint is True, False or a number of iterations from 1 on, got {checkpoint!r}")
    tracer = current_loops()
    if tracer is not None and len(items) and tracer.takes(name):
        segment = math.isqrt(len(items)) if checkpoint is True else int(checkpoint)
        traced = tracer.scan(name, step, carry, items, reverse, segment)
        if traced is not None:
            carry, rows, found = traced
            return carry, _stacked(found, rows)
    rows, found = [], None
    for t in reversed(range(len(items))) if reverse else range(len(items)):
        now = f"i={items[t]}" if name == "fori_loop" else f"t={t}"
        with frame(now):
            where = f"step of {name}, at {now},"
            result, y = pair(step(carry, items[t]), where)
            carry = returned_carry(result, structure, where)
            leaves, found = returned_y(y, found, where)
            rows.append(leaves)
    if reverse:
        rows.reverse()
    return carry, [] if found is None else _stacked(found, rows)


def pair(result: Any, where: str) -> tuple[Any, Any]:
    """Return what a step of `scan` returned. Raises TypeError where that is no pair."""
    if type(result) is not tuple or len(result) != 2:
        raise TypeError(
            f"the {where} must return a pair, the carry and y, and returned {one_line(result)}: write "
            "`return carry, None` where there is no y"
        )
    return result


def returned_carry(carry: Any, structure: tree.Structure, where: str) -> Any:
    """Return a carry, its dicts in the order of the initial one. Raises TypeError where its structure is another."""
    _, found = tree.flatten(carry, _number, "carry")
    if found != structure:
        carry = _arranged(carry, structure)
        _, found = tree.flatten(carry, _number, "carry")
    if found != structure:
        raise TypeError(
            f"the {where} returned as carry {tree.shape(found)}, and began with {tree.shape(structure)}: the carry "
            "keeps its structure, so begin with all of it, and return as y what only grows"
        )
    return carry


def returned_y(y: Any, structure: tree.Structure | None, where: str) -> tuple[list[Any], tree.Structure]:
    """Return the leaves of a y, and its structure. Raises TypeError where that is not the one of the y before."""
    leaves, found = tree.flatten(y, _number_or_none, "y")
    if structure is not None and found != structure:
        leaves, found = tree.flatten(_arranged(y, structure), _number_or_none, "y")
    if structure is not None and found != structure:
        raise TypeError(
            f"the {where} returned as y {tree.shape(found)}, and before {tree.shape(structure)}: every y has one "
            "structure"
        )
    return leaves, found


def truth(answer: Any) -> bool:
    """Return the answer of a condition. Raises TypeError where it is no bool."""
    if isinstance(answer, bool):
        return answer
    kind = type(answer)
    if kind.__module__ == "numpy" and kind.__name__.startswith("bool"):
        return bool(answer)
    text = "a Value" if hasattr(kind, "_apply_op") else one_line(answer)
    raise TypeError(
        f"the condition of while_loop must return True or False, and returned {text}: compare it, "
        "lambda carry: carry > 0.0"
    )


def _whole(number: Any, name: str, hint: str) -> int:
    if isinstance(number, bool) or not hasattr(type(number), "__index__"):
        text = "a Value" if hasattr(type(number), "_apply_op") else repr(number)
        static = "; an argument of a compiled function that is a count is named in static=" if text == "a Value" else ""
        raise TypeError(f"{name} must be a whole number, got {text}: {hint}{static}")
    return int(number.__index__())


def _number(x: Any, path: str) -> Any:
    """Return a number or Value unchanged. Raises TypeError with the path for anything else."""
    if type(x) is float or hasattr(type(x), "_apply_op"):
        return x
    if isinstance(x, bool) or x is None:
        instead = "use 1.0 and 0.0" if x is not None else "where there is none, it is ()"
        raise TypeError(f"{path} is {x}: a carry is made of numbers; {instead}")
    try:
        as_float(x)
    except TypeError:
        raise TypeError(f"{path} is {one_line(x)}: a carry, and a y, is made of numbers, Values and arrays") from None
    return x


def _number_or_none(x: Any, path: str) -> Any:
    return None if x is None else _number(x, path)


def _arranged(x: Any, structure: tree.Structure) -> Any:
    """Return a tree with its dicts in the order of a structure, as far as they have its keys."""
    if isinstance(x, dict) and isinstance(structure, dict) and x.keys() == structure.keys():
        return {key: _arranged(x[key], part) for key, part in structure.items()}
    if isinstance(x, (list, tuple)) and isinstance(structure, (list, tuple)) and len(x) == len(structure):
        return tree.like(x, [_arranged(item, part) for item, part in zip(x, structure, strict=True)])
    return x


def _stacked(structure: tree.Structure, rows: Sequence[Sequence[Any]]) -> Any:
    """Return the y of all iterations as sequences, given the leaves of each."""
    if isinstance(structure, int):
        column = [row[structure] for row in rows]
        return None if all(x is None for x in column) else column
    if isinstance(structure, tree.Array):
        first, end = structure.first, structure.first + structure.size
        return tree.array_of((len(rows), *structure.shape), [x for row in rows for x in row[first:end]])
    if isinstance(structure, list):
        return [tree.unflatten(structure, row) for row in rows]
    if isinstance(structure, tree.Instance):
        return tree.instance(structure, _stacked(structure.content, rows))
    if isinstance(structure, dict):
        return {key: _stacked(part, rows) for key, part in structure.items()}
    return tree.like(structure, [_stacked(part, rows) for part in structure])


def _sequence(xs: Any, length: int | None) -> tuple[int, Callable[[int], Any]]:
    """Return the number of iterations, and the function that gives the x of each."""
    if length is not None and _whole(length, "length of scan", "it counts the iterations") < 0:
        raise ValueError(f"length of scan is a number from 0 on, got {length}")
    lengths: dict[str, int] = {}
    item = _items(xs, "xs", lengths)
    if not lengths and length is None:
        raise ValueError("scan has no xs to take its length from: give some, or length=")
    counts = dict(lengths) if length is None else {**lengths, "length=": length}
    if len(set(counts.values())) > 1:
        (first, some), (other, more) = next((a, b) for a in counts.items() for b in counts.items() if a[1] != b[1])
        raise ValueError(
            f"the sequences of scan have one length, and {first} has {some}, {other} {more}: make them equally long"
        )
    return next(iter(counts.values())), item


def _items(xs: Any, path: str, lengths: dict[str, int]) -> Callable[[int], Any]:
    """Return the function that takes an item out of each sequence; enter their lengths."""
    if xs is None:
        return lambda t: None
    if isinstance(xs, (list, range)) or (tree.is_array(xs) and xs.ndim):
        lengths[path] = len(xs)
        return lambda t: xs[t]
    if isinstance(xs, dict):
        keyed = {key: _items(part, f"{path}[{key!r}]", lengths) for key, part in xs.items()}
        return lambda t: {key: item(t) for key, item in keyed.items()}
    if isinstance(xs, tuple):
        parts = [_items(part, f"{path}[{i}]", lengths) for i, part in enumerate(xs)]
        return lambda t: tree.like(xs, [item(t) for item in parts])
    if hasattr(type(xs), "__dataclass_fields__"):
        fields = _items(tree.contents(xs)[0], path, lengths)  # type: ignore[index]  # of a data class there are some
        return lambda t: type(xs)(**fields(t))
    text = "a Value" if hasattr(type(xs), "_apply_op") else one_line(xs)
    raise TypeError(
        f"{path} of scan is {text}: give a list, a range or an array with an item for each iteration, or a tuple, "
        "dict or data class of such; list(xs) makes one of another sequence"
    )
