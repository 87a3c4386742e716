"""Messages of class CaChannel and its kin name the connection, or the field, that is missing."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cachannel import CaChannel, CaChannelException, ca
from cachannel.epicsMotor import epicsMotor
from cachannel.epicsPV import epicsPV
from cachannel.many import connect_many, get_many, put_many
from cachannel.util import caget, camonitor, caput
from support.ioc import SoftIoc
from support.waiting import wait_until

RECORDS = """
record(ao, "gone:a") { field(VAL, "1") field(PINI, "YES") }
record(ao, "gone:b") { field(VAL, "1") field(PINI, "YES") }
record(calc, "gone:calc") { field(CALC, "1") field(PINI, "YES") }
"""
LOST = "the connection to its server was lost"
NEVER = "no server of this PV has answered yet"
MISLEADING = "The data type specified is invalid"


@pytest.fixture(scope="module")
def lost(ports: Any, loopback_only: None) -> Iterator[CaChannel]:
    """A channel whose server has ended; `caget` and its kin have one to the same server."""
    with SoftIoc([RECORDS], port=ports.other, repeater_port=ports.repeater) as ioc:
        channel = epicsPV("gone:a", wait=False)
        channel.pend_io(60)
        assert caget(["gone:a", "gone:b"]) == [1.0, 1.0]
        ioc.kill()
        wait_until(lambda: channel.state() == ca.cs_prev_conn, what="the loss")
        yield channel


@pytest.fixture
def never(loopback_only: None) -> CaChannel:
    """A channel that no server has."""
    channel = epicsPV()
    # With a callback, as the waits of other tests would wait for it otherwise.
    channel.search_and_connect("gone:never", lambda event, args: None)
    return channel


CALLS: dict[str, Callable[[Any], Any]] = {
    "getw": lambda c: c.getw(),
    "array_get": lambda c: c.array_get(),
    "array_get with NumPy": lambda c: c.array_get(use_numpy=True),
    "array_get_callback": lambda c: c.array_get_callback(None, None, print),
    "putw, number": lambda c: c.putw(2),
    "putw, text": lambda c: c.putw("2"),
    "putw, array": lambda c: c.putw([1, 2]),
    "array_put_callback": lambda c: c.array_put_callback(1, None, None, print),
    "add_masked_array_event": lambda c: c.add_masked_array_event(None, None, None, print),
    "putWait": lambda c: c.putWait(1),
    "getControl": lambda c: c.getControl(),
    "setMonitor": lambda c: c.setMonitor(),
    "get_many": lambda c: get_many([c]),
    "put_many": lambda c: put_many([c], [1.0]),
    "put_many, waiting": lambda c: put_many([c], [1.0], wait=True, timeout=60),
    "put_many, text": lambda c: put_many([c], ["1"]),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_lost_channel_names_its_connection(call: str, lost: CaChannel) -> None:
    """The status is that of CaChannel, the text is about the connection."""
    with pytest.raises(CaChannelException) as caught:
        CALLS[call](lost)
    text = str(caught.value)
    # Numbers for many channels are not looked at before they are sent.
    is_quick = call in ("put_many", "put_many, waiting")
    assert caught.value.status == (ca.ECA_DISCONN if is_quick else ca.ECA_BADTYPE)
    assert text.startswith("Virtual circuit disconnect: " if is_quick else "The channel is not ")
    assert "gone:a" in text
    assert str(pickle.loads(pickle.dumps(caught.value))) == text
    if "many" not in call:
        assert text.endswith(LOST)


@pytest.mark.parametrize("call", CALLS)
def test_a_channel_that_never_connected_names_that(call: str, never: CaChannel) -> None:
    """No server was found: that is another cause than a lost one."""
    with pytest.raises(CaChannelException) as caught:
        CALLS[call](never)
    text = str(caught.value)
    assert text.startswith("The channel is not connected: ")
    if "many" not in call:
        assert text.endswith(NEVER)


@pytest.mark.parametrize(
    "call",
    [
        lambda: caget("gone:b"),
        lambda: caget(["gone:a", "gone:b"]),
        lambda: caput("gone:b", 1),
        lambda: caput("gone:b", 1, wait=True, timeout=60),
        lambda: camonitor("gone:b"),
    ],
)
def test_util_names_the_connection(call: Callable[[], Any], lost: CaChannel) -> None:
    """The functions that keep channels do as class CaChannel."""
    with pytest.raises(CaChannelException, match=r"not connected.*gone:"):
        call()


def test_with_a_type_the_text_of_libca_is_right(lost: CaChannel, never: CaChannel) -> None:
    """With a type the status is ECA_DISCONN, whose text is right for a lost channel."""
    with pytest.raises(CaChannelException, match=rf"^Virtual circuit disconnect: .*{LOST}$"):
        lost.getw(ca.DBR_DOUBLE)
    with pytest.raises(CaChannelException, match=rf"^The channel is not connected: .*{NEVER}$"):
        never.getw(ca.DBR_DOUBLE)


def test_a_type_that_does_not_exist_is_told(lost: CaChannel, ioc: SoftIoc) -> None:
    """A wrong type is wrong with and without a connection."""
    connected = CaChannel("catest")
    connected.setTimeout(60)
    connected.searchw()
    for channel in (lost, connected):
        with pytest.raises(CaChannelException, match=MISLEADING):
            channel.array_get(99)


def test_pend_io_names_what_did_not_connect(ioc: SoftIoc) -> None:
    """The object that waits may be connected; its name is no news."""
    first, second = CaChannel("catest"), CaChannel("gone:missing")
    first.search()
    second.search()
    wait_until(lambda: first.state() == ca.cs_conn, what="the connection")
    with pytest.raises(CaChannelException) as caught:
        first.pend_io(0.1)
    assert caught.value.status == ca.ECA_TIMEOUT
    assert caught.value.pvname == "gone:missing"
    assert "not connected: 'gone:missing'" in str(caught.value)
    assert "catest" not in str(caught.value)


def test_pend_io_names_what_was_not_answered(make_ioc: Callable[..., SoftIoc]) -> None:
    """A read without an answer is told apart from a channel without a connection."""
    running = make_ioc(RECORDS.replace("gone:", "hung:"))
    channels = connect_many(["hung:a", "hung:b"], 60)
    running.freeze()
    try:
        for channel in channels:
            channel.array_get()
        with pytest.raises(CaChannelException) as caught:
            channels[0].pend_io(0.2)
    finally:
        running.thaw()
    names = sorted(name for name in ("'hung:a'", "'hung:b'") if name in str(caught.value))
    assert names == ["'hung:a'", "'hung:b'"]
    assert "no answer: " in str(caught.value)
    assert "not connected" not in str(caught.value)


def test_a_record_that_is_not_a_motor_names_the_fields(
    make_ioc: Callable[..., SoftIoc], monkeypatch: pytest.MonkeyPatch
) -> None:
    """VAL and DESC are there; the fields of a motor are not."""
    make_ioc(RECORDS.replace("gone:", "other:"))
    first = CaChannel("other:calc")
    first.setTimeout(60)
    first.searchw()
    monkeypatch.setattr(CaChannel, "ca_timeout", 2.0)
    with pytest.raises(CaChannelException) as caught:
        epicsMotor("other:calc")
    assert caught.value.status == ca.ECA_TIMEOUT
    named = re.findall(r"'other:calc\.(\w+)'", str(caught.value).partition("not connected: ")[2])
    assert len(named) == 5
    assert not {"VAL", "DESC"} & set(named)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: get_many(["gone:a"]), "get_many takes a list of channels.*str 'gone:a'.*caget"),
        (lambda: get_many("gone:a"), "get_many takes a list of channels.*str 'gone:a'"),
        (lambda: get_many(["gone:a"], as_string=True), "get_many takes a list of channels"),
        (lambda: get_many(CaChannel("x")), "get_many takes a list of channels.*CaChannel"),
        (lambda: get_many([None]), "get_many takes a list of channels.*NoneType None"),
        (lambda: put_many(["gone:a"], [1.0]), "put_many takes a list of channels.*caput"),
        (lambda: put_many(["gone:a"], ["1"]), "put_many takes a list of channels"),
        (lambda: put_many("ab", [1, 2]), "put_many takes a list of channels.*str 'ab'"),
        (lambda: connect_many("gone:a"), "connect_many takes a list of names, not str 'gone:a'"),
    ],
)
def test_functions_of_many_channels_say_what_they_take(call: Callable[[], Any], words: str) -> None:
    """A name in place of a channel is a TypeError that says so."""
    with pytest.raises(TypeError, match=words):
        call()
