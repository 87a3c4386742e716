"""PV names with macros, whose values come from the command line."""

from cachannel.server import (
    PVGroup,
    PvpropertyInteger,
    SubGroup,
    ioc_arg_parser,
    pvproperty,
    run,
)


class MacroifiedNames(PVGroup):
    """PVs ``{beamline}:{suffix}.VAL`` and ``{beamline}:{suffix}.RBV``.

    The names with their dots are plain PV names here; no record is behind them.
    """

    class Device(PVGroup):
        """A setting and its readback."""

        setpoint = pvproperty(value=0, name="{suffix}.VAL", doc="What is asked for")
        readback = pvproperty(value=0, name="{suffix}.RBV", doc="What there is", read_only=True)

        @setpoint.putter  # type: ignore[no-redef]
        async def setpoint(self, instance: PvpropertyInteger, value: int) -> None:
            """Follow at once."""
            await self.readback.write(value)

    device = SubGroup(Device, prefix="{beamline}:")


def main() -> None:
    """Run the IOC as its command line says."""
    ioc_options, run_options = ioc_arg_parser(
        default_prefix="macros:",
        desc="PV names with macros.",
        macros={"beamline": "my_beamline", "suffix": "thing"},
    )
    ioc = MacroifiedNames(**ioc_options)
    run(ioc.pvdb, **run_options)


if __name__ == "__main__":
    main()
