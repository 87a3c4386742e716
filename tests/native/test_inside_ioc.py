"""A program that is an IOC of EPICS base is a client of its own records, by every API.

Inside an IOC, libca reaches the records without a circuit: it calls back in the calling thread, or
in threads of the IOC that it attaches to the context of the first subscription.
"""

import subprocess
import sys

import pytest

from support.ioc import clean_environment
from support.ports import client_environment, free_port, server_environment
from support.scripts import Outcome

RECORDS = r"""
record(ao, "in:ao") { field(VAL, "1.5") field(PINI, "YES") field(PREC, "2") }
record(calc, "in:count") { field(SCAN, ".1 second") field(CALC, "VAL+1") }
record(stringout, "in:text") { field(VAL, "one") field(PINI, "YES") }
record(waveform, "in:wave") { field(NELM, "2000") field(FTVL, "DOUBLE") }
"""

IOC = f"""
import faulthandler, os, sys, tempfile, threading
from epicscorelibs import ioc
faulthandler.enable()
faulthandler.dump_traceback_later(60, exit=True)
with tempfile.NamedTemporaryFile("w", suffix=".db") as database:
    database.write('''{RECORDS}''')
    database.flush()
    ioc.iocshRegisterCommon()
    assert not ioc.dbLoadDatabase(b"base.dbd", ioc.DEFAULT_DBD_PATH.encode(), None)
    assert not ioc.registerRecordDeviceDriver(ioc.pdbbase)
    assert not ioc.dbLoadRecords(database.name.encode(), b"")
    assert not ioc.iocInit()
seen, enough = [], threading.Event()
def note(value):
    seen.append(value)
    if len(seen) == 5:
        enough.set()
"""

# Nothing is lost. But the IOC posts the first value of a subscription before it enables its events,
# so that a change between the two is not told.
END = """
assert seen[0] < seen[1] and seen[-1] - seen[1] == len(seen) - 2, seen
print("ok")
"""

BY_CACHANNEL = """
from CaChannel import CaChannel, ca
channel, count = CaChannel("in:ao"), CaChannel("in:count")
for each in (channel, count):
    each.searchw()
channel.putw(2.5)
assert channel.getw() == 2.5
assert channel.getw(ca.DBR_CTRL_DOUBLE)["pv_precision"] == 2
assert ":" not in channel.host_name()
count.add_masked_array_event(ca.DBR_TIME_DOUBLE, None, None, lambda e, _: note(e["pv_value"]))
count.flush_io()
assert enough.wait(20), seen
count.clear_event()
"""

BY_EPICS_COMPAT = """
import epics_compat
assert epics_compat.caput("in:ao", 2.5, wait=True) == 1
assert epics_compat.caget("in:ao", use_monitor=False) == 2.5
assert epics_compat.caget("in:ao") == 2.5
wave = epics_compat.PV("in:wave")
assert wave.put([1.0] * 2000, wait=True) == 1
assert wave.get().sum() == 2000
pv = epics_compat.PV("in:count", callback=lambda value=None, **_: note(value))
assert enough.wait(20), seen
pv.disconnect()
"""

BY_SYNC = """
from cachannel.sync.client import read, subscribe, write
write("in:ao", 2.5, notify=True, timeout=5)
assert read("in:ao", timeout=5).data[0] == 2.5
subscription = subscribe("in:count")
def changed(_, response):
    note(response.data[0])
    if enough.is_set():
        subscription.interrupt()
subscription.add_callback(changed)
subscription.block(duration=20)
assert enough.is_set(), seen
"""

BY_THREADING = """
from cachannel.threading.client import Context
context = Context()
channel, count = context.get_pvs("in:ao", "in:count")
channel.wait_for_connection(timeout=5)
count.wait_for_connection(timeout=5)
channel.write(2.5, timeout=5)
assert channel.read(timeout=5).data[0] == 2.5
assert channel.circuit_manager.circuit.address == ("127.0.0.1", 0)
assert [each.data[0] for each in context.read_many(["in:ao"] * 2, timeout=5)] == [2.5] * 2
def changed(_, response):
    note(response.data[0])
count.subscribe().add_callback(changed)
assert enough.wait(20), seen
context.disconnect()
"""

BY_ASYNCIO = """
import asyncio
from cachannel.asyncio.client import Context
async def main():
    context = Context()
    channel, count = await context.get_pvs("in:ao", "in:count")
    await channel.wait_for_connection(timeout=5)
    await channel.write(2.5, timeout=5)
    assert (await channel.read(timeout=5)).data[0] == 2.5
    async for response in count.subscribe():
        note(response.data[0])
        if enough.is_set():
            break
    await context.disconnect()
asyncio.run(asyncio.wait_for(main(), 20))
"""

BY_SINK = """
from CaChannel import CaChannel, ca
from cachannel.many import BulkSink, connect_many, get_many, put_many
channels = connect_many(["in:ao", "in:text"], 5)
put_many(channels[:1], [2.5])
assert get_many(channels) == [2.5, "one"]
# A channel of another context in the middle.
found = [CaChannel("in:ao")]
def search():
    ca.create_context(True)
    found[0].searchw()
thread = threading.Thread(target=search)
thread.start()
thread.join()
with BulkSink(["in:count", *found, "in:ao"]) as sink:
    ids = set()
    for batch in sink:
        ids.update(batch["id"])
        for value in batch["value"][batch["id"] == 0]:
            note(value)
        if enough.is_set():
            break
assert ids == {0, 1, 2}, ids
"""

BY_TWO = BY_EPICS_COMPAT + "seen, enough = [], threading.Event()" + BY_THREADING


def inside(script: str) -> Outcome:
    """Run a script in the process of an IOC; it ends as any script does."""
    port, repeater = free_port(), free_port()
    done = subprocess.run(
        [sys.executable, "-c", IOC + script],
        env=clean_environment()
        | client_environment([port], repeater)
        | server_environment(port, repeater)
        | {"CACHANNEL_REPEATER": "NO"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Outcome(done.stdout, done.stderr, done.returncode)


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(BY_CACHANNEL, id="CaChannel"),
        pytest.param(BY_EPICS_COMPAT, id="epics_compat"),
        pytest.param(BY_SYNC, id="sync"),
        pytest.param(BY_THREADING, id="threading"),
        pytest.param(BY_ASYNCIO, id="asyncio"),
        pytest.param(BY_SINK, id="BulkSink"),
        pytest.param(BY_TWO, id="epics_compat and threading"),
    ],
)
def test_get_put_and_monitor(script: str) -> None:
    outcome = inside(script + END)
    assert (outcome.code, outcome.lines[-1:]) == (0, ["ok"]), outcome


@pytest.mark.parametrize("script", [BY_CACHANNEL, BY_THREADING], ids=["CaChannel", "threading"])
def test_it_ends_well_with_monitors_that_run(script: str) -> None:
    """The IOC ends with the process, and so does the client, whichever was first."""
    script = script.replace("count.clear_event()", "").replace("context.disconnect()", "")
    outcome = inside(script + END)
    assert (outcome.code, outcome.lines[-1:]) == (0, ["ok"]), outcome
