"""Small graphs to practise backpropagation on: of a chosen difficulty, and the same for all who have the seed."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, Final

from microgrid import ops
from microgrid.core.primitive import CALL
from microgrid.engine import CONSTANT, Value, edges_of, topological
from microgrid.graph.passes import backpropagation

if TYPE_CHECKING:
    from microgrid.core.files import PathLike

_Kind = tuple[int, Callable[..., Any]]

_ARITHMETIC: Final[list[_Kind]] = [
    (2, lambda x, y: x * y),
    (2, lambda x, y: x * y),
    (2, lambda x, y: x + y),
    (2, lambda x, y: x - y),
]
_POWERS: Final[list[_Kind]] = [(1, lambda x: x**2), (2, lambda x, y: x / y), (1, lambda x: x / 2)]
_FUNCTIONS: Final[list[_Kind]] = [(1, f) for f in (ops.tanh, ops.relu, ops.exp, ops.log, ops.sigmoid)]
LARGEST: Final = 60.0
"""Largest size of a value or a gradient in an exercise."""


def exercise(difficulty: int = 1, *, seed: int) -> Value:
    """Return the output z of a small graph with labels and small whole numbers; `steps(z)` makes an exercise of it.

    Difficulty 1 has sums, differences and products, and each value is used once; in 2 a value is used twice, and there
    are squares and quotients; 3 has a function, too. The same seed gives the same graph, wherever it is made. Raises
    ValueError for another difficulty, TypeError when the seed is no whole number.

    >>> z = exercise(2, seed=7)
    >>> z.label, z.data == exercise(2, seed=7).data
    ('z', True)
    """
    if isinstance(difficulty, bool) or difficulty not in (1, 2, 3):
        raise ValueError(f"difficulty is 1, 2 or 3, got {difficulty!r}")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise TypeError(f"seed must be a whole number, got {seed!r}")
    drawn = (_drawn(Random(f"{difficulty}, {seed}, {attempt}"), difficulty) for attempt in itertools.count())
    return next(output for output in drawn if _is_fair(output, difficulty))


def save_exercises(path: PathLike, *, seed: int, count: int = 20) -> None:
    """Write a page of exercises, for a class's site: `count` of each difficulty, with the seeds from `seed` on.

    It asks for each contribution or gradient, names the mistake, gives hints and keeps a score. The exercise of a
    difficulty and a seed is that of `exercise`. Raises ValueError when the name does not end in .html, or count is not
    from 1 to 200.

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_exercises(Path(folder, "sheet.html"), seed=1, count=2)
    ...     [path.name for path in Path(folder).iterdir()]
    ['sheet.html']
    """
    from microgrid.core.files import ending, write_text
    from microgrid.pictures import stepper, web
    from microgrid.steps import steps

    ending(path, *web.ENDINGS)
    if not 1 <= count <= 200:
        raise ValueError(f"count is from 1 to 200, got {count!r}")
    exercise(1, seed=seed)  # which says what a seed is
    walks = [[steps(exercise(hard, seed=seed + k)) for k in range(count)] for hard in (1, 2, 3)]
    write_text(path, stepper.practice_page(walks, seed))


def _drawn(chance: Random, difficulty: int) -> Value:
    """Return an output: each step takes values that are not used yet, and at times one that is used already."""

    def one_of(choices: Sequence[Any]) -> Any:  # choice() itself may draw otherwise in another version of Python
        return choices[int(chance.random() * len(choices))]

    values = [Value(one_of([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0, 4.0]), label=name) for name in "abc"]
    unused, names = list(values), iter("uvwpqrst")
    least = difficulty + 1
    for step in itertools.count(1):
        count, make = one_of(_FUNCTIONS if difficulty == 3 and step == 3 else _ARITHMETIC + _POWERS * (difficulty > 1))
        operands = [unused.pop(int(chance.random() * len(unused)))]
        if count == 2:
            others = [value for value in values if value is not operands[0]]
            again = not unused or (difficulty > 1 and chance.random() < 0.3)
            operands.append(one_of(others) if again else unused.pop(int(chance.random() * len(unused))))
        result: Value = make(*operands)
        unused = [value for value in unused if value not in operands] + [result]
        if (step >= least and len(unused) == 1) or step == 8:
            result.label = "z"
            return result
        result.label = next(names)
        values.append(result)
    raise AssertionError("eight steps at most")


def _is_fair(output: Value, difficulty: int) -> bool:
    """Return True if all inputs count, the numbers are small, and what the difficulty promises is there."""
    nodes = topological([output])
    uses = Counter(operand for node in nodes for operand, _ in edges_of(node) if operand.op is not CONSTANT)
    results = [node for node in nodes if node.op is not None and node.op is not CONSTANT]
    shared = max(uses.values()) > 1
    functions = [node for node in results if node.op is not None and node.op.precedence == CALL]
    gradients = [gradient for _, gradient, _ in backpropagation(output, 1.0)]
    sizes = [abs(x) for x in (*(node.data for node in results), *gradients)]
    return (
        sum(node.op is None for node in nodes) == 3
        and difficulty + 2 <= len(results) + (difficulty == 1) <= difficulty + 4
        and shared == (difficulty > 1)
        and bool(functions) == (difficulty == 3)
        and all(math.isfinite(size) and size <= LARGEST for size in sizes)
        and all(size > 0.01 for size in map(abs, gradients))
    )
