"""`install` beside the packages that prepare libca for pyepics."""

import subprocess
import sys

import pytest

HINT = """
import os, sys
before = os.environ.get("PYEPICS_LIBCA")
{install}
import epicscorelibs.path.pyepics
import epics, epics.ca
assert epics.__name__ == "epics_compat", epics
assert os.environ.get("PYEPICS_LIBCA") == before, os.environ["PYEPICS_LIBCA"]
"""


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("hint", [None, "/some/libca.so"])
def test_no_warning_of_epicscorelibs(hint: str | None, again: bool) -> None:
    """ophyd imports that module, which warns if `epics.ca` is there before it."""
    install = "import epics_compat; epics_compat.install()"
    program = HINT.format(install="\n".join([install] * (2 if again else 1)))
    environment = {"PYTHONWARNINGS": "error"} | ({"PYEPICS_LIBCA": hint} if hint else {})
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_no_warning_when_a_program_is_run() -> None:
    program = "import epicscorelibs.path.pyepics, epics.ca; print(epics.__name__)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "epics_compat", "-c", program],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.stdout.strip(), done.stderr) == ("epics_compat", "")
