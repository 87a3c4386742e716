"""Compiles our C files with many warnings, each of them an error: ``make warnings``.

The build of a user has none of these options, so that a newer compiler never ends it. Headers of
EPICS are system headers here: what they are warned of is not ours.
"""

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import build_ffi  # noqa: E402

WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Wmissing-prototypes",
    "-Wstrict-prototypes",
    "-Wold-style-definition",
    "-Wredundant-decls",
    "-Wnested-externs",
    "-Wshadow",
    "-Wconversion",
    "-Wpointer-arith",
    "-Wwrite-strings",
    "-Wundef",
    "-Wvla",
    "-Werror",
]


def main() -> int:
    """Compile each file; 1 if one has a warning."""
    includes, _ = build_ffi.find_epics()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in build_ffi.SOURCES:
            command = [
                *shlex.split(os.environ.get("CC", "cc")),
                *(word for word in build_ffi.COMPILE if not word.startswith("-Wno-")),
                *WARNINGS,
                "-D_GNU_SOURCE",
                f"-I{ROOT / build_ffi.NATIVE}",
                *(word for path in includes for word in ("-isystem", path)),
                *("-fPIC", "-c", str(ROOT / build_ffi.NATIVE / "src" / name)),
                *("-o", str(Path(folder, f"{name}.o"))),
            ]
            failed += subprocess.run(command, check=False).returncode != 0
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
