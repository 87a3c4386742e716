"""caproto's asyncio client."""

import sys
import time

started = time.perf_counter()
import asyncio  # noqa: E402 - the import is what is timed

from caproto.asyncio.client import Context  # noqa: E402 - the import is what is timed

imported = time.perf_counter()


async def main() -> None:
    context = Context()
    (pv,) = await context.get_pvs(sys.argv[1])
    print(imported - started, (await pv.read()).data[0])
    await context.disconnect()


asyncio.run(main())
