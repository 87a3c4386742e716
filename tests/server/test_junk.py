"""Peers that do not speak Channel Access are not listened to."""

import logging
import socket
import struct
from pathlib import Path

import pytest
from bench_circuit import Bench
from server_wire import Client, Process

from cachannel.protocol.messages import Command, pack
from cachannel.server.core import ServerCore
from cachannel.server.numeric import ChannelDouble

HERE = Path(__file__).parent
JUNK = {
    "HTTP": b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "TLS": bytes.fromhex("16030100c8010000c40303") + bytes(range(200)),
    "SSH": b"SSH-2.0-OpenSSH_9.2p1\r\n",
    "a line": b"\r\n",
    "ones": b"\xff" * 64,
    "zeros": bytes(16),
    "text": b"help\n",
    "pvAccess": bytes.fromhex("ca020001" "00000000") + bytes(16),
    "a message of servers": pack(Command.RSRV_IS_UP, 13, 5064),
    "a huge message": struct.pack(">HHHHIIII", 99, 0xFFFF, 0, 0, 0, 0, 1 << 30, 1),
}  # fmt: skip


@pytest.mark.parametrize("kind", JUNK)
@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_circuits_end(kind, piece):
    """A circuit that starts with junk ends as soon as the junk can be told from a message."""
    bench = Bench({"x": ChannelDouble(value=1.0)})
    data = JUNK[kind]
    for start in range(0, len(data), piece):
        bench.feed(data[start : start + piece])
        if bench.circuit.closing:
            break
    assert bench.circuit.closing
    assert [m.command for m in bench.output()] in ([], [Command.ERROR])


def test_beginnings_of_messages_are_waited_for():
    """A client whose first message arrives byte by byte is served."""
    bench = Bench({"x": ChannelDouble(value=1.0)})
    create = pack(Command.CREATE_CHAN, 0, 0, 1, 13, b"x\0")
    for byte in pack(Command.VERSION, 0, 13) + create:
        bench.feed(bytes((byte,)))
    assert [m.command for m in bench.output()] == [22, 18]


def test_one_warning_per_host(caplog):
    """A scanner that comes again and again does not fill the log."""
    core = ServerCore({"x": ChannelDouble(value=1.0)})
    with caplog.at_level(logging.DEBUG, "cachannel"):
        for _ in range(50):
            Bench({}, core).feed(JUNK["HTTP"])
    levels = [record.levelno for record in caplog.records]
    assert (levels.count(logging.WARNING), levels.count(logging.DEBUG)) == (1, 49)
    assert "GET / HTTP" in caplog.text
    # A client that sends junk later is another matter.
    with caplog.at_level(logging.DEBUG, "cachannel"):
        Bench({}, core).feed(pack(Command.VERSION, 0, 13))
        for _ in range(2):
            bench = Bench({}, core)
            bench.feed(pack(Command.ECHO))
            bench.feed(JUNK["ones"])
            assert bench.circuit.closing
    levels = [record.levelno for record in caplog.records]
    assert levels.count(logging.WARNING) == 3


@pytest.mark.parametrize("layer", ["asyncio", "trio", "curio"])
def test_servers_close(layer):
    """The connection is closed, and clients are served as before."""
    command = [str(HERE / "rsrv_ioc.py"), f"cachannel.{layer}.server"]
    with Process(command, probe="ao", ready="READY") as server:
        for kind in ("HTTP", "TLS", "a line"):
            with socket.create_connection(("127.0.0.1", server.port), 30) as peer:
                peer.settimeout(30)
                peer.sendall(JUNK[kind])
                while peer.recv(4096):
                    pass
        with Client(server.port) as client:
            sid = client.create("ao")[0]
            assert client.read(sid, 6, 1).parameter1 == 1
        assert server.output().count("unknown message") == 1
