"""Build hook: compile `MODULES` with mypyc into the wheel, or say in one line why not.

MICROGRID_BUILD=pure skips it; MICROGRID_BUILD=compiled turns the fallback into an error. An editable install is pure.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODULES = ["microgrid/engine.py", "microgrid/graph/linearize.py", "microgrid/graph/running.py"]
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
