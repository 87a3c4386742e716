"""A PV that walks at random, at a pace that another PV sets."""

import random

from cachannel.server import (
    AsyncLibraryLayer,
    PVGroup,
    PvpropertyDouble,
    ioc_arg_parser,
    pvproperty,
    run,
)


class RandomWalkIOC(PVGroup):
    """A PV ``x`` that takes a random step every ``dt`` seconds."""

    dt = pvproperty(value=3.0, doc="Time between two steps [s]", units="s")
    x = pvproperty(value=0.0, doc="Where the walk is now")

    @x.startup  # type: ignore[no-redef]
    async def x(self, instance: PvpropertyDouble, async_lib: AsyncLibraryLayer) -> None:
        """Walk for as long as the server runs."""
        while True:
            await instance.write(instance.value + random.uniform(-1.0, 1.0))
            await async_lib.sleep(max(self.dt.value, 0.001))


def main() -> None:
    """Run the IOC as its command line says."""
    ioc_options, run_options = ioc_arg_parser(
        default_prefix="random_walk:", desc="A PV that walks at random."
    )
    ioc = RandomWalkIOC(**ioc_options)
    run(ioc.pvdb, **run_options)


if __name__ == "__main__":
    main()
