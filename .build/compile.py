"""Build hook: compile `MODULES` with mypyc into the wheel, or say in one line why not.

MICROGRID_BUILD=pure skips it; MICROGRID_BUILD=compiled turns the fallback into an error. An editable install is pure.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODULES = ["microgrid/engine.py"]
MODULES += [f"microgrid/graph/{name}.py" for name in ("linearize", "running")]
MODULES += [f"microgrid/compiler/{name}.py" for name in ("gradient", "leaves", "nests", "prediction", "tape")]
"""One group: where the stages are a group of their own, recording takes a tenth longer."""


class Compile(BuildHookInterface[Any]):
    """Adds the compiled modules beside their sources, which stay in the wheel for people to read."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, unless the install is editable or asked to be pure."""
        wish = os.environ.get("MICROGRID_BUILD", "auto")
        if wish not in ("auto", "pure", "compiled"):
            raise SystemExit(f"MICROGRID_BUILD={wish}: write auto, pure or compiled")
        if version == "editable" or wish == "pure":
            return
        self._folder = tempfile.mkdtemp(prefix="microgrid-build-")
        try:
            built = compile_module(Path(self.root), Path(self._folder))
        except (Exception, SystemExit) as error:  # the compiler's errors, and mypyc's way of reporting its own
            if wish == "compiled":
                raise
            why = type(error).__name__
            self.app.display_warning(
                f"microgrid: could not compile the engine ({why}); installing the pure Python build"
            )
            return
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        for path in built:
            build_data["force_include"][str(path)] = path.relative_to(Path(self._folder, "lib")).as_posix()

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the folder that the module was built in."""
        if folder := getattr(self, "_folder", None):
            shutil.rmtree(folder, ignore_errors=True)


def compile_module(root: Path, folder: Path) -> list[Path]:
    """The extension modules, built in folder/lib from a copy of the package, so that the source tree stays clean."""
    from mypyc.build import include_dir, mypycify
    from setuptools import Distribution
    from setuptools.command.build_ext import build_ext

    shutil.copytree(root / "microgrid", folder / "microgrid", ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    here = Path.cwd()
    os.chdir(folder)
    try:
        options = ["--strict", "--no-warn-unused-ignores", "--follow-imports=silent", "--always-true=COMPILING"]
        extensions = mypycify([*options, *MODULES], opt_level="3", debug_level="0", group_name="microgrid")
        for path in Path("build").glob("*.c"):
            path.write_text(documented(path.read_text(encoding="utf-8")), encoding="utf-8")
        # Without semantic interposition the compiler may inline one compiled function into another: 7 % less work.
        windows = os.name == "nt"
        # Without contraction, the default of GCC, both builds compute the same bits where processors fuse x - a * b.
        flags = [] if windows else ["-fno-semantic-interposition", "-ffp-contract=off"]
        for header in ("trashcan.h", "attributes.h"):
            flags += ["/FI" if windows else "-include", str(root / ".build" / header)]
        for extension in extensions:
            extension.include_dirs.append(include_dir())
            extension.extra_compile_args = [*extension.extra_compile_args, *flags]
        command = build_ext(Distribution({"name": "microgrid", "ext_modules": extensions}))
        command.build_lib = str(folder / "lib")
        command.build_temp = str(folder / "temp")
        command.ensure_finalized()
        command.run()
    finally:
        os.chdir(here)
    return [path for path in (folder / "lib").rglob("*") if path.suffix in (".so", ".pyd")]


def documented(text: str) -> str:
    """Return the C that mypyc wrote with the docstrings of `MODULES`: mypyc keeps the signatures alone."""
    from mypyc.codegen.cstring import encode_bytes_as_c_string

    literals: dict[str, str] = {}
    for path in map(Path, MODULES):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        owners: list[tuple[str, ast.Module | ast.ClassDef]] = [("", tree)]
        owners += [(f"{x.name}___", x) for x in tree.body if isinstance(x, ast.ClassDef)]
        for prefix, owner in owners:
            for part in owner.body:
                if isinstance(part, ast.ClassDef | ast.FunctionDef) and (found := ast.get_docstring(part)):
                    name = f"{path.stem}___{prefix}{part.name}"  # as in the C
                    literals.setdefault(name, encode_bytes_as_c_string(found.encode()))  # a setter comes second

    def extended(found: re.Match[str]) -> str:
        return found[0] + literals.get(found[1], "")

    def described(found: re.Match[str]) -> str:
        literal = literals.get(f"{found[2]}___{found[3]}")
        return f'{found[1]}PyDoc_STR("{literal}"), NULL}}' if literal else found[0]

    signature = r"[^}]*?--\\n\\n"  # the literal goes on after it
    text = re.sub(r"static PyTypeObject CPyType_(\w+)_template_ = \{" + signature, extended, text)
    text = re.sub(r"\(PyCFunction\)CPyPy_(\w+)," + signature, extended, text)
    return re.sub(r"(\(getter\)(\w+)_get_(\w+),[^}]*?)NULL, NULL\}", described, text)
