"""The commands in docs/command.md work, and print what stands there."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cachannel.cli.main import main
from support.ioc import clean_environment
from support.ports import client_environment, free_port, server_environment
from support.sessions import call, matches, read_sessions
from support.terminal import Terminal
from support.waiting import wait_until

PAGE = Path(__file__).resolve().parents[2] / "docs" / "command.md"


@pytest.fixture
def environment(ports) -> Iterator[dict[str, str]]:
    """The environment of who follows the page, with the IOC of the demo running."""
    port, repeater = free_port(), free_port()
    variables = clean_environment() | client_environment([port], repeater)
    variables |= {"CACHANNEL_REPEATER": "NO"}
    with subprocess.Popen(
        [sys.executable, "-m", "cachannel", "ioc", "demo"],
        env=variables | server_environment(port, repeater),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as running:
        try:
            wait_until(
                lambda: call("cachannel get -w 0.5 demo:wave", variables).returncode == 0,
                30,
                what="the start of the IOC",
            )
            yield variables
        finally:
            running.terminate()


def test_the_page_prints_what_is_printed(environment, tmp_path) -> None:
    commands = list(read_sessions(PAGE))
    assert len(commands) > 15
    for command, expected in commands:
        done = call(command, environment, tmp_path)
        assert matches(expected, done.stdout), f"{command}\n{done.stdout}{done.stderr}"
        assert not done.stderr, command


def test_the_page_prints_what_a_terminal_shows(environment) -> None:
    commands = list(read_sessions(PAGE, "text"))
    assert len(commands) == 2
    for command, expected in commands:
        arguments = ["-m", *shlex.split(command)]
        with Terminal(arguments, environment | {"EPICS_CLI_TIMEOUT": "2"}) as running:
            done = running.wait()
        # The progress while PVs connect is cleared from the line.
        shown = re.sub(r"^(connecting: .*)?\n", "", done.stdout, flags=re.MULTILINE)
        assert shown == expected


def test_the_page_has_all_commands(capsys) -> None:
    main(["--help"])
    listed = re.findall(r"^  (\w+)  ", capsys.readouterr().out.partition("Commands:")[2], re.M)
    assert len(listed) == 11
    page = PAGE.read_text()
    for name in listed:
        assert f"cachannel {name}" in page
