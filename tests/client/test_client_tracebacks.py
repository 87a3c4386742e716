"""A traceback of a user's mistake shows the line of the user, and little of this package."""

import asyncio
import traceback
from collections.abc import Callable
from typing import Any

import pytest

import cachannel.sync.client as sync_client
from cachannel.asyncio.client import Context as AsyncioContext
from cachannel.threading.client import Batch, Context

ABSENT, BAD = "cadoesnotexist", object()

SYNC: dict[str, Callable[[], Any]] = {
    "read, absent": lambda: sync_client.read(ABSENT, timeout=0.1),
    "write, absent": lambda: sync_client.write(ABSENT, 1, timeout=0.1),
    "read, type": lambda: sync_client.read("catest", data_type="nope"),
    "write, text": lambda: sync_client.write("catest", "abc"),
    "write, object": lambda: sync_client.write("catest", [BAD]),
    "read_write_read": lambda: sync_client.read_write_read("catest", BAD),
    "block": lambda: sync_client.block(sync_client.subscribe(ABSENT), timeout=0.1),
}
LASTING: dict[str, Callable[[Any, Any, Any], Any]] = {
    "read, absent": lambda context, pv, absent: absent.read(timeout=0.1),
    "write, absent": lambda context, pv, absent: absent.write(1, timeout=0.1),
    "connection": lambda context, pv, absent: absent.wait_for_connection(timeout=0.1),
    "read, type": lambda context, pv, absent: pv.read(data_type="nope"),
    "read, count": lambda context, pv, absent: pv.read(data_count="nope"),
    "read, time-out": lambda context, pv, absent: pv.read(timeout="nope"),
    "write, text": lambda context, pv, absent: pv.write("abc"),
    "write, objects": lambda context, pv, absent: pv.write([BAD]),
    "subscribe": lambda context, pv, absent: pv.subscribe(data_type="nope"),
    "get_pvs": lambda context, pv, absent: context.get_pvs(5),
    "read_many": lambda context, pv, absent: context.read_many([ABSENT], timeout=0.1),
    "write_many": lambda context, pv, absent: context.write_many(["catest"], ["abc"]),
    "write_many, absent": lambda context, pv, absent: context.write_many(
        [ABSENT], [1], timeout=0.1
    ),
}


def check(error: BaseException) -> None:
    """Look for more than three frames of this package, or a second traceback."""
    shown = "".join(traceback.format_exception(error))
    frames = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    assert sum("/cachannel/" in name and "/tests/" not in name for name in frames) <= 3, shown
    assert shown.count("Traceback (most recent call last)") == 1, shown


@pytest.mark.parametrize("call", list(SYNC))
def test_frames_of_the_sync_client(ioc: Any, call: str) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - any of them
        SYNC[call]()
    check(caught.value)


@pytest.mark.parametrize("call", list(LASTING))
def test_frames_of_the_threading_client(ioc: Any, call: str) -> None:
    with Context(timeout=60) as context:
        pv, absent = context.get_pvs("catest", ABSENT)
        pv.wait_for_connection()
        with pytest.raises(Exception) as caught:  # noqa: PT011
            LASTING[call](context, pv, absent)
    check(caught.value)


@pytest.mark.parametrize("call", list(LASTING))
def test_frames_of_the_asyncio_client(ioc: Any, call: str) -> None:
    async def main() -> BaseException:
        async with AsyncioContext(timeout=60) as context:
            pv, absent = await context.get_pvs("catest", ABSENT)
            await pv.wait_for_connection()
            with pytest.raises(Exception) as caught:  # noqa: PT011
                await LASTING[call](context, pv, absent)
            return caught.value

    check(asyncio.run(main()))


def test_frames_of_a_batch(ioc: Any) -> None:
    with Context(timeout=60) as context:
        (pv,) = context.get_pvs("catest")
        pv.wait_for_connection()
        with pytest.raises(ValueError, match="write of 'catest'") as caught, Batch() as batch:
            batch.write(pv, "abc")
    check(caught.value)
