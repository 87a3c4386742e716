"""aioca."""

import sys
import time

started = time.perf_counter()
import aioca  # noqa: E402 - the import is what is timed

imported = time.perf_counter()


async def main() -> None:
    print(imported - started, await aioca.caget(sys.argv[1]))


aioca.run(main())
