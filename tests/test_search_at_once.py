"""New channels are asked for at once, from libca's socket and in its numbers (search.c)."""

import socket
import struct
import sys
import textwrap
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from support.scripts import Outcome, run_text

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="libca searches alone elsewhere")

_HEADER = struct.Struct(">HHHHII")
_VERSION, _SEARCH = 0, 6
_NO_NUMBER = 0xFFFF0000


@dataclass
class Searches:
    """What clients have asked for: by socket, then name, the numbers that it was asked by."""

    port: int
    until_all_is_heard: Callable[[], object] = field(default=lambda: None)
    at_once: dict[int, dict[bytes, set[int]]] = field(default_factory=dict)
    by_libca: dict[int, dict[bytes, set[int]]] = field(default_factory=dict)

    def listen(self, searched: socket.socket) -> None:
        """Take what comes, up to an empty datagram."""
        while True:
            datagram, (_, port) = searched.recvfrom(65536)
            if not datagram:
                return
            self.take(datagram, port)

    def end(self, listening: Future[None]) -> None:
        """Wait until all that was sent before has been heard; raise what was wrong with it."""
        if not listening.done():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.sendto(b"", ("127.0.0.1", self.port))
        listening.result(60)

    def take(self, datagram: bytes, port: int) -> None:
        """Take a datagram that came from a port."""
        version, size, _, _, sequence, _ = _HEADER.unpack_from(datagram)
        assert (version, size) == (_VERSION, 0)
        kind = self.at_once if sequence == _NO_NUMBER else self.by_libca
        names = kind.setdefault(port, {})
        at = _HEADER.size
        while at < len(datagram):
            command, size, _, minor, number, available = _HEADER.unpack_from(datagram, at)
            assert (command, minor, available) == (_SEARCH, 13, number)
            at += _HEADER.size
            name = datagram[at : at + size].rstrip(b"\0")
            names.setdefault(name, set()).add(number)
            at += size

    @property
    def names_at_once(self) -> list[bytes]:
        """All names that were asked for at once."""
        return [name for names in self.at_once.values() for name in names]


@pytest.fixture
def silent_server() -> Iterator[Searches]:
    """A server that hears searches and answers none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as searched:
        searched.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        searched.bind(("127.0.0.1", 0))
        heard = Searches(searched.getsockname()[1])
        with ThreadPoolExecutor(1) as executor:
            future = executor.submit(heard.listen, searched)
            heard.until_all_is_heard = lambda: heard.end(future)
            yield heard
            heard.end(future)


WAIT = """
import time
from cachannel import ca

def until_libca_asks(chids):
    end = time.monotonic() + 60
    while any(ca.search_attempts(chid) == 0 for chid in chids):
        assert time.monotonic() < end
        time.sleep(0.01)
"""


def run(heard: Searches, text: str, **more: str) -> list[str]:
    """Run a script that has this server alone; return what it prints before its "ok"."""
    environment = {
        "EPICS_CA_ADDR_LIST": f"127.0.0.1:{heard.port}",
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
        "CACHANNEL_REPEATER": "NO",
    }
    outcome = run_text(WAIT + textwrap.dedent(text), environment | more)
    assert (outcome.code, outcome.lines[-1:], outcome.stderr) == (0, ["ok"], ""), outcome
    heard.until_all_is_heard()
    return outcome.lines[:-1]


def test_it_is_the_search_that_libca_makes_later(silent_server: Searches) -> None:
    """The same names by the same numbers, from the same socket; in contexts side by side, too."""
    run(
        silent_server,
        """
        import threading

        def search(which):
            ca.create_context(True)
            chids = []
            for number in range(40):
                chids.append(ca.create_channel(f"{which}:{number}" + "x" * number)[1])
                if number % 7 == 0:
                    ca.create_channel("")      # refused, and so it has no number
                if number % 10 == 9:
                    ca.flush_io()
            until_libca_asks(chids)
            ca.destroy_context()

        threads = [threading.Thread(target=search, args=(which,)) for which in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print("ok")
        """,
    )
    assert len(silent_server.by_libca) == 3
    assert sum(map(len, silent_server.by_libca.values())) == 120
    assert silent_server.at_once
    for port, names in silent_server.at_once.items():
        for name, numbers in names.items():
            assert numbers == silent_server.by_libca[port][name]


def test_no_more_is_asked_for_than_is_answered(silent_server: Searches) -> None:
    (seconds,) = run(
        silent_server,
        """
        began = time.monotonic()
        ca.create_context(True)
        for number in range(3000):
            ca.create_channel(f"dead:{number}")
            if number % 100 == 99:
                ca.flush_io()
        print(time.monotonic() - began)
        ca.destroy_context()
        print("ok")
        """,
    )
    names = silent_server.names_at_once
    # Who has not answered after a tenth of a second is not waited for any more.
    assert 0 < len(names) <= 550 * (1 + float(seconds) / 0.1)


def test_nothing_is_asked_for_just_after_a_clear(silent_server: Searches, ioc: Any) -> None:
    """Nor is what was wanted before: libca asks for it soon enough."""
    run(
        silent_server,
        """
        ca.create_context(True)
        first = ca.create_channel("catest")[1]
        ca.pend_io(60)

        def search(name):
            # What is not sent within 30 ms is left to libca: on a busy machine, more than once.
            for number in range(30):
                ca.create_channel(f"{name}:{number}")
                ca.flush_io()
                time.sleep(0.01)

        search("before")
        ca.create_channel("waiting")
        began = time.monotonic()
        ca.clear_channel(first)
        ca.create_channel("after")
        ca.flush_io()
        if time.monotonic() - began > 0.1:
            ca.create_channel("slow")
            search("slow")
        time.sleep(0.11)
        search("later")
        ca.destroy_context()
        print("ok")
        """,
        EPICS_CA_ADDR_LIST=f"{ioc.address} 127.0.0.1:{silent_server.port}",
    )
    kinds = {name.split(b":")[0] for name in silent_server.names_at_once}
    assert b"before" in kinds
    if b"slow" not in kinds:
        assert b"later" in kinds
        assert not kinds & {b"waiting", b"after"}


def test_it_can_be_turned_off(silent_server: Searches) -> None:
    run(
        silent_server,
        """
        ca.create_context(True)
        chid = ca.create_channel("one")[1]
        ca.flush_io()
        until_libca_asks([chid])
        ca.destroy_context()
        print("ok")
        """,
        CACHANNEL_SEARCH_AT_ONCE="no",
    )
    assert not silent_server.at_once
    assert sum(map(len, silent_server.by_libca.values())) == 1


def test_a_channel_is_found_though_the_last_of_its_server_was_just_cleared(
    run_script: Callable[..., Outcome],
) -> None:
    """libca would put it on the circuit that it is closing, where it stayed for ten seconds."""
    outcome = run_script(
        """
        from cachannel import CaChannel
        for turn in range(20):
            channel = CaChannel("catest" if turn % 2 else "calong")
            channel.setTimeout(5)
            channel.searchw()       # the one before is cleared as its name is taken
        print("ok")
        """
    )
    assert outcome.succeeded().stdout == "ok\n"


def test_a_channel_is_found_though_the_last_of_its_server_is_cleared_meanwhile(
    run_script: Callable[..., Outcome],
) -> None:
    outcome = run_script(
        """
        import time
        from cachannel import CaChannel
        for turn in range(20):
            last = CaChannel("catest")
            last.setTimeout(20)
            last.searchw()
            time.sleep(0.11)        # so that the next is asked for at once
            channel = CaChannel("calong")
            channel.setTimeout(5)
            channel.search()
            channel.flush_io()
            last.clear_channel()
            channel.pend_io(5)
            assert channel.getw() is not None
            channel.clear_channel()
        print("ok")
        """
    )
    assert outcome.succeeded().stdout == "ok\n"


def test_a_channel_is_found_though_one_was_cleared_before_it_had_connected(
    run_script: Callable[..., Outcome],
) -> None:
    """It may have been on the circuit already, as the only one."""
    outcome = run_script(
        """
        import time
        from cachannel import ca
        ca.create_context(True)
        for turn in range(20):
            first = ca.create_channel("catest")[1]
            ca.flush_io()
            time.sleep(turn * 0.00004)
            ca.clear_channel(first)
            then = ca.create_channel("calong")[1]
            assert ca.pend_io(5).name == "NORMAL"
            ca.clear_channel(then)
            time.sleep(0.11)
        ca.destroy_context()
        print("ok")
        """
    )
    assert outcome.succeeded().stdout == "ok\n"


def test_a_channel_is_found_though_a_clear_has_waited_for_a_name_that_nobody_has(
    run_script: Callable[..., Outcome],
) -> None:
    outcome = run_script(
        """
        import time
        from cachannel import ca
        ca.create_context(True)
        for turn in range(20):
            first = ca.create_channel("catest")[1]
            ca.pend_io(60)
            time.sleep(0.11)
            dead = ca.create_channel("cadoesnotexist", lambda *unused: None)[1]
            ca.flush_io()
            ca.clear_channel(first)
            then = ca.create_channel("calong")[1]
            assert ca.pend_io(5).name == "NORMAL"
            ca.clear_channel(then)
            ca.clear_channel(dead)
            time.sleep(0.11)
        ca.destroy_context()
        print("ok")
        """
    )
    assert outcome.succeeded().stdout == "ok\n"


def test_a_channel_is_found_though_libca_searches_while_it_closes_the_circuit(
    run_script: Callable[..., Outcome],
) -> None:
    """One in fifty such channels met that moment: so many turns, and no two in step with libca."""
    outcome = run_script(
        """
        import time
        from cachannel import ca
        ca.create_context(True)
        for turn in range(150):
            first = ca.create_channel("catest")[1]
            ca.pend_io(60)
            time.sleep(turn % 32 * 0.001)
            ca.clear_channel(first)
            then = ca.create_channel("calong")[1]
            assert ca.pend_io(5).name == "NORMAL", turn
            ca.clear_channel(then)
        ca.destroy_context()
        print("ok")
        """
    )
    assert outcome.succeeded().stdout == "ok\n"


@pytest.mark.parametrize(
    "loads", ["from epicscorelibs import ioc", "ctypes.CDLL(get_lib('dbCore'), ctypes.RTLD_LOCAL)"]
)
def test_beside_an_ioc_in_the_process_libca_searches_alone(
    silent_server: Searches, loads: str
) -> None:
    """libca does not count the channels of that IOC."""
    run(
        silent_server,
        f"""
        import ctypes
        from epicscorelibs.path import get_lib
        {loads}
        chid = ca.create_channel("one")[1]
        ca.flush_io()
        until_libca_asks([chid])
        print("ok")
        """,
    )
    assert not silent_server.at_once
    assert sum(map(len, silent_server.by_libca.values())) == 1


def test_a_name_that_is_too_long_is_no_end_of_it(silent_server: Searches) -> None:
    run(
        silent_server,
        """
        ca.create_context(True)
        assert ca.create_channel("x" * 1100)[0].name == "BADSTR"
        for number in range(30):
            ca.create_channel(f"number:{number}")
            ca.flush_io()
            time.sleep(0.01)
        ca.destroy_context()
        print("ok")
        """,
    )
    assert silent_server.at_once


def test_a_connected_channel_has_been_searched_for(run_script: Callable[..., Outcome]) -> None:
    outcome = run_script(
        """
        from cachannel import CaChannel, ca
        channel = CaChannel("catest")
        channel.searchw()
        assert ca.search_attempts(channel._chid) >= 1
        print("ok")
        """
    )
    assert outcome.succeeded().stdout == "ok\n"
