"""The comparison with peers: everyone who is here does the same work, and nothing is printed that was not measured."""

from __future__ import annotations

import importlib
import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from compare import race, tables, worker
from compare.__main__ import main, measured
from compare.peers import COMPILE, OURS, PEERS, Peer
from compare.race import difference, ratios, version
from compare.tables import duration, figure, pieces, render
from compare.works import WORKS, Work

import microgrid
from microgrid.datasets import moons

QUICK = "demo lstm call pair_list pair_array pair_written long_list long_array steps shift chain pendulum pairs".split()
QUICK += "hessian sparse damped orders seventh determinant".split()


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.module)
def test_each_peer_does_each_work_or_says_why_not(peer: Peer) -> None:
    module = importlib.import_module(f"compare.{peer.module}")
    assert {*module.HOW, *module.CANNOT} <= {*WORKS}
    assert not {*module.HOW} & {*module.CANNOT}
    for work in WORKS:
        assert callable(getattr(module, work, None)) == (work in module.HOW)


@pytest.mark.slow
@pytest.mark.parametrize("work", QUICK)
@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.module)
def test_the_results_are_the_same_numbers(peer: Peer, work: str) -> None:
    if version(peer) is None:
        pytest.skip(f"{peer.name} is not installed")
    module = importlib.import_module(f"compare.{peer.module}")
    if work not in module.HOW:
        pytest.skip(f"{peer.name} does not do it")
    ours = getattr(importlib.import_module("compare.on_microgrid"), work)()
    if peer.module in (
        "on_torch",
        "on_jax",
        "on_micrograd",
        "on_enzyme",
    ):  # which set widths and limits for their whole process
        apart = worker.Worker(peer, WORKS[work], 120.0)
        assert difference(worker.flat(ours()), apart.ready.numbers) == ""
        apart.close()
        return
    theirs = getattr(module, work)()
    for _ in range(2):  # the demo's second step starts from what the first has made
        assert difference(worker.flat(ours()), worker.flat(theirs())) == ""


@pytest.mark.slow
def test_the_recorded_graph_its_program_and_numpy_agree() -> None:
    pytest.importorskip("numpy")
    from compare import on_microgrid, on_numpy

    recorded, replayed, by_hand = (
        worker.flat(f()()) for f in (on_microgrid.mixed, on_microgrid.replay, on_numpy.mixed)
    )
    assert len(recorded) == 101
    assert difference(recorded, replayed) == ""
    assert difference(recorded, by_hand) == ""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="the peer in C needs a C compiler")
def test_the_library_in_c_leaves_subnormal_numbers_to_its_process() -> None:
    code = "from compare import on_c; on_c._library(); x = 2.2250738585072014e-308; assert x / 2 > 0"
    path = os.pathsep.join(sys.path)
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, check=True)


def test_the_demo_of_the_bench_is_that_of_the_command() -> None:
    from compare import data

    model = microgrid.nn.MLP(2, [16, 16, 1], seed=1337)
    flat = [x for matrix in data.layers() for row in matrix for x in row]
    assert flat == [p.data for p in model.parameters()]
    assert moons(100, seed=1337) == (data.POINTS, data.LABELS)


# --- a whole run ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    """Two peers beside recorded scalars, one of which is missing, in processes of their own."""
    absent = Peer("Absent", "on_torch", "microgrid-has-no-such-peer")
    chosen = (OURS, *(p for p in PEERS if p.package in ("micrograd", "numpy")), absent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(race, "PEERS", chosen)
        found = measured(["chain", "hessian"], 3, 60.0, more=False)
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]  # as it is read from a file


def test_what_is_there_is_measured_and_what_is_missing_is_listed(results: dict[str, Any]) -> None:
    pytest.importorskip("micrograd")
    pytest.importorskip("numpy")
    found = {(work, e["name"]): e for work, entries in results["works"].items() for e in entries}
    assert len(found) == 8
    for key in (("chain", "recorded"), ("chain", "micrograd"), ("hessian", "NumPy by hand")):
        assert len(found[key]["seconds"]) == 3
        assert all(x > 0.0 for x in found[key]["seconds"] + found[key]["first"])
        assert found[key]["reason"] == ""
    assert found["hessian", "micrograd"]["reason"] == "cannot: it has no second derivatives"
    assert found["chain", "Absent"]["reason"] == "missing: pip install microgrid-has-no-such-peer"
    assert results["versions"]["micrograd"] == "0.1.0"


def entry(name: str, seconds: list[float], **more: Any) -> dict[str, Any]:
    return {"name": name, "how": "so", "reason": "", "seconds": seconds, "first": [], "first_pure": [], **more}


def run(**works: Any) -> dict[str, Any]:
    return {"machine": race.machine(), "versions": {"a": "1", "b": None}, "rounds": 3, "minutes": 2.0, "works": works}


def test_ratios_are_of_the_same_round_and_to_compile_or_else_to_recorded_scalars() -> None:
    slow = entry("JAX", [4.0, 4.0, 3.0])
    assert ratios(slow, entry(COMPILE.name, [1.0, 2.0, 1.0])) == [2.0, 3.0, 4.0]
    both = [entry(COMPILE.name, [1.0, 2.0, 1.0]), entry("recorded", [8.0, 8.0, 8.0]), slow]
    made = pieces(run(chain=both, mixed=both[1:]))
    assert "| 1.00 s | 8.00 s, 8.00 [4.00 - 8.00] | 4.00 s, 3.00 [2.00 - 4.00] |" in made["loops"]
    assert "| 8.00 s | 4.00 s, 0.500 [0.375 - 0.500] |" in made["many"]


def test_first_calls_have_both_builds_and_what_took_too_long_is_told() -> None:
    mine = entry(COMPILE.name, [1.0], first=[0.5, 0.7, 0.6], first_pure=[2.0])
    made = pieces(run(hand=[mine, entry("JAX", [], reason="over 25 s"), entry("CasADi", [2.0], first=[0.25])]))
    assert "| 0.600 s [0.500 - 0.700] | 2.00 s | 0.250 s |" in made["first"]
    late = [mine, entry("JAX", [], reason="over 25 s")]
    made |= pieces(run(hand=late, net784=[mine, entry("JAX", [1.0], first=[3.0])]))
    assert re.search(r"bones.* over 25 s \|", made["first"])
    assert "one run of 2 minutes" in made["run"]
    assert "a 1; missing: b" in made["run"]


def test_tables_are_written_between_their_marks_and_nowhere_else(results: dict[str, Any], tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    kept = "<!-- {0} -->\nold\n<!-- end of {0} -->\n"
    page.write_text("before\n" + "between\n".join(kept.format(name) for name in ("loops", "higher", "run")) + "after\n")
    render(results, (page,))
    text = page.read_text()
    assert "old" not in text
    assert text.startswith("before\n<!-- loops -->\n|  | recorded | micrograd |")
    assert text.endswith("<!-- end of run -->\nafter\n")
    assert text.count("between\n") == 2
    render(results, (page,))
    assert page.read_text() == text
    page.write_text(kept.format("loops"))
    with pytest.raises(ValueError, match="no page has the marks <!-- run -->"):
        render(results, (page,))
    assert "old" in page.read_text()


def test_the_pages_have_a_place_for_all_that_is_measured() -> None:
    mine = [entry(COMPILE.name, [1.0]), entry("JAX", [2.0])]
    figures = {tables.AGAINST_MICROGRAD: {"compiled": [3.0]}}
    made = pieces(run(**dict.fromkeys(WORKS, mine)) | {"figures": figures, "scaling": {"gathers": [[10, 1.0, 2.0]]}})
    content = "".join(page.read_text(encoding="utf-8") for page in tables.PAGES)
    assert {*re.findall(r"<!-- end of (\w+) -->", content)} == {*made}
    for name in made:
        assert content.count(f"<!-- {name} -->\n") == 1


# --- what goes wrong -----------------------------------------------------------------------------------------------


def test_a_peer_with_another_result_is_not_timed() -> None:
    assert difference([1.0, 1e-3], [1.0, 1e-3 + 1e-11]) == ""
    assert "away from the first's" in difference([1.0, 1e-3], [1.0, 1.1e-3])
    assert "nan" in difference([1.0, 2.0], [1.0, math.nan])
    assert difference([1.0], [1.0, 2.0]) == "it gave 2 numbers, the first 1"


def test_a_wrong_result_is_shown_and_has_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("numpy")
    chosen = [OURS, *[peer for peer in PEERS if peer.package == "numpy"]]
    monkeypatch.setattr(race, "PEERS", chosen)
    monkeypatch.setattr(race, "TOLERANCE", -1.0)  # as if nothing agreed
    assert main(["hessian", "--rounds", "1"]) == 1
    assert "not measured: its result is" in capsys.readouterr().out


def test_a_peer_that_takes_too_long_or_fails_is_told_so() -> None:
    with pytest.raises(worker.NotReady, match="over 0 s"):
        worker.Worker(OURS, WORKS["chain"], 0.01)
    with pytest.raises(worker.NotReady, match="failed: AttributeError"):
        worker.Worker(OURS, Work("no_such_work", "", ""), 60.0)
    with pytest.raises(worker.NotReady, match="failed: ModuleNotFoundError"):
        worker.Worker(Peer("x", "on_nobody", ""), WORKS["chain"], 60.0)


def test_a_process_that_dies_is_told_so() -> None:
    alive = worker.Worker(OURS, WORKS["hessian"], 60.0)
    assert alive.seconds(1) > 0.0
    alive._process.kill()
    with pytest.raises(worker.NotReady, match="its process ended with exit code"):
        alive.seconds(1)
    alive.close()


ENDLESS = """
import os, sys, time
from compare import worker
from compare.peers import OURS
from compare.works import WORKS
if __name__ == "__main__":
    print(worker.Worker(OURS, WORKS["hessian"], 60.0)._process.pid, flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals are others there")
def test_a_worker_ends_when_the_command_is_killed(tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text(ENDLESS)
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, str(tmp_path / "endless.py")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    ) as process:
        assert process.stdout is not None
        worker_id = int(process.stdout.readline())
        os.kill(worker_id, 0)
        process.kill()
    for _ in range(200):
        try:
            os.kill(worker_id, 0)
        except ProcessLookupError:
            return
        if "Z" in subprocess.run(["ps", "-o", "stat=", "-p", str(worker_id)], capture_output=True, text=True).stdout:
            return  # ended, and nobody has asked for its exit code
        time.sleep(0.05)
    pytest.fail("it still runs")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["swim"], 2, f"there is no work swim: choose from {', '.join(WORKS)}"),
        (["hessian", "--out", "none/table.md"], 2, "there is no folder none"),
        (["hessian", "--rounds", "0"], 2, "must be positive, got 0"),
    ],
)
def test_misuse_is_told_before_anything_runs(
    arguments: list[str],
    code: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == code
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (1234567.0, "1,234,567"),
        (123.4, "123"),
        (12.34, "12.3"),
        (1.234, "1.23"),
        (0.01234, "0.0123"),
        (0.09996, "0.100"),
        (99.96, "100"),
        (0.0, "0"),
    ],
)
def test_figures_have_three_digits(x: float, text: str) -> None:
    assert figure(x) == text


@pytest.mark.parametrize(
    ("x", "text"), [(12.5, "12.5 s"), (0.0125, "12.5 ms"), (1.25e-5, "12.5 µs"), (5e-8, "50.0 ns")]
)
def test_durations_have_a_unit(x: float, text: str) -> None:
    assert duration(x) == text
