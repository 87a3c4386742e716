"""A context that ends while servers answer its searches."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from support.scripts import run_text

_HEADER = struct.Struct(">HHHHII")
_SEARCH, _MINOR = 6, 13
_CHANNELS = 400
_LOOPBACK = 0x7F000002


def _first_search(datagram: bytes) -> int | None:
    """The lowest channel id that is searched for."""
    found, at = [], 0
    while at + _HEADER.size <= len(datagram):
        command, size, _, _, _, cid = _HEADER.unpack_from(datagram, at)
        at += _HEADER.size + size
        if command == _SEARCH:
            found.append(cid)
    return min(found, default=None)


def _answer(number: int, first: int, port: int) -> bytes:
    """Names one of many addresses, all without a server: libca starts two threads for each."""
    header = _HEADER.pack(_SEARCH, 8, port, 0, _LOOPBACK + number % 40, first + number)
    return header + struct.pack(">H6x", _MINOR)


@pytest.fixture
def hasty_server() -> Iterator[int]:
    """The UDP port of a server that answers for all channels at once, which takes libca a while.

    Who sends it "tell me" is told of each such answer.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as searches:
        searches.bind(("127.0.0.1", 0))
        searches.settimeout(0.2)
        port = searches.getsockname()[1]
        ended = threading.Event()

        def serve() -> None:
            listener = None
            while not ended.is_set():
                with suppress(OSError):
                    datagram, client = searches.recvfrom(65536)
                    if datagram == b"tell me":
                        listener = client
                    elif (first := _first_search(datagram)) is not None:
                        answers = [_answer(number, first, port) for number in range(_CHANNELS)]
                        searches.sendto(b"".join(answers), client)
                        searches.sendto(b"now", listener)

        thread = threading.Thread(target=serve)
        thread.start()
        yield port
        ended.set()
        thread.join()


def test_closing_a_context_while_its_searches_are_answered(hasty_server: int) -> None:
    """An answer in that moment makes libca abort the process, unless the channel is gone."""
    outcome = run_text(
        f"""
        import socket
        from cachannel import ca
        answers = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        answers.settimeout(30)
        answers.sendto(b"tell me", ("127.0.0.1", {hasty_server}))
        for turn in range(300):
            ca.create_context(True)
            for number in range({_CHANNELS}):
                ca.create_channel(f"searched:{{number}}")
            ca.flush_io()
            answers.recv(16)
            ca.destroy_context()
        answers.close()
        print("ended", turn + 1)
        """,
        {
            "EPICS_CA_ADDR_LIST": f"127.0.0.1:{hasty_server}",
            "EPICS_CA_AUTO_ADDR_LIST": "NO",
            "CACHANNEL_REPEATER": "NO",
        },
    )
    assert (outcome.code, outcome.lines) == (0, ["ended 300"]), outcome
