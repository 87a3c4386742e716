"""The methods of the devices, each against records or PVs that have their fields.

What they print is in ``devices.txt``. Where pyepics 3.5.10 does something at all it prints the
same of the same server; it does not for transform, MCA.set_rois with names, and some counts.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from device_database import database

from support.ioc import SoftIoc, clean_environment
from support.ports import free_port, server_environment
from support.scripts import run_python

HERE = Path(__file__).resolve().parent
SERVER = HERE.parent / "support" / "device_ioc.py"


def sections() -> dict[str, str]:
    """Read what each function of the program has to print."""
    found: dict[str, str] = {}
    name = ""
    for line in (HERE / "devices.txt").read_text(encoding="utf-8").splitlines(keepends=True):
        if line.startswith("== "):
            name = line[3:].strip()
            found[name] = ""
        else:
            found[name] += line
    return found


@contextmanager
def device_ioc(folder: Path, port: int, repeater_port: int) -> Iterator[None]:
    """Run the server of the devices' PVs."""
    path = folder / "database.json"
    path.write_text(json.dumps(database()), encoding="utf-8")
    environment = clean_environment() | server_environment(port, repeater_port)
    process = subprocess.Popen(
        [sys.executable, str(SERVER), str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        yield
    finally:
        process.stdin.close()
        process.wait(60)
        process.stdout.close()


@pytest.mark.parametrize(("name", "expected"), sections().items(), ids=list(sections()))
def test_methods(ioc: SoftIoc, tmp_path: Path, name: str, expected: str) -> None:
    port = free_port()
    with device_ioc(tmp_path, port, ioc.repeater_port):
        # A list without main: what is in the name of the other server comes from the list.
        environment = ioc.env | {
            "CACHANNEL_REPEATER": "NO",
            "EPICS_CA_ADDR_LIST": f"127.0.0.1 127.0.0.1:{port}",
        }
        program = str(HERE / "device_program.py")
        outcome = run_python(
            ["-m", "epics_compat", program, name, str(tmp_path)],
            environment | {"PYTHONWARNINGS": "default"},
        )
    assert outcome.code == 0, outcome
    assert outcome.stdout == expected
