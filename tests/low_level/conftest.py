"""A context of its own for every test of `cachannel.ca`."""

from collections.abc import Callable, Iterator

import pytest

from cachannel import ca
from support.ioc import SoftIoc

Connect = Callable[..., ca.Chid]


@pytest.fixture
def preemptive(ioc: SoftIoc) -> Iterator[None]:
    """The test thread has a preemptive context, which ends with the test."""
    ca.detach_context()
    assert ca.create_context(True) == ca.ECA.NORMAL
    yield
    ca.destroy_context()


@pytest.fixture
def connect(preemptive: None) -> Connect:
    """A function that connects to a PV."""

    def connected(name: str, callback: object = None) -> ca.Chid:
        status, chid = ca.create_channel(name, callback)
        assert status == ca.ECA.NORMAL
        assert chid is not None
        if callback is None:
            assert ca.pend_io(30) == ca.ECA.NORMAL
        return chid

    return connected
