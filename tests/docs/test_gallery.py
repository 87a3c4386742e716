"""The example IOCs serve the PVs that their page lists, and answer as it shows."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import cachannel.ioc_examples
from support.ioc import clean_environment
from support.ports import client_environment, free_port, server_environment
from support.sessions import call, matches, read_sessions
from support.waiting import wait_until

PAGE = Path(__file__).resolve().parents[2] / "docs" / "ioc-gallery.md"
LINES = re.findall(r"^`(python -m cachannel\.ioc_examples\..*?)`", PAGE.read_text(), re.MULTILINE)
PVS = re.findall(r"^\| `(\S+:\S+)` \| (\w+)(?:, (up to )?(\d+))?", PAGE.read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """The environment of a client of all examples, started as the page says."""
    repeater = free_port()
    ports = []
    with ExitStack() as stack:
        # The examples with their options, and one without them, as the page says.
        for line in [*LINES, "python -m cachannel.ioc_examples.macros"]:
            ports.append(free_port())
            running = subprocess.Popen(
                [sys.executable, *shlex.split(line)[1:]],
                env=clean_environment() | server_environment(ports[-1], repeater),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            stack.callback(running.wait, 30)
            stack.callback(running.terminate)
        variables = clean_environment() | client_environment(ports, repeater)
        variables |= {"CACHANNEL_REPEATER": "NO"}
        names = [name for name, *_ in PVS]
        wait_until(
            lambda: call(f"cachannel get {shlex.join(names)}", variables).returncode == 0,
            30,
            what="the start of the examples",
        )
        yield variables


def test_the_page_has_every_example() -> None:
    folder = Path(cachannel.ioc_examples.__file__).parent
    examples = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert {re.split(r"[. ]", line)[4] for line in LINES} == examples
    included = re.findall(r"literalinclude\} \.\./(\S+)", PAGE.read_text())
    assert {Path(path).stem for path in included} == examples | {"demo_ioc"}
    assert all((PAGE.parents[1] / path).exists() for path in included)


def test_the_pvs_have_the_types_of_the_page(environment: dict[str, str]) -> None:
    assert len(PVS) == 11
    for name, kind, most, count in PVS:
        done = call(f"cachannel get --json {name}", environment)
        value = json.loads(done.stdout)
        assert value["type"] == kind, name
        if count and not most:
            assert value["count"] == int(count), name


def test_each_example_serves_what_the_page_lists() -> None:
    served = []
    for line in LINES:
        with subprocess.Popen(
            [sys.executable, *shlex.split(line)[1:]],
            env=clean_environment() | server_environment(free_port(), free_port()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        ) as running:
            assert running.stdout is not None
            # The list is one record of the log.
            first = next(text for text in running.stdout if text.startswith("    "))
            running.terminate()
            rest = running.stdout.readlines()
        served += [text.strip() for text in [first, *rest] if text.startswith("    ")]
    assert sorted(served) == sorted(name for name, *_ in PVS)


def test_the_sessions_print_what_the_page_shows(environment: dict[str, str]) -> None:
    sessions = list(read_sessions(PAGE))
    assert len(sessions) == 6
    for command, expected in sessions:
        done = call(command, environment)
        assert matches(expected, done.stdout), f"{command}\n{done.stdout}{done.stderr}"
        assert not done.stderr, command
