"""The recipes: distributions named like the originals, and the check of a release's version."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("name", "version"), [("CaChannel", "3.2.0"), ("pyepics", "3.5.10")])
def test_a_stand_in_only_requires_this_package(tmp_path: Path, name: str, version: str) -> None:
    """The wheel has the original's name and version, one requirement, and no code of its own."""
    sys.path.insert(0, str(ROOT / "recipes" / "names"))
    try:
        import make  # type: ignore[import-not-found]
    finally:
        sys.path.pop(0)
    project = tmp_path / "project"
    project.mkdir()
    make.write_project(name, project)
    out = tmp_path / "out"
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(out), "."],
        cwd=project,
        check=True,
        timeout=300,
    )
    (wheel,) = out.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (n for n in names if n.endswith(".dist-info/METADATA"))
        found = Parser().parsestr(archive.read(metadata).decode())
    assert (found["Name"], found["Version"].partition("+")[0]) == (name, version)
    assert found.get_all("Requires-Dist") == ["cachannel-cffi"]
    assert "Private :: Do Not Upload" in found.get_all("Classifier")
    code = [n for n in names if n.endswith(".py")]
    assert code == (["epics/__init__.py"] if name == "pyepics" else [])


def test_the_alias_of_pyepics_is_the_package(tmp_path: Path) -> None:
    """`import epics` with the stand-in on the path is `epics_compat`, submodules included."""
    sys.path.insert(0, str(ROOT / "recipes" / "names"))
    try:
        import make  # type: ignore[import-not-found]
    finally:
        sys.path.pop(0)
    make.write_project("pyepics", tmp_path)
    program = (
        "import epics, epics_compat; from epics.autosave import save_pvs; import epics.devices\n"
        "assert epics is epics_compat; print(epics.PV.__module__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "epics_compat.pv\n"), done.stderr


def test_a_release_with_another_version_is_refused(tmp_path: Path) -> None:
    """Each place that has another version than the tag is named, and the exit status is 1."""
    (tmp_path / "recipes").mkdir()
    (tmp_path / "cachannel").mkdir()
    program = tmp_path / "recipes" / "check_version.py"
    program.write_text((ROOT / "recipes" / "check_version.py").read_text())
    (tmp_path / "cachannel" / "__init__.py").write_text('__version__ = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.3 (2026-12-01)\n")
    (tmp_path / "CITATION.cff").write_text('version: "1.2.2"\n')
    done = subprocess.run(
        [sys.executable, program, "1.2.3"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr == "CITATION.cff has 1.2.2, the release is 1.2.3\n"
    (tmp_path / "CITATION.cff").write_text("version: 1.2.3\n")
    done = subprocess.run(
        [sys.executable, program, "1.2.3"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
