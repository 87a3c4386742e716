"""A server that says what a test wants it to say, right or wrong."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

from .ports import LOOPBACK

HEADER = struct.Struct(">HHHHII")
VERSION, EVENT, SEARCH, ERROR, READ, CREATE, ACCESS = 0, 1, 6, 11, 15, 18, 22


def message(
    command: int, data_type: int = 0, count: int = 0, first: int = 0, second: int = 0,
    payload: bytes = b"",
) -> bytes:  # fmt: skip
    """Make a message; a count above 65535 makes it an extended one."""
    payload += bytes(-len(payload) % 8)
    if count > 0xFFFF:
        head = HEADER.pack(command, 0xFFFF, data_type, 0, first, second)
        return head + struct.pack(">II", len(payload), count) + payload
    return HEADER.pack(command, len(payload), data_type, count, first, second) + payload


Answer = Callable[[int, int, int], bytes]
"""Called with type, count and number of a read; returns what is sent."""


@contextlib.contextmanager
def raw_server(
    port: int,
    native: int,
    count: int,
    answer: Answer,
    at_first: Callable[[int], bytes] | None = None,
) -> Iterator[None]:
    """Serve every name.

    Args:
        port: of loopback, UDP and TCP.
        native: native type of all PVs.
        count: their native count.
        answer: makes the answers to reads.
        at_first: called with the client's number of a channel; what is sent behind its creation.
    """

    def search() -> None:
        while True:
            datagram, client = searched.recvfrom(65536)
            if not datagram:
                return
            replies = message(VERSION, 0, 13)
            for command, size, _, _, number, _ in _messages(datagram):
                if command == SEARCH and size:
                    body = struct.pack(">HHI", 13, 0, 0)
                    replies += message(SEARCH, port, 0, 0xFFFFFFFF, number, body)
            searched.sendto(replies, client)

    def circuits() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=circuit, args=(connection,), daemon=True).start()

    def circuit(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.sendall(message(VERSION, 0, 13))
            pending = b""
            while received := connection.recv(65536):
                pending += received
                taken = 0
                for command, size, kind, elements, first, second in _messages(pending):
                    taken += HEADER.size + size
                    if command == CREATE:
                        connection.sendall(message(ACCESS, first=first, second=3))
                        connection.sendall(message(CREATE, native, count, first, 1))
                        if at_first is not None:
                            connection.sendall(at_first(first))
                    elif command == READ:
                        connection.sendall(answer(kind, elements, second))
                pending = pending[taken:]

    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as searched,
        socket.create_server((LOOPBACK, port)) as listening,
    ):
        searched.bind((LOOPBACK, port))
        threads = [threading.Thread(target=run, daemon=True) for run in (search, circuits)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.sendto(b"", (LOOPBACK, port))
            listening.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join(60)


def _messages(data: bytes) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Go through the headers of whole messages, which clients do not send extended here."""
    at = 0
    while at + HEADER.size <= len(data):
        fields = HEADER.unpack_from(data, at)
        at += HEADER.size + fields[1]
        if at <= len(data):
            yield fields
