"""Build the playground as static files: Python in the browser by Pyodide, from npm's package and the pure wheel.

    python .github/playground/build.py OUT

OUT is a folder that any web server can serve. Needs npm, pip, and microgrid installed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from microgrid.commands.answers import EXAMPLES
from microgrid.pictures.playground import page

HERE = Path(__file__).resolve().parent
PYODIDE = "pyodide@314.0.7"
FILES = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json")


def build(out: Path) -> None:
    """Write all files into a folder, which is made if there is none."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        npm = shutil.which("npm")
        if npm is None:
            raise SystemExit("the playground takes Pyodide from npm: install Node.js, which brings npm")
        subprocess.run([npm, "pack", "--silent", PYODIDE], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        (packed,) = Path(folder).glob("pyodide-*.tgz")
        with tarfile.open(packed) as archive:
            for name in FILES:
                with archive.extractfile(f"package/{name}") as source:  # type: ignore[union-attr]  # they are files
                    (out / name).write_bytes(source.read())
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", folder]
        subprocess.run([*pip, str(HERE.parents[1]), "mpmath"], check=True, env=os.environ | {"MICROGRID_BUILD": "pure"})
        wheels = sorted(path.name for path in Path(folder).glob("*.whl"))
        for name in wheels:
            shutil.copy(Path(folder, name), out / name)
    (out / "wheels.json").write_text(json.dumps(wheels))
    shutil.copy(HERE / "worker.mjs", out / "worker.mjs")
    (out / "index.html").write_text(page((HERE / "transport.js").read_text(), EXAMPLES), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    build(Path(sys.argv[1]))
