"""Build a system package from this tree, install it, use it, and remove it again.

    python recipes/check.py rpm --epics-base /opt/epics/base
    python recipes/check.py deb --epics-base /opt/epics/base

It needs root, the tools of the package format (`rpm` or `debhelper` and `dh-python`), and the
packages `python3-cffi` and `python3-numpy` of the system. The Python that runs this needs `build`
and `epicscorelibs`: its soft IOC serves the smoke test, and without `--epics-base` an EPICS base is
laid out from it.

Exit status 0 means: the package was built, installed and used by the Python of the system, and
removing it left no file behind.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RECIPES = ROOT / "recipes"
NAME = "python3-cachannel-cffi"
SYSTEM_PYTHON = "/usr/bin/python3"


def run(*command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    """Run a command; its output is shown only if it fails."""
    shown = " ".join(str(part) for part in command)
    started = time.monotonic()
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\nstatus {done.returncode}: {shown}")
    print(f"{time.monotonic() - started:6.1f} s  {shown[:100]}")


def need(*programs: str) -> None:
    """End with one sentence if a program is missing."""
    missing = [name for name in programs if not shutil.which(name)]
    if missing:
        sys.exit(f"not found: {', '.join(missing)}; install the tools that this file names")


def lay_out_base(folder: Path) -> Path:
    """Make an EPICS base of headers and libraries out of `epicscorelibs`."""
    from epicscorelibs import path

    libraries = folder / "lib" / "linux-x86_64"
    libraries.mkdir(parents=True)
    shutil.copytree(path.include_path, folder / "include")
    for library in Path(path.lib_path).glob("lib[cC][ao]*.so*"):
        shutil.copy2(library, libraries)
    return folder


def source_distribution(folder: Path) -> Path:
    """Make the source distribution of this tree."""
    run(sys.executable, "-m", "build", "--sdist", "--outdir", folder, ROOT)
    (found,) = folder.glob("*.tar.gz")
    return found


def system_files() -> set[Path]:
    """List what a package of ours may leave behind."""
    code = (
        "import sysconfig as s; known = s.get_scheme_names(); "
        "scheme = next(n for n in ('deb_system', 'rpm_prefix', 'posix_prefix') if n in known); "
        "print(s.get_path('platlib', scheme, {'base': '/usr', 'platbase': '/usr'}))"
    )
    site = subprocess.check_output([SYSTEM_PYTHON, "-c", code], text=True).strip()
    places = [Path(site), Path("/usr/bin"), Path("/usr/share/doc"), Path("/usr/share/licenses")]
    return {file for place in places if place.is_dir() for file in place.rglob("*")}


def build_rpm(work: Path, base: Path) -> Path:
    """Build the package with rpmbuild."""
    need("rpmbuild", "rpm")
    (work / "SOURCES").mkdir()
    source_distribution(work / "SOURCES")
    command = ["rpmbuild", "-bb", "--define", f"_topdir {work}", "--define", f"epics_base {base}"]
    if Path("/etc/debian_version").exists():
        command.append("--nodeps")  # the tools are there, but as packages of another format
    run(*command, RECIPES / "rpm" / "cachannel-cffi.spec")
    (found,) = (work / "RPMS").rglob("*.rpm")
    return found


def build_deb(work: Path, base: Path) -> Path:
    """Build the package with dpkg-buildpackage."""
    need("dpkg-buildpackage", "dh", "dh_python3")
    archive = source_distribution(work)
    run("tar", "-xf", archive, cwd=work)
    (tree,) = (entry for entry in work.iterdir() if entry.is_dir())
    shutil.copytree(RECIPES / "debian", tree / "debian")
    settings = dict(os.environ, EPICS_BASE=str(base))
    run("dpkg-buildpackage", "-us", "-uc", "-b", cwd=tree, env=settings)
    (found,) = work.glob(f"{NAME}_*.deb")
    return found


def install(package: Path) -> None:
    """Install it; on a system of the other format without its records of what is there."""
    if package.suffix == ".deb":
        run("dpkg", "--install", package)
    elif Path("/etc/debian_version").exists():
        run("rpm", "--install", "--nodeps", package)
    else:
        run("rpm", "--install", package)


def remove(package: Path) -> None:
    """Remove it."""
    if package.suffix == ".deb":
        run("dpkg", "--purge", NAME)
    else:
        run("rpm", "--erase", "--nodeps", NAME)


def main() -> int:
    """Do all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("format", choices=("rpm", "deb"))
    parser.add_argument("--epics-base", type=Path, help="the EPICS base to build against")
    parser.add_argument("--keep", type=Path, help="copy the package into this folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "work"
        work.mkdir()
        base = options.epics_base or lay_out_base(Path(folder) / "base")
        package = {"rpm": build_rpm, "deb": build_deb}[options.format](work, base)
        print(f"built {package.name}, {package.stat().st_size // 1000} kB")
        before = system_files()
        install(package)
        try:
            smoke = ROOT / "tests" / "packaging" / "smoke.py"
            run(SYSTEM_PYTHON, smoke, "--soft-ioc", sys.executable, cwd=Path("/"))
            run("/usr/bin/cachannel", "--version", cwd=Path("/"))
        finally:
            remove(package)
        left = sorted(system_files() - before)
        if left:
            sys.exit("left behind: " + ", ".join(str(file) for file in left[:10]))
        if options.keep:
            shutil.copy2(package, options.keep)
    print("all right: built, installed, used, removed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
