"""The `microgrid` command: its options, and its exit codes."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import microgrid
from microgrid.commands.given import DEMO_STEPS, CommandError, assignments, number
from microgrid.engine import COMPILED

EXIT_CODES = """\
exit code: 0 for success, 1 if a check says FAIL or a command cannot be carried
out, 2 for wrong usage. microgrid COMMAND --help says more about each.
"""

GRAD_EXAMPLES = """\
examples:
  microgrid grad "log(x) * sin(y)" x=2 y=0.5
  microgrid grad "tanh(a * b + a)" a=0.7 b=-1 --hessian --check
  microgrid grad "x**2 / (1 + exp(-x))" x=pi/4 --draw graph.svg

Operators are + - * / // % ** and parentheses; functions are microgrid's own, as
sin, log, tanh, maximum, where, sum; pi, e, tau, inf and nan are numbers. An
expression is parsed, never run as Python code. A value is a number or a constant
expression.
"""

PLAY_EXAMPLES = """\
examples:
  microgrid play
  microgrid play "(sigmoid(w*x + b) - y)**2" w=5 x=2 b=-1 y=0

The page is served to this machine only, under an address that nobody can guess,
until Ctrl-C. The address carries the expression and its numbers.
"""

CHECK_EXAMPLES = """\
examples:
  microgrid check model.py::loss x=0.5 "w=[0.1, -0.2]"
  microgrid check model.py::loss --gradient by_hand x=0.5 "w=[0.1, -0.2]"

The file is imported, as pytest would. The function takes numbers, or lists and
dicts of them, and returns one number. An argument without a value keeps its
default; one that is annotated float or Value gets a number, the same for the
same seed. Arguments annotated int, bool or str are held fixed, and so are
defaults that are not floats. PASS and UNDECIDED have the exit code 0, FAIL has
1.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (default: those of the process) and return its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name may have letters that the terminal lacks
    parser = _parser()
    options, others = parser.parse_known_args(_with_minus(sys.argv[1:] if arguments is None else arguments))
    if others and (not hasattr(options, "values") or any(text.startswith("-") for text in others)):
        parser.error(f"unrecognized arguments: {' '.join(others)}; microgrid COMMAND --help has those that there are")
    if others:
        options.values += others  # argparse takes those before an option only
    if options.command is None:
        parser.print_help()
        return 2
    try:
        code = _run(options)
        print(end="", flush=True)  # sys.stdout is None where it is closed
    except CommandError as error:
        print(f"microgrid: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("microgrid: interrupted before there was anything to keep", file=sys.stderr)
        return 130
    except OSError as error:
        if not isinstance(error, BrokenPipeError):  # as by `| head`
            print(f"microgrid: {error.filename or 'the output'}: {error.strerror or error}", file=sys.stderr)
        _finish_output()
        return 1
    return code


def _finish_output() -> None:
    """Flush what was printed; drop it if that fails, since Python would raise again at exit."""
    try:
        print(end="", flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(options: argparse.Namespace) -> int:
    """Run the command; each loads what it alone needs, so that the playground is there at once."""
    if options.command == "grad":
        from microgrid.commands.grad import grad

        return grad(
            options.expression,
            options.values,
            second=options.hessian,
            program=options.program,
            latex=options.latex,
            picture=options.draw,
            page=options.steps,
            check=options.check,
            as_text=not options.json,
        )
    if options.command == "check":
        from microgrid.commands.check import check

        return check(
            options.function,
            options.values,
            gradient=options.gradient,
            seed=options.seed,
            as_text=not options.json,
        )
    if options.command == "play":
        from microgrid.commands.play import play

        values = {name: number(name, value) for name, value in assignments(options.values).items()}
        return play(options.expression, values, port=options.port, browser=not options.no_browser)
    from microgrid.commands.demo import demo

    demo(options.out, steps=options.steps, samples=options.samples, seed=options.seed, quiet=options.quiet)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="microgrid",
        description=(microgrid.__doc__ or "").split("\n")[0],
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"microgrid {microgrid.__version__} ({build()})")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    def command(name: str, help: str, epilog: str = "") -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=help,
            description=f"{help[0].upper()}{help[1:]}.",
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    train = command("demo", "train a small network of scalars on two moons, and draw it")
    train.add_argument("--out", type=Path, default=Path("microgrid-demo"), help="folder for the pictures (%(default)s)")
    train.add_argument("--steps", type=_whole(0), default=DEMO_STEPS, help="training steps (%(default)s)")
    train.add_argument("--samples", type=_whole(2), default=100, help="points on the moons (%(default)s)")
    train.add_argument("--seed", type=int, default=1337, help="the same seed gives the same bits (%(default)s)")
    train.add_argument("--quiet", action="store_true", help="no progress bar")

    slope = command("grad", "value and gradient of an expression at a point", GRAD_EXAMPLES)
    slope.add_argument("expression", help='a formula, as "log(x) * sin(y)"')
    slope.add_argument("values", nargs="*", metavar="NAME=NUMBER", help="the value of each variable, as x=2")
    slope.add_argument("--hessian", action="store_true", help="the second derivatives, too")
    slope.add_argument("--program", action="store_true", help="the operations, one a line")
    slope.add_argument("--latex", action="store_true", help="the formula and its derivatives in LaTeX")
    slope.add_argument("--check", action="store_true", help="compare with certified derivatives; 1 on FAIL")
    slope.add_argument("--draw", type=Path, metavar="FILE", help="write the picture of the graph: .svg, .png or .pdf")
    slope.add_argument("--steps", type=Path, metavar="FILE", help="write the stepper as a page: .html")
    slope.add_argument("--json", action="store_true", help="print JSON, with inf and nan as strings")

    board = command("play", "open the playground in the browser: expressions, the stepper, a network", PLAY_EXAMPLES)
    board.add_argument("expression", nargs="?", default="", help='a formula to begin with, as "tanh(w*x + b)"')
    board.add_argument("values", nargs="*", metavar="NAME=NUMBER", help="the value of each variable, as x=2")
    board.add_argument("--port", type=_whole(0), default=0, help="port on the loopback; a free one if not given")
    board.add_argument("--no-browser", action="store_true", help="print the address, and open nothing")

    judge = command("check", "check the gradient of a function in a file", CHECK_EXAMPLES)
    judge.add_argument("function", metavar="FILE::FUNCTION", help="a Python file, and a function or an op in it")
    judge.add_argument("values", nargs="*", metavar="NAME=VALUE", help="arguments: numbers, or JSON as w=[1.0,2.0]")
    judge.add_argument(
        "--gradient", metavar="NAME", help="a function in the same file that claims to give the gradient"
    )
    judge.add_argument("--seed", type=int, default=0, help="seed of the random numbers (%(default)s)")
    judge.add_argument("--json", action="store_true", help="print JSON, with inf and nan as strings")
    return parser


def _with_minus(arguments: Sequence[str]) -> list[str]:
    """Return the arguments, with a space before an expression such as -x**2: argparse takes it for an option."""
    if not arguments or arguments[0] not in ("grad", "play"):
        return list(arguments)
    return [
        f" {text}" if text.startswith("-") and text[1:2] not in ("", "-") and text != "-h" else text
        for text in arguments
    ]


def build() -> str:
    """Return the name of the build that runs: compiled or pure Python."""
    return "compiled" if COMPILED else "pure Python, not compiled"


def _whole(least: int) -> Callable[[str], int]:
    def whole_number(text: str) -> int:
        number = int(text)
        if number < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, got {text}")
        return number

    return whole_number
