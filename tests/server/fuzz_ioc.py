"""The IOC of fuzz_server.py: one PV of each kind, and putters that are slow or fail."""

import numpy as np

from cachannel.server import PVGroup, ioc_arg_parser, pvproperty, run


class FuzzIOC(PVGroup):
    """See fuzz_server.py."""

    d = pvproperty(value=1.5)
    t = pvproperty(value="text", max_length=100)
    e = pvproperty(value=True)
    ro = pvproperty(value=1, read_only=True)
    short = pvproperty(value=[1.0, 2.0], max_length=4)
    slow = pvproperty(value=0)
    bad = pvproperty(value=0, alarm_group="bad")
    x0 = pvproperty(value=np.arange(200.0))
    x1 = pvproperty(value=b"bytes", max_length=50)
    x2 = pvproperty(value=1.0, record="ai")
    x3 = pvproperty(value="text", max_length=100, report_as_string=True)
    x4 = pvproperty(value=5, upper_ctrl_limit=100, lower_ctrl_limit=-100, alarm_group="x4")

    @d.startup
    async def d(self, instance, async_lib):
        """Keep the layer."""
        self.async_lib = async_lib
        print("READY", flush=True)  # noqa: T201 - the fuzzer waits for it

    @slow.putter
    async def slow(self, instance, value):
        """Take some time."""
        await self.async_lib.sleep(0.01)

    @bad.putter
    async def bad(self, instance, value):
        """Fail."""
        raise ValueError("no")


if __name__ == "__main__":
    ioc_options, run_options = ioc_arg_parser(default_prefix="", desc="fuzz")
    ioc = FuzzIOC(**ioc_options)
    run(ioc.pvdb, **run_options)
