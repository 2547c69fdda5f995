"""The text of a tape as one row of numbers, and the text that a loop stands for: predicted, and compared with it.

The row has the number of a shape, then the cells of that instruction, and so on. An element is a *skeleton*, which
statements are nested how, and *leaves*, all its numbers: cells, and for a loop its count, then the leaves of its body.
So two rows of a triangle have one skeleton, and a count is a leaf like any other.
"""

from __future__ import annotations

from typing import Any, Final

from microgrid.compiler.leaves import Leaf, at
from microgrid.compiler.tape import SPACES, Tape
from microgrid.core.packages import library

BLOCK: Final = 8192
"""Numbers of the text that are made a list at once, where some are looked at one by one."""


class Element:
    """A statement or a loop that was found, and where it begins and ends in the text."""

    def __init__(self, skeleton: int, leaves: list[Leaf], first: int, end: int) -> None:
        self.skeleton = skeleton
        self.leaves = leaves
        self.first = first
        self.end = end


class Skeletons:
    """The numbers of a tape, and the skeletons of what was found in it."""

    def __init__(self, tape: Tape) -> None:
        self.np: Any = library("numpy", "compile")
        self.array: Any
        self.array, starts = tape.text()
        self.starts: bytes = starts.tobytes()
        """1 where an instruction starts."""
        self.size: int = len(self.array)
        self._blocks: list[list[int] | None] = [None] * (self.size // BLOCK + 1)
        sizes = [1 + len(shape.operands) for shape in tape.shapes]
        self._more: int = 1 + max(sizes, default=0)
        numbers = {space: number for number, space in enumerate(SPACES)}
        self.spaces = [[numbers[space] for space in (shape.target, *shape.operands)] for shape in tape.shapes]
        """Numbers of the spaces of target and operands, by shape."""
        # Skeletons by number; those of statements are the shapes of the tape.
        self.bodies: list[tuple[int, ...]] = [() for _ in sizes]
        self.sizes: list[int] = sizes
        """Numbers of leaves."""
        self.depths: list[list[int]] = [[0] * size for size in sizes]
        """Number of loops around each leaf."""
        self.counts: list[list[int]] = [[] for _ in sizes]
        """The places of counts among the leaves."""
        self._known: dict[tuple[int, ...], int] = {}

    def block(self, place: int) -> list[int]:
        """Return the numbers of the text from the block of a place on, an instruction more than a block."""
        number = place // BLOCK
        block = self._blocks[number]
        if block is None:
            begin = number * BLOCK
            block = self._blocks[number] = self.array[begin : begin + BLOCK + self._more].tolist()
        return block

    def statement(self, place: int) -> Element:
        """Return the instruction that starts at a place."""
        block, begin = self.block(place), place % BLOCK
        skeleton = block[begin]
        size = self.sizes[skeleton]
        return Element(skeleton, block[begin + 1 : begin + 1 + size], place, place + 1 + size)

    def loop_over(self, body: tuple[int, ...]) -> int:
        """Return the skeleton of a loop."""
        number = self._known.get(body, -1)
        if number < 0:
            number = self._known[body] = len(self.bodies)
            depths, counts = [0], [0]
            for child in body:
                counts.extend([len(depths) + place for place in self.counts[child]])
                depths.extend([depth + 1 for depth in self.depths[child]])
            self.bodies.append(body)
            self.sizes.append(len(depths))
            self.depths.append(depths)
            self.counts.append(counts)
        return number

    def statements(self, skeleton: int) -> int:
        """Return how many statements a skeleton has."""
        body = self.bodies[skeleton]
        return sum([self.statements(child) for child in body]) if body else 1

    def is_rectangular(self, skeleton: int, leaves: list[Leaf]) -> bool:
        """Return True if the loops within this one have counts that are plain numbers."""
        return not any(place and not isinstance(leaves[place], int) for place in self.counts[skeleton])

    def width(self, body: tuple[int, ...], leaves: list[Leaf], begin: int) -> int:
        """Return how many numbers an iteration takes in the text, if all loops in it have counts that are numbers;
        -1 if such a count is negative. The leaves of the body begin at a place."""
        total = 0
        for child in body:
            if self.bodies[child]:
                count: int = leaves[begin]
                if count < 0:
                    return -1
                inner = self.width(self.bodies[child], leaves, begin + 1)
                if inner < 0:
                    return -1
                total += count * inner
            else:
                total += 1 + self.sizes[child]
            begin += self.sizes[child]
        return total

    def rows(self, body: tuple[int, ...], leaves: list[Leaf], begin: int, points: list[Any], n: int) -> Any:
        """Return the text of a rectangular body, a row for each of n points, which are arrays of the counters around,
        innermost first."""
        np = self.np
        base: list[int] = []
        places: dict[tuple[int, ...], list[int]] = {}
        coefficients: dict[tuple[int, ...], list[int]] = {}
        nested: list[tuple[int, int, Any]] = []
        for child in body:
            size = self.sizes[child]
            if self.bodies[child]:
                times: int = leaves[begin]
                if n * times:
                    inner = [np.tile(np.arange(times), n), *[np.repeat(point, times) for point in points]]
                    block = self.rows(self.bodies[child], leaves, begin + 1, inner, n * times).reshape(n, -1)
                    width: int = block.shape[1]
                    nested.append((len(base), width, block))
                    base.extend([0] * width)
            else:
                base.append(child)
                for place in range(begin, begin + size):
                    leaf = leaves[place]
                    if isinstance(leaf, int):
                        base.append(leaf)
                    else:
                        for key, c in leaf.items():
                            if key not in places:
                                places[key] = []
                                coefficients[key] = []
                            places[key].append(len(base))
                            coefficients[key].append(c)
                        base.append(0)
            begin += size
        found = np.empty((n, len(base)), dtype=np.int64)
        found[:] = base
        for key, columns in places.items():
            product: Any = 1
            for e, point in zip(key, points, strict=True):
                if e == 1:
                    product = product * point
                elif e == 2:
                    product = product * (point * (point - 1) // 2)
                elif e == 3:
                    product = product * (point * (point - 1) * (point - 2) // 6)
            found[:, columns] += np.multiply.outer(product, np.array(coefficients[key]))
        for start, width, block in nested:
            found[:, start : start + width] = block
        return found

    def length(self, body: tuple[int, ...], leaves: list[Leaf], begin: int = 0) -> int:
        """Return how many numbers a body takes in the text; -1 where a count is negative."""
        total = 0
        for child in body:
            inner = self.bodies[child]
            if inner:
                count: int = leaves[begin]
                own = leaves[begin : begin + self.sizes[child]]
                if count < 0:
                    return -1
                if self.is_rectangular(child, own):
                    part = self.width(inner, own, 1)
                    if part < 0:
                        return -1
                    total += count * part
                else:
                    for k in range(count):
                        part = self.length(inner, [at(leaf, k) for leaf in own[1:]])
                        if part < 0:
                            return -1
                        total += part
            else:
                total += 1 + self.sizes[child]
            begin += self.sizes[child]
        return total

    def match(self, body: tuple[int, ...], leaves: list[Leaf], place: int) -> int:
        """Return where a body ends if it stands in the text from a place on; else -1."""
        begin = 0
        for child in body:
            size = self.sizes[child]
            own = leaves[begin : begin + size]
            begin += size
            inner = self.bodies[child]
            if not inner:
                if place + 1 + size > self.size:
                    return -1
                block, at_place = self.block(place), place % BLOCK
                if block[at_place] != child or block[at_place + 1 : at_place + 1 + size] != own:
                    return -1
                place += 1 + size
                continue
            count: int = own[0]
            if count < 0:
                return -1
            if self.is_rectangular(child, own):
                width = self.width(inner, own, 1)
                end = place + count * width
                if width < 0 or end > self.size:
                    return -1
                if count and not self.np.array_equal(
                    self.array[place:end], self.rows(inner, own, 1, [self.np.arange(count)], count).ravel()
                ):
                    return -1
                place = end
            else:
                for k in range(count):
                    place = self.match(inner, [at(leaf, k) for leaf in own[1:]], place)
                    if place < 0:
                        return -1
        return place

    def before(self, loop: Element) -> int:
        """Return where the iteration before the first starts, if it stands in the text; else -1."""
        body = self.bodies[loop.skeleton]
        if self.is_rectangular(loop.skeleton, loop.leaves):
            width = self.width(body, loop.leaves, 1)
            start = loop.first - width
            if width <= 0 or start < 0 or not self.starts[start]:
                return -1
            row = self.rows(body, loop.leaves, 1, [self.np.array([-1])], 1)
            return start if self.np.array_equal(self.array[start : loop.first], row[0]) else -1
        leaves = [at(leaf, -1) for leaf in loop.leaves[1:]]
        length = self.length(body, leaves)
        start = loop.first - length
        if length <= 0 or start < 0 or not self.starts[start]:
            return -1
        return start if self.match(body, leaves, start) == loop.first else -1

    def ahead(self, loop: Element) -> tuple[int, int]:
        """Return how many more iterations stand in the text behind a loop, and where they end."""
        body, leaves, np = self.bodies[loop.skeleton], loop.leaves, self.np
        first: int = leaves[0]
        count, end, size = first, loop.end, self.size
        if self.is_rectangular(loop.skeleton, leaves):
            width = self.width(body, leaves, 1)
            chunk = 1
            while width > 0:  # twice as many each time
                chunk = min(2 * chunk, (size - end) // width)
                if not chunk:
                    break
                ours = self.rows(body, leaves, 1, [np.arange(count, count + chunk)], chunk)
                wrong = (self.array[end : end + chunk * width].reshape(chunk, width) != ours).any(axis=1)
                good = int(wrong.argmax()) if wrong.any() else chunk
                count += good
                end += good * width
                if good < chunk:
                    break
        else:
            while end < size:
                after = self.match(body, [at(leaf, count) for leaf in leaves[1:]], end)
                if after <= end:
                    break
                count += 1
                end = after
        return count - first, end
