"""The package as a whole: its public names, its walls, the cost of importing it."""

from __future__ import annotations

import ast
import builtins
import inspect
import os
import pydoc
import subprocess
import sys
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

import microgrid
from microgrid import ops
from microgrid.core.primitive import OPS, built_in
from microgrid.engine import COMPILED

PACKAGE = Path(microgrid.__file__).parent
ROOT = Path(__file__).parent.parent

# From the bottom up: a room, or a module in front, imports those before it only.
ORDER = [
    "core",
    "ops",
    "functions",
    "special",
    "engine",
    "graph",
    "functional",
    "numbers",
    "text",
    "program",
    "expansion",
    "nudge",
    "implicit",
    "nn",
    "losses",
    "schedules",
    "optim",
    "datasets",
    "table",
    "compiler",
    "pictures",
    "draw",
    "steps",
    "exercises",
    "training",
    "film",
    "__init__",
    "testing",
    "commands",
    "__main__",
]

# A method that hands over to a module further down imports it when it is called.
DOORS = {
    "engine": {"graph"},  # __copy__, __deepcopy__, __reduce__
    "program": {"compiler", "pictures"},  # Program.compile, whose annotation names it, too; Program.latex
}


def imports_of(tree: ast.Module) -> list[tuple[int, str]]:
    """Line and module of each import of the package's own, wherever it stands."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "microgrid":
            found += [(node.lineno, f"microgrid.{alias.name}") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.lineno, node.module or ""))
    return [(line, name) for line, name in found if name.split(".")[0] == "microgrid"]


def wrong_imports(module: str, source: str, within: str = "microgrid") -> list[str]:
    """The imports of a module that point downwards, each as `module:line imports name`."""
    wrong = []
    for line, name in imports_of(ast.parse(source)):
        target = name.split(".")[1] if "." in name else "__init__"
        target = target if target in ORDER else "__init__"
        if ORDER.index(target) >= ORDER.index(module) and target not in {within, *DOORS.get(module, ())}:
            wrong.append(f"{module}.py:{line} imports {name}")
    return wrong


def test_imports_point_upwards_only() -> None:
    modules = {path.stem for path in PACKAGE.glob("*.py")} | {path.parent.name for path in PACKAGE.glob("*/*.py")}
    assert sorted(modules) == sorted(ORDER)
    files = [path for module in ORDER for path in (PACKAGE / f"{module}.py", *PACKAGE.glob(f"{module}/*.py"))]
    for path in filter(Path.exists, files):
        module = path.stem if path.parent == PACKAGE else path.parent.name
        assert wrong_imports(module, path.read_text("utf-8"), within=path.parent.name) == []


def test_a_downward_import_would_be_seen() -> None:
    assert wrong_imports("ops", "x = 1\ndef f():\n    from microgrid.engine import Value\n") == [
        "ops.py:3 imports microgrid.engine"
    ]
    assert wrong_imports("engine", "from microgrid import ops, nn\n") == ["engine.py:1 imports microgrid.nn"]


def patches(source: str) -> list[str]:
    """Attributes that a module, when imported, sets on what another module made, or deletes from anything."""
    tree = ast.parse(source)
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    others = {alias.asname or alias.name.split(".")[0] for node in imports for alias in node.names}
    found = []

    def look(node: ast.AST) -> None:
        if isinstance(node, (ast.FunctionDef, ast.Lambda)):
            return
        owner: ast.expr | None = None
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            owner = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("setattr", "delattr"):
            owner = node.args[0]
        if isinstance(owner, ast.Name) and (owner.id in others or isinstance(getattr(node, "ctx", None), ast.Del)):
            found.append(ast.unparse(node))
        for child in ast.iter_child_nodes(node):
            look(child)

    look(tree)
    return found


@pytest.mark.slow
def test_no_attribute_is_patched_on_from_afar() -> None:
    for path in PACKAGE.rglob("*.py"):
        assert patches(path.read_text("utf-8")) == [], path


def test_a_patched_attribute_would_be_seen() -> None:
    assert patches("from a import Program\nProgram.compile = f\n") == ["Program.compile"]
    assert patches("class Value: pass\nfor f in fs:\n    setattr(Value, f.__name__, f)\ndel Value.x\n") == ["Value.x"]
    assert patches("from a import Value\nfor f in fs:\n    setattr(Value, f.__name__, f)\n") != []


PUBLIC = ("datasets", "losses", "table", "testing/strategies")
"""Modules without `__all__` whose every function is there for people."""


def unused(sources: dict[str, str]) -> list[str]:
    """Functions, classes and constants of modules that no module uses, exports, or has a plugin's hook by its name."""
    trees = {name: ast.parse(source) for name, source in sources.items()}
    nodes = [node for tree in trees.values() for node in ast.walk(tree)]
    used = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    used |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    for node in nodes:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            used |= set(ast.literal_eval(node.value))
    found = []
    for name, tree in trees.items():
        for node in [] if name in PUBLIC else tree.body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                made = [node.name]
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                made = [target.id for target in targets if isinstance(target, ast.Name)]
            else:
                made = []
            found += [f"{name}.{x}" for x in made if x not in used and not x.startswith(("__", "pytest_"))]
    return found


@pytest.mark.slow
def test_nothing_stands_in_the_package_for_tests_only() -> None:
    sources = {
        str(path.relative_to(PACKAGE).with_suffix("")): path.read_text("utf-8") for path in PACKAGE.rglob("*.py")
    }
    assert unused(sources) == []


def test_what_only_tests_use_would_be_seen() -> None:
    one = "__all__ = ['f']\nLEAST = 1\ndef f(): return _g()\ndef _g(): pass\ndef alive(): return LEAST\n"
    assert unused({"one": one}) == ["one.alive"]
    assert unused({"one": one, "two": "from one import alive\nx = alive()\n"}) == ["two.x"]


def foreign_imports(source: str) -> list[str]:
    """List the modules, neither Python's own nor this package's, that a module imports by statement."""
    nodes = list(ast.walk(ast.parse(source)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return sorted({name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"microgrid"})


def test_compiled_modules_need_no_third_party_module_where_they_are_built() -> None:
    """An installation builds with mypyc and nothing else: with `import numpy as np` it would be pure Python."""
    hook = ast.parse((ROOT / ".build" / "compile.py").read_text())
    names: dict[str, Any] = {}
    lists = [node for node in hook.body if isinstance(node, ast.Assign | ast.AugAssign)]
    exec(compile(ast.Module([*lists], []), "compile.py", "exec"), names)
    assert "microgrid/engine.py" in names["MODULES"]
    assert [name for name in names["MODULES"] if foreign_imports((ROOT / name).read_text())] == []
    assert foreign_imports("def f():\n    import numpy as np\n    from scipy import optimize\n") == ["numpy", "scipy"]


def loaded_by(code: str) -> set[str]:
    """Modules that the code loads; what site loads by itself is not counted, since -I -S would hide the package."""
    code = f"import sys; before = set(sys.modules); {code}; print(*sorted(set(sys.modules) - before))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


LATER = (
    "base64 ctypes dataclasses decimal hashlib html inspect json pathlib shutil subprocess tempfile textwrap threading "
    "tokenize traceback urllib zlib microgrid.commands microgrid.exercises microgrid.expansion microgrid.film "
    "microgrid.implicit microgrid.pictures.graph microgrid.pictures.web microgrid.special microgrid.testing "
    "microgrid.text.javascript microgrid.training"
).split()
"""Modules of the standard library and of the package that load when they are used: together as long as all others."""


def test_importing_the_package_loads_no_third_party_module_and_only_a_third_of_its_own() -> None:
    loaded = loaded_by("import microgrid")
    foreign = {name.split(".")[0] for name in loaded} - set(sys.stdlib_module_names) - {"microgrid", "microgrid__mypyc"}
    assert foreign == set()
    assert loaded & set(LATER) == set()
    own = {name for name in loaded if name.startswith("microgrid.")}
    assert len(own) < len([*PACKAGE.rglob("*.py")]) / 3
    assert {"dataclasses", "microgrid.training"} <= loaded_by("import microgrid, dataclasses; microgrid.fit")


def test_the_playground_listens_before_anything_is_loaded_that_only_an_answer_needs() -> None:
    """A class waits for it: numbers of the checker and training load with the first question about them."""
    loaded = loaded_by("import microgrid.commands.cli, microgrid.commands.play as p; p.serve().server_close()")
    assert "http.server" in loaded
    assert loaded & {"numpy", "mpmath", "microgrid.testing", "microgrid.training", "microgrid.commands.demo"} == set()


def test_public_names_are_exactly_all() -> None:
    public = {name for name in dir(microgrid) if not name.startswith("_")}
    public -= {name for name in public if inspect.ismodule(getattr(microgrid, name))}
    assert public | {"datasets", "losses", "nn", "optim"} == set(microgrid.__all__) | {
        "abs",
        "compile",
        "max",
        "min",
        "round",
        "sum",
    }
    assert not set(microgrid.__all__) & set(dir(builtins))
    assert set(microgrid.nn.__all__) <= set(dir(microgrid.nn))


OPERATORS = "add sub mul div neg constant_power greater equal identity"
"""Ops that people write with signs, or that a comparison for `where` is made by."""

FOR_RULES = (
    "power_derivative gaussian direction one_minus_square sinc_derivative logistic_density tied_maximum "
    "reciprocal_expm1 multiply_no_nan zero_product divide_no_nan stop_gradient shifted_exp"
)
"""Ops that rules and functions of the package are made of."""


def test_names_in_front_follow_from_the_table_of_ops() -> None:
    inside = {*OPERATORS.split(), *FOR_RULES.split()}
    of_table = {op.name for op in OPS.values() if op.partials.__module__ == ops.__name__}
    in_front = {op.name for op in OPS.values() if op.name in built_in and op.name not in inside}
    missing = sorted(in_front & of_table - {*ops.__all__, "abs", "round"})
    assert missing == [], f"add to __all__ in microgrid/ops.py, or to FOR_RULES here: {missing}"
    assert sorted({*ops.__all__, "abs", "round"} - in_front) == [], "__all__ in microgrid/ops.py has names of no op"
    assert sorted(in_front - of_table - set(microgrid.__all__)) == [], "add to __all__ in microgrid/__init__.py"
    for name in in_front:
        assert getattr(microgrid, name) is OPS[name]
        for alias in OPS[name].aliases:
            assert not alias.startswith("arc") or getattr(microgrid, alias) is OPS[name]
    for name in inside:
        assert name in built_in
        assert not hasattr(microgrid, name)


@pytest.mark.skipif("MICROGRID_EXPECT" not in os.environ, reason="MICROGRID_EXPECT names the build that must run")
def test_the_build_is_the_one_that_was_asked_for() -> None:
    assert os.environ["MICROGRID_EXPECT"] == ("compiled" if COMPILED else "pure")


def test_the_root_holds_nothing_else() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    entries = {name.split("/")[0] for name in tracked}
    assert {name for name in entries if not name.startswith(".")} <= {
        "LICENSE",
        "README.md",
        "microgrid",
        "notebooks",
        "pyproject.toml",
        "tests",
    }


def test_no_two_files_or_classes_have_one_name() -> None:
    """Each name is one idea."""
    files = [path.name for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"]
    classes = [
        node.name
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    for names in (files, classes):
        assert sorted(names) == sorted(set(names))


def docstrings(path: Path) -> dict[str, str]:
    """Return the docstrings of a module's classes, methods and functions, as its source has them."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    owners: list[tuple[str, ast.Module | ast.ClassDef]] = [("", tree)]
    owners += [(f"{part.name}.", part) for part in tree.body if isinstance(part, ast.ClassDef)]
    return {
        prefix + part.name: found
        for prefix, owner in owners
        for part in owner.body
        if isinstance(part, ast.ClassDef | ast.FunctionDef) and (found := ast.get_docstring(part))
    }


def test_help_shows_docstrings_of_the_compiled_engine_too() -> None:
    kept = docstrings(PACKAGE / "engine.py")
    assert {"Value", "Value.backward", "Value.grad", "topological"} <= set(kept)
    for name, docstring in kept.items():
        assert inspect.cleandoc(attrgetter(f"{name}.__doc__")(microgrid.engine) or "") == docstring, name
    assert kept["Value"].splitlines()[-1] in pydoc.plain(pydoc.render_doc(microgrid.Value))
