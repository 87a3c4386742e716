"""A server with PVs of record types that EPICS base does not have.

    python device_ioc.py DATABASE.json

The file maps names to values: an int makes a LONG, a float a DOUBLE, text of up to 39 characters
a STRING, a list of numbers an array of DOUBLE, and ``["text", size]`` text in an array of CHAR.
Prints ``ready`` when it answers; the end of standard input ends it.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from cachannel.asyncio.server import Context
from cachannel.server.numeric import ChannelDouble, ChannelInteger
from cachannel.server.text import ChannelChar, ChannelString


def channel(value: Any) -> Any:
    """Make the PV of a value."""
    if isinstance(value, int):
        return ChannelInteger(value=value)
    if isinstance(value, float):
        return ChannelDouble(value=value, precision=4)
    if isinstance(value, str):
        return ChannelString(value=value)
    if isinstance(value[0], str):
        return ChannelChar(value=value[0], max_length=value[1], string_encoding="latin-1")
    return ChannelDouble(value=value)


async def serve(database: dict[str, Any]) -> None:
    """Serve until the end of standard input."""
    context = Context({name: channel(value) for name, value in database.items()}, ["127.0.0.1"])

    async def ready(_: Any) -> None:
        sys.stdout.write("ready\n")
        sys.stdout.flush()

    server = asyncio.ensure_future(context.run(log_pv_names=False, startup_hook=ready))
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.cancel()


if __name__ == "__main__":
    asyncio.run(serve(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
