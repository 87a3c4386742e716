"""Check the sample scripts as a user's editor does: against the package as it is installed.

An editable install is invisible to type checkers, and stub packages count only in site-packages.
So a folder is laid out like the one a wheel is unpacked to, and mypy is pointed at it.
"""

import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


def lay_out(folder: Path) -> Path:
    """Make an environment with links to what a wheel holds; return its interpreter."""
    venv.create(folder, with_pip=False)
    (packages,) = folder.glob("lib/python3*/site-packages")
    dropin = ROOT / "dropin"
    for installed in (
        ROOT / "cachannel", ROOT / "epics_compat", *dropin.glob("*.py"), *dropin.glob("*-stubs"),
    ):  # fmt: skip
        (packages / installed.name).symlink_to(installed)
    (packages / "rest.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "python"


def main() -> int:
    """Run mypy in an empty folder, so that it finds nothing by the way."""
    with tempfile.TemporaryDirectory() as name:
        python = lay_out(Path(name) / "venv")
        samples = [str(path) for path in sorted(HERE.glob("*.py")) if path.name != "check.py"]
        command = [
            sys.executable, "-m", "mypy", "--strict", "--config-file=", "--python-executable",
            str(python), f"--cache-dir={ROOT}/.mypy_cache/samples", *samples,
        ]  # fmt: skip
        return subprocess.run(command, cwd=name, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
