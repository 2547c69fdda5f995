"""Nested-loop recognition on the text of a tape: triangles, packed indices, bodies of any length.

After A. Ketterlin and P. Clauss, "Prediction and Trace Compression of Data Access Addresses through Nested Loop
Recognition", CGO 2008, section 3: instructions are pushed on a stack, and three or four like blocks become a loop, an
element like any other, so that loops nest. Beyond it, each number of a block is a polynomial in the counters, and so is
the count of a loop within. And a loop is not extended by what comes next on the stack: its next iteration, and the one
before its first, is predicted and compared with the text. So inner loops of two, one or no iterations need not be
recognised, and a long loop costs a comparison of arrays.

A block's period is found by hashes: the distances to the places where the last 1, 4, 16, ... skeletons stood before.
"""

from __future__ import annotations

from typing import Final

from microgrid.compiler.leaves import Leaf, at, earlier, fit, later
from microgrid.compiler.prediction import BLOCK, Element, Skeletons
from microgrid.compiler.tape import Tape

GRAMS: Final = (1, 4, 16, 64, 256, 1024)
"""Numbers of skeletons that are looked up at once."""

RECENT: Final = (4, 4, 2, 2, 2, 2)
"""Numbers of last places, for each of them, that give a length to try."""

LONG: Final = 32
"""From this length on, a body that did not repeat is tried again only after an eighth of its length."""

UNKNOWN: Final = -2
"""No place in the text."""

MODULUS: Final = (1 << 31) - 1
FACTOR: Final = 1_000_003_979
"""Modulus and factor of the hash of a sequence of skeletons. Equal hashes are only a hint."""


class Stack(Skeletons):
    """Elements one after the other; the end of the last one is how far the text is read."""

    def __init__(self, tape: Tape) -> None:
        super().__init__(tape)
        self.elements: list[Element] = []
        self.hashes = [0]
        """Hashes of the skeletons from the bottom up to each place."""
        self.powers = [1]
        self.places: list[dict[int, list[int]]] = [{} for _ in GRAMS]
        """Sizes of the stack at which a gram stood on top, by its hash."""
        self.keys: list[int] = []
        """The hashes of the grams on top."""
        self.failed: dict[int, int] = {}
        """Size of the stack from which on a length that failed is tried again."""

    def run(self, stop: int = -1) -> None:
        """Find the loops, in one pass; of the text up to a place at least where one is given. It may go on later."""
        place = self.elements[-1].end if self.elements else 0
        size = self.size if stop < 0 else stop
        while place < size:
            self.push(self.statement(place))
            while self.fold():
                pass
            place = self.elements[-1].end

    def statements_found(self) -> int:
        """Return how many statements there are so far, those in loops once."""
        return sum([self.statements(element.skeleton) for element in self.elements])

    def push(self, element: Element) -> None:
        """Put an element on top."""
        self.elements.append(element)
        size = len(self.elements)
        self.hashes.append((self.hashes[-1] * FACTOR + element.skeleton + 1) % MODULUS)
        if size >= len(self.powers):
            self.powers.append(self.powers[-1] * FACTOR % MODULUS)
        self.keys.clear()
        for i in range(len(GRAMS)):
            gram = GRAMS[i]
            if gram > size:
                break
            key = self.hash(size - gram, size)
            self.keys.append(key)
            found = self.places[i].get(key)
            if found is None:
                self.places[i][key] = [size]
                continue
            while found and found[-1] >= size:  # from before the stack shrank
                found.pop()
            found.append(size)

    def drop(self, size: int) -> None:
        """Leave so many elements."""
        del self.elements[size:]
        del self.hashes[size + 1 :]
        self.failed.clear()

    def hash(self, start: int, end: int) -> int:
        """Return the hash of the skeletons from start to end."""
        return (self.hashes[end] - self.hashes[start] * self.powers[end - start]) % MODULUS

    def candidates(self) -> list[int]:
        """Return the lengths that the body of a loop ending here may have, the shortest first."""
        size = len(self.elements)
        lengths: set[int] = set()
        for i in range(len(self.keys)):
            found = self.places[i][self.keys[i]]
            n = len(found)
            if n < 2:
                break
            for k in range(max(0, n - 1 - RECENT[i]), n - 1):
                lengths.add(size - found[k])
        return sorted(lengths)

    def fold(self) -> bool:
        """Fold the last elements into a loop; return True if they were like blocks whose leaves are polynomials."""
        elements, size = self.elements, len(self.elements)
        last = elements[size - 1].skeleton
        for n in self.candidates():
            if 3 * n > size or elements[size - 1 - 2 * n].skeleton != last or self.failed.get(n, 0) > size:
                continue
            mine = self.hash(size - n, size)
            if self.hash(size - 2 * n, size - n) != mine or self.hash(size - 3 * n, size - 2 * n) != mine:
                continue
            for blocks in (3, 4):
                if blocks == 4 and (4 * n > size or self.hash(size - 4 * n, size - 3 * n) != mine):
                    continue
                if not self.is_plausible(n, blocks):
                    continue
                loop = self.loop(n, blocks)
                if loop is not None:
                    self.drop(size - n * blocks)
                    self.extend(loop)
                    self.push(loop)
                    return True
            if n > LONG:
                self.failed[n] = size + n // 8  # else a long body with odd numbers would cost its length at each push
        return False

    def is_plausible(self, n: int, blocks: int) -> bool:
        """Return True if the statements at the blocks' ends advance evenly, or to what the text has next to the blocks.

        `loop` would find out as well; this rejects nearly all that it would, mostly after a look at one statement.
        """
        base = len(self.elements) - n * blocks
        return self._goes_on(n, blocks, base, -1) or self._goes_on(n, blocks, base, 1)

    def _goes_on(self, n: int, blocks: int, base: int, step: int) -> bool:
        """Compare from the blocks' last statements back (step -1), or from their first ahead."""
        elements = self.elements
        place = elements[base].first if step < 0 else elements[base + n * blocks - 1].end
        for k in range(n):
            i = base + (n - 1 - k if step < 0 else k)
            a, b, c = elements[i], elements[i + n], elements[i + 2 * n]
            d = elements[i + 3 * n] if blocks == 4 else c
            size = len(a.leaves)
            if self.bodies[a.skeleton]:
                place = self._loop_goes_on([a, b, c, d][:blocks], step, place)
                if place < 0:
                    return place == UNKNOWN
                continue
            if step < 0:
                place -= 1 + size
            uneven = False
            for j in range(size):
                p: int = a.leaves[j]
                q: int = b.leaves[j]
                r: int = c.leaves[j]
                if blocks == 3:
                    if r - 2 * q + p != 0:
                        uneven = True
                        break
                else:
                    s: int = d.leaves[j]
                    if s - 3 * r + 3 * q - p != 0:
                        uneven = True
                        break
            if uneven:
                if place < 0 or place + size >= self.size or not self.starts[place]:
                    return False
                block, begin = self.block(place), place % BLOCK
                if block[begin] != a.skeleton:
                    return False
                for j in range(size):
                    p, q, r = a.leaves[j], b.leaves[j], c.leaves[j]
                    if step < 0:
                        p, r = r, p
                    if blocks == 3:
                        there = 3 * r - 3 * q + p
                    else:
                        s = d.leaves[j]
                        if step < 0:  # s, p, q, r stand for the values from the far end to the near one
                            s, p, q, r = a.leaves[j], d.leaves[j], c.leaves[j], b.leaves[j]
                        there = 4 * s - 6 * r + 4 * q - p
                    if block[begin + 1 + j] != there:
                        return False
            if step > 0:
                place += 1 + size
        return True

    def _loop_goes_on(self, given: list[Element], step: int, place: int) -> int:
        """Return where the text goes on beside the loop that comes next to these, which end or begin at a place; -1 if
        it must be there and is not, `UNKNOWN` if the place is."""
        skeleton, blocks = given[0].skeleton, len(given)
        depths = self.depths[skeleton]
        next_leaves: list[Leaf] = []
        uneven = False
        for j in range(len(depths)):
            leaf, degree = fit([element.leaves[j] for element in given], depths[j])
            if degree < 0:
                return -1
            uneven = uneven or degree == blocks - 1
            next_leaves.append(at(leaf, -1 if step < 0 else blocks))
        start = place
        if step < 0 or not uneven:
            length = self.length((skeleton,), next_leaves)
            start = place - length if step < 0 else place
            if length < 0 or start < 0:
                return -1 if uneven else UNKNOWN
            if not uneven:
                return start if step < 0 else place + length
        end = self.match((skeleton,), next_leaves, start)
        return end if step > 0 or end < 0 else start

    def loop(self, n: int, blocks: int) -> Element | None:
        """Return the loop of the last blocks of n elements; None where their leaves are no polynomials.

        One block more than a polynomial is made of must confirm it: where it runs through any numbers, the iteration
        before or behind them.
        """
        top = self.elements[-n * blocks :]
        body = tuple([element.skeleton for element in top[:n]])
        for i in range(n, n * blocks):
            if top[i].skeleton != body[i % n]:  # two sequences with one hash
                return None
        skeleton = self.loop_over(body)
        depths = self.depths[skeleton]
        leaves: list[Leaf] = [blocks]
        highest = 0
        for i in range(n):
            for j in range(len(top[i].leaves)):
                leaf, degree = fit([top[i + k * n].leaves[j] for k in range(blocks)], depths[len(leaves)] - 1)
                if degree < 0:
                    return None
                leaves.append(leaf)
                highest = max(highest, degree)
        for place in self.counts[skeleton]:
            count = leaves[place]
            if not isinstance(count, int):
                for key in count:
                    if sum(key) > 1:
                        return None
        loop = Element(skeleton, leaves, top[0].first, top[-1].end)
        if highest == blocks - 1 and self.before(loop) < 0 and self.ahead_once(loop) < 0:
            return None
        return loop

    def ahead_once(self, loop: Element) -> int:
        """Return where the iteration behind the last one ends, if it stands in the text; else -1."""
        count: int = loop.leaves[0]
        return self.match(self.bodies[loop.skeleton], [at(leaf, count) for leaf in loop.leaves[1:]], loop.end)

    def extend(self, loop: Element) -> None:
        """Take in all iterations that stand in the text behind a loop, and before it."""
        more, loop.end = self.ahead(loop)
        loop.leaves = [loop.leaves[0] + more, *loop.leaves[1:]]
        first = loop.first
        alone = self.turn(loop)
        start = self.before(loop)
        while start >= 0:
            loop.leaves = [loop.leaves[0] + 1, *[earlier(leaf) for leaf in loop.leaves[1:]]]
            loop.first = start
            start = self.before(loop)
        self.cut(min(first, loop.first))
        if first < loop.first:
            for element in alone:
                self.push(element)

    def turn(self, loop: Element) -> list[Element]:
        """Let a loop whose next iteration is there in part begin as much later, where fewer numbers then pass from one
        iteration to the next; return the elements of its body that then stand alone before it.

        A B A B A B is found as a loop over B A if another B stands before it, as at the end of the row before; but if
        B uses what A makes, iterations of A B are independent.
        """
        body, leaves = self.bodies[loop.skeleton], loop.leaves
        if not self.is_rectangular(loop.skeleton, leaves):
            return []
        count: int = leaves[0]
        ends: list[int] = []
        place, begin = loop.end, 1
        for child in body:
            end = begin + self.sizes[child]
            place = self.match((child,), [at(leaf, count) for leaf in leaves[begin:end]], place)
            if place < 0:
                break
            ends.append(place)
            begin = end
        if not ends or len(ends) == len(body):
            return []
        passing = self.passing(body, leaves, len(ends))
        best = passing.index(min(passing))
        if not best:
            return []
        split, alone = 1, []
        for child in body[:best]:
            own = [at(leaf, 0) for leaf in leaves[split : split + self.sizes[child]]]
            split += self.sizes[child]
            first = loop.first
            loop.first += self.width((child,), own, 0)
            alone.append(Element(child, own, first, loop.first))
        loop.end = ends[best - 1]
        loop.skeleton = self.loop_over((*body[best:], *body[:best]))
        loop.leaves = [count, *leaves[split:], *[later(leaf) for leaf in leaves[1:split]]]
        return alone

    def passing(self, body: tuple[int, ...], leaves: list[Leaf], most: int) -> list[int]:
        """Return how many operands an iteration takes from the one before, for a body that begins with its first
        element, its second one, and so on up to so many later."""
        rows = self.rows(body, leaves, 1, [self.np.arange(2)], 2).tolist()
        made: dict[tuple[int, int], int] = {}  # by space and cell, the number of the element that makes it
        counts = [0] * (most + 1)
        for row in range(2):
            again: dict[tuple[int, int], int] = {}
            place = 0
            begin = 1
            for k in range(len(body)):
                end = place + self.width((body[k],), leaves[begin : begin + self.sizes[body[k]]], 0)
                begin += self.sizes[body[k]]
                while place < end:
                    shape: int = rows[row][place]
                    for i in range(1, self.sizes[shape]):
                        key = self.spaces[shape][i], rows[row][place + 1 + i]
                        if row and key in again:  # passed on where the body begins between the two
                            for first in range(again[key] + 1, min(k, most) + 1):
                                counts[first] += 1
                        elif row and key in made:  # unless the body begins between the two
                            for first in range(most + 1):
                                counts[first] += not k < first <= made[key]
                    again[self.spaces[shape][0], rows[row][place + 1]] = k
                    place += 1 + self.sizes[shape]
            made = again
        return counts

    def cut(self, place: int) -> None:
        """Leave on the stack what stands before a place in the text."""
        while self.elements and self.elements[-1].end > place:
            last = self.elements[-1]
            self.drop(len(self.elements) - 1)
            begin = last.first
            body = self.bodies[last.skeleton]
            if body:  # its first iterations may stay
                count = 0
                end = begin
                while end <= place:
                    begin = end
                    count += 1
                    end += self.length(body, [at(leaf, count - 1) for leaf in last.leaves[1:]])
                if count > 3:
                    self.push(Element(last.skeleton, [count - 1, *last.leaves[1:]], last.first, begin))
                else:
                    begin = last.first
            while begin < place:
                self.push(self.statement(begin))
                begin = self.elements[-1].end
