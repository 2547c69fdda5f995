"""From a tape to the words of an interpreter: slots by liveness, sums of products as one instruction.

One pass from the end to the beginning does all of it. A result has a slot from its last use on, so one without a slot
is needed by nobody; the slot is free again before the instruction that makes the result, whose operands may take it.
Where a sum takes products, or sums of products, that nobody else uses, they are computed with it, and have no slot.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from microgrid.compiler.code import SUMMED
from microgrid.compiler.interpreter import POWERS, TERMS, WORD, Handler
from microgrid.compiler.stages import interruptible
from microgrid.compiler.tape import ONCE, PASSED, Tape
from microgrid.core.packages import library

PINNED = ("x", "p", "c", "s", "d")
"""Spaces with slots of their own, in their order."""

LONGEST = max(map(len, TERMS))

_SIGNS = {SUMMED["mul"]: "+", SUMMED["neg"]: "-"}
"""The sign of a product that is added to the last operand."""


class Encoded(NamedTuple):
    """Instructions: the number of a handler each, and in `fields` slots for all words, four for each word."""

    handlers: list[Handler]
    instructions: list[int]
    fields: list[int]
    outputs: list[int]
    """Slots of the outputs."""
    constants: list[float]
    slots: int

    def used(self) -> list[Handler]:
        """Return the handlers that instructions have."""
        return [self.handlers[i] for i in sorted(set(self.instructions))]


def encode(tape: Tape, strict: bool) -> Encoded:
    """Return the instructions of a tape."""
    return _Encoder(tape, strict).encoded()


class _Encoder:
    def __init__(self, tape: Tape, strict: bool) -> None:
        self.strict = strict
        self.tape = tape
        self.handlers: list[Handler] = []
        self.known: dict[Handler, int] = {}
        self.numbers: dict[str, int] = {}
        at = 0
        self.constants, places = _distinct(tape.constants)
        sizes = dict(tape.sizes)
        for space in PINNED:
            self.numbers[space] = at
            at += len(self.constants) if space == "c" else max(sizes[space], int(space == "s"))
        self.pinned = at
        for space in ONCE:
            self.numbers[space] = at
            at += sizes[space]
        self.sums = at
        """Numbers from here on are those of cells that are written several times."""
        for space in ("a", "y"):
            self.numbers[space] = at
            at += sizes[space]
        first = self.numbers["c"]
        self.numbers["c"] = at  # occurrences, each of which is another name of a constant
        self.names = [*range(at), *[first + place for place in places]]
        """For each cell the one that has its number: identities are names."""
        self.slot: list[int] = [*range(self.pinned), *[-1] * (at - self.pinned)]
        """The slot of each cell, -1 where it has none."""
        self.free: list[int] = []
        self.slots = self.pinned
        self.targets: list[int] = []
        self.operands: list[tuple[int, ...]] = []
        self.kinds: list[int] = []
        self.uses = [0] * at
        self.maker = [-1] * at
        """The instruction that makes a product, a sum or a difference."""

    def encoded(self) -> Encoded:
        """Return the instructions."""
        self.read()
        outputs = []
        for cell in range(self.numbers["y"], self.numbers["y"] + self.tape.sizes["y"]):
            name = self.names[cell]
            if self.slot[name] < 0:
                self.slot[name] = self.new()
            outputs.append(self.slot[name])
        instructions, fields = self.written()
        return Encoded(self.handlers, instructions, fields, outputs, self.constants, self.slots)

    def handler(self, handler: Handler) -> int:
        """Return the number of a handler."""
        number = self.known.get(handler)
        if number is None:
            number = self.known[handler] = len(self.handlers)
            self.handlers.append(handler)
        return number

    def read(self) -> None:
        """Take the steps, with the names of cells in place of these, and without identities."""
        names, uses, maker, tape = self.names, self.uses, self.maker, self.tape
        kinds, targets, operands_of = self.kinds, self.targets, self.operands
        bases = [tuple([self.numbers[space] for space in (shape.target, *shape.operands)]) for shape in tape.shapes]
        handlers, named, made = [], [], []
        for shape in tape.shapes:
            start = "sum" if shape.adds else "zero" if shape.target == "y" and shape.op in PASSED else ""
            terms = _SIGNS.get(shape.op, "")
            handlers.append(self.handler(Handler("terms", terms=terms) if terms else Handler(shape.op, start)))
            named.append(shape.op == "identity" and not shape.adds and shape.operands[0] != "a")
            made.append(shape.op in ("mul", "add", "sub") and shape.target in ONCE)
        power_op = self.handler(Handler("constant_power"))
        first = self.numbers["c"]
        for number, cells in interruptible(tape.steps):
            base = bases[number]
            target = base[0] + cells[0]
            if named[number]:
                names[target] = names[base[1] + cells[1]]
                continue
            operands = tuple([names[b + cell] for b, cell in zip(base[1:], cells[1:], strict=True)])
            for operand in operands:
                uses[operand] += 1
            kind = handlers[number]
            if tape.shapes[number].op in _SIGNS:
                operands = (operands[2], *operands[:2])
            if made[number]:
                maker[target] = len(kinds)
            elif kind == power_op and not self.strict:
                power = tape.constants[base[2] + cells[2] - first]
                if power in POWERS:
                    kind, operands = self.handler(Handler("constant_power", power=power)), operands[:1]
            kinds.append(kind)
            targets.append(target)
            operands_of.append(operands)
        for cell in range(self.numbers["y"], self.numbers["y"] + tape.sizes["y"]):
            uses[names[cell]] += 1
        self.product = self.known.get(Handler("mul"), -1)
        self.plus = self.known.get(Handler("add"), -1)
        self.minus = self.known.get(Handler("sub"), -1)
        self.terms = {signs: self.handler(Handler("terms", terms=signs)) for signs in TERMS}

    def written(self) -> tuple[list[int], list[int]]:
        """Return the instructions, with slots in place of cells."""
        slot, free, pinned = self.slot, self.free, self.pinned
        adds = [handler.start == "sum" for handler in self.handlers]
        words = [4 * handler.words for handler in self.handlers]
        instructions: list[int] = []
        fields: list[int] = []
        plus, minus = self.plus, self.minus
        for k in range(len(self.kinds) - 1, -1, -1):
            target = self.targets[k]
            mine = slot[target]
            if mine < 0:
                continue  # nobody needs it, or whoever does computes it
            kind = self.kinds[k]
            operands = self.operands[k]
            if kind in (plus, minus):
                kind, operands = self.summed(k, kind, operands)
            if target >= pinned and not adds[kind]:
                slot[target] = -1
                free.append(mine)
            row = [mine]
            for operand in operands:
                place = slot[operand]
                if place < 0:
                    place = slot[operand] = free.pop() if free else self.new()
                row.append(place)
            row += [0] * (words[kind] - len(row))
            row.reverse()
            instructions.append(kind)
            fields += row
        instructions.reverse()
        fields.reverse()
        return instructions, fields

    def new(self) -> int:
        """Return a slot that was never in use."""
        self.slots += 1
        return self.slots - 1

    def summed(self, k: int, kind: int, operands: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
        """Return a sum or difference with the products in it, and in the sums that it adds to, if nobody needs them."""
        signs = ""
        pairs: list[tuple[int, ...]] = []
        rests: list[int] = []
        while len(pairs) < LONGEST:
            first, second = operands
            if self.absorbed(second):
                pairs.append(self.operands[self.maker[second]])
                rest = first
                signs = ("+" if kind == self.plus else "-") + signs
            elif kind == self.plus and self.absorbed(first):
                pairs.append(self.operands[self.maker[first]])
                rest = second
                signs = "+" + signs
            else:
                break
            rests.append(rest)
            k = self.maker[rest]
            if k < 0 or self.uses[rest] != 1 or self.kinds[k] not in (self.plus, self.minus):
                break
            kind, operands = self.kinds[k], self.operands[k]
            if operands[0] >= self.sums or operands[1] >= self.sums:
                break
        for end in TERMS:
            if signs.endswith(end):
                count = len(end)
                flat = [cell for pair in reversed(pairs[:count]) for cell in pair]
                return self.terms[end], (rests[count - 1], *flat)
        return kind, operands

    def absorbed(self, cell: int) -> bool:
        """Return True if a cell is a product for one sum alone, whose factors do not change until then."""
        k = self.maker[cell]
        if k < 0 or self.uses[cell] != 1 or self.kinds[k] != self.product:
            return False
        return all(factor < self.sums for factor in self.operands[k])


def _distinct(constants: Sequence[float]) -> tuple[list[float], list[int]]:
    """Return the different constants, to the bit, and the place of each one among them."""
    np: Any = library("numpy", "compile")
    bits, places = np.unique(np.array(constants, dtype=float).view(np.int64), return_inverse=True)
    return bits.view(np.float64).tolist(), places.tolist()


def words_of(encoded: Encoded, addresses: Sequence[int], end: int, lanes: int) -> Any:
    """Return the words in memory, for handlers at these addresses; the last word ends them all.

    Raises MemoryError for more slots than the offsets reach.
    """
    np: Any = library("numpy", "compile")
    if encoded.slots * 8 * lanes > 1 << 32:  # offsets have 32 bits
        raise MemoryError(
            f"{encoded.slots:,} numbers are needed at once, more than can be interpreted in {lanes} lanes"
        )
    count = np.array([handler.words for handler in encoded.handlers], dtype=np.int64)
    instructions = np.array(encoded.instructions, dtype=np.int64)
    every = np.repeat(instructions, count[instructions])
    words = np.zeros(len(every) + 1, dtype=[("handler", "<u8"), ("slots", "<u4", 4)])
    assert words.itemsize == WORD
    words["handler"][:-1] = np.array(addresses, dtype=np.uint64)[every]
    words["handler"][-1] = end
    words["slots"][:-1] = np.array(encoded.fields, dtype=np.int64).reshape(-1, 4) * (8 * lanes)
    return words
