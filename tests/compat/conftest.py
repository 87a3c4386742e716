"""Fixtures of the tests of `epics_compat`."""

from collections.abc import Iterator

import pytest

import epics_compat as epics


@pytest.fixture(autouse=True)
def fresh_cache() -> Iterator[None]:
    """Leave no PV of one test to the next."""
    yield
    for name in list(epics._PVmonitors_):
        epics.camonitor_clear(name)
    epics.pv.clear_pvcache()
