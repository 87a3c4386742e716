"""What an IOC logs: its lines, each request, and what reaches a terminal without any set-up."""

import logging
import re
import signal
import struct
from pathlib import Path

from bench_circuit import Bench, make
from server_wire import Client, Process, search

from cachannel import logs
from cachannel.protocol.messages import Command, pack

IOC = str(Path(__file__).with_name("log_ioc.py"))
LINE = re.compile(r"\[(.) \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} log:\] (.*)")


def lines_of(process):
    """Return (level, text) of the lines of an IOC, each of which has date and name."""
    found = [LINE.fullmatch(line) for line in process.output().splitlines()]
    assert all(found), process.output()
    return [match.groups() for match in found]


def talk(port):
    """Do what the lines below tell; the circuit is closed by the server's reading of it."""
    with Client(port) as client:
        sid = client.create("log:x")[0]
        client.read(sid, 20)
        client.subscribe(sid, 6)
        client.receive()
        client.put(sid, 6, 1, struct.pack(">d", 2.0))
        client.receive()
        client.send(pack(Command.WRITE, 6, 1, client.create("log:ro")[0], 1, bytes(8)))
        assert client.receive().command == Command.ERROR
        client.send(pack(Command.CLEAR_CHANNEL, 0, 0, sid, 1))
        client.receive()


def ended(process):
    """End an IOC, and wait for it."""
    process.process.send_signal(signal.SIGTERM)
    assert process.process.wait(60) == 0


def test_the_lines_of_an_ioc():
    """Date and the IOC's name; clients that come and go are not among them."""
    with Process([IOC], ready="startup complete") as process:
        talk(process.port)
        ended(process)
        lines = lines_of(process)
    assert [text for level, text in lines if level == "I"] == [
        "Asyncio server starting up...",
        f"Listening on 127.0.0.1:{process.port}",
        "Server startup complete.",
        "SIGTERM received.",
        "Server task cancelled. Will shut down.",
        "Server exiting....",
    ]
    assert [text for level, text in lines if level != "I"] == [
        "put to log:ro by tester@testhost refused: Write access denied"
    ]


def test_clients_that_come_and_go():
    """They are lines of debug level, which -v shows."""
    with Process([IOC, "-v"], ready="startup complete") as process:
        talk(process.port)
        ended(process)
        found = [text.partition(" at ")[0] for level, text in lines_of(process) if level == "D"]
    assert found == ["Connected to new client", "Disconnected from client"]


def test_each_request():
    """-vv shows it with the PV's name, the client and what is asked for."""
    with Process([IOC, "-vv"], ready="startup complete") as process:
        assert search(process.port, "log:x") == process.port
        assert search(process.port, "log:none", timeout=0.1) is None
        talk(process.port)
        ended(process)
        found = [text for level, text in lines_of(process) if level == "D"]
    assert "search for log:x: served here" in found
    assert "search for log:none: not served here" in found
    start = re.compile(r"tester@testhost \(127\.0\.0\.1:\d+\): ")
    assert [start.sub("", text) for text in found if start.match(text)] == [
        "channel to log:x",
        "get of log:x as DBR_TIME_DOUBLE, 0 elements",
        "monitor of log:x as DBR_DOUBLE, 0 elements",
        "put with completion to log:x as DBR_DOUBLE, 1 elements",
        "channel to log:ro",
        "put to log:ro as DBR_DOUBLE, 1 elements",
        "end of a channel to log:x",
    ]


def test_records_of_requests(caplog):
    """They name PV and client for filters; damage in a message does no harm."""
    caplog.set_level("DEBUG", "cachannel.circ")
    for sid_offset, dbr_type in ((0, 300), (99, 6)):
        bench = Bench(make())
        sid = bench.create("d")
        bench.talk(pack(Command.READ_NOTIFY, dbr_type, 1, sid + sid_offset, 1))
    requests = [record for record in caplog.records if record.levelname == "DEBUG"]
    assert [record.getMessage().rpartition("): ")[2] for record in requests] == [
        "channel to d",
        "get of d as type 300, 1 elements",
        "channel to d",
        f"get of unknown channel {sid + 99} as DBR_DOUBLE, 1 elements",
    ]
    assert [record.pv for record in requests] == ["d", "d", "d", f"unknown channel {sid + 99}"]
    assert {(record.their_address, record.role) for record in requests} == {
        (("127.0.0.1", 1), "SERVER")
    }


def test_names_of_iocs():
    """The formatter puts a name in place of module and line."""
    record = logging.LogRecord("n", logging.INFO, "/x/mod.py", 7, "text", None, None)
    assert re.fullmatch(
        r"\[I \d\d:\d\d:\d\d\.\d{3} SR:\] text", logs.LogFormatter(name="SR:").format(record)
    )


# ------------------------------------------------------------------ without any set-up


def test_what_needs_a_person():
    """Without any set-up of logging warnings reach standard error, one line each, once."""
    with Process([IOC, "plain", "127.0.0.1"], probe="log:x") as process:
        with Client(process.port) as client:
            sid = client.create("log:ro")[0]
            for _ in range(3):
                client.send(pack(Command.WRITE, 6, 1, sid, 1, bytes(8)))
                assert client.receive().command == Command.ERROR
        ended(process)
        lines = process.output().splitlines()
    assert lines == [
        "cachannel: interface 127.0.0.1 is listed twice (as 127.0.0.1)",
        "cachannel: put to log:ro by tester@testhost refused: Write access denied",
    ]


def test_an_error_has_its_traceback():
    """The exception of a hook is a line with its traceback, so that the line at fault is known."""
    hook = str(Path(__file__).with_name("ending_ioc.py"))
    with Process([hook, "asyncio", "bad-startup"], probe="e:heater") as process:
        ended(process)
        text = process.output()
    assert text.startswith("cachannel: startup_hook failed; the server goes on: ValueError('bad')")
    assert "Traceback" in text
    assert text.count("in fail\n") == 1
