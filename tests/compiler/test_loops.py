"""The printed loops, and the report."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import microgrid as mg
from microgrid import nn


def squared(out: Any, y: Any) -> Any:
    return mg.sum([(a - b) ** 2 for a, b in zip(out, y, strict=True)])


def hinge(out: Any, y: Any) -> Any:
    return mg.relu(1.0 - out * y)


def test_the_loops_of_a_network_are_readable() -> None:
    step = mg.compile(hinge, nn.MLP(2, [16, 16, 1]))
    step([[0.0, 1.0]], [1.0])
    text = str(step.loops)
    assert re.search(r"for i in range\(16\): +# MLP\.layers\[0\]\.neurons\[\*\]\n    v\[5 i\] = w\[0\] \* x\[0\]", text)
    assert re.search(r"for j in range\(16\): +# MLP\.layers\[1\]\.neurons\[\*\]", text)
    assert re.search(r"        v\[33 j \+ 2 k \+ 82\] = w\[k \+ 1\] \* v", text)
    assert len(text.splitlines()) < 70


@pytest.mark.slow
def test_machine_code_has_one_size_for_all_widths() -> None:
    few = ([62, 72, 42], [94, 104, 74])  # which leave the same numbers of iterations, divided by lanes
    for samples, networks in ((1, few), (32, ([30, 40, 10], [70, 60, 20]))):
        sizes = []
        for widths in networks:
            step = mg.compile(squared, nn.MLP(widths[0], widths[1:]), check=False)
            step(np.zeros((samples, widths[0])), np.zeros((samples, widths[-1])))
            (size,) = re.findall(r"code bytes +([\d,]+)", step.report())
            sizes.append(int(size.replace(",", "")))
        assert sizes[0] == pytest.approx(sizes[1], rel=0.1)


def test_labels_name_inputs() -> None:
    f = mg.compile(lambda rate, xs: mg.exp(rate) * xs[0])
    f(1.0, [2.0])
    assert str(f.loops).splitlines()[:2] == ["v[0] = exp(rate)", "v[1] = v[0] * xs[0]"]


def test_arrays_do_not_take_the_names_of_arguments() -> None:
    f = mg.compile(lambda v, y: mg.exp(v[0]) * y)
    f([1.0], 2.0)
    assert str(f.loops).splitlines() == ["v_[0] = exp(v[0])", "v_[1] = v_[0] * y", "result[0] = v_[1]"]


def test_constants_and_derivatives_are_named() -> None:
    f = mg.compile(lambda xs: mg.sum([mg.atan(x) ** 2 for x in xs]))
    f.value_and_grad([1.0] * 20)
    text = str(f.loops)
    assert "    v[2 i + 1] = v[2 i] ** 2.0\n" in text
    assert "    xs[19 - k].grad = g[38 - 2 k] * t[6 k + 5]" in text


def test_the_report_has_sizes_and_seconds() -> None:
    f = mg.compile(lambda xs: mg.sum([x * x for x in xs]))
    f([1.0] * 50)
    assert re.search(r"instructions +100\n", f.report())
    assert repr(f.report()) == str(f.report())
    assert all(stage in f.report() for stage in ("elements", "bytes", "trace", "roll", "storage", "machine code"))
