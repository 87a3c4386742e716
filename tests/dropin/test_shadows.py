"""Another CaChannel beside this package: it is named, once, with what to do."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from cachannel import _shadows
from support.scripts import Outcome, run_python

REMEDY = (
    "do 'pip uninstall CaChannel', then 'pip install --force-reinstall --no-deps cachannel-cffi'"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of modules that comes first, as far as imports are concerned."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.fixture
def other(folder: Path) -> Path:
    """The folder of a CaChannel as version 3.2 has it; the value is its file."""
    (folder / "CaChannel").mkdir()
    file = folder / "CaChannel" / "__init__.py"
    file.write_text("from .CaChannel import CaChannel, ca\n")
    (folder / "CaChannel" / "ca.py").write_text("DBR_DOUBLE = 6\n")
    (folder / "CaChannel" / "CaChannel.py").write_text(
        '"""CaChannel; not that of cachannel."""\nfrom . import ca\nclass CaChannel: pass\n'
    )
    return file


def run(text: str) -> Outcome:
    return run_python(
        ["-W", "always", "-c", text], {"PYTHONWARNINGS": "", "CACHANNEL_REPEATER": "NO"}
    )


def warnings_in(done: Outcome) -> list[str]:
    assert done.code == 0, done
    return [line for line in done.stderr.splitlines() if "RuntimeWarning: " in line]


@pytest.mark.parametrize(
    "use",
    ["from cachannel import CaChannel", "import cachannel; cachannel.CaChannelException",
     "import ca", "import epicsPV", "import epicsMotor"],
)  # fmt: skip
def test_the_first_use_of_a_name_of_ours_warns_once(other: Path, use: str) -> None:
    text = f"{use}\nfrom cachannel import CaChannel, CaChannelException\nimport ca, epicsPV\n"
    (line,) = warnings_in(run(text))
    assert line.endswith(
        f"RuntimeWarning: CaChannel ({other}) is of another distribution, not of cachannel-cffi: "
        f"{REMEDY}"
    )
    if use != "import epicsMotor":  # which is epicsPV's import
        assert line.startswith("<string>:1: ")


def test_nothing_is_said_without_another(folder: Path) -> None:
    names = "from cachannel import CaChannel, CaChannelException"
    assert run(f"{names}\nimport CaChannel, ca, epicsPV, epicsMotor").stderr == ""
    assert _shadows.find() == {}


def test_programs_that_use_other_apis_hear_nothing(other: Path) -> None:
    assert run("import cachannel, epics_compat, cachannel.threading.client").stderr == ""


def test_files_of_the_other_that_replace_ours_are_found(folder: Path, other: Path) -> None:
    for name in ("ca", "epicsPV", "epicsMotor"):
        (folder / f"{name}.py").write_text("from CaChannel import ca\n")
    (line,) = warnings_in(run("from cachannel import CaChannel"))
    for name in ("ca", "epicsPV", "epicsMotor"):
        assert f", {name} ({folder / name}.py)" in line
    assert " are of another distribution" in line


def test_absent_files_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left after CaChannel was uninstalled, which takes three of our files away."""
    monkeypatch.setattr(_shadows, "NAMES", ("CaChannel", "ca_of_nobody"))
    assert _shadows.describe(_shadows.find()) == (
        f"the modules ca_of_nobody of cachannel-cffi are missing: {REMEDY}"
    )


def test_the_doctor_names_the_other(other: Path, ioc: Any) -> None:
    settings = ioc.env | {"CACHANNEL_REPEATER": "NO"}
    done = run_python(["-m", "cachannel", "doctor", "-w", "5", "catest"], settings).succeeded()
    assert (
        f"CaChannel       CaChannel ({other}) is of another distribution, not of cachannel-cffi: "
        f"{REMEDY}"
    ) in done.lines
    done = run_python(["-m", "cachannel", "doctor", "--json", "-w", "5", "catest"], settings)
    assert json.loads(done.stdout)["client"]["shadowed"] == {"CaChannel": str(other)}


def test_the_doctor_says_nothing_without_another(ioc: Any) -> None:
    settings = ioc.env | {"CACHANNEL_REPEATER": "NO"}
    done = run_python(["-m", "cachannel", "doctor", "-w", "5", "catest"], settings).succeeded()
    assert not any(line.startswith("CaChannel") for line in done.lines)


def test_a_module_of_the_program_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ca", type(sys)("ca"))
    assert "ca" not in _shadows.find()
