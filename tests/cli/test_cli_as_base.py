"""The text of `cachannel get`, `put`, `monitor` and `info` is that of EPICS base's tools.

What base's tools print stands in `as_base.txt`: the output of caget, caput, camonitor and cainfo
of EPICS base 7.0.8 on the records of `base.db`. `against_base.py` compares many more command
lines, for who has base's tools at hand.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cachannel.cli.main import main
from support.ioc import SoftIoc

HERE = Path(__file__).resolve().parent
RECORDS = (HERE / "base.db").read_text(encoding="utf-8").replace("$(P)", "t:")


@dataclass
class Case:
    """A command line, and what base says to it."""

    arguments: list[str]
    stdout: list[str]
    stderr: list[str]
    code: int


def read_cases() -> dict[str, Case]:
    """Read `as_base.txt`."""
    cases: dict[str, Case] = {}
    every: list[str] = []
    lines = (HERE / "as_base.txt").read_text(encoding="utf-8").split("\n")
    for line in lines:
        mark, rest = line[:2], line[2:]
        if mark == "# " and rest.startswith("t:"):
            every = rest.split()
        elif mark == "$ ":
            words = shlex.split(rest)
            words[-1:] = every if words[-1] == "@EVERY" else words[-1:]
            case = cases[rest] = Case(words, [], [], 0)
        elif mark == "! ":
            case.stderr.append(rest)
        elif mark == "? ":
            case.code = int(rest)
        elif line and mark != "# ":
            case.stdout.append(line)
    return cases


CASES = read_cases()


def normal(text: str) -> list[str]:
    """Replace what differs from run to run."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", "<stamp>", text)
    # Lines of terse output may be empty.
    return [
        line
        for line in re.sub(r"(localhost|127\.0\.0\.1):\d+", "localhost:<port>", text).split("\n")
        if line
    ]


def select(command: str) -> list[str]:
    return [name for name in CASES if name.startswith(command)]


@pytest.fixture(scope="module")
def records(ports) -> Iterator[SoftIoc]:
    """An IOC with the records of `base.db` as they are at its start."""
    acf = HERE.parent / "support" / "records.acf"
    with SoftIoc([RECORDS], acf=acf, port=ports.other, repeater_port=ports.repeater) as running:
        yield running


@pytest.mark.parametrize("name", select("get") + select("info"))
def test_values_are_printed_as_base_prints_them(name, records, capsys, monkeypatch) -> None:
    case = CASES[name]
    if "-w" in case.arguments:
        monkeypatch.delenv("EPICS_CLI_TIMEOUT")  # base's default is in the text
    code = main(case.arguments)
    printed = capsys.readouterr()
    assert normal(printed.out) == case.stdout
    assert normal(printed.err) == case.stderr
    assert code == case.code


@pytest.mark.parametrize("name", select("monitor"))
def test_updates_are_printed_as_base_prints_them(name, records, capsys) -> None:
    case = CASES[name]
    # One update of each PV comes at once; that a PV is not there is told after a time.
    updates = sum("Not connected" not in line for line in case.stdout)
    ends = ["--maximum", str(updates)] if updates else ["--duration", "0.5"]
    code = main([case.arguments[0], *ends, *case.arguments[1:]])
    printed = capsys.readouterr()
    assert sorted(normal(printed.out)) == sorted(case.stdout)
    assert normal(printed.err) == case.stderr
    assert code == 0


def test_writes_are_told_as_base_tells_them(records, capsys) -> None:
    # One after the other: each prints the value that the one before has written.
    for name in select("put"):
        case = CASES[name]
        code = main(case.arguments)
        printed = capsys.readouterr()
        assert normal(printed.out) == case.stdout, name
        assert normal(printed.err) == case.stderr, name
        assert code == case.code, name
