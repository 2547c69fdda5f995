"""The comparison with peers: everyone who is here does the same work, and nothing is printed that was not measured."""

from __future__ import annotations

import importlib
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from compare import race, worker
from compare.__main__ import main
from compare.peers import OURS, PEERS, Peer
from compare.race import Entry, Results, difference, machine
from compare.tables import duration, figure, written
from compare.works import WORKS, Work

import microgrid
from microgrid.datasets import moons

WORK = Work(
    "chain",
    "A chain",
)
QUICK = [work for work in WORKS if work not in ("mixed", "replay", "gathers", "hand", "gpt", "mixture")]


@pytest.mark.parametrize("peer", [OURS, *PEERS], ids=lambda peer: peer.module)
def test_each_peer_does_each_work_or_says_why_not(peer: Peer) -> None:
    module = importlib.import_module(f"compare.{peer.module}")
    assert {*module.HOW, *module.CANNOT} == {*WORKS}
    assert not {*module.HOW} & {*module.CANNOT}
    for work in WORKS:
        assert callable(getattr(module, work, None)) == (work in module.HOW)
    if peer is OURS:
        assert not module.CANNOT


@pytest.mark.slow
@pytest.mark.parametrize("work", QUICK)
@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.module)
def test_the_results_are_the_same_numbers(peer: Peer, work: str) -> None:
    if worker.version(peer) is None:
        pytest.skip(f"{peer.name} is not installed")
    module = importlib.import_module(f"compare.{peer.module}")
    if work in module.CANNOT:
        pytest.skip(module.CANNOT[work])
    ours = getattr(importlib.import_module("compare.on_microgrid"), work)()
    if peer.module in ("on_torch", "on_jax", "on_micrograd"):  # which set widths and limits for their whole process
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


def test_the_demo_of_the_bench_is_that_of_the_command() -> None:
    from compare import works

    model = microgrid.nn.MLP(2, [16, 16, 1], seed=1337)
    flat = [x for matrix in works.layers() for row in matrix for x in row]
    assert flat == [p.data for p in model.parameters()]
    assert moons(100, seed=1337) == (works.POINTS, works.LABELS)


# --- a whole run ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def measured() -> Results:
    """Two peers, one of which is missing, in processes of their own."""
    absent = Peer("Absent", "on_torch", "microgrid-has-no-such-peer")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(race, "PEERS", (*(p for p in PEERS if p.package in ("micrograd", "numpy")), absent))
        return race.run([WORKS["chain"], WORKS["hessian"]], pairs=3, limit=60.0, tell=lambda text: None)


def test_what_is_there_is_measured_and_what_is_missing_is_listed(measured: Results) -> None:
    pytest.importorskip("micrograd")
    pytest.importorskip("numpy")
    found = {(e.work, e.name): e for e in measured.entries}
    assert len(found) == 8
    assert len(found["chain", "microgrid"].pairs) == 3
    for key in (("chain", "micrograd"), ("hessian", "NumPy by hand")):
        assert len(found[key].pairs) == 3
        assert all(x > 0.0 for pair in found[key].pairs for x in pair)
        assert found[key].reason == ""
    assert found["hessian", "micrograd"].reason == "cannot: it has no second derivatives"
    assert found["chain", "Absent"].reason == "missing: pip install microgrid-has-no-such-peer"
    assert measured.versions["Absent"] is None
    assert measured.versions["micrograd"] == "0.1.0"


def test_all_formats_tell_the_same(measured: Results) -> None:
    text, markdown, data = (written(measured, format) for format in ("text", "markdown", "json"))
    parsed = json.loads(data)
    for entry, raw in zip(measured.entries, parsed["entries"], strict=True):
        assert entry.name in text
        assert f"| {entry.name} |" in markdown
        assert [(pair["microgrid"], pair["peer"]) for pair in raw["seconds"]] == list(entry.pairs)
        if entry.pairs:
            ratio = "1" if entry.name == "microgrid" else figure(raw["ratio"])
            for table in (text, markdown):
                assert any(entry.name in line and f" {ratio} " in line for line in table.splitlines())
        else:
            assert raw["ratio"] is None
            assert entry.reason in text
    assert parsed["versions"]["Absent"] is None
    for heading in (text, markdown):
        assert "missing: Absent" in heading
        assert machine()["python"] in heading


def test_the_ratio_is_theirs_by_ours_and_the_median_of_the_pairs() -> None:
    entry = Entry("chain", "x", pairs=((1.0, 4.0), (2.0, 4.0), (1.0, 3.0)), setup=0.5)
    assert entry.ratios == [2.0, 3.0, 4.0]
    text = written(Results([WORK], [entry], {}, machine()), "text")
    assert "3.00  [2.00 - 4.00]" in text


# --- what goes wrong -----------------------------------------------------------------------------------------------


def test_a_peer_with_another_result_is_not_timed() -> None:
    assert difference([1.0, 1e-3], [1.0, 1e-3 + 1e-11]) == ""
    assert "away from microgrid's" in difference([1.0, 1e-3], [1.0, 1.1e-3])
    assert "nan" in difference([1.0, 2.0], [1.0, math.nan])
    assert difference([1.0], [1.0, 2.0]) == "it gave 2 numbers, microgrid 1"


def test_a_wrong_result_is_shown_and_has_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("numpy")
    monkeypatch.setattr(race, "PEERS", [peer for peer in PEERS if peer.package == "numpy"])
    monkeypatch.setattr(race, "TOLERANCE", -1.0)  # as if nothing agreed
    assert main(["hessian", "--pairs", "1"]) == 1
    assert "not measured: its result is" in capsys.readouterr().out


def test_a_peer_that_takes_too_long_or_fails_is_told_so() -> None:
    with pytest.raises(worker.NotReady, match="longer than 0 s"):
        worker.Worker(OURS, WORKS["chain"], 0.01)
    with pytest.raises(worker.NotReady, match="failed: AttributeError"):
        worker.Worker(OURS, Work("no_such_work", ""), 60.0)
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
        (["hessian", "--pairs", "0"], 2, "must be positive, got 0"),
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
    ("x", "text"), [(12.5, "12.5 s"), (0.0125, "12.5 ms"), (1.25e-5, "12.5 us"), (5e-8, "50.0 ns")]
)
def test_durations_have_a_unit(x: float, text: str) -> None:
    assert duration(x) == text
