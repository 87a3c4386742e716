"""What goes wrong with servers: crashes under load, refusals, unknown names, wrong values."""

import asyncio
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from own_server import OwnServer

from cachannel.client.requests import WriteNotifyRequest
from cachannel.client.responses import ErrorResponse
from cachannel.protocol.enums import ECA
from cachannel.protocol.errors import CaprotoTimeoutError, ErrorResponseReceived
from cachannel.threading.client import Batch, Context, DisconnectedError
from support.waiting import wait_until

MANY = 10_000
RECORD = 'record(ao, "own:many{}") {{ field(VAL, "{}") field(PINI, "YES") }}\n'


def do(lasting: Any, made: Any) -> Any:
    """Wait for what a call of the asyncio client gives; that of the other is the answer."""
    return lasting.do(made) if lasting.name == "asyncio" else made


class SoftServer:
    """A soft IOC with the calls of `OwnServer`."""

    def __init__(self, make_ioc: Any) -> None:
        self._ioc = make_ioc(self._database(1.0))

    def _database(self, value: float) -> str:
        return "".join(RECORD.format(n, value) for n in range(MANY))

    def restart(self, value: float) -> None:
        self._ioc.restart([self._database(value)], crash=True)


@pytest.fixture(params=["softIoc", "cachannel.server"])
def crashing(request: pytest.FixtureRequest, make_ioc: Any, ports: Any) -> Iterator[Any]:
    """A server with 10,000 PVs that can be killed and started again."""
    if request.param == "softIoc":
        yield SoftServer(make_ioc)
        return
    with OwnServer(ports.other, ports.repeater, MANY) as server:
        yield server


class Watch:
    """Keeps the states and the latest values of PVs."""

    def __init__(self) -> None:
        self.states: dict[str, list[str]] = {}
        self.latest: dict[str, float] = {}

    def state(self, pv: Any, state: str) -> None:
        self.states.setdefault(pv.name, []).append(state)

    def update(self, subscription: Any, response: Any) -> None:
        self.latest[subscription.pv.name] = float(response.data[0])


def test_ten_thousand_subscriptions_go_on_after_a_crash(lasting: Any, crashing: Any) -> None:
    watch = Watch()
    names = [f"own:many{n}" for n in range(MANY)]

    async def subscribe(pvs: list[Any]) -> None:
        for pv in pvs:
            pv.subscribe().add_callback(watch.update)

    pvs = do(lasting, lasting.context.get_pvs(*names, connection_state_callback=watch.state))
    if lasting.name == "asyncio":
        lasting.do(subscribe(pvs))
    else:
        asyncio.run(subscribe(pvs))
    wait_until(lambda: len(watch.latest) == MANY, 60, what="the first updates")
    assert set(watch.latest.values()) == {1.0}
    crashing.restart(2.0)
    wait_until(
        lambda: list(watch.latest.values()).count(2.0) == MANY,
        120,
        what="the updates",
        interval=0.1,
    )
    told = ["connected", "disconnected", "connected"]
    wait_until(lambda: all(states == told for states in list(watch.states.values())), interval=0.1)
    assert len(watch.states) == MANY


def test_an_error_message_of_a_server_is_raised(client: Any, own: OwnServer) -> None:
    with pytest.raises(ErrorResponseReceived) as caught:
        client.write("own:refuses", 2.0)
    (error,) = caught.value.args
    assert error.status.name == "ECA_PUTFAIL"
    assert error.original_request.command == 19
    assert b"own:refuses" in bytes(error.error_message)
    text = "write of 'own:refuses' was refused: Channel write request failed (ECA_PUTFAIL)"
    assert str(caught.value) == text
    assert (caught.value.pv_name, caught.value.operation) == ("own:refuses", "write")
    assert client.read("own:refuses").data[0] == 1.0


def test_an_error_message_of_elsewhere_is_shown_with_the_text_of_the_server() -> None:
    assert str(ErrorResponseReceived()) == ""
    assert str(ErrorResponseReceived("a text")) == "a text"
    request = WriteNotifyRequest([1.5], 6, 1, 3, 4)
    told = ErrorResponseReceived(ErrorResponse(request, 3, ECA.PUTFAIL, "valve is locked"))
    assert str(told) == "request was refused: valve is locked (ECA_PUTFAIL)"
    silent = ErrorResponseReceived(ErrorResponse(request, 3, ECA.PUTFAIL, ""))
    assert str(silent) == "request was refused: Channel write request failed (ECA_PUTFAIL)"


def test_what_cannot_be_written_is_said_with_the_name(client: Any) -> None:
    refused = {"no number": ValueError, "\u2603": ValueError, object(): TypeError, None: TypeError}
    for data, error in refused.items():
        with pytest.raises(error, match="write of 'catest'"):
            client.write("catest", data)
    with pytest.raises(UnicodeEncodeError, match="write of 'castring'"):
        client.write("castring", "\ud800")


def test_what_cannot_be_written_to_one_of_many_is_said_with_its_name(lasting: Any) -> None:
    names = ["catest", "castring"]
    errors = do(lasting, lasting.context.write_many(names, [1.5, "\ud800"], throw=False))
    assert errors[0] is None
    assert isinstance(errors[1], UnicodeEncodeError)
    assert "write of 'castring'" in str(errors[1])


def test_an_unknown_group_of_types_is_named_among_those_there_are(client: Any) -> None:
    with pytest.raises(KeyError, match="no group of types 'nope', only control, graphic") as told:
        client.read("catest", data_type="nope")
    assert told.value.args == ("nope",)


def test_requests_of_a_batch_that_cannot_be_sent_name_operation_and_pv(
    threading_client: Any,
) -> None:
    (missing,) = threading_client.context.get_pvs("no:such:pv")
    with Batch() as batch:
        with pytest.raises(DisconnectedError, match="read of 'no:such:pv'"):
            batch.read(missing, print)
        with pytest.raises(DisconnectedError, match="write of 'no:such:pv'"):
            batch.write(missing, 1)


def test_a_callback_of_a_batch_that_raises_keeps_no_other_from_its_answer(
    threading_client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    pv = threading_client.pv("catest")
    pv.wait_for_connection()
    seen: list[int] = []

    def take(number: int) -> Any:
        def taken(response: Any) -> None:
            seen.append(number)
            if number in (3, 4):
                raise SystemExit if number == 3 else ValueError("on purpose")

        return taken

    with caplog.at_level(logging.ERROR, logger="cachannel.ch"), Batch() as batch:
        for number in range(100):
            batch.read(pv, take(number))
        for number in range(100, 110):
            batch.write(pv, 1.0, take(number))
    wait_until(lambda: len(seen) == 110)
    assert sorted(seen) == list(range(110))
    assert caplog.text.count("a callback failed") == 2


@pytest.mark.parametrize("workers", [1, 3])
def test_reads_of_a_batch_run_on_as_many_threads_as_there_are(ioc: Any, workers: int) -> None:
    running = threading.Barrier(workers + 1)
    with Context(timeout=10, max_workers=workers) as context:
        (pv,) = context.get_pvs("catest")
        pv.wait_for_connection()
        with Batch() as batch:
            for _ in range(workers):
                batch.read(pv, lambda response: running.wait(20))
        running.wait(20)


def test_an_error_message_to_a_callback_is_logged(
    lasting: Any, own: OwnServer, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Any] = []
    pv = lasting.pv("own:refuses")
    with caplog.at_level(logging.WARNING, logger="cachannel.ch"):
        do(lasting, pv.write(2.0, wait=False, callback=seen.append))
        wait_until(lambda: "own:refuses" in caplog.text)
    assert do(lasting, pv.read()).data[0] == 1.0
    assert seen == []


def test_an_error_message_to_a_plain_write_is_logged_with_the_name(
    lasting: Any, own: OwnServer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="cachannel"):
        assert do(lasting, lasting.pv("own:refuses").write(2.0, wait=False)) is None
        wait_until(lambda: "own:refuses" in caplog.text)


def test_an_error_message_to_a_batch_is_logged(
    own: OwnServer, caplog: pytest.LogCaptureFixture, threading_client: Any
) -> None:
    seen: list[Any] = []
    pv = threading_client.pv("own:refuses")
    pv.wait_for_connection()
    with caplog.at_level(logging.WARNING, logger="cachannel.ch"), Batch(timeout=60) as batch:
        batch.write(pv, 2.0, seen.append)
    wait_until(lambda: "own:refuses" in caplog.text)
    assert seen == []


def test_known_names_among_unknown_ones_are_quick(lasting: Any, ioc: Any) -> None:
    names = ["catest", *(f"cadoesnotexist{n}" for n in range(50)), "calong"]
    pvs = do(lasting, lasting.context.get_pvs(*names))
    assert do(lasting, pvs[0].read()).status.success
    assert do(lasting, pvs[-1].read()).status.success
    with pytest.raises(CaprotoTimeoutError, match="cadoesnotexist7"):
        do(lasting, pvs[8].read(timeout=0.05))


def test_wrong_values_and_counts_to_our_own_server(client: Any, own: OwnServer) -> None:
    with pytest.raises(ValueError, match="abc"):
        client.write("own:refuses", "abc")
    assert client.write("own:array", [7.0] * 20).data_count == 20
    assert list(client.read("own:array").data) == [7.0] * 3
    assert list(client.read("own:array", data_count=5).data) == [7.0] * 3 + [0.0] * 2
    assert client.read("own:array", data_count=2).data_count == 2
    client.write("own:strings", "other")
    assert client.read("own:strings").data.tobytes() == b"other"


def test_a_request_of_a_server_that_crashes_is_repeated(lasting: Any, own: OwnServer) -> None:
    pv = lasting.pv("own:slow")
    do(lasting, pv.wait_for_connection())
    seen: list[Any] = []
    do(lasting, pv.write(3.0, wait=False, callback=seen.append))
    own.restart(1.0)
    assert do(lasting, pv.read(timeout=60)).data[0] == 0.0


def test_numbers_of_requests_skip_those_in_use_after_a_wrap(lasting: Any, ioc: Any) -> None:
    pv = lasting.pv("catest")
    do(lasting, pv.read())
    circuit = pv.circuit_manager
    kept = circuit.take_ioids(2)
    assert list(kept) == [1, 2]
    circuit._next_ioid = 0xFFFF
    assert [do(lasting, pv.read()).ioid for _ in range(3)] == [0xFFFF, 0, 3]
    circuit.release_ioids(kept)
    circuit._next_ioid = 1
    assert do(lasting, pv.read()).ioid == 1


def test_a_request_that_nobody_waits_for_keeps_its_number_until_answered(
    lasting: Any, ioc: Any
) -> None:
    pv = lasting.pv("caslow")
    do(lasting, pv.write(1))
    circuit = pv.circuit_manager
    seen: list[Any] = []
    do(lasting, pv.write(1, wait=False, callback=seen.append))
    circuit._next_ioid = 1
    assert do(lasting, pv.read()).ioid == 2
    wait_until(lambda: seen)
    assert seen[0].ioid == 1
    wait_until(lambda: not circuit._ioids)


def test_numbers_of_subscriptions_skip_those_in_use_after_a_wrap(lasting: Any, ioc: Any) -> None:
    following = lasting.follow("catest")
    wait_until(lambda: following.responses)
    assert following.subscription.subscriptionid == 0
    circuit = following.subscription.pv.circuit_manager
    circuit._next_subscriptionid = 0xFFFF
    others = [lasting.follow(name) for name in ("calong", "cambbo")]
    wait_until(lambda: all(other.responses for other in others))
    assert sorted(other.subscription.subscriptionid for other in others) == [1, 0xFFFF]
    for one in (following, *others):
        one.stop()
