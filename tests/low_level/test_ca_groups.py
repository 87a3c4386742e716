"""Synchronous groups."""

import threading
import time
from typing import Any

import pytest

from cachannel import ca
from support.calls import SOON, Events, in_thread

NORMAL = ca.ECA.NORMAL


def test_gets_and_puts_of_a_group(connect) -> None:
    chid, wave = connect("cascratch1"), connect("cawave")
    status, group = ca.sg_create()
    assert status == NORMAL
    assert isinstance(group, int)
    assert ca.sg_test(group) == ca.ECA.IODONE
    assert ca.sg_put(group, chid, 5.5) == NORMAL
    assert ca.sg_put(group, wave, [1.5, 2.5]) == NORMAL
    assert ca.sg_block(group, 30) == NORMAL
    status, value = ca.sg_get(group, chid)
    assert status == NORMAL
    status, values = ca.sg_get(group, wave, None, 2, True)
    status, timed = ca.sg_get(group, chid, ca.DBR_TIME_DOUBLE)
    assert ca.sg_block(group, 30) == NORMAL
    assert ca.sg_test(group) == ca.ECA.IODONE
    assert value is not None
    assert values is not None
    assert timed is not None
    assert value.get() == 5.5
    assert values.get().tolist() == [1.5, 2.5]
    assert timed.get()["value"] == 5.5
    assert ca.sg_delete(group) == NORMAL
    assert value.get() == 5.5


def test_unknown_group(connect) -> None:
    chid = connect("catest")
    group = ca.sg_create()[1]
    assert ca.sg_delete(group) == NORMAL
    for gid in (group, 0, 2**32 - 1):
        assert ca.sg_delete(gid) == ca.ECA.BADSYNCGRP
        assert ca.sg_reset(gid) == ca.ECA.BADSYNCGRP
        assert ca.sg_test(gid) == ca.ECA.BADSYNCGRP
        assert ca.sg_block(gid, 1) == ca.ECA.BADSYNCGRP
        assert ca.sg_get(gid, chid) == (ca.ECA.BADSYNCGRP, None)
        assert ca.sg_put(gid, chid, 1) == ca.ECA.BADSYNCGRP


def test_time_out_empties_the_group(connect) -> None:
    chid = connect("caslow")
    group = ca.sg_create()[1]
    ca.sg_put(group, chid, 1)
    assert ca.sg_test(group) == ca.ECA.IOINPROGRESS
    assert ca.sg_block(group, 0.01) == ca.ECA.TIMEOUT
    assert ca.sg_test(group) == ca.ECA.IODONE
    assert ca.sg_block(group, 30) == NORMAL
    ca.sg_put(group, chid, 2)
    assert ca.sg_reset(group) == NORMAL
    assert ca.sg_test(group) == ca.ECA.IODONE
    ca.sg_delete(group)


def test_refused_put_is_a_time_out_and_an_exception(connect) -> None:
    seen = Events()
    ca.add_exception_event(seen)
    chid = connect("cadisabled")
    group = ca.sg_create()[1]
    assert ca.sg_put(group, chid, 1) == NORMAL
    assert ca.sg_block(group, 30) == ca.ECA.TIMEOUT
    event = seen.next()
    assert (event["state"], event["type"]) == (ca.ECA.PUTFAIL, ca.DBR.INVALID)
    ca.sg_delete(group)


def test_what_cannot_be_started(connect) -> None:
    group = ca.sg_create()[1]
    assert ca.sg_get(group, connect("canoaccess")) == (ca.ECA.NORDACCESS, None)
    assert ca.sg_get(group, connect("catest"), 99) == (ca.ECA.BADTYPE, None)
    assert ca.sg_put(group, connect("caread"), 1) == ca.ECA.NOWTACCESS
    assert ca.sg_put(group, connect("catest"), 1, 20) == ca.ECA.BADTYPE
    chid = connect("catest")
    ca.clear_channel(chid)
    assert ca.sg_get(group, chid) == (ca.ECA.BADCHID, None)
    assert ca.sg_put(group, chid, 1) == ca.ECA.BADCHID
    assert ca.sg_block(group, 30) == NORMAL
    ca.sg_delete(group)


@pytest.mark.parametrize("text", ["x" * 40])
def test_text_too_long_in_a_group(connect, text: str) -> None:
    group = ca.sg_create()[1]
    assert ca.sg_put(group, connect("castring"), text) == ca.ECA.BADSTR
    ca.sg_delete(group)


def test_groups_of_several_threads(connect) -> None:
    """Each thread waits for its own group; a slow one delays nobody."""
    chid, slow = connect("catest"), connect("caslow")
    context = ca.current_context()
    assert context is not None
    failures: list[object] = []

    def work(number: int) -> None:
        try:
            ca.attach_context(context)
            group = ca.sg_create()[1]
            for _ in range(20):
                values = [ca.sg_get(group, chid)[1] for _ in range(5)]
                assert ca.sg_block(group, 30) == NORMAL
                assert all(value is not None and value.get() is not None for value in values)
            assert ca.sg_delete(group) == NORMAL
        except BaseException as exc:
            failures.append(exc)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    group = ca.sg_create()[1]
    ca.sg_put(group, slow, 1)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert ca.sg_block(group, 30) == NORMAL
    ca.sg_delete(group)
    assert failures == []


def test_group_of_a_thread_without_preemption_used_from_another(ioc: object) -> None:
    """Two threads drain the same queue without stepping on each other's batch."""
    ready, stop = threading.Event(), threading.Event()
    found: list[object] = []
    seen = Events()

    def owner() -> None:
        ca.create_context(False)
        chid = ca.create_channel("cacalc")[1]
        assert chid is not None
        ca.pend_io(30)
        for _ in range(20):
            ca.create_subscription(chid, seen, ca.DBR_CTRL_DOUBLE)
        found.extend([chid, ca.sg_create()[1]])
        ready.set()
        while not stop.is_set():
            ca.pend_event(0.01)
        ca.destroy_context()

    thread = threading.Thread(target=owner)
    thread.start()
    try:
        assert ready.wait(SOON)
        chid, group = found
        end = time.monotonic() + 2
        while time.monotonic() < end:
            value = ca.sg_get(group, chid)[1]  # type: ignore[arg-type]
            assert in_thread(lambda: ca.sg_block(group, 30)) == NORMAL  # type: ignore[arg-type]
            assert value is not None
            assert isinstance(value.get(), float)
    finally:
        stop.set()
        thread.join(SOON)
    assert all(event["value"]["units"] == "ticks" for event in seen.drain())


@pytest.mark.parametrize("wrong", [None, "1", [], 1.5])
def test_what_is_no_gid_is_a_type_error(connect, wrong: Any) -> None:
    chid = connect("catest")
    calls = [(ca.sg_test, ()), (ca.sg_block, (1,)), (ca.sg_reset, ()), (ca.sg_delete, ()),
             (ca.sg_get, (chid,)), (ca.sg_put, (chid, 1))]  # fmt: skip
    for function, arguments in calls:
        with pytest.raises(TypeError):
            function(wrong, *arguments)


def test_get_of_a_channel_that_is_not_connected(preemptive) -> None:
    _, chid = ca.create_channel("no:such:pv", print)
    _, gid = ca.sg_create()
    assert ca.sg_get(gid, chid) == (ca.ECA.DISCONN, None)
    assert ca.sg_get(gid, chid, ca.DBR_LONG) == (ca.ECA.DISCONN, None)
    assert ca.sg_get(gid, chid, 99) == (ca.ECA.BADTYPE, None)
    ca.sg_delete(gid)
