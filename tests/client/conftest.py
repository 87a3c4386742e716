"""Fixtures of the clients' tests."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from flavours import FLAVOURS


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
