"""Samples for training, as floats in rows, or in lists of rows, and targets, in batches; errors name the row.

Lists, NumPy arrays, tensors and data frames will do.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from microgrid.core.primitive import as_float
from microgrid.engine import Value
from microgrid.losses import IGNORED, Kind

Target = float | int | list[Any]

Sample = list[Any]
"""The numbers of a sample: a row of floats, or a list of such to any depth, as a sequence and an image are."""

Misfit = Callable[[Sample], str]
"""A function that says why a model does not take a sample; "" where it does."""

CLASSES = 16
"""Maximum number of distinct targets that may be classes for a loss of the user."""


class Samples:
    """Rows and their targets, split into training and validation."""

    def __init__(
        self,
        xs: list[Sample],
        y: Any,
        outputs: Outputs,
        kind: Kind,
        validation: Any,
        batch_size: int | None,
        seed: int | None,
        misfit: Misfit | None = None,
    ) -> None:
        ys = targets(y, len(xs), outputs, kind)
        self.seed = seed
        kept: set[int] = set()
        self.validation: tuple[list[Sample], list[Target]] = ([], [])
        if isinstance(validation, (int, float)):
            kept = self._kept(len(xs), validation)
            self.validation = ([xs[i] for i in sorted(kept)], [ys[i] for i in sorted(kept)])
        elif validation is not None:
            vx, vy = validation
            xs_apart = samples_of(vx, "validation x", misfit)
            shapes = set(map(shape_of, xs))
            if len(shapes) == 1 and shape_of(xs_apart[0]) not in shapes:
                raise ValueError(
                    f"validation x has rows of {_size(shape_of(xs_apart[0]))} number(s), x of {_size(shape_of(xs[0]))}"
                )
            self.validation = (xs_apart, targets(vy, len(xs_apart), outputs, kind, "validation y"))
        self.numbers = [i for i in range(len(xs)) if i not in kept]
        """Index of each row in the data passed to `fit`."""
        self.xs, self.ys = [xs[i] for i in self.numbers], [ys[i] for i in self.numbers]
        self.longest = max(map(len, self.xs))
        """Length of the longest sample."""
        self.batch_size = min(batch_size or len(self.xs), len(self.xs))
        self.shuffle = seed is not None and self.batch_size < len(self.xs)

    def _kept(self, count: int, fraction: float) -> set[int]:
        if not 0.0 < fraction < 1.0:
            raise ValueError(f"validation is a pair (x, y) or a fraction between 0 and 1, got {fraction}")
        size = round(fraction * count)
        if self.seed is None:
            kept = list(range(count))[count - size :]
        else:
            kept = random.Random(f"{self.seed}: validation").sample(range(count), size)
        if not 0 < len(kept) < count:
            raise ValueError(f"a fraction of {fraction} leaves nothing of {count} sample(s) on one side")
        return set(kept)

    def batches(self, epoch: int) -> list[list[int]]:
        """Yield the samples of each batch, in an order determined by the seed and the epoch."""
        order = list(range(len(self.xs)))
        if self.shuffle:
            random.Random(f"{self.seed}: epoch {epoch}").shuffle(order)
        return [order[i : i + self.batch_size] for i in range(0, len(order), self.batch_size)]

    def batch(self, numbers: Sequence[int]) -> tuple[list[Sample], list[Target]]:
        """Return the rows and targets of a batch; for all samples, the same two lists each time."""
        if len(numbers) == len(self.xs) and not self.shuffle:
            return self.xs, self.ys
        return [self.xs[i] for i in numbers], [self.ys[i] for i in numbers]

    def of_each_target(self) -> tuple[list[Sample], list[Target]]:
        """Return the first row of each target, and the targets; nothing where there are too many to be classes."""
        first: dict[float, int] = {}
        for i, y in enumerate(self.ys):
            if isinstance(y, list) or (len(first) == CLASSES and y not in first):
                return [], []
            first.setdefault(y, i)
        return [self.xs[i] for i in first.values()], [self.ys[i] for i in first.values()]

    def digest(self) -> str:
        """Return a hash of the data as a short text."""
        import hashlib

        return hashlib.sha256(repr((self.xs, self.ys, self.validation)).encode()).hexdigest()[:16]


def at_least(least: int, name: str, number: Any) -> int:
    """Return a whole number of at least `least`. Raises ValueError otherwise."""
    if not isinstance(number, int) or number < least:
        raise ValueError(f"{name} must be a whole number from {least} on, got {number!r}")
    return number


class Outputs(NamedTuple):
    """Number of outputs of a network; where it has a row of them for each step, of each step."""

    size: int
    steps: bool = False


def outputs_like(outputs: Any) -> Outputs:
    """Return the numbers of outputs, given those for the first sample."""
    if not isinstance(outputs[0], list):
        return Outputs(len(outputs))
    return Outputs(shape_of(outputs)[-1], steps=True)


def samples_of(x: Any, name: str = "x", misfit: Misfit | None = None) -> list[Sample]:
    """Return the numbers of each sample, in as many axes as x has; a plain number is a sample of one.

    Samples of several shapes, such as sequences of unlike lengths, are samples if the model takes one of each. Raises
    TypeError and ValueError as `rows` does.
    """
    listed = [_nested(item, f"{name}, row {i}") for i, item in enumerate(_listed(x, name))]
    if not listed:
        raise ValueError(f"{name} has no rows")
    first = shape_of(listed[0])
    taken = {first}
    for i, sample in enumerate(listed):
        shape = shape_of(sample)
        why = "" if shape in taken else "no model was asked" if misfit is None else misfit(sample)
        if why:
            advice = "" if misfit is None else f", and the model does not take both: {why}"
            raise ValueError(f"{name}, row {i} has {_size(shape)} number(s), row 0 has {_size(first)}{advice}")
        taken.add(shape)
    return listed


def shape_of(sample: Sample) -> tuple[int, ...]:
    """Return the lengths of the axes of a sample."""
    return (len(sample), *(shape_of(sample[0]) if isinstance(sample[0], list) else ()))


def values_of(sample: Sample) -> list[Any]:
    """Return a new Value for each number of a sample, in the same lists."""
    return [values_of(item) if isinstance(item, list) else Value(item) for item in sample]


def _size(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _nested(item: Any, where: str) -> Sample:
    """Return the numbers of a sample, whose parts must have one shape."""
    cells = _listed(item, where) if _is_listing(item) else [item]
    if not any(map(_is_listing, cells)):
        return _row(cells, where)
    parts: list[Sample] = []
    for j, cell in enumerate(cells):
        at = f"{where}, {j}"
        if not _is_listing(cell):
            raise ValueError(f"{at} is a number, where others of its row are lists: all need the same number of axes")
        parts.append(_nested(cell, at))
        if shape_of(parts[j]) != shape_of(parts[0]):
            raise ValueError(
                f"{at} has {_size(shape_of(parts[j]))} number(s), {where}, 0 has {_size(shape_of(parts[0]))}"
            )
    return parts


def rows(x: Any, name: str = "x") -> list[list[float]]:
    """Return a list of floats for each sample; a plain number is a sample of one.

    Raises TypeError for what is no list of rows, ValueError with the row for one of another length than the first, for
    what is no number in it, and for inf and nan.
    """
    listed = [_row(item, f"{name}, row {i}") for i, item in enumerate(_listed(x, name))]
    if not listed:
        raise ValueError(f"{name} has no rows")
    for i, row in enumerate(listed):
        if len(row) != len(listed[0]):
            raise ValueError(f"{name}, row {i} has {len(row)} number(s), row 0 has {len(listed[0])}")
    return listed


def targets(y: Any, count: int, outputs: Outputs, kind: Kind, name: str = "y") -> list[Target]:
    """Return a target for each of `count` samples: a class, a number, or a list of numbers for several outputs.

    Where the network has outputs for each step of a sequence, a target is a list of a class for each, or the numbers
    of all steps in nested lists. Raises ValueError with the row for a target of the wrong length, and for one that the
    loss does not know.
    """
    items = _listed(y, name)
    if len(items) != count:
        raise ValueError(
            f"{name} has {len(items)} row(s), {name.replace('y', 'x')} has {count}: each sample needs both"
        )
    return [_target(item, outputs, kind, f"{name}, row {i}") for i, item in enumerate(items)]


def _target(item: Any, given: Outputs, kind: Kind, where: str) -> Target:
    outputs = given.size
    if kind.targets == "any" or (given.steps and kind.targets != "classes"):
        nested = _nested(item, where)
        return (
            nested if len(nested) > 1 or isinstance(nested[0], list) else item if isinstance(item, int) else nested[0]
        )
    numbers = _row(item, where)
    if given.steps:
        if all(x == IGNORED for x in numbers):
            raise ValueError(f"{where}: no step counts, all classes are {IGNORED:g}: leave the sequence out")
        return [x if x == IGNORED else _class(x, outputs, f"{where}, step {t}") for t, x in enumerate(numbers)]
    if kind.targets == "classes" and len(numbers) == 1:
        return _class(numbers[0], outputs, where)
    if len(numbers) != outputs:
        hint = "; for class numbers take the loss 'cross_entropy'" if len(numbers) == 1 else ""
        raise ValueError(f"{where} has {len(numbers)} number(s), the network has {outputs} output(s){hint}")
    for number in numbers:
        if kind.targets in ("probabilities", "classes") and not 0.0 <= number <= 1.0:
            raise ValueError(f"{where}: {number:g} is not a probability: cross-entropy takes targets from 0 to 1")
        if kind.targets == "signs" and number not in (-1.0, 1.0):
            raise ValueError(f"{where}: label {number:g} is neither -1 nor 1, which the hinge loss takes")
    if kind.targets == "classes" and not math.isclose(sum(numbers), 1.0, abs_tol=1e-9):
        raise ValueError(f"{where}: probabilities of classes add up to 1, these to {sum(numbers):g}")
    return numbers if outputs > 1 else numbers[0]


def _class(label: float, outputs: int, where: str) -> int:
    if not (label.is_integer() and 0 <= label < outputs):
        raise ValueError(f"{where}: label {label:g} is none of the classes 0 to {outputs - 1}, one for each output")
    return int(label)


def _row(item: Any, where: str) -> list[float]:
    cells = _listed(item, where) if _is_listing(item) else [item]
    row = []
    for j, cell in enumerate(cells):
        at = f"{where}, column {j}" if len(cells) > 1 else where
        if _is_listing(cell):
            raise ValueError(f"{at} is a list: a row is a flat list of numbers")
        try:
            number = as_float(cell)
        except (TypeError, OverflowError) as error:
            if isinstance(cell, str) and "y" in where.partition(",")[0] and not _is_numeral(cell):
                raise ValueError(
                    f"{at} is the text {cell!r:.40}: number the classes, classes = sorted(set(y)) and "
                    "y = [classes.index(label) for label in y]"
                ) from None
            raise ValueError(f"{at}: {error}") from None
        if not math.isfinite(number):
            raise ValueError(f"{at} is {number}: leave the row out or fill it in")
        row.append(number)
    if not row:
        raise ValueError(f"{where} is empty")
    return row


def _is_numeral(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_listing(x: Any) -> bool:
    return (
        not isinstance(x, (str, bytes)) and (hasattr(x, "__iter__") or hasattr(x, "__array__")) and _dimensions(x) != 0
    )


def _dimensions(x: Any) -> int:
    return int(getattr(x, "ndim", 1))


def _listed(x: Any, name: str) -> Sequence[Any]:
    """Return the items of a list or of anything array-like."""
    if hasattr(x, "to_numpy"):  # a data frame iterates over its column names
        x = x.to_numpy()
    if hasattr(x, "tolist") and _dimensions(x):
        x = x.tolist()
    elif hasattr(x, "__array__"):
        x = x.__array__().tolist()
    if isinstance(x, (str, bytes, dict)) or not isinstance(x, Iterable):
        raise TypeError(f"{name} must be a list of rows, or an array, got {type(x).__name__}")
    return list(x)
