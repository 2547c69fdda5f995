"""Machine code of an interpreter's instructions, made by another process, and when it takes over."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
from typing import Any
from unittest import mock

import numpy as np
import pytest
from compare.data import expanded as determinant
from fuzzing.processes import PLANTS
from interpreting import CALLS, Here, taking_over

import microgrid as mg
from microgrid.compiler import background, parts, takeover
from microgrid.core.primitive import OPS

ROWS = np.random.default_rng(0).normal(size=(4, 4))


def compiled(f: Any, **options: Any) -> Any:
    return mg.compile(f, cache=False, **options)


def bits(x: Any) -> list[str]:
    """All numbers of a result, as text."""
    if isinstance(x, (list, tuple)):
        return [text for item in x for text in bits(item)]
    return [repr(number) for number in np.ravel(x).tolist()]


def taken(f: Any, *args: Any) -> Any:
    """The result of the first call, once machine code has taken over and has given the same."""
    results = [f(*args) for _ in range(CALLS)]
    assert bits(results[-1]) == bits(results[0])
    return results[0]


@pytest.mark.slow
@pytest.mark.parametrize(("strict", "lanes"), [(True, 1), (False, 1), (False, 16)])
def test_machine_code_has_the_bits_of_the_interpreter_for_every_op(strict: bool, lanes: int) -> None:
    ops = list(OPS.values())

    def f(x: Any) -> Any:
        each = [op(*x[3 * i : 3 * i + op.arity - op.static], *[2.0] * op.static) for i, op in enumerate(ops)]
        total = mg.sum([y * (y - 0.5) * y for y in each])
        return total + mg.special.digamma(x[0]) * x[1] ** 5.0 - x[1] ** 3.0

    x = np.random.default_rng(1).uniform(-1.5, 1.5, size=(lanes, 3 * len(ops)))
    x[:, ::7], x[:, ::11], x[:, ::13] = 0.0, -0.0, 700.0
    with taking_over():
        g = compiled(f, strict=strict, check=False)
        taken(g.value_and_grad, x[0]) if lanes == 1 else taken(g.batch_value_and_grad, x)
        assert "machine code since call" in g.report()


def test_what_calls_and_reports_say() -> None:
    with taking_over():
        f = compiled(determinant, strict=True)
        expected = mg.value_and_grad(determinant)(ROWS.tolist())
        assert f.value_and_grad(ROWS.tolist()) == expected
        assert "takeover       machine code when 0 s have been spent: 0 s so far, in 0 calls" in f.report()
        assert "; machine code when 0 s have been spent" in str(f.loops).partition("\n")[0]
        reports = []
        for _ in range(CALLS):
            assert f.value_and_grad(ROWS.tolist()) == expected
            reports.append(f.report())
    assert "takeover       machine code is compiled in the background" in reports[1]
    assert "takeover       machine code since call 5" in reports[-1]
    assert f.value_and_grad((2.0 * ROWS).tolist()) == mg.value_and_grad(determinant)((2.0 * ROWS).tolist())


def test_calls_in_machine_code_are_counted_and_their_time_is_rent() -> None:
    with taking_over(), mock.patch.object(takeover, "START", 1e9):
        f = compiled(determinant)
        for _ in range(5000):
            f(ROWS)
        state = f._ran().takeover
        assert "in 4,999 calls" in str(state)
        assert 0.0 < state._spent < 1e9
        assert state._process is None


def test_machine_code_that_gives_other_results_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "modules_of", parts.modules_of)  # as it is set back
    PLANTS["unwritten slot"]()
    with taking_over(trials=1):
        f = compiled(determinant)
        with pytest.warns(RuntimeWarning, match="expanded: machine code made in the background gives other results"):
            taken(f.gradient, ROWS)
    assert "interpreted for good: machine code gave other results" in f.report()


def test_the_answer_to_another_job_is_refused() -> None:
    jobs = []

    class Mistaken(Here):
        def code(self) -> list[tuple[bytes, int]]:
            jobs.append(self.job)
            return background.code_in(background.answer(jobs[0]), self.job)

    with taking_over(process=Mistaken):
        f, g = compiled(determinant), compiled(lambda x: determinant(x) * x[0][0])
        taken(f, ROWS)
        assert taken(g, ROWS) == determinant(ROWS.tolist()) * ROWS[0][0]
    assert "machine code since" in f.report()
    assert "interpreted for good: the answer is to another job" in g.report()


def test_where_there_is_no_process_the_interpreter_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(job: bytes) -> Any:
        raise PermissionError("not here")

    own = mg.primitive("taken_own", math.gamma, lambda z, x: (z,))
    try:
        for f, options, process, why in (
            (determinant, {"background": False}, Here, "background=False"),
            (determinant, {}, refused, "no process can be started: not here"),
            (lambda x: own(2.0 + abs(x[0][0])), {}, Here, "taken_own is an op of yours, which no other process knows"),
        ):
            with taking_over(process=process):
                g = compiled(f, **options)
                taken(g, ROWS)
                assert f"takeover       interpreted for good: {why}" in g.report()
    finally:
        del mg.OPS["taken_own"]
    for name, value in (("platform", "emscripten"), ("executable", "/opt/app"), ("frozen", True)):
        with monkeypatch.context() as here:
            here.setattr(sys, name, value, raising=False)
            assert background.unavailable()
    assert not background.unavailable()


def test_threads_may_call_while_machine_code_takes_over() -> None:
    with taking_over():
        f, wrong = compiled(determinant), []
        expected = f(ROWS)

        def work() -> None:
            wrong.extend([y for y in [f(ROWS) for _ in range(200)] if y != expected])

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong
    assert "machine code since" in f.report()


# --- processes -------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals")
def test_a_process_that_is_ended_leaves_the_interpreter() -> None:
    with taking_over(process=background.Process):
        f = compiled(determinant)
        expected, *_ = [f(ROWS) for _ in range(3)]
        process = f._ran().takeover._process
        process._process.kill()
        process.wait()
        assert [f(ROWS) for _ in range(3)] == [expected] * 3
    assert "interpreted for good: the process that compiles was ended by signal 9" in f.report()


HEAD = """
import os, sys, time
import numpy as np
from compare.data import expanded
from microgrid import compile
from microgrid.compiler import choice, takeover
choice.PATIENCE = takeover.START = takeover.POLL = 0.0
takeover.INSTRUCTION = 0.0, 0.0
takeover.TRIALS = 0
f = compile(expanded, cache=False)
rows = np.random.default_rng(0).normal(size=(5, 5))
first = f(rows)
state = f._ran().takeover
while state._process is None:
    f(rows)
pid = state._process._process.pid
"""
SCRIPTS = {
    "it takes over, and ends with its function": """
g = compile(expanded, cache=False)
for _ in range(3):
    g(rows)
other = g._ran().takeover._process._process.pid
del g
try:
    os.kill(other, 0)
except ProcessLookupError:
    print("ended", flush=True)
state._process.wait()
while not state.settled:
    assert f(rows) == first
print(f(rows) == first, state, flush=True)
""",
    "a fork has its own, and harms none": """
child = os.fork()
if not child:
    assert state._process is None
    while not state.settled:
        assert f(rows) == first
    print("child", f(rows) == first, state, flush=True)
    sys.exit()
os.waitpid(child, 0)
while not state.settled:
    assert f(rows) == first
print("parent", f(rows) == first, state, flush=True)
""",
    "the end of the program is its end": "print(pid, flush=True)",
}

ENDS = {
    "it takes over, and ends with its function": ["ended", "True machine code since call"],
    "a fork has its own, and harms none": ["child True machine code since", "parent True machine code since"],
}


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="signals and forks are those of POSIX")
@pytest.mark.parametrize("what", SCRIPTS)
def test_a_process_that_compiles(what: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", HEAD + SCRIPTS[what]],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    if what == "the end of the program is its end":
        with pytest.raises(ProcessLookupError):
            os.kill(int(lines[0]), 0)
    else:
        assert [line.startswith(end) for line, end in zip(lines, ENDS[what], strict=True)] == [True, True]
