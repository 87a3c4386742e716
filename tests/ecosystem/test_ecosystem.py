"""Programs that others' packages need pyepics for, run unmodified on `epics_compat`.

Not part of ``make test``, as it needs the extra ``test-ecosystem``: ``make test-ecosystem`` runs
it, and the gate (``.ci/run``) does.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from support.ioc import SoftIoc
from support.scripts import run_python

HERE = Path(__file__).resolve().parent


def run(program: str, *arguments: str, ioc: SoftIoc) -> str:
    environment = ioc.env | {"CACHANNEL_REPEATER": "NO", "PYTHONWARNINGS": "default"}
    command = ["-m", "epics_compat", str(HERE / program), *arguments]
    outcome = run_python(command, environment, timeout=240)
    assert outcome.code == 0, outcome
    return outcome.stdout


@pytest.mark.parametrize(
    "function",
    [
        "this_is_ours",
        "signal_reads_and_writes",
        "signal_monitors",
        "enums_arrays_and_strings",
        "read_only_signal_and_metadata",
        "motor_moves",
        "a_scan_of_a_motor",
        "a_scan_of_bluesky",
        "signals_come_and_go",
    ],
)
def test_ophyd_and_bluesky(ioc: SoftIoc, function: str) -> None:
    run("ophyd_program.py", function, ioc=ioc)


def test_an_ophyd_device_with_a_thousand_signals(make_ioc: Callable[..., SoftIoc]) -> None:
    records = (f'record(ao, "big:{i}") {{ field(VAL, "{i}") }}\n' for i in range(1000))
    run("ophyd_program.py", "a_device_with_a_thousand_components", ioc=make_ioc("".join(records)))


def test_pydm(ioc: SoftIoc) -> None:
    assert run("pydm_program.py", ioc=ioc).endswith("done\n")
