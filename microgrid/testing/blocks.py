"""Blocks of inputs: the arrays and lists of the arguments, which a person derives one by one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from microgrid.core import tree


class Block(NamedTuple):
    """Numbers that stand together: the expression of the array or list, the indices of its inputs, its shape."""

    name: str
    inputs: Sequence[int]
    shape: tuple[int, ...]


def blocks_of(
    structure: Sequence[tree.Structure], parameters: Sequence[str], role: Callable[[int], Any]
) -> list[Block]:
    """Return the blocks of the arguments. A flat list is divided where the role of its numbers changes."""
    return [
        part
        for held, parameter in zip(structure, parameters, strict=True)
        for block in _held(held, parameter)
        for part in (_divided(block, role) if len(block.shape) == 1 else [block])
    ]


def _divided(block: Block, role: Callable[[int], Any]) -> Iterator[Block]:
    start = 0
    for _, group in itertools.groupby(block.inputs, key=role):
        part = list(group)
        end = start + len(part)
        whole = len(part) == len(block.inputs)
        yield Block(block.name if whole else f"{block.name}[{start}:{end}]", part, (len(part),))
        start = end


def _held(structure: tree.Structure, name: str) -> Iterator[Block]:
    shape = _shape(structure)
    if shape is not None:
        inputs = [i for _, i in tree.paths(structure)]
        if inputs:
            yield Block(name, inputs, shape)
    elif isinstance(structure, tree.Instance):
        yield from _held(structure.content, name)
    elif isinstance(structure, dict):
        for key, part in structure.items():
            yield from _held(part, name + tree.access((key,)))
    elif isinstance(structure, (list, tuple)):
        for i, part in enumerate(structure):
            yield from _held(part, name + tree.access((i,)))


def _shape(structure: tree.Structure) -> tuple[int, ...] | None:
    """Return the shape of an array or of nested lists of numbers; None for what holds something else."""
    if isinstance(structure, int):
        return ()
    if isinstance(structure, tree.Array):
        return structure.shape
    if not isinstance(structure, (list, tuple)) or not structure:
        return None
    parts = [_shape(part) if not isinstance(part, tree.Array) else None for part in structure]
    first = parts[0]
    return None if first is None or any(part != first for part in parts) else (len(parts), *first)
