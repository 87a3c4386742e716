"""This package's list form: one call of `CaChannel.util.caget` for many names."""

from __future__ import annotations

from CaChannel.util import caget

from benchmarks.peers.cachannel_family import LIBRARY
from benchmarks.peers.protocol import Parameters, Result, Stopwatch, middle_pass, names

__all__ = ["SCENARIOS"]


def get_list(parameters: Parameters) -> Result:
    pvnames = names(parameters)
    # The first call connects; what is measured is a read of channels that are connected.
    caget(pvnames)

    def one_pass() -> Result:
        watch = Stopwatch()
        values = caget(pvnames)
        watch.stop()
        done = sum(value is not None and value >= 0 for value in values)
        return watch.result(done, len(pvnames), LIBRARY)

    return middle_pass([one_pass() for _ in range(parameters.integer("passes"))])


SCENARIOS = {"get_list": get_list}
