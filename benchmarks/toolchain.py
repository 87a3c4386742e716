"""The C client, and the interpreter that holds the other packages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

__all__ = ["ToolchainError", "build_c_client", "find_epics", "prepare_rivals"]

HERE = Path(__file__).resolve().parent
RIVALS_FOLDER = HERE / ".peers"
C_SOURCE = HERE / "climit" / "client.c"

# Releases of the day this comparison was written; a newer one is a different comparison.
REQUIREMENTS = (
    "epicscorelibs",
    "numpy",
    "CaChannel==3.2.0",
    "pyepics==3.5.10",
    "caproto==1.3.0",
    "aioca==2.1",
    "cothread==2.20.1",
)
INSTALL_SECONDS = 600
COMPILE_SECONDS = 120


class ToolchainError(RuntimeError):
    """Something the benchmark needs is not there; the message says what and what to do."""


def prepare_rivals() -> Path:
    """Return an interpreter with all rivals, made on first use in `benchmarks/.peers`.

    A package that cannot be installed is told on stderr and shows up in the report as not
    importable; the others are measured all the same.
    """
    folder = RIVALS_FOLDER / f"python{sys.version_info.major}.{sys.version_info.minor}"
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    # Says what was installed; a changed list of requirements makes the environment anew.
    marker = folder / "requirements.json"
    if python.exists() and _read(marker) == list(REQUIREMENTS):
        return python
    print(f"installing the other packages into {folder} (first use only)", file=sys.stderr)
    _call([sys.executable, "-m", "venv", "--clear", str(folder)], INSTALL_SECONDS)
    for requirement in REQUIREMENTS:
        command = [str(python), "-m", "pip", "install", "--quiet", requirement]
        try:
            _call(command, INSTALL_SECONDS)
        except ToolchainError as error:
            print(f"{requirement} is left out: {error}", file=sys.stderr)
    marker.write_text(json.dumps(REQUIREMENTS), encoding="utf-8")
    return python


def _read(marker: Path) -> object:
    try:
        return json.loads(marker.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _call(command: list[str], limit: float) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolchainError(f"{command[0]}: {error}") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise ToolchainError(f"{' '.join(command[:4])} ...: {lines[-1]}")
    return done.stdout


def find_epics(*interpreters: Path) -> tuple[Path, Path, Path]:
    """Return (interpreter, include folder, library folder) of the first with epicscorelibs."""
    for python in interpreters:
        question = "from epicscorelibs import path; print(path.include_path); print(path.lib_path)"
        try:
            include, libraries = _call([str(python), "-P", "-c", question], 60).splitlines()
        except (ToolchainError, ValueError):
            continue
        return python, Path(include), Path(libraries)
    names = " nor ".join(str(python) for python in interpreters)
    raise ToolchainError(f"epicscorelibs is not installed in {names}: pip install epicscorelibs")


def build_c_client(include: Path, libraries: Path, folder: Path) -> Path:
    """Compile `climit/client.c` into `folder` and return the program."""
    program = folder / "client"
    system, compiler = ("Darwin", "clang") if sys.platform == "darwin" else ("Linux", "gcc")
    cc = os.environ.get("CC", "cc").split()
    flags = ["-O2", "-g", "-std=gnu11", "-Wall", "-Wextra"]
    places = [include, include / "os" / system, include / "compiler" / compiler]
    command = [
        *cc,
        *flags,
        *(f"-I{place}" for place in places),
        str(C_SOURCE),
        "-o",
        str(program),
        f"-L{libraries}",
        f"-Wl,-rpath,{libraries}",
        "-lca",
        "-lCom",
    ]
    try:
        _call(command, COMPILE_SECONDS)
    except ToolchainError as error:
        raise ToolchainError(f"the C client does not compile ({error}); is CC right?") from error
    return program
