"""The example IOCs: what they serve, what they do, how they end."""

import importlib
import signal
import struct
import subprocess
import sys

import pytest
from server_wire import Client, Process

EXAMPLES = {
    "simple": ["simple:A", "simple:B", "simple:C"],
    "random_walk": ["random_walk:dt", "random_walk:x"],
    "io_interrupt": ["io:keypress"],
    "macros": ["macros:my_beamline:thing.VAL", "macros:my_beamline:thing.RBV"],
    "subgroups": [
        "subgroups:group1:random",
        "subgroups:group2:random",
        "subgroups:group3:random",
    ],
}


def start(name, *arguments, probe):
    return Process(["-m", f"cachannel.ioc_examples.{name}", *arguments], probe=probe)


@pytest.mark.parametrize("name", EXAMPLES)
def test_lists_serves_and_ends(name):
    """--list-pvs lists the PVs, each can be read, and Ctrl-C is a normal end."""
    with start(name, "--list-pvs", probe=EXAMPLES[name][0]) as process:
        listed = process.output().partition("PVs available:\n")[2].splitlines()
        assert [line.strip() for line in listed[: len(EXAMPLES[name])]] == EXAMPLES[name]
        with Client(process.port) as client:
            for pv in EXAMPLES[name]:
                sid, kind, _, _ = client.create(pv)
                assert client.read(sid, kind).parameter1 == 1
        process.process.send_signal(signal.SIGINT)
        assert process.process.wait(60) == 0


@pytest.mark.parametrize("name", EXAMPLES)
def test_import_starts_nothing(name):
    """Importing an example makes no server."""
    module = importlib.import_module(f"cachannel.ioc_examples.{name}")
    assert callable(module.main)


def test_help_shows_options():
    """--help tells the options and the version, and ends with status 0."""
    command = [sys.executable, "-m", "cachannel.ioc_examples.macros", "--help"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0
    for option in ("--prefix", "--list-pvs", "--async-lib", "--interfaces", "--beamline", "-q"):
        assert option in result.stdout
    assert "cachannel version" in result.stdout


def test_random_walk_as_in_its_documentation():
    """``random_walk --prefix my: --list-pvs -v`` walks at the pace that dt sets."""
    with start("random_walk", "--prefix", "my:", "--list-pvs", "-v", probe="my:x") as process:
        assert "    my:dt\n    my:x\n" in process.output()
        with Client(process.port) as client:
            dt, x = client.create("my:dt")[0], client.create("my:x")[0]
            client.subscribe(x, 6)
            first = client.receive()
            client.put(dt, 6, 1, struct.pack(">d", 0.01))
        assert first.parameter1 == 1
        assert "Connected to new client at 127.0.0.1:" in process.output()


def test_macros():
    """Macros come from the command line; a put to VAL shows in RBV."""
    with (
        start("macros", "--beamline", "b1", probe="macros:b1:thing.VAL") as process,
        Client(process.port) as client,
    ):
        val, rbv = client.create("macros:b1:thing.VAL"), client.create("macros:b1:thing.RBV")
        assert (val[3], rbv[3]) == (3, 1)
        client.put(val[0], 5, 1, struct.pack(">i", 42))
        assert client.read(rbv[0], 5, 1).payload[:4] == struct.pack(">i", 42)


def test_key_presses():
    """The keyboard's thread hands keys to the PV (here the queue stands for the terminal)."""
    from cachannel.ioc_examples.io_interrupt import start_io_interrupt_monitor

    # Without a terminal the monitor returns at once.
    if not sys.stdin or not sys.stdin.isatty():
        assert start_io_interrupt_monitor(lambda key: None) is None
