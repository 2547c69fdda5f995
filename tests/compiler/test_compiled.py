"""`microgrid.compile`: calls, batches, what is static, what is refused, what is shown; models and their losses."""

from __future__ import annotations

import builtins
import ctypes
import importlib
import math
import random
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from eagerly import eager

import microgrid as mg
from microgrid import Program, Value, nn, trace
from microgrid.compiler import cache, machine, plan


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICROGRID_CACHE", str(tmp_path_factory.mktemp("cache")))


# --- calls -----------------------------------------------------------------------------------------------------------


def test_it_is_a_decorator_with_and_without_options() -> None:
    @mg.compile
    def f(x: Any) -> Any:
        """Its doc."""
        return x * x

    @mg.compile(strict=True)
    def g(x: Any) -> Any:
        return x * x

    assert (f(3.0), f.gradient(3.0), g.value_and_grad(3.0)) == (9.0, 6.0, (9.0, 6.0))
    assert f.__name__ == "f"
    assert f.__doc__ == "Its doc."


def test_arguments_and_results_nest() -> None:
    f = mg.compile(lambda p, x: {"out": [p["w"] * x[0] + p["b"], x[1]], "norm": mg.norm(x)})
    assert f({"w": 2.0, "b": 1.0}, [3.0, 4.0]) == {"out": [7.0, 4.0], "norm": 5.0}
    g = mg.compile(lambda p, x: p["w"] * x[0] + p["b"] * x[1])
    assert g.gradient({"w": 2.0, "b": 1.0}, (3.0, 4.0)) == ({"w": 3.0, "b": 4.0}, (2.0, 1.0))
    assert g.gradient({"w": 2.0, "b": 1.0}, np.array([3.0, 4.0])) == ({"w": 3.0, "b": 4.0}, [2.0, 1.0])


def test_values_are_numbers_here() -> None:
    assert mg.compile(lambda x: x.exp())(Value(0.0)) == 1.0


def test_a_constant_result_and_an_input_as_result() -> None:
    assert mg.compile(lambda x: 2.0).value_and_grad(1.0) == (2.0, 0.0)
    assert mg.compile(lambda x, y: y).value_and_grad(1.0, 5.0) == (5.0, (0.0, 1.0))
    assert mg.compile(lambda x, y: [y, 3.0, y])(1.0, 5.0) == [5.0, 3.0, 5.0]


def test_structure_is_static_and_a_change_compiles_anew() -> None:
    calls = []

    @mg.compile
    def f(xs: Any, n: Any = 2, mode: str = "sum") -> Any:
        calls.append((len(xs), n, mode))
        return (mg.sum if mode == "sum" else mg.prod)(xs) ** n

    assert [f([1.0, 2.0]), f([3.0, 4.0]), f([1.0, 2.0, 3.0])] == [9.0, 49.0, 36.0]
    assert [f([1.0, 2.0], 3), f([1.0, 2.0], 3), f([1.0, 2.0], 3, "prod")] == [27.0, 27.0, 8.0]
    assert calls == [(2, 2, "sum"), (3, 2, "sum"), (2, 3, "sum"), (2, 3, "prod")]
    assert f.gradient([1.0, 2.0], 3) == [27.0, 27.0]  # by the numbers that are not static


def test_numbers_from_outside_are_static_and_values_are_read() -> None:
    scale, w = 2.0, Value(10.0)
    f = mg.compile(lambda x: scale * x + w)
    assert f(1.0) == 12.0
    w.data = 20.0
    assert f(1.0) == 22.0
    scale = 3.0
    assert f(1.0) == 23.0
    w2 = w * 2.0
    assert mg.compile(lambda x: x * w2).value_and_grad(1.0) == (40.0, 40.0)


def test_only_so_many_structures_are_kept() -> None:
    f = mg.compile(lambda x, n: x + n)
    assert [f(0.5, n) for n in range(70)] == [n + 0.5 for n in range(70)]
    assert len(f._plans) == 64


def test_a_user_defined_op_is_compiled_by_its_formula_or_called() -> None:
    cube = mg.primitive("compiled_cube", lambda x: x * x * x, lambda z, x: (3.0 * x * x,))
    gamma = mg.primitive("compiled_gamma", math.gamma, lambda z, x: (z * (mg.log(x) - mg.OPS["div"](0.5, x)),))
    for strict in (True, False):
        f = mg.compile(lambda x: cube(x) + gamma(x), strict=strict)
        value, slope = f.value_and_grad(2.5)
        expected, (expected_slope,) = eager(lambda x: cube(x) + gamma(x), [2.5])
        assert value == pytest.approx(expected, rel=1e-14)
        assert slope == pytest.approx(expected_slope, rel=1e-14)
        assert f.batch(np.full(20, 2.5)) == pytest.approx(expected, rel=1e-14)


# --- batches ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 7, 8, 15, 16, 17, 100])
def test_a_batch_is_its_samples(n: int) -> None:
    f = mg.compile(lambda p, x: mg.tanh(p[0] * x[0]) + p[1] * x[1])
    rows = np.random.default_rng(n).normal(size=(n, 2))
    values, (shared, own) = f.batch_value_and_grad([0.5, -2.0], rows, in_axes=(None, 0))
    singles = [f.value_and_grad([0.5, -2.0], row) for row in rows.tolist()]
    assert values.shape == (n,)
    assert own.shape == (n, 2)
    assert np.allclose(values, [value for value, _ in singles], rtol=1e-13, atol=0)
    assert np.allclose(own, np.array([x for _, (_, x) in singles]).reshape(n, 2), rtol=1e-13, atol=0)
    assert np.allclose(shared, np.array([p for _, (p, _) in singles]).reshape(n, 2).sum(0), rtol=1e-12, atol=1e-15)
    assert np.array_equal(f.batch([0.5, -2.0], rows, in_axes=(None, 0)), values)


def test_axes_trees_and_more_axes() -> None:
    f = mg.compile(lambda a, b, c: [a["m"][0][1] * b, c * a["v"]])
    a = {"m": np.arange(24.0).reshape(4, 2, 3), "v": [1.0, 2.0, 3.0, 4.0]}
    first, second = f.batch(a, 10.0, np.ones(4), in_axes=(0, None, 0))
    assert first.tolist() == [10.0, 70.0, 130.0, 190.0]
    assert second.tolist() == [1.0, 2.0, 3.0, 4.0]
    g = mg.compile(lambda a, b: a["m"][1][2] * b + a["v"])
    _, (da, db) = g.batch_value_and_grad(a, 10.0, in_axes=(0, None))
    assert da["m"].shape == (4, 2, 3)
    assert da["m"].sum() == 40.0
    assert da["v"].tolist() == [1.0] * 4
    assert db == a["m"][:, 1, 2].sum()  # type: ignore[index]


def test_arrays_of_other_kinds_and_orders_are_taken() -> None:
    f = mg.compile(lambda x: x[0] - 2.0 * x[1])
    x = np.arange(12).reshape(6, 2)
    expected = (x[:, 0] - 2.0 * x[:, 1]).tolist()
    assert f.batch(x).tolist() == f.batch(x.tolist()).tolist() == expected
    assert f.batch(np.asfortranarray(x)).tolist() == f.batch(x.astype(np.float32)).tolist() == expected
    assert f.batch(x[::-1]).tolist() == expected[::-1]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda f: f.batch([[1.0]], [1.0, 2.0]), ValueError, "argument 1 has 2 row"),
        (lambda f: f.batch(1.0, 2.0, in_axes=None), TypeError, "not every axis may be None"),
        (lambda f: f.batch(1.0, [2.0]), TypeError, "argument 0 is one number"),
        (lambda f: f.batch([1.0], [1.0], in_axes=(0, 1)), ValueError, "in_axes has 0 or None"),
        (lambda f: f.batch([1.0], [1.0], in_axes=(0,)), ValueError, "each of the 2 argument"),
        (lambda f: f.batch(["a"], [1.0]), TypeError, "argument 0 must be an array of numbers"),
        (lambda f: f([1j], 2.0), TypeError, r"argument 0\[0\]: expected a real number"),
        (lambda f: f.gradient(1, 2), TypeError, "whole numbers are static, write 2.0 for 2"),
        (lambda f: f.loops, RuntimeError, "call the function first"),
        (lambda f: mg.compile(cast(Any, 3)), TypeError, "takes a function, got int"),
        (lambda f: mg.compile(f, threads=0), ValueError, "threads is a whole number from 1 on"),
        (lambda f: mg.compile(lambda x: [x, x]).gradient(1.0), ValueError, "with one result"),
        (lambda f: mg.compile(f, cast(Any, 3)), TypeError, "takes a module of microgrid.nn"),
    ],
)
def test_what_is_wrong_is_said(call: Callable[[Any], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(mg.compile(lambda x, y: x + y))


@pytest.mark.parametrize("f", [lambda x: x if x > 0 else -x, lambda x: x if x * 2.0 > 1.0 else -x])
def test_a_path_that_hangs_on_a_number_is_refused_with_its_line(f: Callable[[Any], Any]) -> None:
    line = f.__code__.co_firstlineno
    with pytest.raises(TypeError, match=rf"test_compiled.py:{line}; keep both paths with .*where.*maximum") as caught:
        mg.compile(f)(2.0)
    assert ">" in str(caught.value)


def test_so_is_one_that_hangs_on_a_value_from_outside_and_a_number_that_is_read() -> None:
    w = Value(1.0, label="w")
    with pytest.raises(TypeError, match=r"hangs on whether w > 0"):
        mg.compile(lambda x: x if w > 0 else -x)(2.0)
    with pytest.raises(TypeError, match=r"reads the number of x"):
        mg.compile(lambda x: x * x.data)(2.0)


def test_a_comparison_of_what_is_fixed_is_none() -> None:
    assert mg.compile(lambda x: x if Value(2.0) > 1.0 else -x)(3.0) == 3.0


@pytest.mark.parametrize("missing", ["llvmlite.binding", "numpy"])
def test_a_missing_package_is_one_line_that_names_the_extra(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.import_module

    def absent(name: str, package: str | None = None) -> Any:
        if name == missing:
            raise ImportError(name)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(ImportError, match=rf"^.*{missing}.*microgrid\[compile\]'$"):
        mg.compile(lambda x: x)


# --- models ----------------------------------------------------------------------------------------------------------


def hinge(out: Any, y: Any) -> Any:
    return mg.relu(1.0 - out * y)


def squared(out: Any, y: Any) -> Any:
    return mg.sum([(a - b) ** 2 for a, b in zip(out, y, strict=True)])


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_a_loss_of_a_model_is_the_mean_and_its_gradients(activation: str) -> None:
    random.seed(1)
    model = nn.MLP(3, [8, 5, 2], activation=activation)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(37, 3)), rng.normal(size=(37, 2))
    step = mg.compile(squared, model)
    loss, gradient = step(x, y)
    total = mg.mean(
        [squared(model([Value(a) for a in row]), target) for row, target in zip(x, y.tolist(), strict=True)]
    )
    total.backward()
    assert loss == pytest.approx(total.data, rel=1e-13)
    expected = np.array([p.grad for p in model.parameters()])
    assert np.allclose(gradient, expected, rtol=1e-12, atol=1e-14)
    assert step.losses(x, y).mean() == pytest.approx(loss, rel=1e-14)


def test_parameters_are_one_flat_array() -> None:
    random.seed(2)
    model = nn.MLP(2, [4, 1])
    step = mg.compile(hinge, model)
    x, y = [[0.0, 1.0], [1.0, -1.0], [2.0, 0.5]], [1.0, -1.0, 1.0]
    before, gradient = step(x, y)
    step.parameters -= 0.1 * gradient
    after, _ = step(x, y)
    assert after < before
    assert model.parameters()[0].data != step.parameters[0]
    step.write()
    assert [p.data for p in model.parameters()] == step.parameters.tolist()
    model.parameters()[0].data = 7.0
    step.read()
    assert step.parameters[0] == 7.0
    step.parameters = step.parameters[:-1]
    with pytest.raises(ValueError, match="17 parameters"):
        step(x, y)


def test_a_batch_without_samples_has_no_mean() -> None:
    with pytest.raises(ValueError, match="at least one: got 0 and 0"):
        mg.compile(hinge, nn.MLP(2, [1]))(np.empty((0, 2)), np.empty(0))


def test_a_module_of_ones_own_and_a_loss_that_uses_the_parameters() -> None:
    class Line(nn.Module):
        def __init__(self) -> None:
            self.a, self.b = Value(2.0), Value(1.0)

        def __call__(self, x: Any) -> Any:
            return self.a * x + self.b

        def parameters(self) -> list[Value]:
            return [self.a, self.b]

    line = Line()
    step = mg.compile(lambda out, y: (out - y) ** 2 + 0.5 * line.a**2, line)
    loss, gradient = step([0.0, 1.0], [1.0, 1.0])
    assert (loss, gradient.tolist()) == (4.0, [4.0, 2.0])


# --- threads, memory, cache ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("samples", [100, 1000, 1003])
def test_threads_give_the_same_bits_as_one(samples: int) -> None:
    random.seed(3)
    model = nn.MLP(2, [8, 1], activation="tanh")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(samples, 2)), rng.normal(size=samples)
    results = [mg.compile(hinge, model, threads=n)(x, y) for n in (1, 2, 3, 8)]
    for loss, gradient in results[1:]:
        assert loss == results[0][0]
        assert gradient.tobytes() == results[0][1].tobytes()


def test_a_hundred_functions_compiled_and_dropped_do_not_grow_the_process() -> None:
    psutil = pytest.importorskip("psutil")

    def one(k: int) -> None:
        f = mg.compile(lambda x: mg.sum([mg.sin(x * (0.1 * k + i)) for i in range(5)]), cache=False)
        assert f(1.0) == pytest.approx(sum(math.sin(0.1 * k + i) for i in range(5)))

    for k in range(30):
        one(k)
    before = psutil.Process().memory_info().rss
    loaded = machine.alive()
    for k in range(100):
        one(k)
    assert machine.alive() == loaded
    assert psutil.Process().memory_info().rss - before < 1_000_000


def test_the_cache_gives_back_what_was_compiled() -> None:
    def compiled() -> Any:
        f = mg.compile(lambda x: mg.exp(x) * 3.0)
        f(1.0)
        return f

    assert "cache" not in compiled().report()
    again = compiled()
    assert "from the cache" in again.report()
    assert again(0.0) == 3.0
    for path in cache.folder().iterdir():  # type: ignore[union-attr]
        path.write_bytes(path.read_bytes()[:-1])  # cut off: not the whole of it
    assert "cache" not in compiled().report()


def test_the_cache_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    mg.compile(lambda x: x + 1.0, cache=False)(1.0)
    folder = cache.folder()
    assert folder is not None
    assert list(folder.iterdir()) == []
    monkeypatch.setenv("MICROGRID_CACHE", "off")
    mg.compile(lambda x: x + 1.0)(1.0)
    assert list(folder.iterdir()) == []


def test_another_compiler_or_machine_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    mg.compile(lambda x: x + 2.0)(1.0)
    monkeypatch.setattr(machine.machine(), "key", "another")
    f = mg.compile(lambda x: x + 2.0)
    f(1.0)
    assert "cache" not in f.report()


def test_concurrent_writers_leave_whole_files() -> None:
    from concurrent.futures import ThreadPoolExecutor

    contents = [bytes([k]) * 200_000 for k in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda k: cache.save("name", contents[k % 8]), range(80)))
        assert all(x in contents for x in pool.map(lambda _: cache.load("name"), range(8)))
    assert [path.name for path in cache.folder().iterdir()] == ["name"]  # type: ignore[union-attr]


def test_a_folder_that_cannot_be_written_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MICROGRID_CACHE", str(tmp_path / "file"))
    assert mg.compile(lambda x: x + 3.0)(1.0) == 4.0


def test_the_oldest_files_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "KEPT", 3)
    for k in range(5):
        cache.save(str(k), b"x")
    assert len(list(cache.folder().iterdir())) == 3  # type: ignore[union-attr]


# --- what is shown ---------------------------------------------------------------------------------------------------


def test_the_loops_of_a_network_are_readable() -> None:
    step = mg.compile(hinge, nn.MLP(2, [16, 16, 1]))
    step([[0.0, 1.0]], [1.0])
    text = str(step.loops)
    assert re.search(
        r"for i in range\(16\): +# MLP\.layers\[0\]\.neurons\[\*\]\n    v\[5 i\] = p\[3 i\] \* x\[0\]", text
    )
    assert re.search(r"for j in range\(16\): +# MLP\.layers\[1\]\.neurons\[\*\]", text)
    assert len(text.splitlines()) < 70


def test_labels_name_inputs() -> None:
    f = mg.compile(lambda rate, xs: mg.exp(rate) * xs[0])
    f(1.0, [2.0])
    assert str(f.loops).splitlines()[:2] == ["v[0] = exp(rate)", "v[1] = v[0] * xs[0]"]


def test_the_report_has_sizes_and_seconds() -> None:
    f = mg.compile(lambda xs: mg.sum([x * x for x in xs]))
    f([1.0] * 50)
    assert re.search(r"instructions +100\n", f.report())
    assert all(stage in f.report() for stage in ("elements", "bytes", "roll", "storage", "machine code"))


# --- C ---------------------------------------------------------------------------------------------------------------


def run_c(text: str, folder: Path, x: list[float], p: list[float], y: int, d: int) -> tuple[list[float], list[float]]:
    """What a function in C computes, built on the spot."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    (folder / "f.c").write_text(text)
    flags = ["-std=c99", "-pedantic", "-Wall", "-Werror", "-Wno-unused-parameter", "-O1", "-ffp-contract=off"]
    subprocess.run([compiler, *flags, "-shared", "-fPIC", "f.c", "-o", "f.so", "-lm"], cwd=folder, check=True)
    library = ctypes.CDLL(str(folder / "f.so"))
    arrays = [(ctypes.c_double * max(len(v), 1))(*v) for v in (x, p, [0.0] * y, [0.0] * d)]
    library.f(*arrays)
    return list(arrays[2])[:y], list(arrays[3])[:d]


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
    ops = [op for op in mg.OPS.values() if not op.name.startswith("compiled_") and op.name != "gelu"]
    f = mg.compile(
        lambda x: mg.sum([op(*x[: op.arity - op.static], *[2.0, 3.0][: op.static]) for op in ops if op.static < 3])
    )
    at = [0.7, 0.4, 0.6]
    value, gradient = f.value_and_grad(at)
    (got, *slopes), _ = run_c(f.c(), tmp_path, at, [], 4, 0)
    assert got == pytest.approx(value, rel=1e-12, nan_ok=True)
    assert slopes == pytest.approx(gradient, rel=1e-12, nan_ok=True)


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


# --- programs --------------------------------------------------------------------------------------------------------


def test_a_program_compiles_and_so_do_its_gradients() -> None:
    program = trace(lambda x, y: mg.sin(x * y) / y)(1.0, 2.0)
    compiled = program.compile(strict=True)
    assert compiled(0.3, 0.4) == program(0.3, 0.4)
    assert compiled.value_and_grad(0.3, 0.4)[1] == program.gradient()(0.3, 0.4)
    hessian = Program.gradient(trace(lambda x: mg.sum([d * d for d in program.gradient()(*x)]))([0.3, 0.4]))
    assert hessian.compile(strict=True)([0.3, 0.4]) == hessian([0.3, 0.4])


def test_nothing_of_the_builtin_is_hidden() -> None:
    assert "compile" not in mg.__all__
    assert builtins.compile.__module__ == "builtins"
    assert plan.processors() >= 1
