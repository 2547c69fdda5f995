"""From a tape to the loops that it was unrolled from, with cells and counts that are polynomials in the counters."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from microgrid.compiler.leaves import Leaf
from microgrid.compiler.nests import Stack
from microgrid.compiler.poly import Poly, name, polynomial
from microgrid.compiler.tape import Shape, Tape
from microgrid.core.primitive import op_called
from microgrid.text.notation import operators


class Statement(NamedTuple):
    """An instruction within loops: its shape, the cells of target and operands, and its number in the order of text."""

    shape: Shape
    cells: tuple[Poly, ...]
    number: int


class Loop(NamedTuple):
    """A body that runs for counter = 0, ..., times - 1; an inner loop may not run at all."""

    counter: int
    times: Poly
    body: tuple[Statement | Loop, ...]


Node = Statement | Loop


class Rolled:
    """The loops of a tape, with its constants and the sizes of its spaces; without nodes, the tape as it stands."""

    def __init__(self, nodes: tuple[Node, ...] | None, tape: Tape) -> None:
        self._nodes = nodes
        self.tape = tape

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Return the loops and statements; those of a tape as it stands are made at first use."""
        if self._nodes is None:
            shapes, steps = self.tape.shapes, self.tape.steps
            self._nodes = tuple(
                [Statement(shapes[shape], tuple(map(Poly, cells)), k) for k, (shape, cells) in enumerate(steps)]
            )
        return self._nodes

    @property
    def elements(self) -> int:
        """Return the number of statements."""
        return self.tape.count() if self._nodes is None else sum(1 for _ in statements(self._nodes))

    def with_nodes(self, nodes: tuple[Node, ...]) -> Rolled:
        """Return other loops of the same tape."""
        return Rolled(nodes, self.tape)

    def settle(self) -> None:
        """Leave the tape without steps where the loops contain them, else as a text: 300,000 take 60 MB as a list."""
        if self._nodes is not None:
            self.tape.clear()
        else:
            self.tape.settle()

    def __str__(self) -> str:
        return "\n".join(_lines(self.nodes, ""))


def _lines(nodes: Sequence[Node], indent: str) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, Loop):
            yield f"{indent}for {name(node.counter)} in range({node.times}):"
            yield from _lines(node.body, indent + "    ")
        else:
            shape = node.shape
            texts = [f"{s}[{cell}]" for s, cell in zip((shape.target, *shape.operands), node.cells, strict=True)]
            yield f"{indent}{texts[0]} {'+=' if shape.adds else '='} {written(shape.op, texts[1:])}"


def written(op: str, operands: Sequence[str]) -> str:
    """Return the text of a step's result."""
    if op in ("passed", "identity"):
        return operands[0]
    if op == "negated":
        return f"-{operands[0]}"
    if op in ("scaled", "chosen"):
        return " * ".join(operands)
    known = op_called(op)
    symbol = known.symbol if known else op
    if len(operands) == 2 and (symbol, 2) in operators():
        return f" {symbol} ".join(operands)
    return f"{op}({', '.join(operands)})"


def statements(nodes: Sequence[Node]) -> Iterator[Statement]:
    """Return all statements, those within loops once."""
    for node in nodes:
        if isinstance(node, Loop):
            yield from statements(node.body)
        else:
            yield node


def only(nodes: Sequence[Node], wanted: Callable[[Statement], bool]) -> tuple[Node, ...]:
    """Return the loops with only some of their statements."""
    kept: list[Node] = []
    for node in nodes:
        if isinstance(node, Loop):
            body = only(node.body, wanted)
            if body:
                kept.append(node._replace(body=body))
        elif wanted(node):
            kept.append(node)
    return tuple(kept)


def unrolled(tape: Tape) -> Rolled:
    """Return a tape as it stands, without loops: its numbers stay in registers."""
    return Rolled(None, tape)


SHORT = 4, 24
"""Maximum number of iterations of a loop within another that `flattened` writes out, and of the statements."""


def flattened(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Return the loops with short ones in them, as those over three coordinates, written out.

    Sums over samples stay loops: their iterations are the tiles of `llvm`.
    """
    numbers = itertools.count()

    def flat(node: Node, around: bool) -> Iterator[Node]:
        if isinstance(node, Statement):
            yield node
            return
        body = tuple([inner for item in node.body for inner in flat(item, True)])
        times = node.times.base
        short = around and not node.times.terms and times <= SHORT[0] and times * len(body) <= SHORT[1]
        if short and all(isinstance(inner, Statement) and inner.shape.target != "d" for inner in body):
            for k in range(times):
                for inner in body:
                    assert isinstance(inner, Statement)
                    yield inner._replace(cells=tuple([cell.at(node.counter, k) for cell in inner.cells]))
        else:
            yield node._replace(body=body)

    def numbered(node: Node) -> Node:
        if isinstance(node, Loop):
            return node._replace(body=tuple(map(numbered, node.body)))
        return node._replace(number=next(numbers))

    return tuple([numbered(flat_node) for node in nodes for flat_node in flat(node, False)])


def roll(tape: Tape) -> Rolled:
    """Find the loops of a tape, greedily in one pass over it."""
    stack = Stack(tape)
    stack.run()
    counters, numbers = itertools.count(), itertools.count()

    def node(skeleton: int, leaves: Sequence[Leaf], around: tuple[int, ...]) -> Node:
        body = stack.bodies[skeleton]
        if not body:
            return Statement(tape.shapes[skeleton], tuple([_poly(leaf, around) for leaf in leaves]), next(numbers))
        counter = next(counters)
        nodes: list[Node] = []
        begin = 1
        for child in body:
            end = begin + stack.sizes[child]
            nodes.append(node(child, leaves[begin:end], (counter, *around)))
            begin = end
        return Loop(counter, _poly(leaves[0], around), tuple(nodes))

    return Rolled(tuple([node(element.skeleton, element.leaves, ()) for element in stack.elements]), tape)


def _poly(leaf: Leaf, around: Sequence[int]) -> Poly:
    """Return a leaf in terms of the counters around it, innermost first."""
    if isinstance(leaf, int):
        return Poly(leaf)
    terms = []
    for key, c in leaf.items():
        powers = [(counter, e) for counter, e in zip(around, key, strict=True) if e]
        terms.append((tuple(reversed(powers)), c))
    return polynomial(terms)
