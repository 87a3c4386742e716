"""Build the wheel of this tree, look at it, and use it in a clean environment of each Python.

    python tests/packaging/wheel.py [--tests VERSION]

It fails if the wheel is not one for all versions of Python (abi3), has libraries of EPICS inside,
is not stripped, or names a folder of the builder. Then it installs the wheel in a fresh environment
of each Python from 3.11 on that can be found, and runs `smoke.py` there. With `--tests` the whole
test suite runs on the installed wheel with that version, in a copy of the tests outside of this
tree.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
NEWEST_GLIBC = (2, 28)


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a command and return what it prints; it is shown if the command fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={k: v for k, v in os.environ.items() if k not in ("EPICS_BASE", "PYTHONPATH")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\nstatus {done.returncode}: {' '.join(map(str, command))}")
    return done.stdout


def pythons() -> dict[str, str]:
    """Find an interpreter of each version: on PATH, or among those of pyenv."""
    found = {}
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in VERSIONS:
        candidates = [sys.executable, *sorted(map(str, kept.glob(f"{version}.*/bin/python")))]
        candidates += filter(None, [shutil.which(f"python{version}")])
        for path in candidates:
            done = subprocess.run(
                [path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
                capture_output=True,
                text=True,
            )
            if done.returncode == 0 and done.stdout.strip() == version:
                found[version] = path
                break
    return found


def examine(wheel: Path) -> None:
    """Check what is in the wheel."""
    print(f"{wheel.name}, {wheel.stat().st_size // 1000} kB")
    assert "-cp311-abi3-" in wheel.name, "the wheel is not for all versions of Python"
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        libraries = [
            name for name in archive.namelist() if re.search(r"\.(so|dylib|dll|pyd)", name)
        ]
        assert len(libraries) == 1, f"more than the extension module: {libraries}"
        module = Path(archive.extract(libraries[0], folder))
        dynamic = run("readelf", "--dynamic", "--version-info", "--wide", module)
        sections = run("readelf", "--section-headers", "--wide", module)
    paths = re.findall(r"R(?:UN)?PATH.*\[(.*)\]", dynamic)
    assert paths == ["$ORIGIN/../../epicscorelibs/lib"], f"run path {paths}"
    versions = {tuple(map(int, v.split("."))) for v in re.findall(r"GLIBC_([\d.]+)", dynamic)}
    needed = ".".join(map(str, max(versions)))
    print(f"needs glibc {needed}; built with {os.confstr('CS_GNU_LIBC_VERSION')}")
    assert ".symtab" not in sections, "the module is not stripped"
    if max(versions) > NEWEST_GLIBC:
        # A wheel of an older image is compatible; this one only shows what the build does.
        print("this host has a newer glibc than manylinux_2_28: the release is built in its image")


def environment(folder: Path, python: str, *packages: str | Path) -> Path:
    """Make a virtual environment with packages, and return its interpreter."""
    run(python, "-m", "venv", folder)
    inside = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    run(inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)
    return inside


def main() -> int:
    """Build, examine, and try."""
    parser = argparse.ArgumentParser(description="Build the wheel and try it.")
    parser.add_argument("--tests", metavar="VERSION", help="run the test suite on it")
    options = parser.parse_args()
    found = pythons()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        started = time.monotonic()
        run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, ROOT)
        (wheel,) = folder.glob("*.whl")
        if sys.platform == "linux":
            examine(wheel)
        print(f"built in {time.monotonic() - started:.0f} s")
        for version in VERSIONS:
            if version not in found:
                print(f"Python {version}: not on this machine")
                continue
            started = time.monotonic()
            inside = environment(folder / version, found[version], wheel)
            run(inside, HERE / "smoke.py", cwd=folder)
            print(f"Python {version}: all right, {time.monotonic() - started:.0f} s")
        if options.tests:
            started = time.monotonic()
            tests = folder / "suite" / "tests"
            shutil.copytree(ROOT / "tests", tests)
            for part in ("pyproject.toml", "README.md", "docs", "benchmarks", "recipes"):
                source, target = ROOT / part, tests.parent / part
                (shutil.copytree if source.is_dir() else shutil.copy2)(source, target)
            python = found[options.tests]
            inside = environment(
                folder / "tests", python, f"cachannel-cffi[test] @ {wheel.as_uri()}"
            )
            print(run(inside, "-m", "pytest", "-q", cwd=tests.parent)[-300:])
            print(f"the suite on Python {options.tests}: {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
