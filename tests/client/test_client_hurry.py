"""A PV that is asked for again is searched for at once, whatever step libca's search is at."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from cachannel.threading.client import Context

NAME = "hurry:nobody"


@pytest.fixture
def searches(ports: Any, loopback_only: None) -> Iterator[socket.socket]:
    """A socket where the searches of this process arrive, and nobody answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", ports.other))
        yield listening


def hear(searches: socket.socket, seconds: float) -> bool:
    """Wait for a search for the name."""
    searches.settimeout(seconds)
    try:
        while NAME.encode() not in searches.recv(65536):
            pass
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("way", ["get_pvs", "search_now"])
def test_a_name_that_is_asked_for_again_is_searched_for_at_once(
    lasting: Any, searches: socket.socket, way: str
) -> None:
    lasting.pv(NAME)
    assert hear(searches, 60)
    # The steps of libca are 32 ms and its doubles: 2.05 s, then 4.1 s.
    while hear(searches, 2.5):
        pass
    if way == "get_pvs":
        lasting.pv(NAME)
    elif lasting.name == "threading":
        lasting.context.broadcaster.search_now()
    else:
        lasting.do(lasting.context.search(NAME))
    assert hear(searches, 0.5)
    for _ in range(100):
        lasting.pv(NAME)
    assert not hear(searches, 0.5)  # a program that asks in a loop floods nobody


def test_names_that_are_found_are_not_searched_for_again(ioc: Any, searches: socket.socket) -> None:
    with Context(timeout=60) as context:
        (pv,) = context.get_pvs("catest")
        pv.wait_for_connection()
        searches.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                searches.recv(65536)
        context.get_pvs("catest")
        context.broadcaster.search_now()
        searches.settimeout(0.3)
        with pytest.raises(TimeoutError):
            while b"catest\0" not in searches.recv(65536):
                pass
