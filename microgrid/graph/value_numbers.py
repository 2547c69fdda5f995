"""Value numbers with the sign kept apart: slots of results that are computed once, and what is known of each.

After C. Click, "Global Code Motion, Global Value Numbering", PLDI 1995, section 3, for straight code. A value is a
number: twice its slot, and one more where it is the negative of what is in the slot. Negations then cost nothing until
somebody needs the number itself.

Where the sign of a zero may differ, 0 * u for a u that is finite wherever all arguments are is the number 0 that owes
nan where an argument that u depends on is inf or nan. So does what is computed of it, but where it is nan there anyway.
What is still owed by a result is paid at the end: 0 * argument is added. So no result loses a nan, nor gains one.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from microgrid import ops
from microgrid.core._mypyc import mypyc_attr
from microgrid.core.primitive import Op
from microgrid.graph.probing import facts

BIG: Final = sys.float_info.max

EVERY: Final = -1
"""The set of all arguments."""

MOST_TRACKED: Final = 256
"""Maximum number of inputs of which it is known where their being inf or nan goes: sets of them are whole numbers."""


@mypyc_attr(allow_interpreted_subclasses=True)
class ValueNumbers:
    """Results in slots. With `lifts`, signs are moved out of products and sums; `exact` results keep the sign of 0."""

    def __init__(self, inputs: int, signed_zeros: bool, lifts: bool) -> None:
        self.inputs = inputs
        self.signed_zeros = signed_zeros
        self.finite_arguments = False
        self.lifts = lifts
        self.exact = True
        self.tracks = not signed_zeros and inputs <= MOST_TRACKED
        self.instructions: list[tuple[Op | None, tuple[int, ...]]] = [(None, ())] * inputs
        self.numbers: dict[int, float] = {}
        """Slots of constants."""
        self.owed: dict[int, tuple[int, int]] = {}
        """Slots of what owes nan: what it is else, and the arguments where it is nan, as the bits of a number."""
        self.owing = 0
        """The arguments where the result in hand is to be nan."""
        self._slots: dict[Any, int] = {}
        # For each slot a bound of its size wherever all arguments are finite; the arguments it depends on; those whose
        # being inf or nan makes it nan, and those that make it inf or nan.
        self.sizes = [BIG] * inputs
        self.depends = [1 << i for i in range(inputs)] if self.tracks else []
        self.nan = [0] * len(self.depends)
        self.infinite = list(self.depends)
        # Those that may be inf or nan where it is 0 and nothing else shows that: a function of them has a finite limit,
        # or a choice leaves them out, whoever makes it.
        self.hidden = [0] * len(self.depends)
        self.finite: dict[int, int] = {}
        """For sets of arguments the slot of a result that is finite where all of them are, and only there."""

    def known(self, value: int) -> float | None:
        """Return the number of a constant, None for another value."""
        x = self.numbers.get(value >> 1)
        return -x if x is not None and value & 1 else x

    def number(self, x: float) -> int:
        """Return the value of a constant."""
        if self.lifts and x < 0.0:
            return 2 * self.constant(-x) + 1
        return 2 * self.constant(x)

    def constant(self, x: float) -> int:
        """Return the slot of a constant."""
        key = repr(x)
        slot = self._slots.get(key)
        if slot is None:
            slot = self._slots[key] = self.entered(None, (), abs(x) if abs(x) <= BIG else math.inf, 0)
            self.numbers[slot] = x
        return slot

    def taken_apart(self, op: Op, given: Sequence[int]) -> list[int]:
        """Return operands without what they owe, where the result owes it instead."""
        static = [x for value in given[op.arity - op.static :] if (x := self.known(value)) is not None]
        passes = facts(op, tuple(static) if op.static else ()).nan_passes
        return [self.without_debts(x) if passes[i] and x >> 1 in self.owed else x for i, x in enumerate(given)]

    def without_debts(self, value: int) -> int:
        """Return a value without what it owes: the result in hand owes it."""
        if value >> 1 not in self.owed:
            return value
        base, arguments = self.owed[value >> 1]
        self.owing |= arguments
        return base ^ (value & 1)

    def owes(self, value: int, arguments: int) -> int:
        """Return a value that is nan where one of these arguments is inf or nan, and else the given one."""
        if value >> 1 in self.owed:
            base, own = self.owed[value >> 1]
            value, arguments = base ^ (value & 1), arguments | own
        slot = value >> 1
        arguments &= ~self.nan[slot]
        if not arguments:
            return value
        key = ("owed", value, arguments)
        owing = self._slots.get(key)
        if owing is None:
            owing = self._slots[key] = self.entered(None, (), self.sizes[slot], self.depends[slot] | arguments)
            self.nan[owing] = self.nan[slot] | arguments
            self.infinite[owing] = self.infinite[slot] | arguments
            self.hidden[owing] = self.hidden[slot]
            self.owed[owing] = value, arguments
        return 2 * owing

    def entered(self, op: Op | None, operands: tuple[int, ...], size: float, depends: int) -> int:
        """Return the new slot of a result."""
        self.instructions.append((op, operands))
        self.sizes.append(size)
        if self.tracks:
            self.depends.append(depends)
            self.nan.append(0)
            self.infinite.append(0)
            self.hidden.append(0)
        return len(self.instructions) - 1

    def plain(self, value: int) -> int:
        """Return the slot that holds a value itself."""
        slot = value >> 1
        if slot in self.owed:
            base, arguments = self.owed[slot]
            return self.paid(self.plain(base ^ (value & 1)), arguments)
        if not value & 1:
            return slot
        return self.constant(-self.numbers[slot]) if slot in self.numbers else self.emitted(ops.neg, (slot,))

    def owes_alone(self, value: int) -> bool:
        """Return True if a value is a constant but for what it owes."""
        return value >> 1 in self.owed and self.owed[value >> 1][0] >> 1 in self.numbers

    def paid(self, slot: int, arguments: int) -> int:
        """Return the slot of a sum with 0 times each of these arguments, or with 0 times what is finite unless one of
        them is not."""
        total = -1 if self.numbers.get(slot) == 0.0 else slot
        known = self.finite.get(arguments, 0) if arguments & (arguments - 1) else 0
        while arguments:
            if known:
                last, factor = arguments, known
            else:
                last = arguments & -arguments
                factor = last.bit_length() - 1
            arguments ^= last
            term = self.emitted(ops.mul, (self.constant(0.0), factor))
            total = term if total < 0 else self.emitted(ops.add, (total, term))
        return total

    def applied(self, op: Op, given: Sequence[int]) -> int:
        """Return the value of an op of these values, as they are."""
        return 2 * self.emitted(op, tuple([self.plain(value) for value in given]))

    def emitted(self, op: Op, operands: tuple[int, ...]) -> int:
        """Return the slot of an op of these slots, which is the known one where there is one."""
        key = (op, *operands)
        if op in _COMMUTE and operands[0] > operands[1]:
            key = (op, operands[1], operands[0])
        slot = self._slots.get(key)
        if slot is None:
            depends = 0
            if self.tracks:
                for operand in operands:
                    depends |= self.depends[operand]
            size = math.inf if self.signed_zeros else self.size(op, operands)
            slot = self._slots[key] = self.entered(op, operands, size, depends)
            if self.tracks:
                self.track(slot, op, operands)
        return slot

    def size(self, op: Op, operands: tuple[int, ...]) -> float:
        """Return a bound of a result's size wherever all arguments are finite; inf where it may be inf or nan."""
        sizes = [self.sizes[slot] for slot in operands]
        if max(sizes) > BIG:
            return math.inf
        if op.range is not None:
            return max(map(abs, op.range))
        bound = _SIZES.get(op)
        found = math.inf if bound is None else bound(*sizes)
        if op is ops.div and operands[1] in self.numbers and sizes[1]:
            found = sizes[0] / sizes[1]
        elif op is ops.constant_power and (power := self.numbers[operands[1]]) >= 0.0 and power.is_integer():
            try:
                found = sizes[0] ** power
            except OverflowError:
                found = math.inf
        return found if found <= BIG else math.inf

    def track(self, slot: int, op: Op, operands: tuple[int, ...]) -> None:
        """Enter the arguments that make a result nan, or inf or nan, and those that it hides."""
        static = () if not op.static else tuple([self.numbers[i] for i in operands[op.arity - op.static :]])
        known = facts(op, static)
        nan = infinite = hidden = 0
        product = op is ops.multiply_no_nan or op is ops.zero_product  # it is 0 where a factor is, and hides no more
        for i, operand in enumerate(operands):
            hidden |= self.hidden[operand]
            if self.depends[operand] and not product:
                if op is ops.where or not known.nan_passes[i]:
                    hidden = EVERY
                elif not (known.inf_passes[i] or known.inf_is_nan[i]):
                    hidden |= self.depends[operand]
            if known.nan_passes[i]:
                nan |= self.infinite[operand] if known.inf_is_nan[i] else self.nan[operand]
                infinite |= self.infinite[operand] if known.inf_passes[i] else 0
        if op is ops.mul and 0.0 in (self.numbers.get(operands[0]), self.numbers.get(operands[1])):
            nan |= self.infinite[operands[0]] | self.infinite[operands[1]]  # 0 * inf
        self.nan[slot] = nan
        self.hidden[slot] = hidden
        self.infinite[slot] = infinite | nan
        if self.sizes[slot] <= BIG and self.depends[slot] == infinite | nan:
            self.finite[self.depends[slot]] = slot

    # Properties of values, where the sign of a zero may differ.

    def vanishes(self, value: int) -> bool:
        """Return True if 0 times a value is 0, but nan where the result in hand owes it."""
        slot = value >> 1
        if not self.tracks or self.exact or self.sizes[slot] > BIG or self.infinite[slot] != self.depends[slot]:
            return False
        self.owing |= self.depends[slot]
        return True

    def bounded(self, value: int) -> bool:
        """Return True if a value is finite wherever all arguments are."""
        return self.sizes[value >> 1] <= BIG

    def follows(self, value: int, other: int) -> bool:
        """Return True if a value is finite but where another, or the result in hand, is to be nan.

        With finite arguments: if it is for these, and no choice or limit makes the other one 0 where it is not.
        """
        slot = value >> 1
        if slot in self.numbers:
            return self.bounded(value)
        if self.finite_arguments:
            return self.tracks and self.bounded(value) and not self.depends[slot] & self.hidden[other >> 1]
        covered = self.nan[other >> 1] | self.owing if self.tracks else 0
        return self.tracks and self.bounded(value) and not self.depends[slot] & ~covered


_COMMUTE: Final = (ops.add, ops.mul, ops.zero_product)

_SIZES: Final[dict[Op, Callable[..., float]]] = {
    ops.add: lambda x, y: x + y,
    ops.sub: lambda x, y: x + y,
    ops.mul: lambda x, y: x * y,
    ops.multiply_no_nan: lambda x, y: x * y,
    ops.zero_product: lambda x, y: x * y,
    ops.neg: lambda x: x,
    ops.abs: lambda x: x,
    ops.relu: lambda x: x,
    ops.maximum: max,
    ops.minimum: max,
    ops.where: lambda _, x, y: max(x, y),
}
