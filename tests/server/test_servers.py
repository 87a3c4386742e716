"""Whole servers on sockets of loopback: the three shells, hooks, searches, beacons, the end."""

import importlib.util
import itertools
import signal
import socket
import struct
import time
from pathlib import Path

import pytest
from server_wire import Client, Process, free_port, search

from cachannel.protocol.messages import Command, Message, pack, unpack

HERE = Path(__file__).parent
LIBRARIES = ["asyncio", "trio"]
SO_TIMESTAMPNS = 35  # the module socket has no name for it
if importlib.util.find_spec("curio") is not None:
    LIBRARIES.append("curio")


@pytest.fixture(scope="module", params=LIBRARIES)
def server(request):
    """The IOC of hooks_ioc.py on one library."""
    command = [str(HERE / "hooks_ioc.py"), "--async-lib", request.param, "-v", "--list-pvs"]
    with Process(command, ready="startup complete") as process:
        process.library = request.param
        yield process


def until(condition, timeout=60.0):
    """Wait for a condition; return its value."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def number(message):
    """Return the first element of a DOUBLE or LONG answer."""
    if message.data_type == 6:
        return struct.unpack_from(">d", message.payload)[0]
    return struct.unpack_from(">i", message.payload)[0]


def test_log_lines(server):
    """The lines that IOCs print when they start, in order."""
    text = until(lambda: "woken" in server.output() and server.output())
    lines = [line.partition("] ")[2] or line for line in text.splitlines()]
    first = f"{server.library.capitalize()} server starting up..."
    start = lines.index(first)
    assert lines[start + 1] == f"Listening on 127.0.0.1:{server.port}"
    assert lines[start + 2] == "Server startup complete."
    assert lines[start + 3] == "PVs available:"
    assert lines[start + 4 : start + 6] == ["    h:plain", "    h:hooked"]


def test_layer(server):
    """Events and queues work, between tasks and from threads."""
    text = until(lambda: "cleared" in server.output() and server.output())
    for line in (
        f"startup_hook {server.library} {server.library}",
        "queue 1 2",
        "event False False",
        "woken True True 3",
        "cleared False",
    ):
        assert line in text.splitlines()


def test_read_write_monitor(server):
    """A put through a slow putter: its event, then its completion, then its value."""
    with Client(server.port) as client:
        sid, kind, count, rights = client.create("h:hooked")
        assert (kind, count, rights) == (6, 1, 3)
        client.subscribe(sid, 6)
        client.receive()
        client.send(pack(Command.WRITE_NOTIFY, 6, 1, sid, 5, struct.pack(">d", 4.0)))
        assert number(client.receive()) == 8.0
        assert client.receive() == Message(Command.WRITE_NOTIFY, 6, 1, 1, 5)
        assert number(client.read(sid, 6)) == 8.0


def test_slow_putter_delays_nobody(server):
    """While a putter sleeps, reads of the same circuit are answered."""
    with Client(server.port) as client:
        slow, plain = client.create("h:hooked")[0], client.create("h:plain")[0]
        # In one piece: the putter must not end before the read is on its way.
        client.send(
            pack(Command.WRITE_NOTIFY, 6, 1, slow, 5, struct.pack(">d", 4.0)),
            pack(Command.READ_NOTIFY, 6, 1, plain, 6),
        )
        assert client.receive().command == Command.READ_NOTIFY
        assert client.receive().command == Command.WRITE_NOTIFY


def test_failing_putter(server):
    """The exception's text reaches the client, the alarm is set, the next good put clears it."""
    with Client(server.port) as client:
        sid = client.create("h:failing")[0]
        answer = client.put(sid, 6, 1, struct.pack(">d", 2.0))
        assert answer.command == Command.ERROR
        assert b"Python exception: RuntimeError too much" in answer.payload
        assert struct.unpack_from(">hh", client.read(sid, 13).payload) == (2, 2)
        assert client.put(sid, 6, 1, struct.pack(">d", 1.0)).parameter1 == 1
        assert struct.unpack_from(">hh", client.read(sid, 13).payload) == (0, 0)


def test_getter(server):
    """A getter that suspends answers the reads in its own time."""
    with Client(server.port) as client:
        sid = client.create("h:got")[0]
        first = number(client.read(sid, 5))
        assert number(client.read(sid, 5)) == first + 1


def test_scans(server):
    """Scans repeat; one that fails sets the SCAN alarm, and clears it when it is well again."""
    with Client(server.port) as client:
        sid = client.create("h:scanned")[0]
        client.subscribe(sid, 5)
        values = [number(client.receive()) for _ in range(5)]
        assert values == list(range(values[0], values[0] + 5))
    text = until(lambda: server.output().count("scan of HooksIOC.bad_scan failed") >= 9
                 and server.output())  # fmt: skip
    assert "ValueError: not yet" in text
    with Client(server.port) as client:
        sid = client.create("h:bad_scan")[0]
        until(lambda: struct.unpack_from(">hh", client.read(sid, 12).payload) == (0, 0))


def test_scan_that_stops_on_errors(server):
    """It is not called again; its alarm stays, and so does the server."""
    text = until(lambda: "scan of h:stopping failed" in server.output() and server.output())
    assert "ValueError: no more" in text
    with Client(server.port) as client:
        answer = client.read(client.create("h:stopping")[0], 12)
        # STS_LONG: status SCAN, severity MINOR, and the one call.
        assert struct.unpack(">hhi", answer.payload) == (13, 1, 1)


def test_failing_startup_hook(server):
    """It is logged with the PV's name, and the server goes on."""
    text = until(lambda: "startup of h:bad_startup failed" in server.output() and server.output())
    assert "RuntimeError: never mind" in text
    assert search(server.port, "h:plain") == server.port


def test_burst(server):
    """A thousand writes in one go reach a subscriber completely and in order."""
    with Client(server.port) as client:
        sid = client.create("h:burst")[0]
        client.subscribe(sid, 5)
        client.receive()
        client.send(pack(Command.WRITE, 5, 1, sid, 1, struct.pack(">i", 900)))
        assert [number(client.receive()) for _ in range(900)] == list(range(900))


def test_search(server):
    """Names are answered by UDP and by TCP; unknown ones are not."""
    assert search(server.port, "h:plain") == server.port
    assert search(server.port, "h:plain.VAL") == server.port
    assert search(server.port, "h:unknown", timeout=0.2) is None
    with Client(server.port) as client:
        client.send(pack(Command.SEARCH, 10, 13, 3, 3, b"h:unknown\0"))
        assert client.receive().command == Command.NOT_FOUND
        client.send(pack(Command.SEARCH, 10, 13, 4, 4, b"h:plain\0"))
        assert client.receive()[:2] == (Command.SEARCH, server.port)


def test_violation(server):
    """A circuit that violates the protocol is closed; others go on."""
    with Client(server.port) as other, Client(server.port) as client:
        client.send(pack(Command.READ_NOTIFY, 6, 1, 99, 1))
        assert client.receive().command == Command.ERROR
        with pytest.raises((EOFError, ConnectionError)):
            client.receive()
        sid = other.create("h:plain")[0]
        assert other.read(sid, 6).parameter1 == 1
    assert "closing the circuit of 127.0.0.1:" in server.output()


def test_rights_that_change(server):
    """A client that asks for nothing is told of new access rights."""
    with Client(server.port) as client, Client(server.port) as other:
        assert client.create("h:guarded")[3] == 3
        lock = other.create("h:lock")[0]
        for value, rights in ((1, 1), (0, 3)):
            other.put(lock, 5, 1, struct.pack(">i", value))
            assert client.receive() == Message(Command.ACCESS_RIGHTS, 0, 0, 1, rights)


def test_a_pv_that_is_taken_away(server):
    """Clients of a PV that the IOC removes are told, and searches no longer find it."""
    with Client(server.port) as client, Client(server.port) as other:
        client.create("h:victim")
        other.put(other.create("h:remove")[0], 5, 1, struct.pack(">i", 1))
        assert client.receive() == Message(Command.SERVER_DISCONN, 0, 0, 1, 0)
        assert client.create("h:victim") is None


def test_damaged_datagrams(server):
    """Garbage by UDP changes nothing, and leaves no traceback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for data in (b"", b"x", bytes(15), bytes(16), b"\xff" * 64, bytes.fromhex("0006ffff")):
            sock.sendto(data, ("127.0.0.1", server.port))
    assert search(server.port, "h:plain") == server.port
    assert "search" not in server.output().partition("Traceback")[2]


def test_slow_client(server):
    """A client that does not read holds up nobody, and gets the newest value in the end."""
    with Client(server.port) as slow, Client(server.port) as quick:
        sid = slow.create("h:burst")[0]
        for subid in range(50):
            slow.subscribe(sid, 5, 0, 1, subid)
        quick_sid = quick.create("h:burst")[0]
        for _ in range(5):
            assert quick.put(quick_sid, 5, 1, struct.pack(">i", 900)).parameter1 == 1
            assert number(quick.read(quick_sid, 5)) == 900
        last = {}
        while set(last.values()) != {900} or len(last) < 50:
            message = slow.receive()
            last[message.parameter2] = number(message)


def test_violation_behind_large_replies(server):
    """The circuit is closed when the replies before it have left, once."""
    before = len(server.output())
    for _ in range(5):
        with Client(server.port) as client:
            sid = client.create("h:text")[0]
            client.send(pack(Command.READ_NOTIFY, 4, 1_000_000, sid, 1) * 6, pack(200))
            for _ in range(6):
                assert client.receive().command == Command.READ_NOTIFY
            assert client.receive().command == Command.ERROR
            with pytest.raises((EOFError, ConnectionError)):
                client.receive()
    until(lambda: "(total: 0)" in server.output().rsplit("client at", 1)[-1])
    assert "Exception" not in server.output()[before:]


def test_clients_that_leave_while_the_server_sends(server):
    """They ask for more than the sockets hold, read nothing, and go; the server goes on."""
    for turn in range(30):
        with Client(server.port) as client:
            sid = client.create("h:text")[0]
            client.send(pack(Command.READ_NOTIFY, 4, 1_000_000, sid, 1) * 8)
            client.receive()
            if turn % 3 == 0:
                client.socket.shutdown(socket.SHUT_WR)
            elif turn % 3 == 1:  # a reset instead of an end
                linger = struct.pack("ii", 1, 0)
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    with Client(server.port) as client:
        assert client.create("h:plain") is not None
    until(lambda: "(total: 0)" in server.output().rsplit("client at", 1)[-1])


@pytest.mark.parametrize("library", LIBRARIES)
def test_end(library):
    """Ctrl-C runs the shutdown hooks and is a normal end; sys.exit in a putter is obeyed."""
    command = [str(HERE / "hooks_ioc.py"), "--async-lib", library]
    with Process(command, ready="cleared") as process:
        process.process.send_signal(signal.SIGINT)
        assert process.process.wait(60) == 0
        lines = process.output().splitlines()
        assert f"shutdown {library}" in lines
        assert lines[-1].endswith("Server exiting....")
        assert any(line.endswith("Server task cancelled. Will shut down.") for line in lines)
        assert "Traceback" not in process.output().partition("Will shut down")[2]
    for status in (0, 3):
        with Process(command, ready="cleared") as process:
            with Client(process.port) as client:
                sid = client.create("h:leave")[0]
                client.send(pack(Command.WRITE, 5, 1, sid, 1, struct.pack(">i", status)))
                assert process.process.wait(60) == status
            assert f"shutdown {library}" in process.output().splitlines()


def test_port_in_use():
    """The second server takes another TCP port and hears searches on the configured one."""
    command = [str(HERE / "hooks_ioc.py")]
    with (
        Process(command, ready="startup complete") as first,
        Process(
            [*command, "--prefix", "other:"], port=first.port, ready="startup complete"
        ) as second,
    ):
        assert f"Listening on 127.0.0.1:{first.port}" in first.output()
        assert f"Listening on 127.0.0.1:{first.port}" not in second.output()
        # Datagrams to one address reach one of the servers that share the port, so that a
        # client on the same host asks by TCP; each answers for itself.
        port = int(second.output().partition("Listening on 127.0.0.1:")[2].split()[0])
        with Client(port) as client:
            assert client.create("other:plain") is not None


def test_beacons():
    """Beacons name the TCP port and count; intervals grow to the period."""
    beacon_port = free_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", beacon_port))
        sock.settimeout(60)
        # When they came, not when this process had the time to look.
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        env = {"EPICS_CAS_BEACON_PORT": str(beacon_port), "EPICS_CAS_BEACON_PERIOD": "0.1"}
        with Process([str(HERE / "hooks_ioc.py")], env=env, ready="startup complete") as process:
            found = []
            times = []
            for _ in range(6):
                data, [(_, _, stamp)], _, _ = sock.recvmsg(100, 100)
                found += list(unpack(data))
                seconds, nanoseconds = struct.unpack("qq", stamp)
                times.append(seconds + nanoseconds / 1e9)
    assert [(m.command, m.data_type, m.data_count) for m in found] == [
        (Command.RSRV_IS_UP, 13, process.port)
    ] * 6
    assert [m.parameter1 for m in found] == list(range(6))
    gaps = [b - a for a, b in itertools.pairwise(times)]
    # A busy machine makes them longer, never shorter; tests/protocol has the exact intervals.
    for gap, interval in zip(gaps, (0.02, 0.04, 0.08, 0.1, 0.1), strict=True):
        assert gap > 0.9 * interval


def test_ignored_hosts():
    """Searches of hosts in EPICS_CAS_IGNORE_ADDR_LIST are not answered."""
    env = {"EPICS_CAS_IGNORE_ADDR_LIST": "127.0.0.1"}
    with Process([str(HERE / "hooks_ioc.py")], env=env, ready="startup complete") as process:
        assert search(process.port, "h:plain", timeout=0.3) is None
        with Client(process.port) as client:
            assert client.create("h:plain") is not None


def test_bad_settings_and_options():
    """A setting that does not parse names itself; bad options end with status 2."""
    import subprocess
    import sys

    from server_wire import environment

    env = {**environment(free_port()), "EPICS_CAS_SERVER_PORT": "many"}
    command = [sys.executable, str(HERE / "hooks_ioc.py")]
    result = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert "EPICS_CAS_SERVER_PORT='many'" in result.stderr
    result = subprocess.run([*command, "--nonsense"], env=env, capture_output=True, timeout=60)
    assert result.returncode == 2


def test_several_interfaces():
    """One TCP port on every interface that is given."""
    command = [str(HERE / "hooks_ioc.py"), "--interfaces", "127.0.0.1", "127.0.0.2"]
    with Process(command, ready="startup complete") as process:
        for host in ("127.0.0.1", "127.0.0.2"):
            assert f"Listening on {host}:{process.port}" in process.output()
            with socket.create_connection((host, process.port), timeout=60) as sock:
                assert sock.recv(16) == pack(Command.VERSION, 0, 13)


def test_multicast():
    """A multicast address among the interfaces is joined; searches sent to it are answered."""
    group = "239.255.17.4"
    command = [str(HERE / "hooks_ioc.py"), "--interfaces", "127.0.0.1", group]
    with (
        Process(command, ready="startup complete") as process,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
    ):
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        sock.settimeout(60)
        message = pack(Command.VERSION, 1, 13, 5)
        message += pack(Command.SEARCH, 5, 13, 7, 7, b"h:plain\0")
        sock.sendto(message, (group, process.port))
        found = list(unpack(sock.recv(1000)))
    assert found[0] == Message(Command.VERSION, 1, 13, 5)
    assert (found[1].data_type, found[1].parameter2) == (process.port, 7)
