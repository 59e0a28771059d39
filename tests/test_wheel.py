"""The wheel holds every module, stub and template, and each module is imported from a fresh environment."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_every_module_is_imported_from_the_wheel(tmp_path):
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    sources = [*(ROOT / "dlhw").rglob("*.*"), *(ROOT / "cli").rglob("*.*")]
    wanted = {p.relative_to(ROOT).as_posix() for p in sources if p.suffix not in (".pyc",)}
    assert wanted <= set(names), wanted - set(names)
    # Its dependencies come from this environment; dlhw itself from the wheel alone.
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    modules = [n.removesuffix(".py").replace("/", ".").removesuffix(".__init__") for n in names if n.endswith(".py")]
    here = [p for p in sys.path if p.endswith("site-packages")]
    code = f"import sys; sys.path[:0] = [{str(site)!r}]; sys.path += {here!r}\nimport importlib\n"
    code += "".join(f"importlib.import_module({m!r})\n" for m in sorted(modules))
    code += f"import dlhw; assert dlhw.__file__.startswith({str(site)!r}), dlhw.__file__\nprint('ok')"
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stdout.strip() == "ok", done.stderr[-2000:]
