"""Answers leave at once: no circuit of a server waits for acknowledgements."""

import importlib
import os
import socket
import threading

import pytest
from test_servers import LIBRARIES

from cachannel.protocol.messages import Command, pack
from cachannel.server import PVGroup, pvproperty


class Group(PVGroup):
    x = pvproperty(value=1.0)


def accepted_sockets(client):
    """Return copies of the sockets of this process at the other end of a connection."""
    found = []
    for entry in os.listdir("/proc/self/fd"):
        try:
            sock = socket.socket(fileno=os.dup(int(entry)))
        except OSError:  # not a socket, or closed meanwhile
            continue
        try:
            if sock.family == socket.AF_INET and sock.getpeername() == client.getsockname():
                found.append(sock)
                continue
        except OSError:  # not connected
            pass
        sock.close()
    return found


@pytest.mark.parametrize("library", LIBRARIES)
def test_nagles_algorithm_is_off(library, monkeypatch):
    """TCP_NODELAY and SO_KEEPALIVE are set on an accepted socket, on every library."""
    for name, value in (
        ("EPICS_CAS_SERVER_PORT", "0"),
        ("EPICS_CAS_AUTO_BEACON_ADDR_LIST", "NO"),
        ("EPICS_CAS_BEACON_ADDR_LIST", "127.0.0.1"),
    ):
        monkeypatch.setenv(name, value)
    module = importlib.import_module(f"cachannel.{library}.server")
    context = module.Context(Group(prefix="n:").pvdb, ["127.0.0.1"])
    listening = threading.Event()
    started = context.log_started

    def log_started(*args):
        started(*args)
        listening.set()

    context.log_started = log_started

    async def startup_hook(async_lib):
        nonlocal wake
        event = async_lib.Event()
        wake = event.set
        ready.set()
        await event.wait()
        raise module.ServerExit

    wake = None
    ready = threading.Event()
    loop = importlib.import_module(library)

    async def main():
        await context.run(startup_hook=startup_hook)

    thread = threading.Thread(
        target=loop.run, args=(main() if library == "asyncio" else main,), daemon=True
    )
    thread.start()
    try:
        assert listening.wait(60)
        assert ready.wait(60)
        with socket.create_connection(("127.0.0.1", context.port), timeout=60) as client:
            client.sendall(pack(Command.VERSION, 0, 13))
            assert client.recv(16)  # so the server has accepted it and made its circuit
            (sock,) = accepted_sockets(client)
            with sock:
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    finally:
        wake()
        thread.join(60)
    assert not thread.is_alive()
