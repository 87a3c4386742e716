"""How the C extension finds libca, and what is said when it cannot be loaded."""

import os
import shutil
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

import pytest

import cachannel
from cachannel._native.loading import preload
from support.ioc import clean_environment

PACKAGE = Path(cachannel.__file__).parent
EXTENSION = Path(find_spec("cachannel._native._cachannel").origin)


def last_words(folder: Path, text: str) -> str:
    """Run a line of Python in a folder; return the last line of its standard error."""
    variables = clean_environment()
    variables.pop("PYTHONPATH", None)
    done = subprocess.run(
        [sys.executable, "-c", text],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stderr.rstrip().rpartition("\n")[2]


@pytest.fixture
def unbuilt(tmp_path: Path) -> Path:
    """The package without its extension."""
    leave_out = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__")
    shutil.copytree(PACKAGE, tmp_path / "cachannel", ignore=leave_out)
    return tmp_path


@pytest.mark.parametrize("text", ["import cachannel.ca", "from cachannel import CaChannel"])
def test_a_checkout_that_is_not_built_says_so_in_a_sentence(unbuilt: Path, text: str) -> None:
    (unbuilt / "build_ffi.py").touch()
    said = last_words(unbuilt, text)
    assert said.startswith(f"ImportError: cachannel is not built: the checkout {unbuilt} has no ")
    assert said.endswith(f"; run '{sys.executable} -m pip install --editable {unbuilt}'.")


def test_an_install_without_extension_says_what_to_do(unbuilt: Path) -> None:
    said = last_words(unbuilt, "import cachannel.ca")
    assert said.startswith("ImportError: cachannel has no C extension for this interpreter in ")
    assert said.endswith("reinstall cachannel-cffi with it.")


def test_the_server_works_where_nothing_is_built(unbuilt: Path) -> None:
    assert last_words(unbuilt, "import cachannel, cachannel.server, cachannel.protocol") == ""


def test_a_missing_function_loads_no_second_libca() -> None:
    assert not preload(f"{EXTENSION}: undefined symbol: ca_host_minor_protocol")


def test_another_fault_of_the_extension_is_told_as_it_is(unbuilt: Path) -> None:
    file = unbuilt / "cachannel" / "_native" / EXTENSION.name
    file.write_bytes(b"not a library")
    said = last_words(unbuilt, "import cachannel.ca")
    assert said.startswith("ImportError: cachannel cannot load its C extension: ")
    assert EXTENSION.name.partition(".")[0] in said


def test_an_extension_of_an_own_base_names_it(unbuilt: Path) -> None:
    file = unbuilt / "cachannel" / "_native" / EXTENSION.name
    file.write_bytes(b"not a library cachannel: EPICS_BASE=/opt/epics/b\xc3\xa4se\0 and more")
    said = last_words(unbuilt, "import cachannel.ca")
    assert said.startswith("ImportError: cachannel was built against the EPICS base /opt/epics/bäs")


def test_no_folder_of_the_interpreters_own_build_is_searched_for_libraries() -> None:
    assert os.fsencode(sysconfig.get_config_var("LIBDIR") or "/nowhere") not in (
        EXTENSION.read_bytes()
    )
