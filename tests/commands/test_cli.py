"""The `microgrid` command, as a process and as a function."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import microgrid
from microgrid.commands.cli import main
from microgrid.engine import COMPILED

pytest.importorskip("matplotlib")
pytest.importorskip("tqdm")


@pytest.mark.slow
def test_the_demo_writes_three_pictures_and_the_same_seed_gives_the_same_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = []
    for folder in ("a", "b"):
        assert main(["demo", "--steps", "3", "--samples", "20", "--quiet", "--out", str(tmp_path / folder)]) == 0
        lines.append([line for line in capsys.readouterr().out.splitlines() if line.startswith("loss ")])
        written = sorted(path.name for path in (tmp_path / folder).iterdir())
        assert written[0] == "boundary.png"
        assert written[1] == "loss.png"
        assert written[2] == "neuron.svg"
    assert lines[0] == lines[1]
    assert "after 3 steps" in lines[0][0]


@pytest.mark.slow
def test_the_whole_demo_learns_the_moons(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--quiet", "--out", str(tmp_path)]) == 0
    assert "accuracy 100%, after 100 steps" in capsys.readouterr().out


@pytest.mark.slow
def test_ctrl_c_ends_the_demo_with_what_it_has(tmp_path: Path) -> None:
    command = [sys.executable, "-u", "-m", "microgrid", "demo", "--steps", "1000000", "--quiet", "--out", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "parameters" in process.stdout.readline()
        time.sleep(2.0)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "") or "Fontconfig" in err
    assert "stopped after" in out
    assert (tmp_path / "loss.png").exists()


@pytest.mark.skipif(os.name == "nt", reason="permissions are others there")
def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    assert main(["demo", "--out", str(tmp_path / "file" / "folder")]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "choose a folder with --out" in err


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "microgrid", *arguments], capture_output=True, text=True)


def test_piped_output_is_plain_and_misuse_goes_to_the_other_stream() -> None:
    done = run("grad", "log(x) * sin(y)", "x=2", "y=0.5", "--program", "--latex", "--check", "--hessian")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
    assert not set(done.stdout) & {"\x1b", "\r"}
    failed = run("grad", "log(x", "x=2")
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr == "microgrid: '(' was never closed: each ( needs its )\n  log(x\n     ^\n"


def test_a_reader_that_has_gone_is_no_traceback() -> None:
    command = [sys.executable, "-m", "microgrid", "grad", "+".join("x" * 2000), "x=1", "--program"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert (process.wait(), process.stderr.read()) == (1, "")


def test_output_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "loss.png").mkdir()
    done = run("demo", "--steps", "1", "--samples", "10", "--out", str(tmp_path), "--quiet")
    assert done.returncode == 1
    assert "parameters" in done.stdout
    assert f"microgrid: {tmp_path / 'loss.png'}: Is a directory\n" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk, as Linux has it")
def test_a_full_disk_or_a_closed_output_is_no_traceback() -> None:
    command = f"{sys.executable} -m microgrid grad x x=2"
    full = subprocess.run(f"{command} > /dev/full", shell=True, capture_output=True, text=True)
    assert (full.returncode, full.stderr) == (1, "microgrid: the output: No space left on device\n")
    closed = subprocess.run(f"{command} >&-", shell=True, capture_output=True, text=True)
    assert (closed.returncode, closed.stderr) == (0, "")


@pytest.mark.parametrize("command", ["demo", "grad", "check"])
def test_each_command_has_help_that_fits_a_terminal(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "81")
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 81
    assert text.startswith(f"usage: microgrid {command}")


@pytest.mark.parametrize("arguments", [["nothing"], ["grad"], ["check"], ["demo", "x"], ["grad", "x", "x=1", "--what"]])
def test_what_is_no_command_has_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage: microgrid" in capsys.readouterr().err


def test_version_help_and_wrong_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    expected = "compiled" if COMPILED else "pure Python"
    assert capsys.readouterr().out.startswith(f"microgrid {microgrid.__version__} ({expected}")
    assert main([]) == 2
    assert "demo" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        main(["demo", "--samples", "1"])
    assert stop.value.code == 2
    assert "must be at least 2" in capsys.readouterr().err
