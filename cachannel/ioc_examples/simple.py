"""Three PVs that keep what is written to them."""

from cachannel.server import PVGroup, ioc_arg_parser, pvproperty, run


class SimpleIOC(PVGroup):
    """Three PVs that keep what is written to them.

    A is an integer, B a floating point number, C an array of three integers.
    """

    A = pvproperty(value=1, doc="An integer")
    B = pvproperty(value=2.0, doc="A floating point number")
    C = pvproperty(value=[1, 2, 3], doc="Up to three integers")


def main() -> None:
    """Run the IOC as its command line says."""
    ioc_options, run_options = ioc_arg_parser(
        default_prefix="simple:", desc="Three PVs that keep what is written to them."
    )
    ioc = SimpleIOC(**ioc_options)
    run(ioc.pvdb, **run_options)


if __name__ == "__main__":
    main()
