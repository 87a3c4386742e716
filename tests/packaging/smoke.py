"""The first minute with an installed package: nothing here but the package and what it requires.

    python tests/packaging/smoke.py [--soft-ioc PROGRAM]

It imports every API, starts the soft IOC of EPICS and an IOC of `cachannel.server`, and reads,
writes and monitors a PV of each with class CaChannel, `epics_compat` and the three clients. Exit
status 0 means that all of it worked. It must run outside of the source tree, so that Python imports
what is installed; pytest does not collect it. PROGRAM is a softIoc, or a Python with
`epicscorelibs`, which has one; it is this Python if absent.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LIMIT = 20.0
"""Seconds that any one step may take."""

RECORDS = """
record(ao, "smoke:record") { field(VAL, "1.5") field(PINI, "YES") field(PREC, "3") }
"""

SERVER = """
from cachannel.server import PVGroup, pvproperty, run

class Smoke(PVGroup):
    group = pvproperty(value=1.5, precision=3)

run(Smoke(prefix="smoke:").pvdb, interfaces=["127.0.0.1"])
"""


def free_port() -> int:
    """Return a port that is free for TCP and UDP now."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port: int = tcp.getsockname()[1]
            try:
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


@contextmanager
def program(command: list[str], port: int) -> Iterator[None]:
    """Run an IOC on a port of the loopback interface."""
    settings = dict(os.environ, EPICS_CA_SERVER_PORT=str(port), EPICS_CAS_SERVER_PORT=str(port))
    settings["EPICS_CAS_INTF_ADDR_LIST"] = "127.0.0.1"
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            env=settings,
            stdin=subprocess.PIPE,  # the soft IOC ends when its input does
            stdout=output,
            stderr=output,
        )
        try:
            yield
        except Exception:
            output.seek(0)
            sys.stderr.write(output.read().decode(errors="replace"))
            raise
        finally:
            process.kill()
            process.communicate()


def reached(condition: Callable[[], bool]) -> bool:
    """Wait until a condition holds; False when the time is over."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


def with_cachannel(name: str) -> None:
    """Class CaChannel, by its old import name."""
    from CaChannel import CaChannel, ca

    seen: list[float] = []
    channel = CaChannel(name)
    channel.setTimeout(LIMIT)
    channel.searchw()
    channel.add_masked_array_event(
        ca.DBR_TIME_DOUBLE, None, None, lambda event, _: seen.append(event["pv_value"])
    )
    channel.flush_io()
    channel.putw(2.5)
    assert channel.getw() == 2.5
    assert reached(lambda: 2.5 in seen), seen


def with_pyepics(name: str) -> None:
    """The names of pyepics."""
    import epics_compat as epics

    seen: list[float] = []
    pv = epics.PV(name, callback=lambda value, **_: seen.append(value))
    assert pv.wait_for_connection(LIMIT)
    assert pv.put(3.5, wait=True, timeout=LIMIT) == 1
    assert pv.get(timeout=LIMIT) == 3.5
    assert pv.precision == 3
    assert reached(lambda: 3.5 in seen), seen


def with_sync(name: str) -> None:
    """The functions of `cachannel.sync.client`."""
    from cachannel.sync.client import read, write

    write(name, 4.5, notify=True, timeout=LIMIT)
    assert read(name, timeout=LIMIT).data[0] == 4.5


def with_threading(name: str) -> None:
    """The context and PVs of `cachannel.threading.client`."""
    from cachannel.threading.client import Context

    context = Context(timeout=LIMIT)
    (pv,) = context.get_pvs(name)
    pv.wait_for_connection(timeout=LIMIT)
    came = threading.Event()

    def changed(_: object, response: object) -> None:
        if response.data[0] == 5.5:  # type: ignore[attr-defined]
            came.set()

    subscription = pv.subscribe()
    subscription.add_callback(changed)
    pv.write([5.5], wait=True)
    assert pv.read().data[0] == 5.5
    assert came.wait(LIMIT)
    context.disconnect()


def with_asyncio(name: str) -> None:
    """The context and PVs of `cachannel.asyncio.client`."""
    from cachannel.asyncio.client import Context

    async def work() -> None:
        async with Context() as context:
            (pv,) = await context.get_pvs(name)
            await pv.wait_for_connection(timeout=LIMIT)
            await pv.write([6.5], timeout=LIMIT)
            async for response in pv.subscribe():
                if response.data[0] == 6.5:
                    break

    asyncio.run(asyncio.wait_for(work(), LIMIT))


APIS = (with_cachannel, with_pyepics, with_sync, with_threading, with_asyncio)


def main() -> int:
    """Run every API against both servers."""
    parser = argparse.ArgumentParser(description="Use an installed package for a minute.")
    parser.add_argument("--soft-ioc", metavar="PROGRAM", default=sys.executable)
    options = parser.parse_args()

    import cachannel
    import cachannel._native
    import cachannel.protocol
    import cachannel.server

    place = Path(cachannel.__file__).parent
    print(f"cachannel {cachannel.__version__} in {place}, Python {sys.version.split()[0]}")
    port, other = free_port(), free_port()
    os.environ["EPICS_CA_AUTO_ADDR_LIST"] = "NO"
    os.environ["EPICS_CA_ADDR_LIST"] = f"127.0.0.1:{port} 127.0.0.1:{other}"
    os.environ["EPICS_CA_REPEATER_PORT"] = str(free_port())
    with tempfile.TemporaryDirectory() as folder:
        database, group = Path(folder, "smoke.db"), Path(folder, "group.py")
        database.write_text(RECORDS)
        group.write_text(SERVER)
        soft_ioc = [options.soft_ioc, "-d", str(database)]
        if "python" in Path(options.soft_ioc).name:
            soft_ioc[1:1] = ["-m", "epicscorelibs.ioc"]
        with program([sys.executable, str(group)], other), program(soft_ioc, port):
            for name in ("smoke:group", "smoke:record"):
                for api in APIS:
                    started = time.monotonic()
                    api(name)
                    print(f"{name:14} {api.__name__:15} {time.monotonic() - started:6.3f} s")
    print("all right")
    return 0


if __name__ == "__main__":
    sys.exit(main())
