"""What get, monitor, info and put show of our PVs: the same as of records in a soft IOC.

The commands are `cachannel get` and so on, whose texts tests/cli holds to those of EPICS base's
tools.
"""

import re
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from server_wire import Client, Process, environment
from test_against_rsrv import ARRAYS, RECORDS, SCALARS

HERE = Path(__file__).parent
STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}")
PORT = re.compile(r"[\w.-]+:\d{4,5}\b")  # of a host


@pytest.fixture(scope="module")
def servers():
    """The IOC of EPICS base and ours, with the same values."""
    rsrv = Process(["-m", "epicscorelibs.ioc", "-d", str(HERE / "rsrv.db")], probe="wfs")
    ours = Process(
        [str(HERE / "rsrv_ioc.py"), "cachannel.asyncio.server"], probe="wfs", ready="READY"
    )
    with rsrv, ours:
        for server in (rsrv, ours):
            with Client(server.port) as client:
                for name in RECORDS:
                    kind, payload = SCALARS.get(name, (0, b""))
                    put = ARRAYS.get(name, (kind, 1, payload))
                    assert client.put(client.create(name)[0], *put).parameter1 == 1
        yield rsrv, ours


def shown(server, *words):
    """Return exit status, standard output and standard error, without times and ports."""
    result = subprocess.run(
        [sys.executable, "-m", "cachannel", *words],
        env={**environment(server.port), "CACHANNEL_REPEATER": "NO"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    out, err = (
        PORT.sub("<host>", STAMP.sub("<time>", text)).splitlines()
        for text in (result.stdout, result.stderr)
    )
    return result.returncode, out, err


# Without a record there is no PREC and a text has all digits: a decision of ours, so these have
# no arrays of floating point numbers as text.
PLAIN = [name for name in RECORDS if name != "wfd"]


@pytest.mark.parametrize(
    "words",
    [
        ("get", *PLAIN),
        ("get", "-a", *PLAIN),
        ("get", "-d", "TIME_DOUBLE", "ao", "high", "lo", "mbbo", "wfd", "wfl"),
        ("get", "-d", "CTRL_DOUBLE", "ao", "high", "rec", "lo"),
        ("get", "-d", "CTRL_LONG", "ao", "lo"),
        ("get", "-d", "GR_ENUM", "mbbo"),
        ("get", "-d", "CTRL_STRING", "so", "mbbo"),
        ("get", "-d", "STSACK_STRING", "rec", "so"),
        ("get", "-n", "mbbo"),
        ("get", "-S", "wfc"),
        ("get", "-#", "2", "wfl", "wfd", "wfs"),
        ("info", *RECORDS),
        ("get", "ao.VAL", "rec.DESC", "rec.EGU", "rec.RTYP", "rec.NAME", "rec.DESC$"),
        ("put", "mbbo", "one"),
        ("put", "-c", "so", "new text"),
        ("put", "-a", "wfl", "2", "5", "6"),
        ("get", "nothing"),
    ],
    ids=" ".join,
)
def test_the_same_is_shown(servers, words):
    """Line by line, with the exit status."""
    rsrv, ours = servers
    command, *rest = words
    patience = "0.5" if "nothing" in words else "30"
    assert shown(ours, command, "-w", patience, *rest) == shown(
        rsrv, command, "-w", patience, *rest
    )


def test_the_same_is_shown_of_changes(servers):
    """Line by line: the values at the start, and changes of values and alarms."""
    found = []
    for server in servers:
        command = ["-m", "cachannel", "monitor", "-w", "30", "high", "mbbo"]
        # Puts of the value that is there already are events of ours, but of no mbbo record.
        with Client(server.port) as client:
            high, mbbo = client.create("high")[0], client.create("mbbo")[0]
            assert client.put(mbbo, 3, 1, b"\0\2").parameter1 == 1
            with Process(command, port=server.port, ready="mbbo") as monitor:
                lines = changes(monitor, 2)
                for sid, kind, payload in (
                    (high, 6, struct.pack(">d", 85.0)),
                    (high, 6, struct.pack(">d", 75.0)),
                    (mbbo, 0, b"one\0"),
                    (mbbo, 3, b"\0\2"),
                ):
                    assert client.put(sid, kind, 1, payload).parameter1 == 1
                    lines = changes(monitor, len(lines) + 1)
        # Which of the two PVs connects first is chance.
        found.append([*sorted(lines[:2]), *lines[2:]])
    assert found[1] == found[0]
    assert "HIHI MAJOR" in found[1][2]


def changes(monitor, count):
    """Return the lines about changes, when there are so many, without their times."""
    deadline = time.monotonic() + 30
    while True:
        lines = [
            STAMP.sub("<time>", line)
            for line in monitor.output().rpartition("\n")[0].splitlines()
            if line.startswith(("high", "mbbo"))
        ]
        if len(lines) >= count:
            return lines
        assert time.monotonic() < deadline, monitor.output()
        time.sleep(0.01)
