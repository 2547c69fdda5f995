"""Names of mistakes in a claimed gradient: each typical one is made on purpose, and compared with the claim.

A mistake is named only if it gives the claimed numbers, to nine digits and to six of the difference from the gradient.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from microgrid.program import Program
from microgrid.testing.blocks import Block, blocks_of
from microgrid.testing.causes import factor
from microgrid.testing.sweeps import Change, Sweeper
from microgrid.testing.typical_mistakes import MOST, Mistake, candidates, place_of, unlikely

PAIRS = 400_000
"""Maximum number of instructions that are swept to try all pairs of mistakes."""


class _Tried(NamedTuple):
    """A mistake with what it gives for each block, the blocks of which that is the claim, and those that it changes."""

    mistake: Mistake
    given: list[list[float]]
    agreed: set[int]
    changed: set[int]


def named_mistakes(
    program: Program, at: Sequence[float], claimed: Sequence[float], *, factors: bool = True
) -> list[str]:
    """Return the mistake, or the two mistakes, that give the claimed numbers; [] where none is known to.

    Without `factors`, a claim that is wrong by factors only is left to `causes.likely_cause`.
    """
    if not all(map(math.isfinite, claimed)):
        return []
    sweepers = [Sweeper(program, at)]
    if sweepers[0].ties:  # what is right by another convention is no mistake
        sweepers += [Sweeper(program, at, tie) for tie in (0.0, 0.5, 1.0)]
    searches = [
        _Search(sweeper, blocks_of(program.in_structure, program.parameters, sweeper.role), claimed)
        for sweeper in sweepers
    ]
    if not all(search.beyond_rounding() for search in searches):
        return []
    for search in searches:
        if by_factors := search.by_factors():
            return by_factors * factors
    for find in (_Search.single, _Search.double):  # one mistake and another convention before two mistakes
        for search in searches:
            if found := find(search):
                return found
    return []


class _Search:
    """A search for the mistakes behind a claim."""

    def __init__(self, sweeper: Sweeper, blocks: Sequence[Block], claimed: Sequence[float]) -> None:
        self.sweeper, self.blocks = sweeper, blocks
        self.claims = [[claimed[i] for i in block.inputs] for block in blocks]
        self.true = sweeper.run()
        self.truths = self._by_block(self.true)
        self.off = [self._distance(b, claim) for b, claim in enumerate(self.claims)]
        self.size = [max(map(abs, truth), default=0.0) for truth in self.truths]
        self.wrong = {b for b, off in enumerate(self.off) if not off <= 1e-9 * self.size[b]}
        self.tried: list[_Tried] = []
        self.alike = {i: self._alike(i) for block in blocks for i in block.inputs}
        self.uses = max(map(len, self.alike.values()), default=0)

    def beyond_rounding(self) -> bool:
        """Return True if a block is wrong by more than a backward pass by hand, in float32, may lose."""
        sizes = self._by_block(self.sweeper.scales()) if self.wrong else []
        return any(not self.off[b] <= 1e-6 * max(sizes[b], default=0.0) for b in self.wrong)

    def by_factors(self) -> list[str]:
        """Return at most two factors that explain the whole claim, each with its blocks."""
        found: dict[str, set[int]] = {}
        for b in self.wrong:
            found.setdefault(self._factor(b, self.truths[b]), set()).add(b)
        return [] if "" in found or len(found) > 2 else [self._said(text, blocks) for text, blocks in found.items()]

    def single(self) -> list[str]:
        """Return a mistake that explains the whole claim."""
        found = (
            self._swept(candidates(self.sweeper, self.blocks))
            or self._viewed()
            or self._repaired(self.truths, self.wrong)
            or self._swept(unlikely(self.sweeper, self.blocks))
            or self._without_bias()
        )
        return [found] if found else []

    def double(self) -> list[str]:
        """Return two mistakes that explain the whole claim."""
        promising = sorted((one for one in self.tried if one.agreed & self.wrong), key=lambda one: -len(one.agreed))
        swept = [one for one in self.tried if isinstance(one.mistake.change, Change)]
        return (
            self._with_repairs([*promising, *self.tried])
            or self._viewed_mistakes([one.mistake for one in swept])
            or self._both((a.mistake, b.mistake) for a in promising[:8] for b in swept)
            or self._two_repairs()
            or self._any_two(swept)
        )

    def matches(self, b: int, given: Sequence[float]) -> bool:
        """Return True if these numbers are what is claimed of block b."""
        largest = max(map(abs, given), default=0.0)
        near = 1e-9 * largest
        if b in self.wrong:  # no nearer to the gradient than to these numbers
            near = max(min(near, 1e-6 * self.off[b]), 1e-13 * max(largest, self.size[b]))
        return all(abs(x - y) <= near for x, y in zip(self.claims[b], given, strict=True))

    def _distance(self, b: int, numbers: Sequence[float]) -> float:
        """Return the largest distance of these numbers from the gradient of block b."""
        return max((abs(x - y) for x, y in zip(numbers, self.truths[b], strict=True)), default=0.0)

    def _differs(self, b: int, numbers: Sequence[float]) -> bool:
        near = 1e-9 * self.size[b]
        return any(abs(x - y) > near for x, y in zip(numbers, self.truths[b], strict=True))

    def _by_block(self, numbers: Sequence[float]) -> list[list[float]]:
        return [[numbers[i] for i in block.inputs] for block in self.blocks]

    def _agreed(self, given: Sequence[Sequence[float]]) -> set[int]:
        return {b for b, numbers in enumerate(given) if self.matches(b, numbers)}

    def _swept(self, mistakes: Iterable[Mistake]) -> str:
        """Return the first mistake whose sweep gives the claim, or else the first that gives what is wrong in it."""
        return self._first((mistake, self._by_block(self.sweeper.run(mistake.change))) for mistake in mistakes)

    def _viewed(self) -> str:
        return self._first((Mistake(text, Change(), "view"), given) for text, given in self._views(self.true, Change()))

    def _first(self, mistakes: Iterable[tuple[Mistake, list[list[float]]]]) -> str:
        partly = ""
        for mistake, given in mistakes:
            agreed = self._agreed(given)
            changed = {b for b, numbers in enumerate(given) if self._differs(b, numbers)}
            self.tried.append(_Tried(mistake, given, agreed, changed))
            if len(agreed) == len(self.blocks):
                return mistake.text
            if self.wrong <= agreed and not partly:  # the blocks below have the gradient all the same
                partly = f"{mistake.text}, in {self._names(self.wrong)} only"
        return partly

    def _views(self, cotangents: Sequence[float], change: Change) -> Iterator[tuple[str, list[list[float]]]]:
        """Yield what is given where only one of several contributions to an input counts, or all but one."""
        uses = self.uses
        if not 2 <= uses <= MOST:
            return
        parts = {i: self.sweeper.contributions(cotangents, i, change) for i in self.alike}
        for j in [uses - 1, *range(uses - 1)]:
            for text, kept in (
                (f"only the {place_of(j, uses)} of {uses} contributions counts (= for +=)", True),
                (f"contribution {j + 1} of {uses} is left out (a sample, or a time step)", False),
            ):
                if uses > 2 or kept:
                    yield (
                        text,
                        [[self._seen(parts[i], i, j, uses, kept) for i in block.inputs] for block in self.blocks],
                    )

    def _seen(self, parts: Sequence[float], i: int, j: int, uses: int, kept: bool) -> float:
        alike = self.alike[i]
        if len(alike) != uses:
            return math.fsum(parts)
        return math.fsum(x for k, x in enumerate(parts) if k not in alike or (k == alike[j]) is kept)

    def _alike(self, i: int) -> list[int]:
        """Return the largest group of an input's uses by one op, products with itself apart: samples or time steps."""
        groups: dict[tuple[str, bool], list[int]] = {}
        for place, (k, _) in enumerate(self.sweeper.users[i]):
            op, operands = self.sweeper.steps[k]
            groups.setdefault((op.name, operands.count(i) > 1), []).append(place)
        return max(groups.values(), key=len, default=[])

    def _viewed_mistakes(self, mistakes: Sequence[Mistake]) -> list[str]:
        """Return a mistake of a sweep, and one in the number of contributions that count."""
        for mistake in mistakes if self.uses > 1 else ():
            cotangents = self.sweeper.run(mistake.change)
            for text, given in self._views(cotangents, mistake.change):
                if len(self._agreed(given)) == len(self.blocks):
                    return [mistake.text, text]
        return []

    def _with_repairs(self, tried: Sequence[_Tried]) -> list[str]:
        """Return a mistake that was tried, and one in what is done with its numbers."""
        for mistake, given, agreed, _ in tried:
            rest = set(range(len(self.blocks))) - agreed
            if rest and (found := self._repaired(given, rest)):
                return [mistake.text, found]
        return []

    def _both(self, pairs: Iterable[tuple[Mistake, Mistake]]) -> list[str]:
        """Return two mistakes of one sweep."""
        for a, b in pairs:
            if a.place != b.place:
                given = self._by_block(self.sweeper.run(a.change.with_(b.change)))
                if len(self._agreed(given)) == len(self.blocks):
                    return [a.text, b.text]
        return []

    def _any_two(self, tried: Sequence[_Tried]) -> list[str]:
        """Return two mistakes that change the same blocks, so that neither alone gives any of them."""
        pairs = (
            (a.mistake, b.mistake)
            for a, b in itertools.combinations(tried, 2)
            if a.changed | b.changed == self.wrong and a.changed & b.changed
        )
        return self._both(itertools.islice(pairs, PAIRS // (1 + len(self.sweeper.edges))))

    def _without_bias(self) -> str:
        """Return the block, of few numbers, without which the gradient at this point is what is claimed."""
        at = self.sweeper.numbers[: self.sweeper.count]
        for block in self.blocks:
            if len(block.inputs) > max(1, math.isqrt(self.sweeper.count) * 2) or not any(at[i] for i in block.inputs):
                continue
            elsewhere = list(at)
            for i in block.inputs:
                elsewhere[i] = 0.0
            given = self._by_block(Sweeper(self.sweeper.program, elsewhere).run())
            if len(self._agreed(given)) == len(self.blocks):
                return f"{block.name} is left out of the forward pass"
        return ""

    def _two_repairs(self) -> list[str]:
        """Return two mistakes in what is done with the right numbers, each in some of the blocks."""
        for one in self._repairs(self.truths[min(self.wrong)], min(self.wrong)):
            same = {b for b in self.wrong if one in self._repairs(self.truths[b], b)}
            rest = self.wrong - same
            if rest and (other := self._repaired(self.truths, rest)):
                return [self._said(one, same), other]
        return []

    def _repaired(self, given: Sequence[Sequence[float]], blocks: set[int]) -> str:
        """Return what is done wrongly, in all of these blocks, with what is given; "" if there is no such."""
        first, *others = sorted(blocks)
        for text in self._repairs(given[first], first):
            if all(text in self._repairs(given[b], b) for b in others):
                return self._said(text, blocks)
        return ""

    def _repairs(self, numbers: Sequence[float], b: int) -> list[str]:
        """Return what, done with these numbers, gives the claim of block b."""
        shape = self.blocks[b].shape
        found = [text] if (text := self._factor(b, numbers)) else []
        if len(shape) == 2 and shape[0] == shape[1] > 1:
            n = shape[0]
            if self.matches(b, [numbers[j * n + i] for i in range(n) for j in range(n)]):
                found.append("transposed")
        return found

    def _factor(self, b: int, numbers: Sequence[float]) -> str:
        """Return the cause of a factor between these numbers and the claim of block b."""
        sizes = list(map(abs, numbers))
        if not any(sizes):
            return ""
        k = sizes.index(max(sizes))
        ratio = self.claims[b][k] / numbers[k]
        if ratio == 1.0 or not math.isfinite(ratio):
            return ""
        return factor(ratio) if self.matches(b, [ratio * x for x in numbers]) else ""

    def _said(self, text: str, blocks: set[int]) -> str:
        return f"{self._names(blocks)}: {text}"

    def _names(self, blocks: set[int]) -> str:
        names = [self.blocks[b].name for b in sorted(blocks)]
        return ", ".join(names) if len(names) <= 6 else f"{', '.join(names[:5])} and {len(names) - 5} more"
