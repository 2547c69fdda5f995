"""Processes that run cases, and may end; and errors that they plant in the compiler on purpose."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from fuzzing.cases import Case, case_of
from fuzzing.modes import run

ROOT = Path(__file__).parent.parent.parent


def environment() -> dict[str, str]:
    """The environment of a process that imports from where this one does."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), *filter(None, sys.path)])}


class Worker:
    """A process that runs cases, and may end."""

    def __init__(self, plant: str = "") -> None:
        self.log = tempfile.TemporaryFile()  # noqa: SIM115  # for as long as the process
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "fuzzing", "--worker", "--plant", plant],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env=environment(),
            cwd=ROOT,
        )
        self.cases = 0

    def run(self, case: Case, seconds: float = 120.0) -> list[str]:
        """Run a case in a process; return its error, which may be that the process ended, or took too many seconds."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.cases += 1
        try:
            self.process.stdin.write(json.dumps(vars(case)).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return [self.ended(case)]
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        if not ready:
            self.process.kill()
            self.process.wait()
            return [f"{case.modes[0]}: no answer within {seconds:.0f} s"]
        line = self.process.stdout.readline()
        if not line:
            return [self.ended(case)]
        answer: list[str] = json.loads(line)
        return answer

    def ended(self, case: Case) -> str:
        code = self.process.wait()
        self.log.seek(0)
        tail = self.log.read().decode(errors="replace").strip()[-1500:]
        return f"{case.modes[0]}: the process ended with {code}: {tail}"

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def close(self) -> None:
        """End the process."""
        if self.alive:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.log):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def serve(plant: str) -> None:
    """Answer cases, a line each, until there are none."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what code prints is no answer
    if plant:
        PLANTS[plant]()
    for line in sys.stdin:
        print(json.dumps(run(case_of(json.loads(line)))), file=answers, flush=True)


def _plant_side_by_side() -> None:
    """Loops around loops run their iterations side by side though one needs what another computes."""
    from microgrid.compiler import storage

    storage._Placement.jams = lambda self, loop, innermost=False, chain=frozenset(): True  # type: ignore[method-assign]  # the planted error


def _plant_lost_iteration() -> None:
    """Innermost loops of seven iterations or more lose their last one."""
    from microgrid.compiler import plan, storage
    from microgrid.compiler.roll import Loop, Node, Rolled

    def shorter(node: Node) -> Node:
        if not isinstance(node, Loop):
            return node
        if any(isinstance(inner, Loop) for inner in node.body):
            return node._replace(body=tuple(map(shorter, node.body)))
        long = not node.times.terms and node.times.base >= 7
        return node._replace(times=node.times.plus(-1)) if long else node

    def placed(rolled: Rolled, *, alone: bool) -> Any:
        return storage.place(rolled.with_nodes(tuple(map(shorter, rolled.nodes))), alone=alone)

    setattr(plan, "place", placed)  # noqa: B010  # where it is used


def _plant_longer_triangle() -> None:
    """Loops whose count depends on a counter around run one iteration more."""
    from microgrid.compiler import plan, storage
    from microgrid.compiler.roll import Loop, Node, Rolled

    def longer(node: Node) -> Node:
        if not isinstance(node, Loop):
            return node
        times = node.times.plus(1) if node.times.terms else node.times
        return node._replace(times=times, body=tuple(map(longer, node.body)))

    def placed(rolled: Rolled, *, alone: bool) -> Any:
        try:
            return storage.place(rolled.with_nodes(tuple(map(longer, rolled.nodes))), alone=alone)
        except IndexError:  # there is nothing to read any more
            return storage.place(rolled, alone=alone)

    setattr(plan, "place", placed)  # noqa: B010  # where it is used


def _plant_lost_number() -> None:
    """A number that a loop carries is lost where the loop has no iteration."""
    from microgrid.compiler import plan, storage
    from microgrid.compiler.code import Code, Guard, Repeat
    from microgrid.compiler.roll import Rolled

    def without(code: Code) -> Code:
        if isinstance(code, Guard):
            return code._replace(results=tuple([(register, 0.125, after) for register, _, after in code.results]))
        return code._replace(body=tuple(map(without, code.body))) if isinstance(code, Repeat) else code

    def placed(rolled: Rolled, *, alone: bool) -> Any:
        stored = storage.place(rolled, alone=alone)
        return stored._replace(segments=tuple([tuple(map(without, segment)) for segment in stored.segments]))

    setattr(plan, "place", placed)  # noqa: B010  # where it is used


def _plant_abort() -> None:
    """LLVM ends the process where a module is long."""
    from microgrid.compiler.machine import Machine

    object_of = Machine.object_of

    def ending(self: Machine, text: str, effort: str = "full") -> bytes:
        if len(text) > 15_000:
            print("Assertion `planted' failed.", file=sys.stderr, flush=True)
            os.abort()
        return object_of(self, text, effort)

    Machine.object_of = ending  # type: ignore[method-assign]  # the planted error


def _plant_forgotten_static() -> None:
    """Static arguments of one type are taken for one another."""
    from microgrid.core import tree

    setattr(tree, "by_value", lambda x, other=None: type(x))  # noqa: B010  # the planted error


def _plant_swapped_array() -> None:
    """An array of two axes is read by columns."""
    from microgrid.compiler import arguments
    from microgrid.numbers.arrays import array_of_floats

    def by_columns(x: Any) -> Any:
        return array_of_floats(x).T.copy().reshape(x.shape)

    setattr(arguments, "array_of_floats", by_columns)  # noqa: B010  # where it is used


def _plant_reused_slot() -> None:
    """The interpreter puts numbers into a slot that is in use."""
    from microgrid.compiler.encoding import _Encoder

    new = _Encoder.new

    def wrong(self: _Encoder) -> int:
        return new(self) if self.slots - self.pinned < 2 else self.slots - 1

    _Encoder.new = wrong  # type: ignore[method-assign]  # the planted error


def _plant_done_lane() -> None:
    """A lane goes on after its loop is done, while others go on."""
    from microgrid.compiler.loop_passes import LoopPasses

    def taken(self: LoopPasses, target: str, mask: str, new: str, old: str) -> None:
        self.copy(target, new, [(i, i) for i in range(self.repeated.carry)])

    LoopPasses.blend = taken  # type: ignore[method-assign]  # the planted error


def _plant_cotangent_twice() -> None:
    """The last contribution of a loop's step to a sum is added twice."""
    from microgrid.compiler.loop_tapes import LoopFrame
    from microgrid.compiler.tape import Tape

    on_frame = LoopFrame._on_frame

    def twice(self: LoopFrame, tape: Tape, steps: Any, cells: Any) -> Tape:
        found = on_frame(self, tape, steps, cells)
        if cells and not self.loops and found.shapes[found.steps[-1][0]].adds:
            found.steps.append(found.steps[-1])
        return found

    LoopFrame._on_frame = twice  # type: ignore[method-assign]  # the planted error


def _plant_state_overwritten() -> None:
    """Each iteration keeps its carry where the one before did."""
    from microgrid.compiler.loop_passes import LoopPasses

    def first(self: LoopPasses, t: str, begin: str) -> str:
        return self.at("%memory", self.it.records)

    LoopPasses.record = first  # type: ignore[method-assign]  # the planted error


def _simplify_by(**methods: Any) -> None:
    """Simplify with other methods: in a subclass, since a compiled class keeps its own."""
    from microgrid.graph import simplification

    setattr(simplification, "PASS", type("Wrong", (simplification.PASS,), methods))  # noqa: B010  # the planted error


def _plant_zero_times_anything() -> None:
    """A product with 0 is 0 whatever the other factor is."""
    _simplify_by(vanishes=lambda self, value: not self.exact)


def _plant_swapped_difference() -> None:
    """The difference of two numbers is that of the other and the one."""
    from microgrid import ops

    _simplify_by(difference_of_slots=lambda self, i, j: 2 * self.emitted(ops.sub, (j, i)))


def _plant_lost_sign() -> None:
    """A factor's sign is lost."""
    from microgrid.graph.simplification import PASS

    _simplify_by(product=lambda self, x, y: PASS.product(self, x, y) & ~1)


def _plant_lost_entry() -> None:
    """A sparse derivative lacks its last entry."""
    from microgrid.graph.sparsity import SparsePasses

    entries = SparsePasses.entries
    setattr(SparsePasses, "entries", lambda self, **how: entries(self, **how)[:-1])  # noqa: B010  # the planted error


def _plant_unwritten_slot() -> None:
    """Machine code of the interpreter's instructions keeps a number that a later part reads."""
    from microgrid.compiler import parts

    modules_of = parts.modules_of

    def wrong(instructions: Any, kept: Any, *how: Any) -> Any:
        return modules_of(instructions, kept[:-1], *how)

    setattr(parts, "modules_of", wrong)  # noqa: B010  # the planted error


PLANTS = {
    "zero times anything": _plant_zero_times_anything,
    "swapped difference": _plant_swapped_difference,
    "lost sign": _plant_lost_sign,
    "lost entry": _plant_lost_entry,
    "reused slot": _plant_reused_slot,
    "unwritten slot": _plant_unwritten_slot,
    "side by side": _plant_side_by_side,
    "lost iteration": _plant_lost_iteration,
    "longer triangle": _plant_longer_triangle,
    "lost number": _plant_lost_number,
    "abort": _plant_abort,
    "forgotten static": _plant_forgotten_static,
    "swapped array": _plant_swapped_array,
    "done lane": _plant_done_lane,
    "cotangent twice": _plant_cotangent_twice,
    "state overwritten": _plant_state_overwritten,
}
