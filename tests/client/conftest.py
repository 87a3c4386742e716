"""Fixtures of the clients' tests."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from flavours import FLAVOURS
from own_server import OwnServer


@pytest.fixture(params=list(FLAVOURS))
def client(request: pytest.FixtureRequest, ioc: Any) -> Iterator[Any]:
    """One of the three clients."""
    made = FLAVOURS[request.param]()
    yield made
    made.close()


@pytest.fixture(params=["threading", "asyncio"])
def lasting(request: pytest.FixtureRequest, ioc: Any) -> Iterator[Any]:
    """One of the two clients that have contexts and PVs."""
    made = FLAVOURS[request.param]()
    yield made
    made.close()


@pytest.fixture
def threading_client(ioc: Any) -> Iterator[Any]:
    """The threading client."""
    made = FLAVOURS["threading"]()
    yield made
    made.close()


@pytest.fixture(scope="module")
def own(ports: Any, loopback_only: None) -> Iterator[OwnServer]:
    """The IOC of this package, on a port that clients of the test process find."""
    with OwnServer(ports.other, ports.repeater) as server:
        yield server
