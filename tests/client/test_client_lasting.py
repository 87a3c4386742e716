"""What the threading and the asyncio client do alike with contexts, PVs and subscriptions."""

import asyncio
import contextlib
import gc
import getpass
import logging
import queue
import socket
import threading
import time
from typing import Any

import numpy as np
import pytest

from cachannel.client.common import ContextDisconnectedError, DisconnectedError
from cachannel.client.requests import (
    EchoRequest,
    EventsOffRequest,
    EventsOnRequest,
    ReadNotifyRequest,
)
from cachannel.protocol.channel_types import AccessRights, ChannelType
from cachannel.protocol.errors import (
    CaprotoNotImplementedError,
    CaprotoTimeoutError,
    ValidationError,
)
from support.waiting import wait_until

RECORD = 'record(ao, "{name}") {{ field(VAL, "{value}") field(PINI, "YES") }}\n'


def do(lasting: Any, made: Any) -> Any:
    """Wait for what a call of the asyncio client gives; that of the other is the answer."""
    return lasting.do(made) if lasting.name == "asyncio" else made


def on_loop(lasting: Any, function: Any, *arguments: Any) -> Any:
    """Call a plain function where the client wants it called."""
    if lasting.name != "asyncio":
        return function(*arguments)

    async def call() -> Any:
        return function(*arguments)

    return lasting.do(call())


def test_the_same_name_and_priority_give_the_same_pv(lasting: Any) -> None:
    first = lasting.pv("catest")
    assert lasting.pv("catest") is first
    (other,) = do(lasting, lasting.context.get_pvs("catest", priority=5))
    assert other is not first
    assert set(lasting.context.pvs) == {("catest", 0), ("catest", 5)}
    with pytest.raises(ValidationError):
        do(lasting, lasting.context.get_pvs("catest", priority=100))


def test_reprs_tell_the_state(lasting: Any, ioc: Any) -> None:
    pv, lost = lasting.pv("catest"), lasting.pv("cadoesnotexist")
    do(lasting, pv.wait_for_connection())
    assert repr(pv) == (
        f"<PV name='catest' priority=0 address=('127.0.0.1', {ioc.port}), "
        "circuit_state=States.CONNECTED, channel_state=States.CONNECTED>"
    )
    assert repr(lost) == "<PV name='cadoesnotexist' priority=0 (searching....)>"
    pending = "searches_pending=1 " if lasting.name == "threading" else ""
    assert repr(lasting.context) == f"<Context {pending}circuits=1 pvs=2 idle=0>"
    do(lasting, pv.go_idle())
    assert repr(pv) == "<PV name='catest' priority=0 (idle)>"


def test_an_idle_pv_connects_again_when_it_is_used(lasting: Any) -> None:
    pv = lasting.pv("catest")
    do(lasting, pv.read())
    do(lasting, pv.go_idle())
    assert not pv.connected
    assert do(lasting, pv.read()).status.success
    assert pv.connected


def test_the_loggers_of_pvs_circuits_and_contexts(lasting: Any) -> None:
    pv = lasting.pv("catest")
    do(lasting, pv.wait_for_connection())
    ends = [thing.log.name.rpartition(".")[2] for thing in (pv, pv.circuit_manager, pv.context)]
    assert ends == ["ch", "circ", "ctx"]


def test_a_pv_goes_idle_after_the_requests_that_nobody_waits_for(lasting: Any) -> None:
    pv = lasting.pv("caslow")
    do(lasting, pv.write(1))  # what another test has begun is over after it
    do(lasting, pv.write(1))
    seen: list[Any] = []
    do(lasting, pv.write(2, wait=False, callback=seen.append))
    do(lasting, pv.read(wait=False, callback=seen.append))
    do(lasting, pv.go_idle())
    assert not pv.connected
    wait_until(lambda: len(seen) == 2)
    assert {type(response).__name__ for response in seen} == {
        "ReadNotifyResponse", "WriteNotifyResponse",
    }  # fmt: skip
    assert all(response.status.success for response in seen)


def test_a_pv_with_a_subscription_does_not_go_idle(lasting: Any) -> None:
    following = lasting.follow("catest")
    wait_until(lambda: following.responses)
    pv = following.subscription.pv
    do(lasting, pv.go_idle())
    assert pv.connected
    following.stop()
    do(lasting, pv.go_idle())
    assert not pv.connected


def test_what_a_connected_pv_knows(lasting: Any, ioc: Any) -> None:
    pv = lasting.pv("caread")
    assert pv.channel is None or pv.connected
    do(lasting, pv.wait_for_connection())
    assert pv.channel.native_data_type is ChannelType.DOUBLE
    assert pv.access_rights == AccessRights.READ
    assert pv.circuit_manager.circuit.address == ("127.0.0.1", ioc.port)
    assert 0 <= pv.time_since_last_heard() < 30
    heard = lasting.context.broadcaster.time_since_last_heard()
    assert list(heard) == [("127.0.0.1", ioc.port)]


def test_numbers_of_requests_count_from_zero(lasting: Any) -> None:
    pv = lasting.pv("catest")
    assert [do(lasting, pv.read()).ioid for _ in range(3)] == [0, 1, 2]
    assert do(lasting, pv.write(1)).ioid == 3


def test_time_outs_fall_back_from_call_to_pv_to_context(lasting: Any) -> None:
    pv = lasting.pv("cadoesnotexist")
    assert pv.timeout == lasting.context.timeout
    pv.timeout = 0.15
    with pytest.raises(CaprotoTimeoutError, match=r"0\.15 s"):
        do(lasting, pv.read())
    with pytest.raises(CaprotoTimeoutError, match=r"0\.05 s"):
        do(lasting, pv.write(1, timeout=0.05))


def test_a_callback_of_a_read_gets_the_response(lasting: Any) -> None:
    seen: list[Any] = []
    pv = lasting.pv("catest")
    assert do(lasting, pv.read(wait=False, callback=seen.append)) is None
    wait_until(lambda: len(seen) == 1)
    assert do(lasting, pv.write(2.5, wait=False, callback=seen.append)) is None
    wait_until(lambda: len(seen) == 2)
    assert seen[1].status.success
    with pytest.raises(ValueError, match="notify"):
        do(lasting, pv.write(1, notify=False))


def test_a_callback_that_raises_is_logged_and_stops_nobody(
    lasting: Any, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Any] = []

    def bad(subscription: Any, response: Any) -> None:
        raise RuntimeError("on purpose")

    def good(subscription: Any, response: Any) -> None:
        seen.append(response)

    subscription = lasting.pv("cascratch1").subscribe()
    with caplog.at_level(logging.ERROR, logger="cachannel.ch"):
        on_loop(lasting, subscription.add_callback, bad)
        on_loop(lasting, subscription.add_callback, good)
        wait_until(lambda: seen)
        lasting.write("cascratch1", seen[0].data[0] + 1)
        wait_until(lambda: len(seen) >= 2)
    assert "on purpose" in caplog.text


def test_a_collected_callback_ends_the_subscription(lasting: Any) -> None:
    kept = [lasting.follow("catest")]
    subscription = kept[0].subscription
    wait_until(lambda: kept[0].responses)
    assert subscription.subscriptionid == 0
    kept.clear()
    gc.collect()
    wait_until(lambda: subscription.subscriptionid is None)
    assert not subscription.callbacks


def test_a_later_callback_gets_the_latest_value_at_once(lasting: Any) -> None:
    following = lasting.follow("catest")
    wait_until(lambda: following.responses)
    seen: list[Any] = []

    def later(subscription: Any, response: Any) -> None:
        seen.append(response)

    on_loop(lasting, following.subscription.add_callback, later)
    wait_until(lambda: seen)
    assert seen[0] is following.subscription.most_recent_response
    following.stop()


def test_the_same_arguments_give_the_same_subscription(lasting: Any) -> None:
    pv = lasting.pv("catest")
    assert pv.subscribe() is pv.subscribe()
    assert pv.subscribe(data_type="time") is not pv.subscribe()
    with pytest.raises(KeyError):
        pv.subscribe(data_type="bogus")


def test_events_off_keeps_only_the_latest(lasting: Any) -> None:
    lasting.write("cascratch3", 0)
    following = lasting.follow("cascratch3")
    wait_until(lambda: following.responses)
    circuit = following.subscription.pv.circuit_manager
    do(lasting, circuit.events_off())
    for number in (1, 2, 3):
        lasting.write("cascratch3", number)
    wait_until(lambda: circuit.held and [r.data[0] for r in circuit.held.values()] == [3])
    assert following.numbers == [0]
    do(lasting, circuit.events_on())
    wait_until(lambda: following.numbers == [0, 3])
    following.stop()


def test_a_cancelled_search_begins_again_with_get_pvs(lasting: Any, make_ioc: Any) -> None:
    pv = lasting.pv("calate")
    lasting.context.broadcaster.cancel("calate")
    make_ioc(RECORD.format(name="calate", value=4))
    with pytest.raises(CaprotoTimeoutError):
        do(lasting, pv.read(timeout=0.1))
    assert lasting.pv("calate") is pv
    assert do(lasting, pv.read()).data[0] == 4


def test_everything_goes_on_after_a_restart_of_the_server(lasting: Any, make_ioc: Any) -> None:
    names = [f"camany{i}" for i in range(200)]
    running = make_ioc("".join(RECORD.format(name=n, value=1) for n in names))
    states: dict[str, list[str]] = {name: [] for name in names}
    latest: dict[str, float] = {}

    def state(pv: Any, text: str) -> None:
        states[pv.name].append(text)

    def update(subscription: Any, response: Any) -> None:
        latest[subscription.pv.name] = response.data[0]

    pvs = do(lasting, lasting.context.get_pvs(*names, connection_state_callback=state))
    for pv in pvs:
        on_loop(lasting, pv.subscribe().add_callback, update)
    wait_until(lambda: len(latest) == 200)
    running.restart(["".join(RECORD.format(name=n, value=2) for n in names)], crash=True)
    wait_until(lambda: all(latest[name] == 2 for name in names), 60)
    wait_until(
        lambda: all(s == ["connected", "disconnected", "connected"] for s in states.values())
    )


def test_a_lost_pv_keeps_what_was_known_and_losing_it_is_no_change_of_rights(
    lasting: Any, make_ioc: Any
) -> None:
    running = make_ioc(RECORD.format(name="calost", value=1))
    told: list[Any] = []

    def state(pv: Any, text: str) -> None:
        told.append(text)

    def rights(pv: Any, value: Any) -> None:
        told.append(value)

    (pv,) = do(
        lasting,
        lasting.context.get_pvs(
            "calost", connection_state_callback=state, access_rights_callback=rights
        ),
    )
    (nowhere,) = do(lasting, lasting.context.get_pvs("cadoesnotexist"))
    assert (nowhere.channel, nowhere.access_rights) == (None, None)
    both = AccessRights.READ | AccessRights.WRITE
    wait_until(lambda: told == [both, "connected"])
    running.kill()
    wait_until(lambda: told == [both, "connected", "disconnected"])
    assert pv.access_rights == both
    assert pv.channel.native_data_type is ChannelType.DOUBLE


def test_access_rights_are_told_when_they_change(lasting: Any, ioc: Any) -> None:
    told: list[Any] = []

    def rights(pv: Any, value: Any) -> None:
        told.append(value)

    do(lasting, lasting.context.get_pvs("carights", access_rights_callback=rights))
    both = AccessRights.READ | AccessRights.WRITE
    wait_until(lambda: told == [both])
    ioc.command("dbpf carights.ASG READONLY")
    wait_until(lambda: told == [both, AccessRights.READ])
    ioc.command("dbpf carights.ASG DEFAULT")
    wait_until(lambda: told == [both, AccessRights.READ, both])


def test_two_contexts_share_a_broadcaster(lasting: Any) -> None:
    cls = type(lasting.context)
    other = on_loop(lasting, cls, lasting.context.broadcaster)
    (pv,) = do(lasting, other.get_pvs("catest"))
    assert do(lasting, pv.read()).status.success
    do(lasting, other.disconnect())
    assert lasting.read("catest").status.success


def test_after_disconnect_nothing_works_any_more(lasting: Any) -> None:
    pv = lasting.pv("catest")
    do(lasting, pv.read())
    do(lasting, lasting.context.disconnect())
    do(lasting, lasting.context.disconnect())
    assert "(searching....)" in repr(pv)
    # At once, although the time-out is that of the context; caproto lets the call time out.
    for request in (pv.read, lambda: pv.write(1), pv.wait_for_connection):
        for expected in (ContextDisconnectedError, CaprotoTimeoutError):
            with pytest.raises(expected, match="'catest': the context is disconnected"):
                do(lasting, request())
    for name in ("read_many", "write_many"):
        with pytest.raises(ContextDisconnectedError, match=f"{name[:-5]} of 'catest'"):
            do(lasting, getattr(lasting.context, name)([pv], *([[1]] if name[0] == "w" else [])))
    with pytest.raises(DisconnectedError):
        pv._last_heard()
    with pytest.raises(ContextDisconnectedError):
        do(lasting, lasting.context.get_pvs("catest"))


def test_many_pvs_are_read_with_one_call(lasting: Any) -> None:
    names = ["catest", "calong", "castring", "cawaveh", "canoaccess"]
    lasting.write("catest", 1.5)
    lasting.write("calong", 3)
    lasting.write("castring", "a string")
    lasting.write("cawaveh", [1, 2])
    readings = do(lasting, lasting.context.read_many(names, throw=False, data_type="time"))
    assert readings.values[:3] == [1.5, 3, "a string"]
    assert list(readings.values[3]) == [1, 2]
    assert readings.values[4] is None
    assert list(readings.failed) == ["canoaccess"]
    assert readings[0].metadata.timestamp > 1e9
    assert readings[4].status.name == "ECA_NORDACCESS"
    assert np.isnan(readings.array[2])
    assert readings.array[0] == 1.5
    with pytest.raises(Exception, match="canoaccess"):
        do(lasting, lasting.context.read_many(names))


def test_more_elements_of_many_than_there_are_come_as_zeros(lasting: Any) -> None:
    names = ["catest", "calong", "castring", "cawaveh", "canoaccess"]
    lasting.write("catest", 1.5)
    lasting.write("cawaveh", [1, 2])
    readings = do(lasting, lasting.context.read_many(names, throw=False, data_count=12))
    assert [reading.data_count for reading in readings] == [12, 12, 12, 12, 0]
    assert list(readings[0].data) == list(lasting.read("catest", data_count=12).data)
    assert readings[2].data == [b"a string"] + [b""] * 11
    first, second, text, array, refused = readings.values
    assert [list(first), list(second)] == [[1.5] + [0] * 11, [3] + [0] * 11]
    assert text == ["a string"] + [""] * 11
    assert list(array) == [1, 2] + [0] * 10
    assert refused is None


def test_an_unknown_pv_among_many_is_named(lasting: Any) -> None:
    names = ["catest", "cadoesnotexist"]
    lasting.read("catest")
    with pytest.raises(CaprotoTimeoutError, match="cadoesnotexist"):
        do(lasting, lasting.context.read_many(names, timeout=0.3))
    readings = do(lasting, lasting.context.read_many(names, timeout=1.0, throw=False))
    assert readings[0].status.success


def test_many_pvs_are_written_with_one_call(lasting: Any) -> None:
    names = ["cascratch1", "cascratch2", "cambbo"]
    assert do(lasting, lasting.context.write_many(names, [1.5, 2.5, "two"])) == [None] * 3
    assert do(lasting, lasting.context.read_many(names)).values == [1.5, 2.5, 2]
    errors = do(lasting, lasting.context.write_many([*names, "caread"], 1, throw=False))
    assert errors[:3] == [None] * 3
    assert "caread" in str(errors[3])
    with pytest.raises(ValueError, match="values"):
        do(lasting, lasting.context.write_many(names, [1]))


def test_a_callback_that_exits_or_unsubscribes_itself_stops_nobody(
    lasting: Any, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    def leaves(subscription: Any, response: Any) -> None:
        seen.append("leaves")
        raise SystemExit

    def once(subscription: Any, response: Any) -> None:
        seen.append("once")
        subscription._forget(1)

    def stays(subscription: Any, response: Any) -> None:
        seen.append("stays")

    lasting.write("cascratch2", 0)
    subscription = lasting.pv("cascratch2").subscribe()
    for function in (leaves, once, stays):
        on_loop(lasting, subscription.add_callback, function)
    wait_until(lambda: "stays" in seen)
    for number in (1, 2, 3):
        lasting.write("cascratch2", number)
    wait_until(lambda: seen.count("stays") == 4)
    assert seen.count("once") == 1
    assert seen.count("leaves") == 4
    do(lasting, subscription.clear())


def test_more_workers_run_callbacks_side_by_side(lasting: Any) -> None:
    together, met = threading.Barrier(3), []
    made = on_loop(lasting, lambda: type(lasting.context)(timeout=60, max_workers=3))

    def meet(subscription: Any, response: Any) -> None:
        together.wait(60)
        met.append(subscription)

    pvs = do(lasting, made.get_pvs("catest", "calong", "cambbo"))
    for pv in pvs:
        on_loop(lasting, pv.subscribe().add_callback, meet)
    wait_until(lambda: len(met) == 3, 90)
    do(lasting, made.disconnect())
    assert not together.broken


def test_a_subscription_before_the_connection_is_served_later(lasting: Any, make_ioc: Any) -> None:
    following = lasting.follow("calater")
    assert following.subscription.subscriptionid is None
    make_ioc(RECORD.format(name="calater", value=6))
    wait_until(lambda: following.numbers == [6], 60)
    following.stop()


def test_a_subscription_begins_again_with_a_new_number(lasting: Any) -> None:
    following = lasting.follow("catest")
    wait_until(lambda: following.responses)
    subscription = following.subscription
    following.stop()
    assert subscription.subscriptionid is None
    on_loop(lasting, subscription.add_callback, following.take)
    wait_until(lambda: len(following.responses) == 2)
    assert subscription.subscriptionid == 1
    assert repr(subscription) == "<Subscription to 'catest', id=1>"
    do(lasting, subscription.pv.unsubscribe_all())
    assert subscription.subscriptionid is None


def test_two_contexts_of_their_own_do_not_disturb_each_other(lasting: Any) -> None:
    other = on_loop(lasting, type(lasting.context))
    (mine,), (theirs,) = (
        do(lasting, context.get_pvs("catest")) for context in (lasting.context, other)
    )
    assert mine is not theirs
    assert do(lasting, theirs.read()).data[0] == do(lasting, mine.read()).data[0]
    do(lasting, other.broadcaster.disconnect())
    assert do(lasting, mine.read()).status.success
    assert not theirs.connected


def test_a_pv_tells_when_it_is_ready(lasting: Any) -> None:
    pv, lost = lasting.pv("catest"), lasting.pv("cadoesnotexist")
    assert do(lasting, pv.channel_ready.wait())
    assert pv.circuit_ready.is_set()
    assert not lost.channel_ready.is_set()
    assert not lost.circuit_ready.is_set()


def test_going_idle_waits_for_requests(lasting: Any) -> None:
    pv = lasting.pv("caslow")
    do(lasting, pv.wait_for_connection())
    seen: list[Any] = []
    do(lasting, pv.write(1, wait=False, callback=seen.append))
    do(lasting, pv.go_idle())
    assert do(lasting, pv.read()).status.success


def test_states_are_logged_with_the_name_of_the_pv(
    lasting: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="cachannel.ch"):
        do(lasting, lasting.pv("calong").wait_for_connection())
        # Contexts of earlier tests may still log.
        wait_until(
            lambda: [entry for entry in caplog.records if getattr(entry, "pv", "") == "calong"]
        )
    (record,) = (entry for entry in caplog.records if getattr(entry, "pv", "") == "calong")
    assert (record.pv, record.role) == ("calong", "CLIENT")
    assert record.their_address[0] == "127.0.0.1"
    assert "connected" in record.getMessage()


def test_many_pvs_with_a_deadline_fail_one_by_one(lasting: Any) -> None:
    names = ["catest", "cadoesnotexist", "canoaccess", "castring"]
    lasting.write("castring", "a string")
    known = ("catest", "canoaccess", "castring", "cascratch1", "caread", "cascratch2")
    pvs = do(lasting, lasting.context.get_pvs(*known))
    for pv in pvs:  # which may take longer than the time for the unknown one
        do(lasting, pv.wait_for_connection())
    start = time.monotonic()
    readings = do(lasting, lasting.context.read_many(names, timeout=1.0, throw=False))
    assert time.monotonic() - start < 20
    assert [reading.status.name for reading in readings] == [
        "ECA_NORMAL", "ECA_DISCONN", "ECA_NORDACCESS", "ECA_NORMAL",
    ]  # fmt: skip
    assert list(readings.failed) == ["cadoesnotexist", "canoaccess"]
    assert readings.values[3] == "a string"
    assert np.isnan(readings.array[1])
    assert readings.array[0] == readings[0].data[0]
    errors = do(
        lasting,
        lasting.context.write_many(
            ["cascratch1", "cadoesnotexist", "caread", "cascratch2"],
            [1.5, 2, 3, "x"],
            timeout=1.0,
            throw=False,
        ),
    )
    assert errors[0] is None
    assert isinstance(errors[1], CaprotoTimeoutError)
    assert "caread" in str(errors[2])
    assert isinstance(errors[3], ValueError)
    assert lasting.read("cascratch1").data[0] == 1.5


def test_known_pvs_are_written_while_unknown_ones_are_searched(lasting: Any) -> None:
    lasting.write("cascratch1", 0)

    def write() -> None:
        names = ["cascratch1", "cadoesnotexist"]
        with contextlib.suppress(ContextDisconnectedError):
            do(lasting, lasting.context.write_many(names, 5, timeout=20, throw=False))

    lasting.pv("cascratch1")
    thread = threading.Thread(target=write)
    thread.start()
    wait_until(lambda: lasting.read("cascratch1").data[0] == 5)
    assert thread.is_alive()
    do(lasting, lasting.context.disconnect())
    thread.join(60)


def test_a_circuit_obeys_messages_that_have_a_meaning_here(lasting: Any) -> None:
    following = lasting.follow("cascratch3")
    wait_until(lambda: following.responses)
    circuit = following.subscription.pv.circuit_manager
    do(lasting, circuit.send(EventsOffRequest(), EchoRequest()))
    assert circuit.held == {}
    do(lasting, circuit.send(EventsOnRequest()))
    assert circuit.held is None
    with pytest.raises(CaprotoNotImplementedError, match="ReadNotifyRequest"):
        if lasting.name == "asyncio":
            lasting.do(circuit.send(ReadNotifyRequest(6, 1, 0, 0)))
        else:
            circuit.send(ReadNotifyRequest(6, 1, 0, 0))
    assert circuit.server_protocol_version == 13
    assert circuit.connected
    assert not circuit.dead.is_set()
    do(lasting, circuit.disconnect())
    assert repr(following.subscription.pv) == "<PV name='cascratch3' priority=0 (idle)>"
    assert lasting.read("cascratch3").status.success


def test_a_name_that_two_servers_have_is_logged(
    lasting: Any, make_ioc: Any, caplog: pytest.LogCaptureFixture
) -> None:
    make_ioc(RECORD.format(name="caplain", value=1))
    with caplog.at_level(logging.WARNING, logger="cachannel.bcast.search"):
        assert lasting.read("caplain").status.success
        wait_until(lambda: "caplain" in caplog.text)
    (record,) = caplog.records
    assert record.name == "cachannel.bcast.search"


@pytest.mark.parametrize("command", [EchoRequest(), EventsOffRequest()])
def test_a_broadcaster_sends_no_datagrams(lasting: Any, command: Any) -> None:
    broadcaster = lasting.context.broadcaster
    send = broadcaster.send
    with pytest.raises(CaprotoNotImplementedError, match=type(command).__name__):
        do(lasting, send(command))


def test_a_broadcaster_searches_and_knows_what_it_found(lasting: Any, ioc: Any) -> None:
    broadcaster = lasting.context.broadcaster
    found: Any = queue.SimpleQueue()
    if lasting.name == "asyncio":

        async def search() -> Any:
            results: Any = asyncio.Queue()
            await broadcaster.search(results, "catest", "calong")
            return results.get_nowait()

        address, names = lasting.do(search())
    else:
        broadcaster.search(found, ["catest", "calong"], timeout=60)
        address, names = found.get(timeout=60)
    assert address == ("127.0.0.1", ioc.port)
    assert sorted(names) == ["calong", "catest"]
    lasting.pv("cadoesnotexist")
    assert list(broadcaster.results.unanswered_searches.values()) == ["cadoesnotexist"]
    assert lasting.read("catest").status.success
    assert broadcaster.server_protocol_versions == {("127.0.0.1", ioc.port): 13}


def test_names_that_libca_does_not_send_are_kept_with_a_warning(
    lasting: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cachannel.client.context._warned", False)
    with caplog.at_level(logging.WARNING, logger="cachannel.ctx"):
        for _ in range(2):
            made = on_loop(lasting, lambda: type(lasting.context)(client_name="somebody else"))
            assert made.client_name == "somebody else"
            do(lasting, made.disconnect())
    assert [entry.name.startswith("cachannel.ctx") for entry in caplog.records].count(True) == 1


def test_a_context_knows_the_names_that_servers_are_told(lasting: Any) -> None:
    assert lasting.context.host_name == socket.gethostname()
    assert lasting.context.client_name == getpass.getuser()


def test_a_read_of_many_tells_a_lost_pv_from_one_that_never_was(
    lasting: Any, make_ioc: Any
) -> None:
    server = make_ioc('record(ao, "gone:x") {}')
    names = ["gone:x", "cadoesnotexist", "catest"]
    readings = do(lasting, lasting.context.read_many(names, throw=False, timeout=1))
    assert readings.failed == {"cadoesnotexist": "never connected"}
    server.stop()
    pv = lasting.pv("gone:x")
    wait_until(lambda: not pv.connected, what="the loss")
    readings = do(lasting, lasting.context.read_many(names, throw=False, timeout=0.2))
    assert readings.failed == {"gone:x": "connection lost", "cadoesnotexist": "never connected"}
    for order, reason in ((names, "'gone:x' .connection lost"), (names[1:], "never connected")):
        with pytest.raises(CaprotoTimeoutError, match=reason):
            do(lasting, lasting.context.read_many(order, timeout=0.1))
    errors = do(lasting, lasting.context.write_many(names, 1, throw=False, timeout=0.1))
    assert [str(error)[-17:] for error in errors[:2]] == ["(connection lost)", "(never connected)"]


def test_the_changes_of_a_pv_can_be_told_by_hand(lasting: Any) -> None:
    """As caproto's circuits tell their PVs; programs do it in their tests."""
    pv = lasting.pv("catest")
    do(lasting, pv.wait_for_connection())
    told: list[Any] = []

    def keep(_: Any, state: Any) -> None:
        told.append(state)

    pv.connection_state_callback.add_callback(keep)
    pv.access_rights_callback.add_callback(keep)
    pv.connection_state_changed("disconnected", None)
    pv.access_rights_changed(AccessRights.READ)
    # Besides these, libca tells the rights when somebody begins to ask.
    wait_until(lambda: {"disconnected", AccessRights.READ} <= set(told), what="both")


def test_a_circuit_has_an_executor_in_turn_with_its_callbacks(lasting: Any) -> None:
    pv = lasting.pv("catest")
    do(lasting, pv.wait_for_connection())
    (circuit,) = lasting.context.circuit_managers.values()
    executor = circuit.user_callback_executor
    threads = [executor.submit(threading.get_ident) for _ in range(3)]
    assert len({future.result(60) for future in threads}) == 1
    assert executor.submit(divmod, 7, 2).result(60) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        executor.submit(divmod, 7, 0).result(60)
    if lasting.name == "asyncio":

        async def inside() -> int:
            await asyncio.sleep(0)
            return threading.get_ident()

        assert executor.submit(inside).result(60) == lasting.thread.ident
    do(lasting, lasting.context.disconnect())
    with pytest.raises(RuntimeError, match="disconnected"):
        executor.submit(print)
