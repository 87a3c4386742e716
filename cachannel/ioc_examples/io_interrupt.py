"""A PV that shows the key that was pressed last: values that come from a thread."""

import atexit
import sys
import threading
from collections.abc import Callable

from cachannel.server import (
    AsyncLibraryLayer,
    PVGroup,
    PvpropertyChar,
    ioc_arg_parser,
    pvproperty,
    run,
)


def start_io_interrupt_monitor(new_value_callback: Callable[[str], object]) -> None:
    """Call a function with every key that is pressed in the terminal; returns at its end.

    It stands for hardware that tells of new values by interrupts. Without a terminal it returns
    at once.

    Args:
        new_value_callback: is given each key as a text of one character.
    """
    if not sys.stdin or not sys.stdin.isatty():
        return
    import termios

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    # Keys one by one, without an echo, and a terminal left as it was found.
    atexit.register(termios.tcsetattr, descriptor, termios.TCSAFLUSH, before)
    raw = termios.tcgetattr(descriptor)
    raw[3] &= ~(termios.ICANON | termios.ECHO)
    termios.tcsetattr(descriptor, termios.TCSANOW, raw)
    while key := sys.stdin.read(1):
        new_value_callback(key)


class IOInterruptIOC(PVGroup):
    """A PV ``keypress`` with the last key pressed in the terminal of the IOC."""

    keypress = pvproperty(value="", max_length=10, doc="The last key", read_only=True)

    @keypress.startup  # type: ignore[no-redef]
    async def keypress(self, instance: PvpropertyChar, async_lib: AsyncLibraryLayer) -> None:
        """Start the thread, and write what comes out of its queue."""
        queue = async_lib.ThreadsafeQueue()
        thread = threading.Thread(
            target=start_io_interrupt_monitor,
            args=(queue.put,),
            name="keyboard",
            daemon=True,
        )
        thread.start()
        while True:
            await instance.write(await queue.async_get())


def main() -> None:
    """Run the IOC as its command line says."""
    ioc_options, run_options = ioc_arg_parser(
        default_prefix="io:", desc="A PV that shows the key that was pressed last."
    )
    ioc = IOInterruptIOC(**ioc_options)
    run(ioc.pvdb, **run_options)


if __name__ == "__main__":
    main()
