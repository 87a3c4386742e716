"""The three clients against the IOC of this package."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from cachannel.protocol.errors import CaprotoError
from cachannel.sync.client import read
from support.ioc import clean_environment
from support.ports import client_environment, server_environment
from support.waiting import wait_until


@pytest.fixture(scope="module")
def own_ioc(ports: Any, loopback_only: None) -> Iterator[str]:
    """The example ``simple`` on the second port of the run; gives the prefix of its PVs."""
    environment = clean_environment() | client_environment([ports.other], ports.repeater)
    environment |= server_environment(ports.other, ports.repeater)
    process = subprocess.Popen(
        [sys.executable, "-m", "cachannel.ioc_examples.simple", "--prefix", "own:"],
        env=environment,
        start_new_session=True,
    )
    try:
        wait_until(lambda: _answers(process), 30, what="the start of the IOC")
        yield "own:"
    finally:
        process.terminate()
        process.wait(10)


def _answers(process: "subprocess.Popen[bytes]") -> bool:
    assert process.poll() is None
    try:
        return bool(read("own:A", timeout=0.5).status.success)
    except CaprotoError:
        return False


def test_read_write_and_metadata(client: Any, own_ioc: str) -> None:
    for number in (5, 6):
        assert client.write(f"{own_ioc}A", number).status.success
        response = client.read(f"{own_ioc}A", data_type="time")
        assert response.data[0] == number
        assert response.metadata.timestamp > 1e9
    assert client.write(f"{own_ioc}B", "2.25").status.success
    assert client.read(f"{own_ioc}B").data[0] == 2.25


def test_arrays_have_their_current_length(client: Any, own_ioc: str) -> None:
    client.write(f"{own_ioc}C", [4, 5])
    assert list(client.read(f"{own_ioc}C").data) == [4, 5]
    client.write(f"{own_ioc}C", np.array([1, 2, 3], ">i4"))
    assert list(client.read(f"{own_ioc}C").data) == [1, 2, 3]


def test_updates_come_in_order(client: Any, own_ioc: str) -> None:
    client.write(f"{own_ioc}A", 0)
    following = client.follow(f"{own_ioc}A")
    try:
        wait_until(lambda: following.responses)
        for number in range(1, 21):
            client.write(f"{own_ioc}A", number)
        wait_until(lambda: following.numbers and following.numbers[-1] == 20)
        assert following.numbers == sorted(following.numbers)
    finally:
        following.stop()
