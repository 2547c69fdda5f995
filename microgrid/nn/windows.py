"""Windows over a sequence or an image: their sizes, their places, and what they show."""

from __future__ import annotations

import itertools
from typing import Any

from microgrid.engine import constant
from microgrid.nn.linear import flat
from microgrid.nn.module import Module
from microgrid.nn.shapes import misfit

Sizes = int | tuple[int, ...]
"""A size for all axes, or one for each."""

Channel = list[Any]
"""Values along a sequence, or rows of them."""

Places = list[range]
"""Beginnings of windows along each axis."""


def sizes(layer: str, name: str, size: Sizes, axes: int, least: int = 1) -> tuple[int, ...]:
    """Return a size for each axis. Raises ValueError for one below the least, or for another number of them."""
    listed = (size,) * axes if isinstance(size, int) else tuple(size)
    if len(listed) != axes or any(isinstance(n, bool) or not isinstance(n, int) or n < least for n in listed):
        each = "" if axes == 1 else f", or {axes} of them"
        raise ValueError(f"{layer}: {name} must be a whole number from {least} on{each}, got {size!r}")
    return listed


def short(size: tuple[int, ...]) -> int | tuple[int, ...]:
    """Return one number for equal sizes."""
    return size[0] if len(set(size)) == 1 else size


def places_of(layer: Module, x: Any, channel: Channel, window: tuple[int, ...], stride: tuple[int, ...]) -> Places:
    """Return the beginnings of windows in a channel. Raises ValueError if it is smaller than one."""
    lengths = _lengths(channel)
    if any(length < size for length, size in zip(lengths, window, strict=True)):
        raise misfit(layer, x, ("channels", *[f"{size} or more" for size in window]))
    return [range(0, n - size + 1, step) for n, size, step in zip(lengths, window, stride, strict=True)]


def windows_of(channel: Channel, places: Places, size: tuple[int, ...]) -> list[list[Any]]:
    """Return the values in the window at each place, the last axis running fastest."""
    return [flat(_part(channel, at, size)) for at in itertools.product(*places)]


def reshaped(items: list[Any], places: Places) -> Channel:
    """Return an item for each place as a channel."""
    for axis in reversed(places[1:]):
        items = [items[i : i + len(axis)] for i in range(0, len(items), len(axis))]
    return items


def padded(channel: Channel, padding: tuple[int, ...]) -> Channel:
    """Return a channel with zeros around it."""
    inner = [padded(row, padding[1:]) for row in channel] if len(padding) > 1 else channel
    if not padding[0]:
        return inner
    zeros = _zeros(_lengths(inner)[1:])
    return [*[zeros] * padding[0], *inner, *[zeros] * padding[0]]


def _part(channel: Channel, at: tuple[int, ...], size: tuple[int, ...]) -> list[Any]:
    part = channel[at[0] : at[0] + size[0]]
    return part if len(at) == 1 else [_part(row, at[1:], size[1:]) for row in part]


def _lengths(channel: Any) -> list[int]:
    lengths = []
    while isinstance(channel, list):
        lengths.append(len(channel))
        channel = channel[0]
    return lengths


def _zeros(lengths: list[int]) -> Any:
    return [_zeros(lengths[1:])] * lengths[0] if lengths else constant(0.0)
