"""Monitors of the low-level module."""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from cachannel import ca
from cachannel._native import ffi, lib
from support.calls import Events
from support.ioc import SoftIoc
from support.waiting import wait_until

NORMAL = ca.ECA.NORMAL


def subscribe(chid: ca.Chid, seen: Events, *args: Any, **keywords: Any) -> ca.Evid:
    status, evid = ca.create_subscription(chid, seen, *args, **keywords)
    assert status == NORMAL
    assert evid is not None
    ca.flush_io()
    return evid


def test_first_event_is_the_present_value(connect) -> None:
    chid, seen = connect("catest"), Events()
    subscribe(chid, seen)
    event = seen.next()
    assert event["chid"] == chid
    assert (event["type"], event["count"], event["status"]) == (ca.DBR.DOUBLE, 1, NORMAL)
    assert isinstance(event["value"], float)


def test_every_change_comes_in_order(connect) -> None:
    chid, seen = connect("cascratch3"), Events()
    ca.put(chid, -1)
    subscribe(chid, seen)
    seen.until(lambda event: event["value"] == -1)
    for value in range(50):
        ca.put(chid, value)
    ca.flush_io()
    assert [seen.next()["value"] for _ in range(50)] == list(range(50))


def test_mask(connect) -> None:
    chid, seen = connect("cascratch3"), Events()
    assert ca.create_subscription(chid, seen, mask=0) == (ca.ECA.BADMASK, None)
    subscribe(chid, seen, mask=ca.DBE_ALARM)
    seen.next()
    ca.put(chid, 123)
    ca.flush_io()
    other = Events()
    subscribe(chid, other)
    other.until(lambda event: event["value"] == 123)
    assert seen.drain() == []


@pytest.mark.parametrize("use_numpy", [False, True])
def test_count_zero_follows_the_length(connect, use_numpy: bool) -> None:
    chid, seen = connect("cawavel"), Events()
    ca.put(chid, [1, 2, 3])
    subscribe(chid, seen, ca.DBR_TIME_LONG, 0, use_numpy=use_numpy)
    for length in (3, 1, 2):
        event = seen.until(lambda event, length=length: event["count"] == length)
        value = event["value"]["value"]
        assert (list(value) if length > 1 else [value]) == [1, 2, 3][:length]
        ca.put(chid, [1, 2, 3][: 1 if length == 3 else 2])
        ca.flush_io()


def test_only_the_first_elements(connect) -> None:
    chid, seen = connect("cawave"), Events()
    ca.put(chid, [1.5, 2.5, 3.5])
    subscribe(chid, seen, None, 2)
    assert seen.until(lambda event: event["value"] == [1.5, 2.5])["count"] == 2


@pytest.mark.parametrize("wrong", [35, 36, 39, -1])
def test_bad_type(connect, wrong: int) -> None:
    assert ca.create_subscription(connect("catest"), print, wrong) == (ca.ECA.BADTYPE, None)


def test_subscription_before_the_connection(preemptive: None) -> None:
    seen = Events()
    chid = ca.create_channel("catest", lambda event: None)[1]
    assert chid is not None
    if ca.state(chid) is not ca.ChannelState.CONN:
        assert ca.create_subscription(chid, seen)[0] in (NORMAL, ca.ECA.BADTYPE)
    subscribe(chid, seen, ca.DBR_DOUBLE)
    assert isinstance(seen.next()["value"], float)


def test_no_read_access_is_told_with_the_status(connect) -> None:
    chid, seen = connect("canoaccess"), Events()
    status = ca.create_subscription(chid, seen)[0]
    ca.flush_io()
    if status == NORMAL:
        event = seen.next()
        assert (event["status"], event["value"]) == (ca.ECA.NORDACCESS, None)
    else:
        assert status == ca.ECA.NORDACCESS


def test_lost_read_access_is_told_and_the_monitor_resumes(connect, ioc: SoftIoc) -> None:
    chid, seen = connect("carights"), Events()
    subscribe(chid, seen)
    assert seen.next()["value"] == 7.0
    ioc.command("dbpf carights.ASG NOACCESS")
    event = seen.until(lambda event: event["status"] != NORMAL)
    assert (event["status"], event["value"]) == (ca.ECA.NORDACCESS, None)
    ioc.command("dbpf carights.ASG DEFAULT")
    assert seen.until(lambda event: event["status"] == NORMAL)["value"] == 7.0


def test_cleared_subscription_is_silent_and_unknown(connect) -> None:
    chid, seen = connect("cascratch3"), Events()
    evid = subscribe(chid, seen)
    seen.next()
    assert ca.clear_subscription(evid) == NORMAL
    assert ca.clear_subscription(evid) == ca.ECA.BADMONID
    seen.drain()
    other = Events()
    ca.put(chid, 321)
    subscribe(chid, other)
    other.until(lambda event: event["value"] == 321)
    assert seen.drain() == []


def test_clearing_the_channel_ends_its_subscriptions(connect) -> None:
    chid, seen = connect("catest"), Events()
    evid = subscribe(chid, seen)
    seen.next()
    ca.clear_channel(chid)
    assert ca.clear_subscription(evid) == ca.ECA.BADMONID


def test_subscription_without_callback_is_harmless(connect) -> None:
    status, evid = ca.create_subscription(connect("cacalc"), None)
    assert status == NORMAL
    assert ca.clear_subscription(evid) == NORMAL


@pytest.mark.parametrize("wrong", [None, 1, "x"])
def test_clearing_something_else_is_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError, match="an evid is expected"):
        ca.clear_subscription(wrong)


def test_monitor_resumes_after_a_restart(connect, make_ioc: Callable[..., SoftIoc]) -> None:
    server = make_ioc('record(ao, "subs:value") { field(VAL, "1") field(PINI, "YES") }')
    chid, seen = connect("subs:value"), Events()
    subscribe(chid, seen)
    assert seen.next()["value"] == 1.0
    server.restart(['record(ao, "subs:value") { field(VAL, "2") field(PINI, "YES") }'])
    assert seen.next(60)["value"] == 2.0


def test_callbacks_are_freed_with_their_subscription(connect) -> None:
    class Callback(Events):
        pass

    chid, seen = connect("catest"), Callback()
    evid = subscribe(chid, seen)
    seen.next()
    found = weakref.ref(seen)
    ca.clear_subscription(evid)
    del seen

    def is_gone() -> bool:
        gc.collect()
        return found() is None

    wait_until(is_gone, what="the end of the callback")


def test_counts_come_back_after_many_subscriptions(connect) -> None:
    chid = connect("cacalc")
    before, after = ffi.new("cc_counts *"), ffi.new("cc_counts *")
    lib.cc_get_counts(before)
    for _ in range(100):
        evids = [ca.create_subscription(chid, print)[1] for _ in range(5)]
        for evid in evids:
            assert ca.clear_subscription(evid) == NORMAL

    def all_ended() -> bool:
        lib.cc_get_counts(after)
        return after.subscriptions == before.subscriptions

    wait_until(all_ended, what="the end of all subscriptions")
