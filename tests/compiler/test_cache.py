"""Machine code on disk and in memory: kept, shared, dropped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import microgrid as mg
from microgrid.compiler import cache, machine


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICROGRID_CACHE", str(tmp_path_factory.mktemp("cache")))


def own_folder() -> Path:
    folder = cache.folder()
    assert folder is not None
    return folder


GROWTH = """
import gc, math, sys
import psutil
import microgrid as mg
from microgrid.compiler import machine

def pieces():
    gc.collect()
    return sum(type(x) is machine.Loaded for x in gc.get_objects())

def one(k):
    f = mg.compile(lambda x: mg.sum([mg.sin(x * (0.1 * k + i)) for i in range(5)]), cache=False)
    assert math.isclose(f(1.0), sum(math.sin(0.1 * k + i) for i in range(5)), rel_tol=1e-12, abs_tol=1e-12)
    return f

kept = []
for k in range(30):
    one(k)
loaded, growth = pieces(), []
for window in range(6):
    before = psutil.Process().memory_info().rss
    for k in range(30):
        f = one(k)
        if sys.argv[1] == "keep":
            kept.append(f)
    growth.append(psutil.Process().memory_info().rss - before)
del f
print(pieces() - loaded, min(growth))
"""


@pytest.mark.slow
@pytest.mark.parametrize("what", ["drop", "keep"])
def test_functions_compiled_and_dropped_do_not_grow_the_process(what: str) -> None:
    # A process of its own, and the least growth of six windows: a leak grows each of them, an allocator's
    # arena or a collection that comes late only some. The control keeps the functions.
    pytest.importorskip("psutil")
    done = subprocess.run([sys.executable, "-c", GROWTH, what], capture_output=True, text=True, check=True)
    more, least = map(int, done.stdout.split())
    if what == "drop":
        assert more <= 0
        assert least < 30 * 4096  # less than a page for each function
    else:
        assert more == 180
        assert least > 30 * 4096


def test_the_cache_gives_back_what_was_compiled() -> None:
    def compiled() -> Any:
        f = mg.compile(lambda x: mg.exp(x) * 3.0)
        f(1.0)
        return f

    assert "cache" not in compiled().report()
    again = compiled()
    assert "from the cache" in again.report()
    assert again(0.0) == 3.0
    for path in own_folder().iterdir():
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
    assert [path.name for path in own_folder().iterdir()] == ["name"]


def test_threads_may_compile_at_once() -> None:
    from concurrent.futures import ThreadPoolExecutor

    shared = mg.compile(lambda xs: mg.sum([x * x for x in xs]))

    def one(k: int) -> tuple[float, float]:
        own = mg.compile(lambda x: mg.sin(x) * float(k), cache=False)
        return own.gradient(0.0), shared([float(k)] * (k % 3 + 1))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(16))) == [(float(k), float(k * k * (k % 3 + 1))) for k in range(16)]


def test_a_folder_that_cannot_be_written_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MICROGRID_CACHE", str(tmp_path / "file"))
    assert mg.compile(lambda x: x + 3.0)(1.0) == 4.0


def test_a_user_without_a_home_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("MICROGRID_CACHE")
    monkeypatch.setattr(Path, "expanduser", homeless)
    assert mg.compile(lambda x: x + 5.0)(1.0) == 6.0


def test_a_file_that_cannot_be_touched_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path) -> None:
        raise PermissionError

    cache.save("of another user", b"code")
    monkeypatch.setattr(Path, "touch", denied)
    assert cache.load("of another user") == b"code"


def test_the_oldest_files_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "KEPT", 3)
    for k in range(5):
        cache.save(str(k), b"x")
    assert len(list(own_folder().iterdir())) == 3


needs_rights = pytest.mark.skipif(sys.platform == "win32", reason="rights are no bits there")


def planted() -> tuple[str, bytes]:
    """A file of the cache that is whole."""
    cache.save("name", b"code")
    assert cache.load("name") == b"code"
    return "name", (own_folder() / "name").read_bytes()


@needs_rights
@pytest.mark.parametrize("rights", [0o620, 0o602, 0o666, 0o777])
def test_a_file_that_others_may_write_is_not_read(rights: int) -> None:
    name, _ = planted()
    (own_folder() / name).chmod(rights)
    assert cache.load(name) is None


@needs_rights
@pytest.mark.parametrize("rights", [0o770, 0o707, 0o777, 0o1777])
def test_nothing_is_read_from_or_kept_in_a_folder_that_others_may_write_to(rights: int) -> None:
    name, _ = planted()
    own_folder().chmod(rights)
    assert cache.load(name) is None
    cache.save("another", b"code")
    assert not (own_folder() / "another").exists()


@needs_rights
def test_files_and_folders_of_another_user_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    name, _ = planted()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert cache.load(name) is None


@needs_rights
def test_a_link_is_not_followed_and_a_pipe_not_waited_for() -> None:
    name, whole = planted()
    elsewhere = own_folder() / "elsewhere"
    elsewhere.write_bytes(whole)
    (own_folder() / name).unlink()
    (own_folder() / name).symlink_to(elsewhere)
    assert cache.load(name) is None
    (own_folder() / name).unlink()
    os.mkfifo(own_folder() / name, 0o600)
    assert cache.load(name) is None


@needs_rights
def test_a_pipe_in_place_of_the_folder_does_not_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    monkeypatch.setenv("MICROGRID_CACHE", str(tmp_path / "pipe"))
    assert mg.compile(lambda x: x + 7.0)(1.0) == 8.0


def test_one_file_is_not_taken_for_another() -> None:
    _, whole = planted()
    path = own_folder() / "another"
    path.write_bytes(whole)
    path.chmod(0o600)
    assert cache.load("another") is None


@needs_rights
def test_a_new_folder_is_the_users_alone_whatever_new_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MICROGRID_CACHE", str(tmp_path / "new"))
    before = os.umask(0)
    try:
        planted()
    finally:
        os.umask(before)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_a_tilde_is_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("MICROGRID_CACHE", "~/kept here")
    assert own_folder() == tmp_path / "kept here"
    monkeypatch.setenv("MICROGRID_CACHE", "~nobody_has_this_name/kept")
    assert cache.folder() is None or sys.platform == "win32"
