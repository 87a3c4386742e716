"""PVs that an IOC adds while it serves, and the names under which PVs are served."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cachannel.server import PVGroup, PVSpec, pvproperty
from cachannel.server.core import ServerCore
from support.ports import client_environment, free_port, server_environment
from support.scripts import run_text

LIBRARIES = [
    name
    for name in ("asyncio", "trio", "curio")
    if name == "asyncio" or importlib.util.find_spec(name)
]

SERVED = """
import sys
from cachannel.server import PVGroup, pvproperty, run

class Added(PVGroup):
    begun = pvproperty(value=0)
    count = pvproperty(value=0)
    level = pvproperty(value=0.0, record="ai")

    @begun.startup
    async def begun(self, instance, async_lib):
        await instance.write(1)

    @count.scan(period=0.05)
    async def count(self, instance, async_lib):
        await instance.write(instance.value + 1)

    @level.fields.description.startup
    async def level(fields, instance, async_lib):
        await instance.write("begun")

class First(PVGroup):
    add = pvproperty(value="", max_length=40)

    @add.putter
    async def add(self, instance, value):
        database.update(Added(prefix=value).pvdb)

database = First(prefix="x:").pvdb
module = __import__("cachannel." + sys.argv[1] + ".server", fromlist=["run"])
module.run(database, interfaces=["127.0.0.1"])
"""

USE = """
import time
from cachannel.sync.client import read, write
write("x:add", b"later:", notify=True, timeout=60)
deadline = time.monotonic() + 60
def wait_for(condition):
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
wait_for(lambda: read("later:begun", timeout=60).data[0] == 1)
wait_for(lambda: read("later:count", timeout=60).data[0] > 2)
wait_for(lambda: bytes(read("later:level.DESC", timeout=60).data[0]) == b"begun")
# The same names again, with channels that have not begun.
write("x:add", b"later:", notify=True, timeout=60)
from cachannel.threading.client import Context
with Context() as context:
    begun, = context.get_pvs("later:begun")
    begun.wait_for_connection(timeout=60)
    write("x:add", b"later:", notify=True, timeout=60)
    wait_for(lambda: read("later:begun", timeout=60).data[0] == 1)
print("all begun")
"""


@contextmanager
def served(library: str) -> Iterator[dict[str, str]]:
    """Serve the IOC; give the environment of its clients."""
    port, repeater = free_port(), free_port()
    environment = client_environment([port], repeater) | {"CACHANNEL_REPEATER": "NO"}
    process = subprocess.Popen(
        [sys.executable, "-c", SERVED, library],
        env=_clean() | environment | server_environment(port, repeater),
        stderr=subprocess.PIPE,
    )
    try:
        yield environment
    finally:
        process.kill()
        process.communicate()


def _clean() -> dict[str, str]:
    import os

    from support.ioc import clean_environment

    return clean_environment() | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}


@pytest.mark.parametrize("library", LIBRARIES)
def test_hooks_of_added_pvs_run(library: str) -> None:
    """Startup hooks, scans and hooks of fields begin, also of channels that replace others."""
    with served(library) as environment:
        assert run_text(USE, environment).succeeded().lines == ["all begun"]


def test_the_name_field_is_the_name_that_is_served() -> None:
    """NAME of PVs made without a group, of a group's, and of aliases."""

    class Group(PVGroup):
        level = pvproperty(value=1.0, record="ai")

    bare = PVSpec(name="bare", value=1.0, record="ao").create(group=None)
    group = Group(prefix="c:")
    database = {"c:bare": bare, "c:again": bare, **group.pvdb, "c:alias": group.level}
    core = ServerCore(database)
    names = {}
    for asked in ("c:again", "c:bare", "c:alias", "c:level"):
        found = core.resolve(f"{asked}.NAME")
        assert found is not None
        names[asked] = asyncio.run(found.data.read(0))[1][0].decode()
    assert names == {
        "c:again": "c:bare",
        "c:bare": "c:bare",
        "c:alias": "c:level",
        "c:level": "c:level",
    }


def test_a_mapping_of_the_users_own_gives_the_name_that_was_asked() -> None:
    """It may make up its channels, so the name that a client asked for is the served one."""

    class MadeUp(dict):  # type: ignore[type-arg]
        def __missing__(self, name: str) -> object:
            if not name.startswith("made:") or "." in name:
                raise KeyError(name)
            self[name] = PVSpec(name="one", value=1.0, record="ai").create(group=None)
            return self[name]

    core = ServerCore(MadeUp())
    found = core.resolve("made:up.NAME")
    assert found is not None
    assert asyncio.run(found.data.read(0))[1] == [b"made:up"]
