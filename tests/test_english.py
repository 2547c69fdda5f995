"""Docstrings begin as those of NumPy and of Python do: with a verb, or with the name of the thing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import microgrid

PACKAGE = Path(microgrid.__file__).parent

RIDDLES = frozenset("what whether how which where who why those of so that by".split())
"""First words of half a sentence, whose other half the reader has to guess."""


def docstrings(tree: ast.Module) -> Iterator[ast.Constant]:
    """Yield the docstrings of modules, classes, functions, constants and attributes."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for child in body if isinstance(body, list) else []:
            value = child.value if isinstance(child, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield value


def riddles(source: str) -> list[str]:
    """List the docstrings that begin with one of the words, each as `line: its first line`."""
    found = []
    for node in docstrings(ast.parse(source)):
        text = str(node.value).strip()
        first = re.match(r"\W*(\w+)", text)
        if first is not None and first[1].lower() in RIDDLES:
            found.append(f"{node.lineno}: {text.splitlines()[0]}")
    return found


ROOT = Path(__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("root", [PACKAGE, ROOT], ids=["package", "tests"])
def test_docstrings_begin_with_a_verb_or_with_the_name_of_the_thing(root: Path) -> None:
    found = [
        f"{path.relative_to(root)}:{riddle}"
        for path in root.rglob("*.py")
        for riddle in riddles(path.read_text("utf-8"))
    ]
    assert sorted(found) == []


def test_a_riddle_would_be_seen_wherever_a_docstring_stands() -> None:
    source = '''"""What lives here."""
LIMIT = 3
"""So many at most."""
class Node:
    """Those that are left."""
    width: int
    """Of the box."""
    def is_leaf(self):
        r"""`Whether` it has operands."""
        if self.width:
            def inner():
                """How it is done."""
    async def get(self):
        """Return what is left."""
'''
    assert [line.split(":")[0] for line in riddles(source)] == ["1", "3", "5", "7", "9", "12"]


@pytest.mark.slow
def test_no_docstring_is_passed_over() -> None:
    trees = [ast.parse(path.read_text("utf-8")) for path in FILES]
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    plain = [node for tree in trees for node in ast.walk(tree) if isinstance(node, kinds) and ast.get_docstring(node)]
    assert sum(1 for tree in trees for _ in docstrings(tree)) >= len(plain) > 500
