"""The IOC of test_libca.py."""

import numpy as np

from cachannel.server import PVGroup, ioc_arg_parser, pvproperty, run

Many = type("Many", (PVGroup,), {f"x{n}": pvproperty(value=float(n)) for n in range(2000)})


class LibcaIOC(Many):
    """See test_libca.py."""

    d = pvproperty(value=1.5)
    t = pvproperty(value="text", max_length=100)
    e = pvproperty(value=True)
    ro = pvproperty(value=1, read_only=True)
    array = pvproperty(value=np.arange(200_000.0))
    short = pvproperty(value=[1.0, 2.0], max_length=4)
    burst = pvproperty(value=0, alarm_group="burst")
    slow = pvproperty(value=0)
    bad = pvproperty(value=0, alarm_group="bad")

    @d.startup
    async def d(self, instance, async_lib):
        """Keep the layer."""
        self.async_lib = async_lib
        print("READY", flush=True)  # noqa: T201 - the test waits for it

    @burst.putter
    async def burst(self, instance, value):
        """Write many values."""
        for number in range(value):
            await instance.write(number, verify_value=False)
        return value - 1

    @slow.putter
    async def slow(self, instance, value):
        """Take some time."""
        await self.async_lib.sleep(0.1)

    @bad.putter
    async def bad(self, instance, value):
        """Fail."""
        raise ValueError("no")


if __name__ == "__main__":
    ioc_options, run_options = ioc_arg_parser(default_prefix="", desc="libca")
    ioc = LibcaIOC(**ioc_options)
    run(ioc.pvdb, **run_options)
