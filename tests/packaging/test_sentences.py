"""What is said when the package cannot be built or imported: one sentence, with what to do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest

import cachannel
from support.ioc import clean_environment

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(cachannel.__file__).parent
DROPIN = Path(find_spec("CaChannel").origin).parent
EXTENSION = Path(find_spec("cachannel._native._cachannel").origin)
NEEDED = next(
    requirement
    for requirement in metadata.requires("cachannel-cffi")
    if requirement.startswith("epicscorelibs") and "extra" not in requirement
)
REINSTALL = f"run '{sys.executable} -m pip install --force-reinstall --no-deps \"{NEEDED}\"'"


def run(*command: str | Path, cwd: Path, **environment: str) -> tuple[int, str]:
    """Run a program; return its status and what it wrote to standard error."""
    variables = clean_environment()
    for name in ("PYTHONPATH", "CC", "CFLAGS", "LD_LIBRARY_PATH"):
        variables.pop(name, None)
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=variables | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr.rstrip()


# --- Building ------------------------------------------------------------------------------------


def build(folder: Path, **environment: str) -> str:
    """Run the file that describes the extension to the build; return what it says."""
    status, said = run(sys.executable, "-c", "import build_ffi", cwd=ROOT, **environment)
    assert "\n" not in said, said
    assert (status == 0) == (said == "")
    assert not said or said.startswith("cachannel: ")
    return said.removeprefix("cachannel: ")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """An EPICS base with the headers and libraries of epicscorelibs."""
    package = Path(find_spec("epicscorelibs").submodule_search_locations[0])
    folder = tmp_path / "base"
    shutil.copytree(package / "include", folder / "include")
    add_architecture(folder, "linux-here")
    return folder


def add_architecture(base: Path, name: str) -> Path:
    """Add libraries for this machine; return the file of libca."""
    package = Path(find_spec("epicscorelibs").submodule_search_locations[0])
    (base / "lib" / name).mkdir(parents=True)
    for library in ("ca", "Com"):
        shutil.copy2(package / "lib" / f"lib{library}.so", base / "lib" / name)
    return base / "lib" / name / "libca.so"


def test_a_good_base_is_taken(tmp_path: Path, base: Path) -> None:
    assert build(tmp_path, EPICS_BASE=str(base)) == ""
    assert build(tmp_path, EPICS_BASE=str(base), EPICS_HOST_ARCH="linux-here") == ""


def test_no_compiler(tmp_path: Path) -> None:
    said = build(tmp_path, PATH=str(tmp_path))
    name = sysconfig.get_config_var("CC").split()[0]
    assert said == (
        f"no C compiler: {name} is not found; install it (gcc, make), or set CC to another."
    )


def test_a_compiler_that_is_not_there(tmp_path: Path) -> None:
    said = build(tmp_path, CC="/opt/none/bin/cc -m64")
    assert said.startswith("no C compiler: /opt/none/bin/cc is not found; ")


def test_a_base_without_headers(tmp_path: Path) -> None:
    said = build(tmp_path, EPICS_BASE=str(tmp_path))
    assert said == f"EPICS_BASE={tmp_path} has no include/cadef.h; set it to a built EPICS base 7."


def test_a_base_without_shared_libraries(tmp_path: Path, base: Path) -> None:
    for file in (base / "lib" / "linux-here").iterdir():
        file.rename(file.with_suffix(".a"))
    said = build(tmp_path, EPICS_BASE=str(base))
    assert said.startswith(f"EPICS_BASE={base} has no lib/*/libca.so; build the base with shared ")


def test_an_architecture_that_is_not_there(tmp_path: Path, base: Path) -> None:
    said = build(tmp_path, EPICS_BASE=str(base), EPICS_HOST_ARCH="linux-arm")
    assert said == (
        f"EPICS_HOST_ARCH=linux-arm is not in EPICS_BASE={base}; "
        "set EPICS_HOST_ARCH to one of linux-here."
    )


def test_several_architectures(tmp_path: Path, base: Path) -> None:
    add_architecture(base, "linux-other")
    said = build(tmp_path, EPICS_BASE=str(base))
    assert said == "set EPICS_HOST_ARCH to one of linux-here, linux-other."


@pytest.mark.parametrize(("major", "revision"), [(3, 14), (3, 15)])
def test_a_base_that_is_too_old(tmp_path: Path, base: Path, major: int, revision: int) -> None:
    header = base / "include" / "epicsVersion.h"
    text = re.sub(r"(EPICS_VERSION\s+)\d+", rf"\g<1>{major}", header.read_text())
    header.write_text(re.sub(r"(EPICS_REVISION\s+)\d+", rf"\g<1>{revision}", text))
    said = build(tmp_path, EPICS_BASE=str(base))
    assert re.fullmatch(
        rf"EPICS_BASE=\S+ is EPICS {major}\.{revision}\.\d+; set it to an EPICS base 7\.", said
    )


def for_another_machine(file: Path) -> None:
    """Let a library be for a big PowerPC: the number of the machine in its header."""
    data = bytearray(file.read_bytes())
    data[18:20] = (21).to_bytes(2, sys.byteorder)
    file.write_bytes(data)


def test_a_base_for_another_machine(tmp_path: Path, base: Path) -> None:
    file = base / "lib" / "linux-here" / "libca.so"
    for_another_machine(file)
    said = build(tmp_path, EPICS_BASE=str(base))
    assert said.startswith(f"{file} is for another machine than this Python (")
    assert said.endswith("; set EPICS_HOST_ARCH to an architecture of this machine.")


def test_a_base_with_a_broken_library(tmp_path: Path, base: Path) -> None:
    file = base / "lib" / "linux-here" / "libca.so"
    file.write_bytes(b"")
    said = build(tmp_path, EPICS_BASE=str(base))
    assert said == f"{file} is not a shared library; build the EPICS base again."


# --- An older Python -----------------------------------------------------------------------------


def old_python() -> list[str]:
    """Find a Python that is too old; without one, a statement makes this one say that it is."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    for version in ("3.10", "3.9", "3.8"):
        found = [*map(str, versions.glob(f"{version}.*/bin/python"))]
        found += filter(None, [shutil.which(f"python{version}")])
        for path in found:
            done = subprocess.run([path, "-c", "import setuptools"], capture_output=True)
            if done.returncode == 0:
                return [path, "-c", ""]
    pretend = "import sys; sys.version_info = (3, 10, 13); sys.version = '3.10.13 (main)'; "
    return [sys.executable, "-c", pretend]


@pytest.mark.parametrize("module", ["cachannel", "CaChannel", "epics_compat", "ca", "epicsPV"])
def test_a_checkout_with_an_older_python(module: str) -> None:
    *command, prelude = old_python()
    path = os.pathsep.join([str(PACKAGE.parent), str(DROPIN)])
    status, said = run(*command, f"{prelude}import {module}", cwd=DROPIN, PYTHONPATH=path)
    assert status == 1
    last = said.rpartition("\n")[2]
    assert re.fullmatch(
        r"ImportError: cachannel needs Python 3\.11 or newer, and \S+ is Python 3\.\d+\.\d+: "
        r"install cachannel-cffi with a newer Python\.",
        last,
    ), said


def test_building_with_an_older_python() -> None:
    *command, prelude = old_python()
    program = f"{prelude}import runpy; runpy.run_path('setup.py', run_name='__main__')"
    status, said = run(*command, program, cwd=ROOT)
    assert status == 1
    assert re.fullmatch(
        r"cachannel: Python 3\.11 or newer is needed, and this is Python 3\.\d+\.\d+; "
        r"use a newer one\.",
        said,
    ), said


# --- Importing -----------------------------------------------------------------------------------


class Site:
    """A folder of installed packages, of which those that a test changes are copies."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        own = ("cachannel", "epicscorelibs")
        for entry in Path(find_spec("cffi").origin).parents[1].iterdir():
            if entry.name not in own and not entry.name.startswith("__"):
                (folder / entry.name).symlink_to(entry)
        leave_out = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PACKAGE, folder / "cachannel", ignore=leave_out)
        extension = folder / "cachannel" / "_native" / EXTENSION.name
        shutil.copy2(EXTENSION, extension)
        self.extension = extension
        package = Path(find_spec("epicscorelibs").submodule_search_locations[0])
        self.package = folder / "epicscorelibs"
        self.libraries = self.package / "lib"
        self.libraries.mkdir(parents=True)
        (self.package / "__init__.py").touch()
        for file in (package / "lib").glob("lib[cC][ao]*"):
            if file.name.startswith(("libca.", "libCom.")):
                shutil.copy2(file, self.libraries)

    def library(self, name: str) -> Path:
        """The file of libca or libCom whose name has the version."""
        return max(self.libraries.glob(f"lib{name}.*"), key=lambda path: len(path.name))

    def say(self, **environment: str) -> str:
        """Import the C boundary; return the sentence of the ImportError."""
        # -S: the packages of this interpreter are not to be found beside those of the folder.
        status, said = run(
            sys.executable, "-S", "-c", "import cachannel.ca",
            cwd=self.folder.parent, PYTHONPATH=str(self.folder), **environment,
        )  # fmt: skip
        if status == 0:
            assert said == ""
            return ""
        assert said.count("Traceback (most recent call last)") == 1, said
        last = said.rpartition("\n")[2]
        assert last.startswith("ImportError: cachannel "), said
        return last.removeprefix("ImportError: ")


@pytest.fixture(params=["as installed", "as in an editable install"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    """Packages whose extension finds the libraries beside it, and such that has to load them."""
    site = Site(tmp_path / "site")
    if request.param == "as in an editable install":
        moved = tmp_path / "checkout" / "cachannel"
        moved.parent.mkdir()
        (site.folder / "cachannel").rename(moved)
        (site.folder / "cachannel").symlink_to(moved)
        site.extension = moved / "_native" / EXTENSION.name
    return site


def test_the_copy_works(site: Site) -> None:
    assert site.say() == ""


def test_epicscorelibs_is_not_installed(site: Site) -> None:
    shutil.rmtree(site.package)
    assert site.say() == (
        f"cachannel needs libca, and epicscorelibs is not installed: {REINSTALL}."
    )


@pytest.mark.parametrize("name", ["ca", "Com"])
def test_a_library_of_epicscorelibs_is_missing(site: Site, name: str) -> None:
    file = site.library(name)
    file.unlink()
    assert site.say() == f"cachannel needs {file.name} in {site.libraries}: {REINSTALL}."


def test_epicscorelibs_of_another_version(site: Site) -> None:
    needed = [site.library(name).name for name in ("Com", "ca")]
    for name in ("ca", "Com"):
        file = site.library(name)
        file.rename(site.libraries / f"lib{name}.so.7.0.7.99.1")
    assert site.say() == (
        f"cachannel needs {' and '.join(needed)} in {site.libraries}: {REINSTALL}."
    )


@pytest.mark.parametrize("name", ["ca", "Com"])
def test_a_library_for_another_machine(site: Site, name: str) -> None:
    file = site.library(name)
    for_another_machine(file)
    said = site.say()
    assert said.startswith(f"cachannel cannot load {file} ("), said
    assert said.endswith(f"; {REINSTALL}.")
    assert "): the file is broken, or not for this machine (" in said


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>" * 20, b"\x7fELF\1\1\1" * 50])
def test_a_broken_library(site: Site, content: bytes) -> None:
    file = site.library("ca")
    file.write_bytes(content)
    said = site.say()
    assert said.startswith(f"cachannel cannot load {file} ("), said
    assert said.endswith(f"; {REINSTALL}.")


def without(library: Path, function: bytes) -> None:
    """Take a function out of a library: its name in the table of symbols becomes another one."""
    data = library.read_bytes()
    assert b"\0" + function + b"\0" in data
    other = b"x" + function[1:]
    library.write_bytes(data.replace(b"\0" + function + b"\0", b"\0" + other + b"\0"))


def test_a_libca_that_is_older(site: Site) -> None:
    without(site.library("ca"), b"ca_host_minor_protocol")
    assert site.say() == (
        "cachannel cannot use this libca or libCom, which has no function "
        "ca_host_minor_protocol: it is older than the one that cachannel was built against; "
        f"{REINSTALL}."
    )


def test_an_older_libca_in_the_library_path(site: Site, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(site.libraries, old)
    without(old / site.library("ca").name, b"ca_host_minor_protocol")
    assert site.say(LD_LIBRARY_PATH=str(old)) == (
        "cachannel cannot use this libca or libCom, which has no function "
        "ca_host_minor_protocol: it is older than the one that cachannel was built against; "
        f"take its folder out of LD_LIBRARY_PATH, or {REINSTALL}."
    )


def test_an_extension_for_another_machine(site: Site) -> None:
    for_another_machine(site.extension)
    said = site.say()
    assert said.startswith("cachannel cannot load its C extension: "), said
    assert "Reinstall cachannel-cffi with this interpreter" in said
