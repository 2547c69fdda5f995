"""Build hook: compile `MODULES` with mypyc into the wheel, or say in one line why not.

MICROGRID_BUILD=pure skips it; MICROGRID_BUILD=compiled turns the fallback into an error. An editable install is pure.
"""

from __future__ import annotations

import ast
import functools
import gc
import os
import re
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODULES = ["microgrid/engine.py"]
MODULES += [f"microgrid/graph/{name}.py" for name in ("linearize", "running", "simplification", "value_numbers")]
MODULES += [f"microgrid/compiler/{name}.py" for name in ("gradient", "leaves", "nests", "prediction", "tape")]
"""One group: where the stages are a group of their own, recording takes a tenth longer."""

UNITS = {
    "recording": ("engine", "linearize", "running", "leaves", "tape"),
    "stages": ("gradient", "nests", "prediction", "simplification", "value_numbers"),
}
"""C files, compiled at the same time: what calls each other most stands together, beside mypyc's library."""


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
        # What else is installed has no say in the C, and takes ten seconds to read in an environment with notebooks.
        options = ["--strict", "--no-warn-unused-ignores", "--follow-imports=silent", "--no-site-packages"]
        options += ["--always-true=COMPILING", *MODULES]
        extensions = mypycify(
            options, opt_level="3", debug_level="0", multi_file=True, include_runtime_files=True, group_name="microgrid"
        )
        gc.freeze()  # mypy's trees end with the process: to take them apart first would take seconds
        for path in Path("build").glob("*.c"):
            path.write_text(documented(path.read_text(encoding="utf-8")), encoding="utf-8")
        extensions[0].sources = units(extensions[0].sources)
        # Without semantic interposition the compiler may inline one compiled function into another: 7 % less work.
        windows = os.name == "nt"
        # Without contraction, the default of GCC, both builds compute the same bits where processors fuse x - a * b.
        flags = [] if windows else ["-fno-semantic-interposition", "-fvisibility=hidden", "-ffp-contract=off"]
        for header in ("trashcan.h", "attributes.h"):
            flags += ["/FI" if windows else "-include", str(root / ".build" / header)]
        for extension in extensions:
            extension.include_dirs.append(include_dir())
            extension.extra_compile_args = [*extension.extra_compile_args, *flags]
        command = build_ext(Distribution({"name": "microgrid", "ext_modules": extensions}))
        if not windows:
            command.parallel = True
            command.build_extensions = functools.partial(build_at_once, command)
        command.build_lib = str(folder / "lib")
        command.build_temp = str(folder / "temp")
        command.ensure_finalized()
        command.run()
    finally:
        os.chdir(here)
    return [path for path in (folder / "lib").rglob("*") if path.suffix in (".so", ".pyd")]


def build_at_once(command: Any) -> None:
    """Build the extensions of setuptools' command with all C files at once; it alone goes by extensions."""
    one_by_one = command.compiler.compile

    def compiled(sources: list[str], **options: Any) -> list[str]:
        with ThreadPoolExecutor(len(sources)) as pool:
            return [built for [built] in pool.map(lambda source: one_by_one([source], **options), sources)]

    command.compiler.compile = compiled
    type(command).build_extensions(command)


def units(sources: list[str]) -> list[str]:
    """Write `UNITS` from the C files of all modules, and return them."""
    left = {Path(source).stem: Path(source).name for source in sources}
    files = {"recording": [left.pop("__native_microgrid")], "stages": []}  # the former: what all modules share
    for name, modules in UNITS.items():
        files[name] += [left.pop(stem) for module in modules for stem in list(left) if stem.endswith(f"___{module}")]
    assert not left, f"{', '.join(left)}: in none of UNITS"
    shared = Path("build", "__native_microgrid.c").read_text(encoding="utf-8")
    declared = re.findall(r"#include <(\w+_extra_ops)\.c>", shared)  # the only ones that CPy.h does not declare
    for name, included in files.items():
        lines = [f"#include <{file}.h>\n" for file in declared] + [f'#include "{file}"\n' for file in included]
        Path("build", f"{name}.c").write_text("".join(lines), encoding="utf-8")
    return [f"build/{name}.c" for name in files]


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
