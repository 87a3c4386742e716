"""An IOC whose log a test reads; with "plain" it sets up no logging, as many programs do."""

import sys

from cachannel.server import PVGroup, ioc_arg_parser, pvproperty, run


class Logged(PVGroup):
    """Two PVs, one of them read only."""

    x = pvproperty(value=1.0)
    ro = pvproperty(value=1.0, read_only=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["plain"]:
        import cachannel.context  # noqa: F401 - an IOC that is a client too has this

        run(Logged(prefix="log:").pvdb, interfaces=["127.0.0.1", *sys.argv[2:]])
    else:
        ioc_options, run_options = ioc_arg_parser(default_prefix="log:", desc="logs")
        run(Logged(**ioc_options).pvdb, **run_options)
