"""Many PVs that change; run by test_overload.py."""

import numpy as np

from cachannel.server import PVGroup, ioc_arg_parser, pvproperty, run

Many = type("Many", (PVGroup,), {f"x{n}": pvproperty(value=0.0) for n in range(2000)})


class LoadIOC(Many):
    """See test_overload.py."""

    array = pvproperty(value=np.zeros(1_000_000))
    go = pvproperty(value=1)

    @array.startup
    async def array(self, instance, async_lib):
        """Write 100 PVs 50 times a second, the array five times, for as long as `go` says."""
        print("READY", flush=True)  # noqa: T201 - the test waits for it
        turn = 0
        channels = [self.attr_pvdb[f"x{n}"] for n in range(100)]
        while True:
            if self.go.value:
                turn += 1
                for channel in channels:
                    await channel.write(float(turn))
                if turn % 10 == 0:
                    await instance.write(np.full(1_000_000, float(turn)))
            await async_lib.sleep(0.02)


if __name__ == "__main__":
    ioc_options, run_options = ioc_arg_parser(default_prefix="load:", desc="load")
    ioc = LoadIOC(**ioc_options)
    run(ioc.pvdb, **run_options)
