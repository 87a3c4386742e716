"""Servers that fall silent without closing their circuits: hung processes, replaced hosts."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from support.ioc import SoftIoc, clean_environment
from support.ports import client_environment, free_port

pytestmark = pytest.mark.skipif(
    not os.path.exists("/proc/self/task"), reason="circuits are watched on Linux only"
)

COUNTER = """
record(calc, "lost:count") {
    field(INPA, "lost:count NPP") field(CALC, "A+1") field(SCAN, ".1 second")
}
record(ao, "lost:x") { field(VAL, "VALUE") field(PINI, "YES") }
"""

SOCKETS = """
import os, socket

def circuits(port):
    '''Copies of the sockets of this process that are connected to a port.'''
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            copy = socket.socket(fileno=os.dup(int(name)))
        except OSError:
            continue
        try:
            if copy.type == socket.SOCK_STREAM and copy.getpeername()[1] == port:
                found.append(copy)
                continue
        except OSError:
            pass
        copy.close()
    return found
"""

APIS = {
    "CaChannel": """
        from CaChannel import CaChannel
        channel = CaChannel("lost:x")
        channel.setTimeout(60)
        channel.searchw()
        channel.getw()
        """,
    "epics_compat": """
        import epics_compat
        assert epics_compat.caget("lost:x", connection_timeout=60, timeout=60) == 1.0
        """,
    "sync": """
        from cachannel.sync.client import read
        read("lost:x", timeout=60)
        """,
    "threading": """
        from cachannel.threading.client import Context
        pv, = Context().get_pvs("lost:x")
        pv.wait_for_connection(timeout=60)
        pv.read(timeout=60)
        """,
    "asyncio": """
        import asyncio
        async def main():
            from cachannel.asyncio.client import Context
            pv, = await Context().get_pvs("lost:x")
            await pv.wait_for_connection(timeout=60)
            await pv.read(timeout=60)
        asyncio.run(main())
        """,
}


class Script:
    """A script in a process of its own, which prints lines and reads lines."""

    def __init__(self, text: str, environment: dict[str, str]) -> None:
        variables = clean_environment() | environment | {"CACHANNEL_REPEATER": "NO"}
        variables["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        self.process = subprocess.Popen(
            [sys.executable, "-c", text],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=variables,
        )

    def line(self) -> str:
        """Wait for a line; a script that ends instead fails the test with what it says."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        return line.strip()

    def go_on(self) -> None:
        """Let a script go on that waits for a line."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()


@contextmanager
def running(text: str, environment: dict[str, str]) -> Iterator[Script]:
    """Run a script, and see that it is gone afterwards."""
    script = Script(text, environment)
    try:
        yield script
    finally:
        script.process.kill()
        script.process.communicate()


def database(value: int) -> str:
    """The records of one of the servers."""
    return COUNTER.replace("VALUE", str(value))


@pytest.mark.parametrize("api", APIS)
def test_a_script_ends_beside_a_hung_server(api: str) -> None:
    """libca waits 30 s for the circuit of a server that does not answer; the script does not."""
    text = textwrap.dedent(APIS[api]) + "print('connected', flush=True)\ninput()\n"
    with SoftIoc([database(1)]) as ioc, running(text, ioc.env) as script:
        assert script.line() == "connected"
        ioc.freeze()
        try:
            began = time.monotonic()
            script.go_on()
            output = script.process.communicate(timeout=25)
            assert (script.process.returncode, *output) == (0, "", "")
            assert time.monotonic() - began < 15
        finally:
            ioc.thaw()


def test_what_was_written_arrives_although_the_script_ends() -> None:
    """The end of a context shuts no circuit whose server still takes what is sent."""
    text = """
        from CaChannel import CaChannel
        channel = CaChannel("lost:array")
        channel.setTimeout(60)
        channel.searchw()
        print("connected", flush=True)
        input()
        channel.putw([float(i) for i in range(1_000_000)])
        """
    array = 'record(waveform, "lost:array") { field(FTVL, "DOUBLE") field(NELM, "1000000") }'
    with SoftIoc([array]) as ioc:
        with running(textwrap.dedent(text), ioc.env) as script:
            assert script.line() == "connected"
            script.go_on()
            output = script.process.communicate(timeout=60)
            assert (script.process.returncode, *output) == (0, "", "")
        check = """
            from CaChannel import CaChannel
            channel = CaChannel("lost:array")
            channel.setTimeout(60)
            channel.searchw()
            values = channel.getw(use_numpy=True)
            print(len(values), values[-1])
            """
        with running(textwrap.dedent(check), ioc.env) as script:
            assert script.line() == "1000000 999999.0"


def test_closing_a_context_does_not_wait_for_a_hung_server() -> None:
    """The same holds for a context that is closed while the program goes on."""
    text = """
        import time
        from cachannel.threading.client import Context
        context = Context()
        pv, = context.get_pvs("lost:x")
        pv.wait_for_connection(timeout=60)
        print("connected", flush=True)
        input()
        began = time.monotonic()
        context.disconnect()
        print(time.monotonic() - began, flush=True)
        """
    with SoftIoc([database(1)]) as ioc, running(textwrap.dedent(text), ioc.env) as script:
        assert script.line() == "connected"
        ioc.freeze()
        try:
            script.go_on()
            assert float(script.line()) < 15
        finally:
            ioc.thaw()


def test_the_replacement_of_a_hung_server_is_found() -> None:
    """An unresponsive circuit is shut after the limit; other sockets to that server are not."""
    text = SOCKETS + textwrap.dedent("""
        import sys, threading
        from cachannel.threading.client import Context
        port = int(sys.stdin.readline())
        foreign = socket.create_connection(("127.0.0.1", port))
        foreign.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        (pv,) = Context().get_pvs("lost:x")
        pv.wait_for_connection(timeout=60)
        seen = threading.Condition()
        values = []
        def changed(subscription, response):
            with seen:
                values.append(float(response.data[0]))
                seen.notify()
        subscription = pv.subscribe()
        subscription.add_callback(changed)
        def wait_for(value):
            with seen:
                assert seen.wait_for(lambda: values and values[-1] == value, 100), values
        wait_for(1.0)
        deadline = threading.Event()
        for _ in range(600):
            limits = {c.getsockopt(socket.IPPROTO_TCP, 18) for c in circuits(port)}
            if limits == {0, 7001}:
                break
            deadline.wait(0.1)
        print("limits", sorted(limits), flush=True)
        sys.stdin.readline()
        wait_for(2.0)
        foreign.setblocking(False)
        try:
            while foreign.recv(4096):  # the server has greeted it
                pass
            print("foreign closed", flush=True)
        except BlockingIOError:
            print("foreign open", len(circuits(port)), flush=True)
        """)
    first, second = SoftIoc([database(1)]), SoftIoc([database(2)])
    environment = client_environment([first.port, second.port], free_port())
    environment |= {"EPICS_CA_CONN_TMO": "1", "CACHANNEL_UNRESPONSIVE_LIMIT": "1"}
    with first, running(text, environment) as script:
        assert script.process.stdin is not None
        script.process.stdin.write(f"{first.port}\n")
        script.process.stdin.flush()
        assert script.line() == "limits [0, 7001]"
        first.freeze()
        try:
            with second:
                script.go_on()
                # One connection to the first server is left: that of the test itself.
                assert script.line() == "foreign open 1"
        finally:
            first.thaw()


@pytest.mark.parametrize("limit", ["NO", "60"])
def test_a_server_that_answers_again_in_time_goes_on(limit: str) -> None:
    """Within the limit, or without one, the circuit stays and monitors go on."""
    text = SOCKETS + textwrap.dedent("""
        import sys, threading
        from cachannel.threading.client import Context
        port = int(sys.stdin.readline())
        seen = threading.Condition()
        states, values = [], []
        def changed_state(pv, state):
            with seen:
                states.append(state)
                seen.notify()
        def changed(subscription, response):
            with seen:
                values.append(response.data[0])
                seen.notify()
        (pv,) = Context().get_pvs("lost:count", connection_state_callback=changed_state)
        subscription = pv.subscribe()
        subscription.add_callback(changed)
        def wait_for(condition):
            with seen:
                assert seen.wait_for(condition, 100), (states, values[-3:])
        wait_for(lambda: len(values) > 2)
        def name():
            (circuit,) = circuits(port)
            with circuit:
                return circuit.getsockname()
        before = name()
        print("connected", flush=True)
        wait_for(lambda: states == ["connected", "disconnected"])
        print("unresponsive", flush=True)
        wait_for(lambda: states == ["connected", "disconnected", "connected"])
        last = values[-1]
        wait_for(lambda: values[-1] > last)
        print(before == name(), flush=True)
        """)
    with SoftIoc([database(1)]) as ioc:
        environment = ioc.env | {"EPICS_CA_CONN_TMO": "1", "CACHANNEL_UNRESPONSIVE_LIMIT": limit}
        # The kernel gives up on a server by this time, too; not on one that is only stopped.
        with running(text, environment) as script:
            assert script.process.stdin is not None
            script.process.stdin.write(f"{ioc.port}\n")
            script.process.stdin.flush()
            assert script.line() == "connected"
            ioc.freeze()
            try:
                assert script.line() == "unresponsive"
            finally:
                ioc.thaw()
            assert script.line() == "True"


@pytest.mark.parametrize("limit", ["NO", "60"])
def test_what_was_written_to_a_paused_server_arrives(limit: str) -> None:
    """TCP does not give up on a server that takes no data for a while; the limit decides."""
    text = SOCKETS + textwrap.dedent("""
        import sys, threading
        from CaChannel import CaChannel
        port = int(sys.stdin.readline())
        seen = threading.Condition()
        states = []
        def changed(event, args):
            with seen:
                states.append(event[1])
                seen.notify()
        def wait_for(number):
            with seen:
                assert seen.wait_for(lambda: len(states) >= number, 100), states
        channel = CaChannel()
        channel.setTimeout(60)
        channel.search_and_connect("lost:array", changed)
        channel.flush_io()
        wait_for(1)
        def name():
            (circuit,) = circuits(port)
            with circuit:
                return circuit.getsockname()
        before = name()
        print("connected", flush=True)
        sys.stdin.readline()
        channel.array_put([float(i) for i in range(1_000_000)])
        channel.flush_io()
        wait_for(2)
        print("unresponsive", flush=True)
        wait_for(3)
        print(before == name(), channel.getw(use_numpy=True)[-1], flush=True)
        """)
    array = 'record(waveform, "lost:array") { field(FTVL, "DOUBLE") field(NELM, "1000000") }'
    with SoftIoc([array]) as ioc:
        environment = ioc.env | {"EPICS_CA_CONN_TMO": "1", "CACHANNEL_UNRESPONSIVE_LIMIT": limit}
        with running(text, environment) as script:
            assert script.process.stdin is not None
            script.process.stdin.write(f"{ioc.port}\n")
            script.process.stdin.flush()
            assert script.line() == "connected"
            ioc.freeze()
            try:
                script.go_on()
                assert script.line() == "unresponsive"
                # Longer than EPICS_CA_CONN_TMO without any progress of the data.
                pause = time.monotonic() + 4
                while time.monotonic() < pause:
                    time.sleep(0.1)
            finally:
                ioc.thaw()
            assert script.line() == "True 999999.0"


def test_the_contexts_of_a_script_end_side_by_side() -> None:
    """Each of them waits for the hung server, and all at the same time."""
    text = """
        from cachannel.context import Context
        from cachannel.engine import Channel
        contexts = [Context() for _ in range(12)]
        channels = [Channel(context, b"lost:x", lambda *event: None) for context in contexts]
        assert all(channel.wait(60) for channel in channels)
        print("connected", flush=True)
        input()
        """
    with SoftIoc([database(1)]) as ioc, running(textwrap.dedent(text), ioc.env) as script:
        assert script.line() == "connected"
        ioc.freeze()
        try:
            began = time.monotonic()
            script.go_on()
            output = script.process.communicate(timeout=60)
            assert (script.process.returncode, *output) == (0, "", "")
            # One after the other they would take 12 times the grace, more than 9 s.
            assert time.monotonic() - began < 6
        finally:
            ioc.thaw()


def test_circuits_of_all_priorities_are_shut_and_come_back() -> None:
    """Each priority has a circuit of its own to the same server."""
    text = SOCKETS + textwrap.dedent("""
        import sys
        from cachannel.context import Context
        from cachannel.engine import CONNECTION, Channel
        import threading
        port, other = map(int, sys.stdin.readline().split())
        context = Context()
        seen = threading.Condition()
        events = []
        def tell(number):
            def deliver(record, buffer, offset):
                if record[1] == CONNECTION:
                    with seen:
                        events.append((number, record[7] == 6))
                        seen.notify()
            return deliver
        channels = [Channel(context, b"lost:x", tell(n), priority) for n, priority in
                    enumerate((0, 10, 99))]
        context.flush()
        def wait_for(state, times):
            with seen:
                assert seen.wait_for(
                    lambda: all(events.count((n, state)) == times for n in range(3)), 100
                ), events
        wait_for(True, 1)
        print(len(circuits(port)), flush=True)
        sys.stdin.readline()
        wait_for(True, 2)
        print(len(circuits(port)), len(circuits(other)), flush=True)
        """)
    first, second = SoftIoc([database(1)]), SoftIoc([database(2)])
    environment = client_environment([first.port, second.port], free_port())
    environment |= {"EPICS_CA_CONN_TMO": "1", "CACHANNEL_UNRESPONSIVE_LIMIT": "1"}
    with first, running(text, environment) as script:
        assert script.process.stdin is not None
        script.process.stdin.write(f"{first.port} {second.port}\n")
        script.process.stdin.flush()
        assert script.line() == "3"
        first.freeze()
        try:
            with second:
                script.go_on()
                assert script.line() == "0 3"
        finally:
            first.thaw()
        errors = script.process.communicate(timeout=60)[1]
    # Three circuits to one server: the line is not repeated.
    assert errors.count(f"circuit to 127.0.0.1:{first.port} closed") == 1


def test_a_client_at_rest_uses_no_processor_time() -> None:
    """The thread that watches circuits sleeps as long as no circuit is unresponsive."""
    text = """
        import time
        from CaChannel import CaChannel
        channel = CaChannel("lost:x")
        channel.setTimeout(60)
        channel.searchw()
        begin = time.process_time()
        while True:
            time.sleep(2)
            used, begin = time.process_time() - begin, time.process_time()
            print(used, flush=True)
        """
    with SoftIoc([database(1)]) as ioc, running(textwrap.dedent(text), ioc.env) as script:
        # The first seconds of a context have searches, and the look for the socket of the circuit.
        assert min(float(script.line()) for _ in range(4)) < 0.005


def test_a_script_ends_beside_a_hung_name_server() -> None:
    """No channel is on the circuit of a name server, and it is shut all the same."""
    text = SOCKETS + textwrap.dedent("""
        import sys, threading
        from CaChannel import CaChannel
        port = int(sys.stdin.readline())
        channel = CaChannel("lost:x")
        channel.setTimeout(60)
        channel.searchw()
        pause = threading.Event()
        while not circuits(port):
            pause.wait(0.05)
        print("connected", flush=True)
        sys.stdin.readline()
        """)
    names, server = SoftIoc([database(1).replace("lost:", "other:")]), SoftIoc([database(2)])
    with names, server:
        environment = server.env | {"EPICS_CA_NAME_SERVERS": f"127.0.0.1:{names.port}"}
        with running(text, environment) as script:
            assert script.process.stdin is not None
            script.process.stdin.write(f"{names.port}\n")
            script.process.stdin.flush()
            assert script.line() == "connected"
            names.freeze()
            try:
                began = time.monotonic()
                script.go_on()
                output = script.process.communicate(timeout=60)
                assert (script.process.returncode, *output) == (0, "", "")
                assert time.monotonic() - began < 15
            finally:
                names.thaw()
