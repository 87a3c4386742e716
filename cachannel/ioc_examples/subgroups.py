"""Groups in groups, in the three ways to write them."""

import random

from cachannel.server import (
    AsyncLibraryLayer,
    PVGroup,
    PvpropertyInteger,
    SubGroup,
    ioc_arg_parser,
    pvproperty,
    run,
)


class RecordLike(PVGroup):
    """A PV with a random number, a new one every two seconds."""

    random = pvproperty(value=0, doc="A number from 1 to 100", read_only=True)

    @random.scan(period=2.0)  # type: ignore[no-redef]
    async def random(self, instance: PvpropertyInteger, async_lib: AsyncLibraryLayer) -> None:
        """Draw a number."""
        await instance.write(random.randint(1, 100))


class MyPVGroup(PVGroup):
    """The same group three times: ``group1:random``, ``group2:random``, ``group3:random``."""

    # A class, under the attribute's name.
    group1 = SubGroup(RecordLike)

    # A class, with a prefix and a macro-free name of its own.
    group2 = SubGroup(RecordLike, prefix="group2:")

    # A class written in place.
    @SubGroup(prefix="group3:")
    class group3(RecordLike):  # noqa: N801 - it becomes an attribute
        """Has all that its base class has."""


def main() -> None:
    """Run the IOC as its command line says."""
    ioc_options, run_options = ioc_arg_parser(default_prefix="subgroups:", desc="Groups in groups.")
    ioc = MyPVGroup(**ioc_options)
    run(ioc.pvdb, **run_options)


if __name__ == "__main__":
    main()
