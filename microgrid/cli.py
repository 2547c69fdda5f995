"""The `microgrid` command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import microgrid
from microgrid.demo import STEPS, DemoError, demo
from microgrid.engine import COMPILED


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, those of the process by default; its exit code."""
    parser = argparse.ArgumentParser(prog="microgrid", description=microgrid.__doc__)
    parser.add_argument("--version", action="version", version=f"microgrid {microgrid.__version__} ({build()})")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    train = commands.add_parser("demo", help="train a small network of scalars on two moons and draw what it learned")
    train.add_argument("--out", type=Path, default=Path("microgrid-demo"), help="folder for the pictures (%(default)s)")
    train.add_argument("--steps", type=_whole(0), default=STEPS, help="training steps (%(default)s)")
    train.add_argument("--samples", type=_whole(2), default=100, help="points on the moons (%(default)s)")
    train.add_argument("--seed", type=int, default=1337, help="the same seed gives the same bits (%(default)s)")
    train.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 2
    try:
        demo(options.out, steps=options.steps, samples=options.samples, seed=options.seed, quiet=options.quiet)
    except DemoError as error:
        print(f"microgrid: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("microgrid: interrupted before there was anything to keep", file=sys.stderr)
        return 130
    return 0


def build() -> str:
    """Which build of the engine runs."""
    return "compiled" if COMPILED else "pure Python, not compiled"


def _whole(least: int) -> Callable[[str], int]:
    def whole_number(text: str) -> int:
        number = int(text)
        if number < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, got {text}")
        return number

    return whole_number
