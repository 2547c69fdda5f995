"""Loops in C, built with the C compiler, compute the same."""

from __future__ import annotations

import math
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running_c import run_c

import microgrid as mg
from microgrid import nn
from microgrid.core.primitive import built_in


def squared(out: Any, y: Any) -> Any:
    return mg.sum([(a - b) ** 2 for a, b in zip(out, y, strict=True)])


def test_the_loops_of_a_model_in_c_compute_the_same(tmp_path: Path) -> None:
    random.seed(4)
    model = nn.MLP(3, [12, 12, 2], activation="tanh")
    step = mg.compile(squared, model)
    x, y = [0.3, -0.4, 0.5], [0.1, 0.2]
    loss, gradient = step([x], [y])
    text = step.c()
    assert re.findall(r"#include.*", text) == ["#include <math.h>"]
    wide = mg.compile(squared, nn.MLP(3, [16, 16, 2], activation="tanh"))
    wide([x], [y])
    assert len(wide.c().splitlines()) == len(text.splitlines())
    _, sums = run_c(text, tmp_path, [*x, *y], step.parameters.tolist(), 0, len(gradient) + 1)
    assert sums[-1] == pytest.approx(loss, rel=1e-14)
    assert np.allclose(sums[:-1], gradient, rtol=1e-12, atol=1e-15)


def test_every_op_in_c_computes_the_same(tmp_path: Path) -> None:
    ops = [op for op in mg.OPS.values() if op.name in built_in]

    def results(x: list[Any]) -> list[Any]:
        return [op(*x[: op.arity - op.static], *[2.0, 3.0][: op.static]) for op in ops]

    at = [0.7, 0.4, 0.6]
    f = mg.compile(results)
    values = f(at)
    got, _ = run_c(f.c(), tmp_path, at, [], len(ops), 0)
    assert got == pytest.approx(values, rel=1e-12, nan_ok=True)
    finite = [i for i, value in enumerate(values) if math.isfinite(value)]
    assert len(finite) == len(ops) - 4  # acosh, asec, acsc and acoth begin at 1
    total = mg.compile(lambda x: mg.sum([results(x)[i] for i in finite]))
    value, slopes = total.value_and_grad(at)
    assert all(map(math.isfinite, slopes))
    (tmp_path / "total").mkdir()
    got, _ = run_c(total.c(), tmp_path / "total", at, [], 4, 0)
    assert got == pytest.approx([value, *slopes], rel=1e-12)


def test_a_table_and_segments_in_c(tmp_path: Path) -> None:
    def g(x: Any) -> Any:
        known = [x]
        for i in range(500):
            known.append(
                mg.sin(known[(i * i) % len(known)]) + 0.01 * (i % 7) * known[(3 * i * i + i // 2) % len(known)]
            )
        return mg.sum(known)

    f = mg.compile(g)
    value, slope = f.value_and_grad(0.3)
    got, _ = run_c(f.c(), tmp_path, [0.3], [], 2, 0)
    assert got == pytest.approx([value, slope], rel=1e-11)


def test_c_wants_an_identifier() -> None:
    f = mg.compile(lambda x: x)
    f(1.0)
    with pytest.raises(ValueError, match="C identifier"):
        f.c("a b")
    with pytest.raises(ValueError, match="no keyword, got 'double'"):
        f.c("double")
    with pytest.raises(ValueError, match="exp has a meaning of its own in C"):
        f.c("exp")
