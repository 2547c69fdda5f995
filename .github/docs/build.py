"""Build the documentation as pages.

    python .github/docs/build.py OUT [--playground]

OUT is a folder that any web server can serve. Needs microgrid[docs]. The pages of this folder, the notebooks, the
measurements, the changelog, and a reference made of docstrings and of the table of ops are gathered and handed to
Sphinx; its warnings are errors. --playground adds the static playground, which needs npm.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

from microgrid import OPS
from microgrid.core.primitive import Op

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
    "microgrid.special": "Special functions",
}


def public(module: ModuleType) -> list[str]:
    """Return the names of a module that are documented: its own functions and classes, in its order."""
    names = getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")]
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
    blocks = [f"# {title}: `{name}`", inspect.getdoc(module) or ""]
    for part in sorted(public(module), key=str.lower):
        kind = "class" if inspect.isclass(getattr(module, part)) else "function"
        blocks.append(f"```{{eval-rst}}\n.. auto{kind}:: {name}.{part}\n```")
    return "\n\n".join(blocks) + "\n"


def ops() -> str:
    """Return the page of the ops: of each its value and its local derivatives, as the table has them."""
    lines = [
        "# Ops",
        "Each takes numbers, `Value`s and arrays. Derivatives are by the operands in order; z is the value.\n",
        "| op | value | local derivatives | an example |",
        "|---|---|---|---|",
    ]
    for name, op in sorted(OPS.items()):
        lines.append(f"| `{name}` | {_formula(op)} | {_derivatives(op)} | {_example(op)} |")
    return "\n".join(lines) + "\n"


def _formula(op: Op) -> str:
    text = op.latex
    for k, variable in enumerate(op.variables, 1):
        text = text.replace(f"#{k}", variable)
    return f"${text}$".replace("|", r"\vert ")


def _derivatives(op: Op) -> str:
    return ", ".join(f"`{text}`" for text in op.textbook).replace("|", r"\|")


def _example(op: Op) -> str:
    operands = [interval.low + 0.5 if interval.low > float("-inf") else 0.5 for interval in op.domain]
    operands += [2.0] * (op.arity - len(operands))
    operands[op.arity - op.static :] = [2.0] * op.static  # orders of derivatives, and exponents
    value = op(*operands)
    called = ", ".join(f"{x:g}" for x in operands)
    return f"`{op.name}({called})` is {value:.6g}"


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
