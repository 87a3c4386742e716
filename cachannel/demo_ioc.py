"""The IOC of ``python -m cachannel demo``; alone: ``python -m cachannel.demo_ioc --list-pvs``."""

from __future__ import annotations

import math
import os
import signal
import threading

from cachannel.server import (
    AsyncLibraryLayer,
    PVGroup,
    PvpropertyDouble,
    ioc_arg_parser,
    pvproperty,
    run,
)
from cachannel.server.common import ServerExit

__all__ = ["READY", "DemoIOC", "main", "serve_for_parent"]

READY = "The IOC runs."


class DemoIOC(PVGroup):
    """A corner of a beamline."""

    # Channels of one group share their alarm, unless they name one of their own.
    temperature = pvproperty(
        value=21.0,
        doc="Air in the hall",
        alarm_group="temperature",
        units="degC",
        precision=2,
        upper_disp_limit=30,
        lower_disp_limit=10,
        upper_alarm_limit=28,
        upper_warning_limit=25,
        lower_warning_limit=15,
        lower_alarm_limit=12,
    )
    valve = pvproperty(value=False, enum_strings=("Closed", "Open"), doc="Cooling water")
    position = pvproperty(
        value=0.0,
        doc="Slit",
        units="mm",
        precision=3,
        upper_ctrl_limit=50,
        lower_ctrl_limit=-50,
    )
    readback = pvproperty(
        value=0.0, doc="Where the slit is", units="mm", precision=3, read_only=True
    )
    pressure = pvproperty(
        value=4.0,
        doc="Cooling water",
        alarm_group="pressure",
        units="bar",
        precision=1,
        upper_alarm_limit=9,
        upper_warning_limit=6,
        lower_warning_limit=2,
        lower_alarm_limit=1,
    )
    wave = pvproperty(value=[0.0], max_length=1000, doc="Beam profile")

    @temperature.startup  # type: ignore[no-redef]
    async def temperature(self, instance: PvpropertyDouble, async_lib: AsyncLibraryLayer) -> None:
        """Change twice a second, as a temperature does: a slow wave around 21 degrees."""
        self.async_lib = async_lib
        phase = 0.0
        while True:
            phase += 0.4
            await instance.write(21 + 2 * math.sin(phase))
            await async_lib.sleep(0.5)

    @position.putter  # type: ignore[no-redef]
    async def position(self, instance: PvpropertyDouble, value: float) -> None:
        """Move. The write completes when the move is over, half a second later."""
        await self.async_lib.sleep(0.5)
        await self.readback.write(value)


def main() -> None:
    """Run the IOC as its command line says."""
    ioc_options, run_options = ioc_arg_parser(default_prefix="demo:", desc="The IOC of the demo.")
    run(DemoIOC(**ioc_options).pvdb, **run_options)


def serve_for_parent() -> None:
    """Run the IOC for the program that started it, where the ``EPICS_CAS_*`` variables say.

    Prints `READY` when clients can come, and ends when standard input does: then the program is
    no more, however it ended.
    """

    def wait_for_end(tell: threading.Event) -> None:
        while os.read(0, 1024):
            pass
        tell.set()

    async def watch(async_lib: AsyncLibraryLayer) -> None:
        print(READY, flush=True)
        ended = async_lib.Event()
        threading.Thread(target=wait_for_end, args=(ended,), daemon=True).start()
        await ended.wait()
        raise ServerExit

    # Ctrl-C at the keyboard goes to both processes; the program says what comes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    run(DemoIOC("demo:").pvdb, startup_hook=watch)


if __name__ == "__main__":
    main()
