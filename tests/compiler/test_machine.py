"""LLVM: no input ends the process, and where LLVM fails there is an exception that names the stage."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

import microgrid as mg
from microgrid.compiler import llvm, machine
from microgrid.compiler.llvm import ModuleText

MAHALANOBIS = """
import numpy as np
import microgrid as mg

d = K = 10

def mahalanobis(L, x):  # K lower triangles, packed by columns; x has d numbers
    total = 0.0
    for c in range(K):
        for j in range(d):
            t = 0.0
            for i in range(j + 1):
                t = t + L[c][i * d - i * (i - 1) // 2 + j - i] * x[i]
            total = total + t * t
    return total

rng = np.random.default_rng(0)
L, X = rng.normal(size=(K, d * (d + 1) // 2)), rng.normal(size=(2, d))
_, (shared, rows) = mg.compile(mahalanobis, cache=False).batch_value_and_grad(L, X, in_axes=(None, 0))
total = 0.0
for x, row in zip(X, rows):
    own, by_x = mg.grad(mahalanobis, argnums=(0, 1))(L.tolist(), x.tolist())
    total = total + np.array(own)
    assert np.allclose(row, by_x, rtol=1e-12)
assert np.allclose(shared, total, rtol=1e-12)
"""


def test_packed_triangles_do_not_end_the_process() -> None:
    """LLVM's new GVN ended it by an assertion: the signal, not the exception, is what this would see."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", MAHALANOBIS], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-500:]


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        ("define void @kernel( {", "reading the text"),
        ("define double @kernel(double %x) {\n  ret double %y\n}", "reading the text"),
        ("define void @other() {\n  ret void\n}", "loading machine code"),
    ],
)
def test_where_llvm_fails_the_stage_is_named(text: str, stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: Any) -> ModuleText:
        return ModuleText(text, (), 0)

    monkeypatch.setattr("microgrid.compiler.plan.module_of", broken)
    with pytest.raises(RuntimeError, match=f"(?s)LLVM failed at {stage}: .*please report it"):
        mg.compile(lambda x: mg.sin(x) * x, cache=False)(1.0)


def test_nothing_is_written_twice() -> None:
    """LLVM has no pass here that would find the same instruction again."""
    f = mg.compile(lambda x, y: mg.sin(x * y) + mg.cos(x * y) * mg.sin(x * y), cache=False)
    f(1.0, 2.0)
    assert f._ran().module.text.count("fmul double") == 2
    assert not any("new_gvn" in effort.passes for effort in machine.EFFORTS.values())


def test_sums_of_many_parts_are_several_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    """One function with all of them took LLVM ten times as long, for 1,300 loops."""
    monkeypatch.setattr(llvm, "SUMS", 3)

    def f(w: list[Any], x: Any) -> Any:
        return mg.sum([mg.sin(w[i] * x) if (i * i) % 5 else mg.exp(w[i] * x) * w[-i] for i in range(20)])

    w, x = [0.1 * i for i in range(20)], [0.5, -1.0, 0.25]
    compiled = mg.compile(f, cache=False)
    _, (by_w, _) = compiled.batch_value_and_grad(w, x, in_axes=(None, 0))
    assert "@sums1(" in compiled._ran().module.text
    expected = [sum(column) for column in zip(*[mg.grad(f)(w, number) for number in x], strict=True)]
    assert by_w == pytest.approx(expected, rel=1e-12)
