"""Many channels at once, and the sink of changes."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from cachannel import CaChannel, CaChannelException, ca
from cachannel._native import ffi, lib
from cachannel.errors import CAError
from cachannel.many import BulkSink, connect_many, get_many, put_many
from support.calls import SOON
from support.ioc import SoftIoc
from support.waiting import wait_until

NAMES = ["cascratch1", "calong", "castring", "cabo", "cawave", "cawaves", "calongtext"]
VALUES = [1.5, 3, "some text", 1, [1.5, 2.5], ["a", "b", "c"], "long text"]


@pytest.fixture
def channels(ioc: SoftIoc) -> Iterator[list[CaChannel]]:
    found = connect_many(NAMES, 30)
    put_many(found, VALUES, wait=True, timeout=30)
    yield found
    for channel in found:
        channel.clear_channel()


def counts() -> tuple[int, int, int]:
    """Return how many channels, subscriptions and queues there are."""
    found = ffi.new("cc_counts *")
    lib.cc_get_counts(found)
    return int(found.channels), int(found.subscriptions), int(found.queues)


def queues() -> int:
    return counts()[2]


def test_values_come_in_the_order_of_the_channels(channels: list[CaChannel]) -> None:
    values = get_many(channels, timeout=30)
    assert values[:4] == [1.5, 3, "some text", 1]
    assert values[4] == [1.5, 2.5, *[0.0] * 18]
    assert values[5] == ["a", "b", "c"]
    assert [type(value) for value in values[:4]] == [float, int, str, int]
    assert get_many(channels[::-1] * 3, timeout=30) == values[::-1] * 3


def test_values_as_text(channels: list[CaChannel]) -> None:
    values = get_many(channels, as_string=True, timeout=30)
    assert values[:4] == [1.5, 3, "some text", "Busy"]
    assert values[6] == "long text"


@pytest.mark.parametrize("as_string", [False, True])
def test_values_as_arrays(channels: list[CaChannel], as_string: bool) -> None:
    values = get_many(channels, as_string=as_string, use_numpy=True, timeout=30)
    assert isinstance(values[4], np.ndarray)
    assert values[4].tolist()[:2] == [1.5, 2.5]
    assert values[6] == "long text" if as_string else isinstance(values[6], np.ndarray)


def test_counts(channels: list[CaChannel]) -> None:
    assert get_many(channels[4:6], count=2, timeout=30) == [[1.5, 2.5], ["a", "b"]]
    assert get_many(channels[4:5], count=0, timeout=30) == [[1.5, 2.5]]


def test_numbers_only(ioc: SoftIoc) -> None:
    channels = connect_many(["cascratch1", "cascratch2"], 30)
    put_many(channels, [1, 2.5], wait=True, timeout=30)
    assert get_many(channels) == [1.0, 2.5]
    put_many(channels, [3, 4])
    assert get_many(channels) == [3.0, 4.0]


def test_nothing_at_all(ioc: SoftIoc) -> None:
    assert connect_many([]) == []
    assert get_many([]) == []
    put_many([], [])


def test_missing_pvs_are_named(ioc: SoftIoc) -> None:
    with pytest.raises(CaChannelException, match="'no:such:pv'") as caught:
        connect_many(["catest", "no:such:pv"], 0.3)
    assert caught.value.status == ca.ECA.TIMEOUT
    assert "catest" not in str(caught.value)
    with pytest.raises(CaChannelException, match="and 5 more"):
        connect_many([f"no:such:pv{n}" for n in range(10)], 0.3)


@pytest.mark.parametrize("name", ["", b"", "a\0b"])
def test_names_that_are_none(ioc: SoftIoc, name: Any) -> None:
    with pytest.raises(CaChannelException) as caught:
        connect_many(["catest", name])
    assert caught.value.status == ca.ECA.BADSTR


def test_failures_are_named(ioc: SoftIoc) -> None:
    channels = connect_many(["catest", "canoaccess", "caread", "cadisabled"], 30)
    with pytest.raises(CaChannelException, match="'canoaccess'") as caught:
        get_many(channels)
    assert caught.value.status == ca.ECA.NORDACCESS
    with pytest.raises(CaChannelException, match="'caread'") as caught:
        put_many([channels[0], channels[2]], [12.3, 1])
    assert caught.value.status == ca.ECA.NOWTACCESS
    with pytest.raises(CaChannelException, match="'cadisabled'") as caught:
        put_many([channels[0], channels[3]], [12.3, 1], wait=True, timeout=30)
    assert caught.value.status == ca.ECA.PUTFAIL
    with pytest.raises(CaChannelException, match="'cadisabled'"):
        put_many([channels[3]], ["1"], wait=True, timeout=30)


@pytest.mark.parametrize("wait", [False, True])
@pytest.mark.parametrize(
    ("name", "value"),
    [("calong", 2**31), ("calong", float("nan")), ("cascratch1", 10**400), ("cascratch1", "abc"),
     ("cascratch1", None), ("cabo", -1)],
)  # fmt: skip
def test_value_that_cannot_be_sent(ioc: SoftIoc, name: str, value: Any, wait: bool) -> None:
    channels = connect_many([name], 30)
    with pytest.raises((CAError, OverflowError), match=name):
        put_many(channels, [value], wait=wait, timeout=30)


def test_one_value_each(channels: list[CaChannel]) -> None:
    with pytest.raises(ValueError, match="7 channels but 1 values"):
        put_many(channels, [1])


def test_cleared_and_unsearched_channels(channels: list[CaChannel]) -> None:
    channels[0].clear_channel()
    with pytest.raises(CaChannelException) as caught:
        get_many(channels)
    assert caught.value.status == ca.ECA.BADCHID
    with pytest.raises(CaChannelException):
        get_many([channels[1], CaChannel("catest")])


def test_late_answers_are_thrown_away(make_ioc: Callable[..., SoftIoc]) -> None:
    server = make_ioc('record(waveform, "many:late") { field(FTVL, "DOUBLE") field(NELM, "9999") }')
    channels = connect_many(["many:late"] * 3, 30)
    server.freeze()
    for _ in range(5):
        with pytest.raises(CaChannelException) as caught:
            get_many(channels, timeout=0.01)
        assert caught.value.status == ca.ECA.TIMEOUT
    server.thaw()
    assert len(get_many(channels, timeout=60)[0]) == 9999


def test_list_forms_inside_a_callback(ioc: SoftIoc) -> None:
    done: list[Any] = []
    finished = threading.Event()

    def callback(event: Any, args: Any) -> None:
        channels = connect_many(["cascratch1", "castring"], 30)
        put_many(channels, [5, "five"], wait=True, timeout=30)
        done.extend(get_many(channels))
        finished.set()

    channel = connect_many(["catest"], 30)[0]
    channel.array_get_callback(None, None, callback)
    channel.flush_io()
    assert finished.wait(SOON)
    assert done == [5.0, "five"]


def test_sink_tells_which_pv_changed_and_how(ioc: SoftIoc) -> None:
    with BulkSink(["cascratch1", "caalarm"]) as sink:
        later = sink.add([connect_many(["cacalc"], 30)[0]])
        assert (list(later), sink.names) == ([2], ["cascratch1", "caalarm", "cacalc"])
        seen: dict[int, Any] = {}

        def all_came() -> bool:
            for event in sink.get(0.1):
                seen[int(event["id"])] = event
            return len(seen) == 3

        wait_until(all_came, SOON)
        assert seen[2]["seconds"] > 1_000_000_000
        put_many(connect_many(["caalarm"], 30), [25.0], wait=True, timeout=30)
        wait_until(lambda: all_came() and seen[1]["value"] == 25.0, SOON)
        assert (seen[1]["severity"], seen[1]["status"]) == (2, 3)
        put_many(connect_many(["caalarm"], 30), [0.0], wait=True, timeout=30)
    assert len(sink.get(0.1)) == 0


def test_sink_shows_refusals_as_invalid(ioc: SoftIoc) -> None:
    put_many(connect_many(["castring"], 30), ["no number"], wait=True, timeout=30)
    with BulkSink(["castring"]) as sink:
        event = sink.get(SOON)[0]
        assert np.isnan(event["value"])
        assert event["severity"] == 3


def test_full_sink_keeps_the_newest(ioc: SoftIoc) -> None:
    channel = connect_many(["cascratch3"], 30)[0]
    with BulkSink(["cascratch3"], limit=2) as sink:
        sink.get(SOON)
        newest: list[float] = [0.0]
        channel.add_masked_array_event(
            None, None, None, lambda event, _: newest.append(event["pv_value"])
        )
        channel.flush_io()
        for number in range(1, 101):
            channel._put_wait(float(number), timeout=30)
        # Events may come after the completion; those of the sink come before those of the monitor.
        wait_until(lambda: newest[-1] == 100.0, what="the last event")
        values = sink.get(SOON)["value"].tolist()
        assert values[-1] == 100.0
        assert len(values) <= 2
        assert sink.replaced >= 98


def test_closing_wakes_the_reader_and_frees_the_queue(ioc: SoftIoc) -> None:
    before = queues()
    sink = BulkSink(["no:such:pv"])
    lengths: list[int] = []
    thread = threading.Thread(target=lambda: lengths.append(len(sink.get())))
    thread.start()
    sink.close()
    sink.close()
    thread.join(SOON)
    assert lengths == [0]
    wait_until(lambda: queues() == before, what="the end of the queue")


def test_sink_and_channels_end_in_any_order(make_ioc: Callable[..., SoftIoc]) -> None:
    """A sink that closes while its channels are cleared elsewhere frees nothing too early."""
    make_ioc(
        "".join(
            f'record(calc, "sink:{n}") {{ field(CALC, "VAL+1") field(SCAN, ".1 second") }}\n'
            for n in range(200)
        )
    )
    before = queues()
    for _ in range(10):
        channels = connect_many([f"sink:{n}" for n in range(200)], 30)
        sink = BulkSink(channels)
        assert len(sink.get(SOON))

        def clear(channels: list[CaChannel] = channels) -> None:
            for channel in channels:
                channel.clear_channel()

        thread = threading.Thread(target=clear)
        thread.start()
        sink.close()
        thread.join(SOON)
    wait_until(lambda: queues() == before, what="the end of the queues")


def test_sink_of_a_cleared_channel_is_an_error_that_leaves_nothing(ioc: SoftIoc) -> None:
    channel = connect_many(["catest"], 30)[0]
    channel.clear_channel()
    before = counts()
    with pytest.raises(CaChannelException), BulkSink([channel]):
        pass
    wait_until(lambda: counts() == before, what="the end of the queue")


@pytest.mark.parametrize("bad", ["", None], ids=["empty name", "cleared channel"])
def test_what_cannot_be_added_leaves_the_sink_as_it_was(ioc: SoftIoc, bad: str | None) -> None:
    cleared = connect_many(["catest"], 30)[0]
    cleared.clear_channel()
    with BulkSink(["cascratch1"]) as sink:
        sink.get(SOON)
        before = counts()
        with pytest.raises(CaChannelException):
            sink.add(["caalarm", cleared if bad is None else bad, "cacalc"])
        assert sink.names == ["cascratch1"]
        wait_until(lambda: counts() == before, what="the end of what was begun")
        assert list(sink.add(["cascratch2"])) == [1]
        assert sink.get(SOON)["id"].tolist() == [1]


def test_a_sink_that_was_closed_takes_no_more(ioc: SoftIoc) -> None:
    sink = BulkSink(["cascratch1"])
    sink.close()
    with pytest.raises(CaChannelException, match="closed"):
        sink.add(["cascratch2"])


def test_many_threads_may_close_and_add_at_once(ioc: SoftIoc) -> None:
    before = counts()
    refusals: list[str] = []
    for _ in range(20):
        sink = BulkSink(["cascratch1"])
        start = threading.Barrier(4)

        def close(sink: BulkSink = sink, start: threading.Barrier = start) -> None:
            start.wait(SOON)
            sink.close()

        def add(sink: BulkSink = sink, start: threading.Barrier = start) -> None:
            start.wait(SOON)
            try:
                sink.add(["cascratch2", "cascratch3"])
            except CaChannelException as exc:
                refusals.append(str(exc))

        threads = [threading.Thread(target=work) for work in (close, close, add, add)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SOON)
        assert sink.closed
    assert all("closed" in refusal for refusal in refusals)
    wait_until(lambda: counts() == before, what="the end of what the sinks had")
