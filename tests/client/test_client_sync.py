"""What only the synchronous client has: blocking, and calls that leave nothing behind."""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from cachannel._native import ffi, lib
from cachannel.protocol.channel_types import ChannelType
from cachannel.protocol.errors import CaprotoTimeoutError
from cachannel.sync.client import block, interrupt, read, read_write_read, subscribe, write
from support.ports import free_port
from support.waiting import wait_until

RECORD = 'record(ao, "calast") {{ field(VAL, "{}") field(PINI, "YES") }}\n'


def channels() -> int:
    """The number of channels in C."""
    counts = ffi.new("cc_counts *")
    lib.cc_get_counts(counts)
    return int(counts.channels)


class Taker:
    """A callback that keeps what it gets, and interrupts after so many."""

    def __init__(self, number: int = 1_000_000) -> None:
        self.seen: list[Any] = []
        self._number = number

    def __call__(self, subscription: Any, response: Any) -> None:
        self.seen.append((subscription.pv_name, response))
        if len(self.seen) >= self._number:
            subscription.interrupt()


def test_calls_leave_no_channel_behind(ioc: Any) -> None:
    before = channels()
    read("catest")
    write("catest", 2, notify=True)
    with pytest.raises(CaprotoTimeoutError, match=r"cadoesnotexist.*127\.0\.0\.1"):
        read("cadoesnotexist", timeout=0.05)
    wait_until(lambda: channels() == before)


def test_an_enumeration_is_read_as_text_unless_numbers_are_asked_for(ioc: Any) -> None:
    write("cambbo", 1, notify=True)
    assert read("cambbo").data == [b"one"]
    assert read("cambbo", force_int_enums=True).data[0] == 1
    assert read("cambbo", data_type=ChannelType.ENUM).data[0] == 1


def test_read_write_read_is_one_connection(ioc: Any) -> None:
    write("cascratch1", 1, notify=True)
    first, answer, last = read_write_read("cascratch1", 2, notify=True)
    assert (first.data[0], last.data[0]) == (1, 2)
    assert (first.ioid, answer.ioid, last.ioid) == (0, 1, 2)
    first, answer, last = read_write_read("cascratch1", 3)
    assert answer is None
    assert (first.ioid, last.ioid) == (0, 2)


def test_the_numbers_of_each_call_begin_at_zero(ioc: Any) -> None:
    for _ in range(2):
        with pytest.warns(UserWarning, match="deprecated"):
            response = read("catest", notify=False)
        assert (response.sid, response.ioid) == (0, 0)


def test_metadata_is_not_written_and_a_warning_says_so(ioc: Any) -> None:
    with pytest.warns(UserWarning, match="metadata is not sent") as told:
        write("catest", 3.25, metadata=(0, 0), notify=True)
    assert told[0].filename == __file__
    assert read("catest").data[0] == 3.25
    with pytest.warns(UserWarning, match="metadata is not sent"):
        read_write_read("catest", 1.0, metadata=(0, 0))


def test_blocking_for_a_time_gives_the_first_update_at_once(ioc: Any) -> None:
    taker = Taker()
    subscription = subscribe("catest")
    assert subscription.add_callback(taker) == 0
    start = time.monotonic()
    subscription.block(duration=1.5, timeout=60)
    assert 1.4 < time.monotonic() - start < 20
    assert len(taker.seen) == 1
    assert taker.seen[0][1].data_type is ChannelType.TIME_DOUBLE
    subscription.block(duration=1.5, timeout=60)
    assert len(taker.seen) == 2


def test_two_subscriptions_of_one_server_and_one_pv_twice(ioc: Any) -> None:
    taker = Taker(3)
    subscriptions = [subscribe(name) for name in ("catest", "cambbo", "catest")]
    for subscription in subscriptions:
        subscription.add_callback(taker)
    block(*subscriptions, duration=60, timeout=60)
    assert sorted(name for name, _ in taker.seen) == ["cambbo", "catest", "catest"]


def test_a_block_in_another_thread_is_interrupted(ioc: Any) -> None:
    taker = Taker()
    subscription = subscribe("cacalc")
    subscription.add_callback(taker)
    interrupt()  # no block runs: without effect
    thread = threading.Thread(target=subscription.block, kwargs={"timeout": 60})
    thread.start()
    wait_until(lambda: len(taker.seen) > 2)
    interrupt()
    thread.join(60)
    assert not thread.is_alive()


def test_what_a_callback_raises_leaves_the_block(ioc: Any) -> None:
    before = channels()

    def bad(subscription: Any, response: Any) -> None:
        raise RuntimeError("on purpose")

    subscription = subscribe("catest")
    subscription.add_callback(bad)
    with pytest.raises(RuntimeError, match="on purpose"):
        subscription.block(duration=60, timeout=60)
    wait_until(lambda: channels() == before)


def test_ctrl_c_ends_a_block_quietly(ioc: Any) -> None:
    def press(subscription: Any, response: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    subscription = subscribe("catest")
    subscription.add_callback(press)
    subscription.block(duration=60, timeout=60)


def test_callbacks_run_in_the_order_of_their_tokens_and_can_be_removed(ioc: Any) -> None:
    order: list[int] = []
    functions = [lambda sub, response, n=n: order.append(n) for n in range(3)]
    subscription = subscribe("catest")
    tokens = [subscription.add_callback(function) for function in functions]
    assert tokens == [0, 1, 2]
    subscription.remove_callback(1)
    subscription.remove_callback(99)
    taker = Taker(1)
    assert subscription.add_callback(taker) == 3
    subscription.block(duration=60, timeout=60)
    assert order == [0, 2]
    subscription.remove_callback(3)
    del functions
    assert subscription.callbacks == {}
    assert subscription.add_callback(taker) == 4
    subscription.clear()
    assert subscription.callbacks == {}


def test_a_block_without_its_pv_times_out(ioc: Any) -> None:
    subscription = subscribe("cadoesnotexist")
    with pytest.raises(CaprotoTimeoutError, match="cadoesnotexist"):
        subscription.block(timeout=0.1)


def test_a_block_goes_on_when_its_server_is_back(make_ioc: Any) -> None:
    running = make_ioc(RECORD.format(1))
    taker = Taker()
    subscription = subscribe("calast")
    subscription.add_callback(taker)
    thread = threading.Thread(target=subscription.block, kwargs={"timeout": 60})
    thread.start()
    wait_until(lambda: taker.seen)
    running.restart([RECORD.format(2)], crash=True)
    wait_until(lambda: taker.seen[-1][1].data[0] == 2, 60)
    interrupt()
    thread.join(60)


def test_the_calls_may_be_made_by_several_threads(ioc: Any) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(10):
                assert read("calong", timeout=60).status.success
                write("cascratch2", 1, notify=True, timeout=60)
        except BaseException as exc:
            failures.append(exc)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


@pytest.mark.parametrize("variable", ["CACHANNEL_DEFAULT_TIMEOUT", "CAPROTO_DEFAULT_TIMEOUT"])
def test_the_default_time_out_comes_from_the_environment(run_script: Any, variable: str) -> None:
    script = """
        from cachannel.client.common import GLOBAL_DEFAULT_TIMEOUT
        from cachannel.sync.client import read
        from cachannel.threading.client import Context
        assert GLOBAL_DEFAULT_TIMEOUT == 0.25 == Context().timeout
        try:
            read("cadoesnotexist")
        except TimeoutError as exc:
            print("0.25 s" in str(exc))
        """
    environment = {"CACHANNEL_DEFAULT_TIMEOUT": "", variable: "0.25"}
    assert run_script(script, **environment).succeeded().lines == ["True"]


def test_the_default_time_out_is_two_seconds(run_script: Any) -> None:
    script = """
        from cachannel.client.common import GLOBAL_DEFAULT_TIMEOUT
        from cachannel.threading.client import Context
        assert GLOBAL_DEFAULT_TIMEOUT == 2.0 == Context().timeout
        """
    run_script(script, CACHANNEL_DEFAULT_TIMEOUT="").succeeded()


@pytest.mark.parametrize("wanted", [False, True])
def test_a_repeater_runs_only_if_it_is_wanted(run_script: Any, wanted: bool) -> None:
    script = f"""
        import socket
        from cachannel import repeater
        from cachannel.sync.client import read
        read("catest", repeater=False, timeout=60)
        read("catest", repeater={wanted}, timeout=60)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("", repeater.repeater_port()))
                print("free")
            except OSError:
                print("taken")
        """
    port = free_port()
    lines = run_script(script, EPICS_CA_REPEATER_PORT=str(port), CACHANNEL_REPEATER="YES")
    assert lines.succeeded().lines == ["taken" if wanted else "free"]
    if wanted:
        stop_repeater(port)


def stop_repeater(port: int) -> None:
    """End the repeater that a script has left behind, found by its port."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue
        if b"repeater" in command and f"EPICS_CA_REPEATER_PORT={port}\0".encode() in environment:
            os.kill(int(folder.name), signal.SIGTERM)
