"""Fewer instructions that compute the same, in one pass over them: identities, applied to value numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from microgrid import ops
from microgrid.core._mypyc import mypyc_attr
from microgrid.core.primitive import Op
from microgrid.graph.probing import ABSORBS, OBSERVES, facts
from microgrid.graph.value_numbers import ValueNumbers

TWICE: Final = 20_000
"""Maximum number of instructions that are simplified in both ways to write signs, to take the shorter result."""

Given = Sequence[tuple[Op, tuple[int, ...]]]
"""Instructions: an op, and the slots of its operands. Inputs have the first slots, then constants, then results."""


class Simplified(NamedTuple):
    """Constants, instructions, and the slots of outputs; and for each slot from before its slot now, -1 for none."""

    constants: list[float]
    instructions: list[tuple[Op, tuple[int, ...]]]
    outputs: list[int]
    places: list[int]


def simplified(
    inputs: int,
    constants: Sequence[float],
    instructions: Given,
    outputs: Sequence[int],
    signed_zeros: bool = True,
    finite_arguments: bool = False,
) -> Simplified:
    """Return equivalent instructions, as few as are found.

    With `signed_zeros` each output keeps its bits; without, the sign of an output that is zero may differ, small whole
    powers become products, and a product with 0 is 0 where the other factor is known to be finite.

    With `finite_arguments`, a product that is 0 where a factor is needs no test of it if the other one is finite for
    all finite arguments, and the first one is 0 by no choice or limit. Where an argument is inf or nan, a result may
    then be nan which the test kept from it. None loses a nan.
    """
    exact = _exactness(inputs, constants, instructions, outputs, signed_zeros)

    def passed(lifts: bool) -> Simplified:
        one = PASS(inputs, signed_zeros, lifts)
        one.finite_arguments = finite_arguments
        return one.run(constants, instructions, outputs, exact)

    best = passed(lifts=False)
    if len(instructions) <= TWICE:
        other = passed(lifts=True)
        if len(other.instructions) < len(best.instructions):
            return other
    return best


def certain_nans(
    inputs: int, constants: Sequence[float], instructions: Given, outputs: Sequence[int]
) -> list[list[int]]:
    """Return for each output the inputs that make it nan, for certain, where they are inf or nan."""
    values = ValueNumbers(inputs, False, False)
    places = [*range(inputs), *map(values.constant, constants)]
    for op, operands in instructions:
        places.append(values.emitted(op, tuple([places[slot] for slot in operands])))
    found = [values.nan[places[slot]] if values.tracks else 0 for slot in outputs]
    return [[i for i in range(bits.bit_length()) if bits >> i & 1] for bits in found]


DEAD, LOOSE, EXACT = 0, 1, 2


def _exactness(
    inputs: int, constants: Sequence[float], instructions: Given, outputs: Sequence[int], signed_zeros: bool
) -> list[int]:
    """Return for each instruction if nobody needs it; if the sign of its zero shows at most as that of an output's
    zero; else that it is to be exact."""
    first = inputs + len(constants)
    found = [DEAD] * (first + len(instructions))
    for slot in outputs:
        found[slot] = EXACT if signed_zeros else LOOSE
    for k in range(len(instructions) - 1, -1, -1):
        mine = found[first + k]
        if mine == DEAD:
            continue
        op, operands = instructions[k]
        effects = () if mine == EXACT and signed_zeros else facts(op, _static(op, operands, inputs, constants)).zero
        for i, slot in enumerate(operands):
            if signed_zeros or effects[i] == OBSERVES:
                found[slot] = EXACT
            elif found[slot] != EXACT:
                found[slot] = LOOSE if effects[i] == ABSORBS else mine
    return found[first:]


def _static(op: Op, operands: tuple[int, ...], inputs: int, constants: Sequence[float]) -> tuple[float, ...]:
    if not op.static:
        return ()
    return tuple([constants[slot - inputs] for slot in operands[op.arity - op.static :]])


@mypyc_attr(allow_interpreted_subclasses=True)
class _Pass(ValueNumbers):
    """One pass over instructions."""

    def run(
        self, constants: Sequence[float], instructions: Given, outputs: Sequence[int], exactness: Sequence[int]
    ) -> Simplified:
        values = [2 * i for i in range(self.inputs)]
        values += [self.number(x) for x in constants]
        for (op, operands), exact in zip(instructions, exactness, strict=True):
            if exact == DEAD:
                values.append(-1)
                continue
            self.exact = exact == EXACT
            given = [values[slot] for slot in operands]
            is_known = True
            for value in given:
                if value >> 1 in self.owed and not self.exact:
                    given = self.taken_apart(op, given)
                    break
            for value in given:
                if value >> 1 not in self.numbers:
                    is_known = False
                    break
            rewrite = _REWRITES.get(op)
            if is_known:
                value = self.number(op.float_forward(*[self.known(value) for value in given]))
            elif rewrite is not None:
                value = rewrite(self, *given)
            else:
                value = self.applied(op, given)
            values.append(self.owes(value, self.owing) if self.owing else value)
            self.owing = 0
        self.exact = self.signed_zeros
        order = sorted(outputs, key=lambda slot: self.owes_alone(values[slot]))  # last those that others may pay for
        slots = {slot: self.plain(values[slot]) for slot in order}
        return self.finished(values, [slots[slot] for slot in outputs])

    def finished(self, values: Sequence[int], outputs: Sequence[int]) -> Simplified:
        """Return what the outputs need, with slots renumbered."""
        needed = [False] * len(self.instructions)
        for slot in outputs:
            needed[slot] = True
        for slot in range(len(needed) - 1, self.inputs - 1, -1):
            if needed[slot]:
                for operand in self.instructions[slot][1]:
                    needed[operand] = True
        new = [-1] * len(needed)
        new[: self.inputs] = range(self.inputs)
        constants: list[float] = []
        for slot, x in self.numbers.items():
            if needed[slot]:
                new[slot] = self.inputs + len(constants)
                constants.append(x)
        instructions: list[tuple[Op, tuple[int, ...]]] = []
        first = self.inputs + len(constants)
        for slot, (op, operands) in enumerate(self.instructions):
            if op is not None and needed[slot]:
                new[slot] = first + len(instructions)
                instructions.append((op, tuple([new[i] for i in operands])))
        places = [-1 if value < 0 or value & 1 else new[value >> 1] for value in values]
        return Simplified(constants, instructions, [new[slot] for slot in outputs], places)

    # Rewriting of ops.

    def negated(self, value: int) -> int:
        slot = value >> 1
        if slot in self.numbers:
            return self.number(-self.numbers[slot] if not value & 1 else self.numbers[slot])
        if self.lifts or value & 1:
            return value ^ 1
        op, operands = self.instructions[slot]
        return 2 * operands[0] if op is ops.neg else 2 * self.emitted(ops.neg, (self.plain(value),))

    def seen_through(self, value: int) -> int:
        """Return a value as the negative of the operand where it is a negation."""
        op, operands = self.instructions[value >> 1]
        return (2 * operands[0] + 1) ^ (value & 1) if op is ops.neg else value

    def sum(self, x: int, y: int) -> int:
        a, b = self.known(x), self.known(y)
        for known, other in ((a, y), (b, x)):
            if known is not None and known == 0.0 and (not self.exact or repr(known) == "-0.0"):
                return other
        x, y = self.seen_through(x), self.seen_through(y)
        if not (x | y) & 1:
            return 2 * self.emitted(ops.add, (self.plain(x), self.plain(y)))
        if not x & 1:
            return self.difference_of_slots(self.plain(x), self.plain(y ^ 1))
        if not y & 1:
            return self.difference_of_slots(self.plain(y), self.plain(x ^ 1))
        if not self.exact:
            return 2 * self.emitted(ops.add, (self.plain(x ^ 1), self.plain(y ^ 1))) + 1
        return 2 * self.emitted(ops.sub, (self.plain(x), self.plain(y ^ 1)))

    def difference(self, x: int, y: int) -> int:
        return self.sum(x, self.negated(y) if y >> 1 in self.numbers else y ^ 1)

    def difference_of_slots(self, i: int, j: int) -> int:
        if not self.exact and (reverse := self._slots.get((ops.sub, j, i))) is not None:
            return 2 * reverse + 1
        return 2 * self.emitted(ops.sub, (i, j))

    def product(self, x: int, y: int) -> int:
        for known, other in ((self.known(x), y), (self.known(y), x)):
            if known is None:
                continue
            if known == 1.0:
                return other
            if known == -1.0:
                return self.negated(other)
            if known == 0.0 and self.vanishes(other):
                return self.number(0.0)
        return 2 * self.emitted(ops.mul, (self.unsigned(x), self.unsigned(y))) + ((x ^ y) & 1)

    def unsigned(self, value: int) -> int:
        """Return the slot of a value without its sign."""
        return self.plain(value & ~1)

    def quotient(self, x: int, y: int) -> int:
        known = self.known(y)
        if known == 1.0:
            return x
        if known == -1.0:
            return self.negated(x)
        return 2 * self.emitted(ops.div, (self.unsigned(x), self.unsigned(y))) + ((x ^ y) & 1)

    def passed(self, partial: int, carried: int) -> int:
        """Return partial * carried, which is 0 where `carried` is."""
        known = self.known(carried)
        if known is not None:
            return self.product(partial, carried) if known != 0.0 else self.number(0.0)
        if not self.exact:
            if self.follows(partial, carried):
                return self.product(self.without_debts(partial), carried)
            factors = self.unsigned(partial), self.unsigned(carried)
            return 2 * self.emitted(ops.multiply_no_nan, factors) + ((partial ^ carried) & 1)
        return self.applied(ops.multiply_no_nan, (partial, carried))

    def product_with_zeros(self, x: int, y: int) -> int:
        """Return x * y, which is 0 where one of them is."""
        a, b = self.known(x), self.known(y)
        if a == 0.0 or b == 0.0:
            return self.number(0.0)
        if b is not None or (not self.exact and self.follows(x, y)):
            return self.passed(y, x)
        if a is not None or (not self.exact and self.follows(y, x)):
            return self.passed(x, y)
        return self.applied(ops.zero_product, (x, y))

    def power(self, x: int, c: int) -> int:
        power = self.known(c)
        if power == 1.0:
            return x
        if power == 0.0:
            return self.number(1.0)
        if not self.signed_zeros and power in (2.0, 3.0, 4.0):
            square = self.product(x, x)
            return square if power == 2.0 else self.product(square, x if power == 3.0 else square)
        if not self.signed_zeros and power == -1.0:
            return self.quotient(self.number(1.0), x)
        return self.applied(ops.constant_power, (x, c))

    def absolute(self, x: int) -> int:
        return 2 * self.emitted(ops.abs, (self.unsigned(x),))

    def chosen(self, condition: int, x: int, y: int) -> int:
        known = self.known(condition)
        if known is not None:
            return self.number(math.nan) if known != known else x if known else y
        return self.applied(ops.where, (condition, x, y))


_REWRITES: Final[dict[Op, Callable[..., int]]] = {
    ops.identity: lambda self, x: x,
    ops.neg: lambda self, x: self.negated(x),
    ops.add: lambda self, x, y: self.sum(x, y),
    ops.sub: lambda self, x, y: self.difference(x, y),
    ops.mul: lambda self, x, y: self.product(x, y),
    ops.div: lambda self, x, y: self.quotient(x, y),
    ops.multiply_no_nan: lambda self, x, y: self.passed(x, y),
    ops.zero_product: lambda self, x, y: self.product_with_zeros(x, y),
    ops.constant_power: lambda self, x, y: self.power(x, y),
    ops.abs: lambda self, x: self.absolute(x),
    ops.where: lambda self, condition, x, y: self.chosen(condition, x, y),
}
"""Rewriting of ops: by methods, in whose place a subclass may have others."""

PASS: type[_Pass] = _Pass
"""The pass that is run: tests have one with an error here, to see that it would be found."""
