"""Build the documentation as pages.

    python .github/docs/build.py OUT [--playground]

OUT is a folder that any web server can serve. Needs microgrid[docs]. The pages of this folder, the notebooks, the
measurements, the changelog, and a reference made of docstrings and of the table of ops are gathered and handed to
Sphinx; its warnings are errors. --playground adds the static playground, which needs npm.
"""

from __future__ import annotations

import argparse
import builtins
import importlib
import inspect
import re
import shutil
import subprocess
import sys
import tempfile
from operator import attrgetter
from pathlib import Path
from types import ModuleType

import microgrid
from microgrid import OPS, Value
from microgrid.core.primitive import Op
from microgrid.functions.composed import COMPOSED
from microgrid.pictures import symbols
from microgrid.text.notation import Written, operators

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PLAYGROUND = '<p><a href="playground/index.html">Open the playground</a></p>'
MOVED = {
    ROOT / "tests" / "benchmarks" / "README.md": "measurements.md",
    HERE.parent / "CHANGELOG.md": "changelog.md",
    HERE.parent / "CONTRIBUTING.md": "contributing.md",
}
HOW_TO = [
    "from-micrograd",
    "from-pytorch",
    "with-scipy",
    "checking",
    "stepping",
    "playground",
    "drawing",
    "derivatives",
    "training",
    "sequences",
    "compiling",
    "adding-an-op",
    "command-line",
]
MODULES = {
    "microgrid": "Values, derivatives, programs, pictures",
    "microgrid.nn": "Modules, neurons, layers",
    "microgrid.losses": "Losses",
    "microgrid.optim": "Optimisers and schedules",
    "microgrid.training": "Training",
    "microgrid.testing": "Checking",
    "microgrid.datasets": "Data",
    "microgrid.table": "Tables",
    "microgrid.special": "Special functions",
}

GROUPS = {
    "Values and ops": ("engine", "core", "graph"),
    "Derivatives": ("functional", "expansion", "implicit"),
    "Steps and pictures": ("steps", "draw", "film", "pictures", "exercises"),
    "Programs and loops": ("program", "functions.iteration"),
    "Compiled functions": ("compiler",),
    "Training": ("training",),
    "Functions": ("functions",),
}
"""Headings of the page of `microgrid`, and modules whose functions and classes stand under them."""
METHODS = [
    name
    for name, method in vars(Value).items()
    if name in COMPOSED or str(getattr(method, "__doc__", "")).startswith("The op ")
]
"""Methods of Value that are described as functions."""
RESULTS = {"microgrid": ["compiler.compiled.Compiled", "compiler.training.CompiledLoss"]}
"""Classes of results that a page documents, too, though the module does not import them."""


def public(module: ModuleType) -> list[str]:
    """Return the names of a module that are documented: its own functions and classes, in its order."""
    names = getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")]
    names = [*names, *(name for name in vars(builtins) if name in vars(module) and name not in names)]
    found = []
    for name in names:
        thing = getattr(module, name)
        owner = getattr(thing, "__module__", "") or ""
        if (inspect.isfunction(thing) or inspect.isclass(thing)) and owner.startswith("microgrid"):
            found.append(name)
    return found


def reference(name: str, title: str) -> str:
    """Return the page of a module as Markdown for Sphinx."""
    module = importlib.import_module(name)
    for result in RESULTS.get(name, []):
        importlib.import_module(f"{name}.{result.rpartition('.')[0]}")
    blocks = [f"# {title}: `{name}`", inspect.getdoc(module) or ""]
    parts = sorted([*public(module), *RESULTS.get(name, [])], key=lambda part: part.rsplit(".", 1)[-1].lower())
    groups = GROUPS if name == "microgrid" else {"": ("",)}
    for heading, owners in groups.items():
        if heading:
            blocks.append(f"## {heading}")
        for owner in owners:
            for part in [part for part in parts if _owner(module, part).startswith(owner)]:
                parts.remove(part)
                kind = "class" if inspect.isclass(attrgetter(part)(module)) else "function"
                option = f"\n   :exclude-members: {', '.join(METHODS)}" if part == "Value" else ""
                blocks.append(f"```{{eval-rst}}\n.. auto{kind}:: {name}.{part}{option}\n```")
    if parts:
        raise SystemExit(f"GROUPS has no heading for {', '.join(parts)}")
    if name == "microgrid.special":
        ops = {part: getattr(module, part) for part in module.__all__}
        listed = {part: op for part, op in ops.items() if isinstance(op, Op) and OPS.get(op.name) is not op}
        blocks += ["## Ops", NOTE, _table(listed)]
    return "\n\n".join(blocks) + "\n"


def _owner(module: ModuleType, part: str) -> str:
    return str(attrgetter(part)(module).__module__).removeprefix("microgrid.")


NOTE = "Each takes numbers, `Value`s and arrays. Local derivatives are by the operands in order; z is the value."


def ops() -> str:
    """Return the page of the ops: of each its value and its local derivatives, as the stepper shows them."""
    written = {op.name for op in operators().values()} | {"equal", "greater"}
    called = {name: op for name, op in sorted(OPS.items()) if hasattr(microgrid, name) or name in written}
    others = {name: op for name, op in sorted(OPS.items()) if name not in called}
    inner = "Derivatives and compositions are recorded with these, too. They are attributes of `microgrid.ops`."
    return "\n\n".join(["# Ops", NOTE, _table(called), "## Ops within derivatives", inner, _table(others)]) + "\n"


def _table(listed: dict[str, Op]) -> str:
    rows = [
        "<style>article td:nth-child(3) { min-width: 15em }</style>\n",
        "| op | value | local derivatives | an example |",
        "|---|---|---|---|",
    ]
    for name, op in listed.items():
        rows.append(f"| `{name}` | {_formula(op)} | {_derivatives(op)} | {_example(name, op)} |")
    return "\n".join(rows)


def _formula(op: Op) -> str:
    text = re.sub(r"operatorname{(\w*(?:\d|\\_)\w*)}", lambda x: f"text{{{x[1]}}}".replace("\\_", "_"), op.latex)
    for k, variable in enumerate(op.variables, 1):
        text = text.replace(f"#{k}", variable if len(variable) == 1 else rf"\mathrm{{{variable}}}")
    return f"${text}$".replace("|", r"\vert ")


def _derivatives(op: Op) -> str:
    texts = op.textbook
    if not texts and not op.static:
        names = [Written(name) for name in op.variables]
        texts = tuple(symbols.partial(op, k, Written("z"), names).text for k in range(op.arity))
    return "<br>".join(f"`{text}`" for text in texts).replace("|", r"\|")


def _example(name: str, op: Op) -> str:
    operands = [0.5, 2.0, 3.0, 4.0][: op.arity]
    for k, interval in enumerate(op.domain):
        if not interval.low < operands[k] < interval.high:
            operands[k] = interval.low + 0.5
    operands[op.arity - op.static :] = [2.0] * op.static  # orders of derivatives, and exponents
    value = op(*operands)
    called = ", ".join(f"{x:g}" for x in operands)
    return f"`{name}({called})` is {value:.6g}"


def gather(source: Path, *, playground: bool = False) -> None:
    """Write all sources into a folder, with a link to the playground where that is built, too."""
    for page in HERE.glob("*.md"):
        shutil.copy(page, source)
    if playground:
        page = source / "playground.md"
        title, text = page.read_text(encoding="utf-8").split("\n", 1)
        page.write_text(f"{title}\n\n{PLAYGROUND}\n{text}", encoding="utf-8")
    shutil.copy(HERE / "conf.py", source)
    shutil.copytree(HERE.parent / "pictures", source / "pictures", ignore=shutil.ignore_patterns("*.py"))
    (source / "static").mkdir()
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"), key=lambda path: int(path.name.split("-")[0]))
    for notebook in notebooks:
        shutil.copy(notebook, source)
    for original, name in MOVED.items():
        shutil.copy(original, source / name)
    names = []
    for name, title in MODULES.items():
        names.append(f"reference-{name.removeprefix('microgrid').removeprefix('.') or 'microgrid'}")
        (source / f"{names[-1]}.md").write_text(reference(name, title), encoding="utf-8")
    (source / "reference-ops.md").write_text(ops(), encoding="utf-8")
    parts = {
        "How to": HOW_TO,
        "Notebooks": [notebook.stem for notebook in notebooks],
        "Reference": [*names, "reference-ops", "conventions"],
        "About": ["how-it-works", "measurements", "changelog", "contributing"],
    }
    trees = [
        f"```{{toctree}}\n:caption: {caption}\n:maxdepth: 1\n:hidden:\n\n" + "\n".join(pages) + "\n```"
        for caption, pages in parts.items()
    ]
    index = source / "index.md"
    index.write_text("\n\n".join([index.read_text(encoding="utf-8"), *trees]) + "\n", encoding="utf-8")
    folders = {name: original.parent for original, name in MOVED.items()}
    for page in source.glob("*.md"):
        text = relinked(page.read_text(encoding="utf-8"), folders.get(page.name, HERE), source)
        page.write_text(text, encoding="utf-8")


def relinked(text: str, folder: Path, source: Path) -> str:
    """Return a page of a folder whose links lead to where their targets stand now.

    A file that is no page is copied beside the pages. A link to another folder is replaced by its text.
    """

    def link(found: re.Match[str]) -> str:
        text, target, anchor = found[1], found[2], found[3] or ""
        inside = (folder / target).resolve()
        name = MOVED.get(inside, inside.name)
        if inside.is_dir():
            return text
        if inside.parent == HERE.parent / "pictures":
            name = f"pictures/{name}"
        elif inside.is_file() and not (source / name).exists():
            shutil.copy(inside, source)
        return f"[{text}]({name}{anchor})"

    return re.sub(r"\[([^]\[]*)\]\((?!https?:|data:|#)([^)#\s]+)(#[^)\s]*)?\)", link, text)


def build(out: Path, *, playground: bool = False) -> None:
    """Write the pages into a folder."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "pages")
        source.mkdir()
        gather(source, playground=playground)
        if playground:
            script = HERE.parent / "playground" / "build.py"
            subprocess.run([sys.executable, str(script), str(source / "static" / "playground")], check=True)
        command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", str(source), str(out)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--playground", action="store_true")
    asked = parser.parse_args()
    build(asked.out, playground=asked.playground)
