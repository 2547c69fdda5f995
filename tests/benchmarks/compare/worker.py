"""One who takes part, doing one work in a process of its own: its threads, its memory and its crashes stay there."""

from __future__ import annotations

import contextlib
import gc
import importlib
import multiprocessing
import os
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from compare.peers import Peer
from compare.works import Work


class Ready(NamedTuple):
    """It has done its work once: what that gave, and processor seconds with the imports and all that came before."""

    how: str
    numbers: list[float]
    seconds: float


class NotReady(Exception):
    """A peer cannot be measured; the text says why."""


class Worker:
    """The process, seen from the one that measures. Raises NotReady when an answer takes more than `limit` seconds.

    `package` is the folder of another build of microgrid.
    """

    def __init__(self, peer: Peer, work: Work, limit: float, package: Path | None = None) -> None:
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there, peer, work), daemon=True)
        before = list(sys.path)
        try:
            if package is not None:
                sys.path.insert(0, str(package))  # the new process takes over what stands here
            self._process.start()
        finally:
            sys.path[:] = before
        there.close()
        self._limit = limit
        try:
            self.ready: Ready = self._answer()
        except BaseException:
            self.close()
            raise

    def seconds(self, runs: int) -> float:
        """Return the seconds of one run: the mean of `runs` in a row, from a collected heap."""
        with contextlib.suppress(BrokenPipeError):  # then there is no answer either
            self._here.send(runs)
        return float(self._answer())

    def _answer(self) -> Any:
        if not self._here.poll(self._limit):
            raise NotReady(f"over {self._limit:.0f} s")
        try:
            answer = self._here.recv()
        except (EOFError, ConnectionError):
            self._process.join()
            raise NotReady(f"not measured: its process ended with exit code {self._process.exitcode}") from None
        if isinstance(answer, str):
            raise NotReady(answer)
        return answer

    def close(self) -> None:
        """End the process."""
        self._here.close()
        self._process.kill()
        self._process.join()


def flat(result: Any) -> list[float]:
    """Nested lists, tuples and arrays of any library as a list of floats, row by row.

    A function stands for its result: what only puts numbers in order is not timed.
    """
    if callable(result):
        return flat(result())
    if hasattr(result, "full"):  # CasADi's matrices
        result = result.full()
    if hasattr(result, "tolist"):
        result = result.tolist()
    if isinstance(result, (list, tuple)):
        return [x for item in result for x in flat(item)]
    return [float(result)]


def _end_with_the_parent() -> None:
    """A library that compiles for minutes would go on when nobody waits for it any more."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _serve(pipe: Connection, peer: Peer, work: Work) -> None:
    """Get ready, then run as often as told, until the pipe closes."""
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)  # what a library has to say is no part of the table
    os.dup2(silence, 2)
    try:
        start = time.process_time()
        module: Any = importlib.import_module(f"compare.{peer.module}")
        run = getattr(module, work.name)()
        numbers = flat(run())
        pipe.send(Ready(module.HOW[work.name], numbers, time.process_time() - start))
        while True:
            runs = pipe.recv()
            gc.collect()
            start = time.perf_counter()
            for _ in range(runs):
                run()
            pipe.send((time.perf_counter() - start) / runs)
    except (EOFError, KeyboardInterrupt):
        return
    except BaseException as error:
        text = str(error).strip().split("\n")[0][:200]
        pipe.send(f"failed: {type(error).__name__}: {text}" if text else f"failed: {type(error).__name__}")
