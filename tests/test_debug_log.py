"""At DEBUG the log shows what a client does: searches, circuits, connections, requests."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import pytest

from support.ioc import SoftIoc
from support.scripts import run_text

RECORDS = """
record(ao, "log:x") { field(VAL, "1") field(PINI, "YES") }
record(waveform, "log:wave") { field(FTVL, "LONG") field(NELM, "5") }
"""
LOG = 'import logging; logging.basicConfig(level="{level}", format="%(name)s|%(message)s")\n'

APIS = {
    "CaChannel": """
        from CaChannel import CaChannel
        channel = CaChannel("log:x")
        channel.setTimeout(60)
        channel.searchw()
        channel.getw()
        channel.putw(2)
        channel.add_masked_array_event(None, None, None, lambda event, args: None)
        channel.getw()
        channel.clear_channel()
        """,
    "many": """
        from cachannel.many import connect_many, get_many, put_many
        channels = connect_many(["log:x"], 60)
        put_many(channels, [2.0])
        put_many(channels, [2.0], wait=True, timeout=60)
        get_many(channels, timeout=60)
        channels[0].add_masked_array_event(None, None, None, lambda event, args: None)
        channels[0].clear_channel()
        """,
    "epics_compat": """
        import epics_compat
        pv = epics_compat.PV("log:x", auto_monitor=True)
        assert pv.wait_for_connection(60)
        pv.put(2, wait=True, timeout=60)
        pv.get(use_monitor=False, timeout=60)
        pv.disconnect()
        """,
    "sync": """
        from cachannel.sync.client import read, write, subscribe
        read("log:x", timeout=60)
        write("log:x", 2, timeout=60, notify=True)
        def changed(subscription, response):
            subscription.interrupt()
        followed = subscribe("log:x")
        followed.add_callback(changed)
        followed.block(timeout=60)
        """,
    "threading": """
        from cachannel.threading.client import Context
        with Context() as context:
            (pv,) = context.get_pvs("log:x", timeout=60)
            pv.wait_for_connection()
            pv.read()
            pv.write([2.0])
            subscription = pv.subscribe()
            subscription.add_callback(print)
            pv.read()
            subscription.clear()
            pv.go_idle()
            pv.read()
        """,
    "asyncio": """
        import asyncio
        from cachannel.asyncio.client import Context
        async def main():
            async with Context() as context:
                (pv,) = await context.get_pvs("log:x", timeout=60)
                await pv.wait_for_connection()
                await pv.read()
                await pv.write([2.0])
                subscription = pv.subscribe()
                subscription.add_callback(print)
                await pv.read()
                await subscription.clear()
        asyncio.run(main())
        """,
}


@pytest.fixture(scope="module")
def server() -> Iterator[SoftIoc]:
    """An IOC of its own."""
    with SoftIoc([RECORDS]) as ioc:
        yield ioc


def log_of(text: str, ioc: SoftIoc, level: str = "DEBUG", **environment: str) -> list[str]:
    """Run a script with logging set up and return the lines of its log."""
    script = LOG.format(level=level) + textwrap.dedent(text)
    outcome = run_text(script, ioc.env | {"CACHANNEL_REPEATER": "NO"} | environment)
    assert outcome.code == 0, outcome
    return outcome.stderr.splitlines()


@pytest.mark.parametrize("api", APIS)
def test_each_api_logs_what_it_does(api: str, server: SoftIoc) -> None:
    """One mechanism: each API has the same lines."""
    lines = log_of(APIS[api], server)
    for line in (
        "cachannel.bcast.search|'log:x' is searched for",
        f"cachannel.bcast.search|asked 127.0.0.1:{server.port} for 1 name",
        f"cachannel.circ|circuit to localhost:{server.port} is up",
        f"cachannel.ch|'log:x' was found on localhost:{server.port} and is connected: "
        "DBR_DOUBLE, 1 element, may read and write",
    ):
        same = line.replace("localhost", "127.0.0.1")
        assert line in lines or same in lines, lines
    for begin in ("read of 'log:x': DBR_", "write of 'log:x': DBR_", "subscription to 'log:x': "):
        assert any(line.startswith(f"cachannel.ch|{begin}") for line in lines), lines


def test_type_and_count_are_those_of_the_request(server: SoftIoc) -> None:
    """They are what is sent, which may differ from what the PV has."""
    lines = log_of(
        """
        from CaChannel import CaChannel, ca
        channel = CaChannel("log:wave")
        channel.setTimeout(60)
        channel.searchw()
        channel.putw([1, 2, 3])
        channel.getw(ca.DBR_TIME_LONG)
        channel.getw(ca.DBR_STRING, 2)
        channel.add_masked_array_event(ca.DBR_CTRL_DOUBLE, 0, None, lambda event, args: None)
        channel.flush_io()
        channel.clear_event()
        """,
        server,
    )
    requests = [line.partition("|")[2] for line in lines if "log:wave': DBR" in line]
    assert requests == [
        "write of 'log:wave': DBR_LONG, 3 elements",
        "read of 'log:wave': DBR_TIME_LONG, 5 elements",
        "read of 'log:wave': DBR_STRING, 2 elements",
        "subscription to 'log:wave': DBR_CTRL_DOUBLE, all elements",
    ]
    assert "cachannel.ch|end of a subscription to 'log:wave'" in lines


def test_without_debug_there_is_no_line(server: SoftIoc) -> None:
    """At INFO a client says nothing about its requests."""
    for api in ("CaChannel", "epics_compat"):
        assert log_of(APIS[api], server, "INFO") == []


def test_the_level_of_one_logger_is_enough(server: SoftIoc) -> None:
    """The lines of other loggers are left out."""
    start = 'import logging; logging.getLogger("cachannel.circ").setLevel("DEBUG")\n'
    lines = log_of(start + textwrap.dedent(APIS["CaChannel"]), server, "WARNING")
    assert len(lines) == 1
    assert lines[0].startswith("cachannel.circ|circuit to ")


def test_a_lost_and_a_hung_server_are_logged() -> None:
    """Unresponsive, responsive again, and gone, with the PV each time."""
    text = """
        import sys, threading
        from CaChannel import CaChannel, ca
        seen = threading.Condition()
        states = []
        def changed(event, args):
            with seen:
                states.append(event[1])
                seen.notify()
        channel = CaChannel()
        channel.search_and_connect("log:x", changed)
        channel.flush_io()
        for number in range(1, 5):
            with seen:
                assert seen.wait_for(lambda: len(states) >= number, 60)
            print(number, flush=True)
        """
    from test_lost_servers import running

    script = LOG.format(level="DEBUG") + textwrap.dedent(text)
    with SoftIoc([RECORDS]) as ioc:
        environment = ioc.env | {"EPICS_CA_CONN_TMO": "1", "CACHANNEL_UNRESPONSIVE_LIMIT": "NO"}
        with running(script, environment) as process:
            assert process.line() == "1"
            ioc.freeze()
            try:
                assert process.line() == "2"
            finally:
                ioc.thaw()
            assert process.line() == "3"
            ioc.kill()
            assert process.line() == "4"
            lines = process.process.communicate(timeout=60)[1].splitlines()
    told = [line for line in lines if "is searched" not in line and "asked" not in line]
    words = ("is up", "was found", "unresponsive", "disconnected", "responsive again", "was found")
    at = 0
    for word in words:
        at = next(i for i in range(at, len(told)) if word in told[i]) + 1
    assert any("Virtual circuit disconnect" in line for line in told)
    assert sum("'log:x' is disconnected" in line for line in told) == 2
