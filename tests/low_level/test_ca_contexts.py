"""Contexts: making, attaching, leaving, ending, and which thread runs callbacks."""

import threading

import pytest

from cachannel import Context, ca
from cachannel._native import ffi, lib
from cachannel.context import contexts
from support.calls import SOON, Events, in_thread
from support.ioc import SoftIoc
from support.waiting import wait_until

NORMAL = ca.ECA.NORMAL


def counts() -> tuple[int, int, int, int]:
    found = ffi.new("cc_counts *")
    lib.cc_get_counts(found)
    return found.contexts, found.channels, found.subscriptions, found.requests


def test_thread_without_calls_has_no_context() -> None:
    assert in_thread(ca.current_context) is None


def test_first_call_makes_a_context_without_preemption(ioc: SoftIoc) -> None:
    def use() -> tuple[bool, ca.ECA]:
        ca.test_io()
        context = ca.current_context()
        assert context is not None
        answer = context.preemptive, ca.create_context(True)
        ca.destroy_context()
        return answer

    assert in_thread(use) == (False, ca.ECA.NOTTHREADED)


@pytest.mark.parametrize("kinds", [(True, True), (False, False), (True, False)])
def test_second_create_context_that_asks_for_no_more_is_normal(kinds: tuple[bool, bool]) -> None:
    def create() -> list[ca.ECA]:
        answers = [ca.create_context(kind) for kind in kinds]
        ca.destroy_context()
        return answers

    assert in_thread(create) == [NORMAL, NORMAL]


def test_destroying_without_a_context_does_nothing() -> None:
    assert in_thread(ca.destroy_context) is None


def test_destroyed_context_is_gone_for_its_thread() -> None:
    def use() -> object:
        ca.create_context(True)
        ca.destroy_context()
        return ca.current_context()

    assert in_thread(use) is None


def test_other_thread_attaches_and_detaches(preemptive: None) -> None:
    context = ca.current_context()
    assert context is not None

    def join() -> tuple[object, ...]:
        first, second = ca.attach_context(context), ca.attach_context(context)
        same = ca.current_context() is context
        ca.detach_context()
        return first, second, same, ca.current_context()

    assert in_thread(join) == (NORMAL, ca.ECA.ISATTACHED, True, None)


def test_context_without_preemption_cannot_be_attached() -> None:
    def make() -> ca.ECA:
        ca.create_context(False)
        context = ca.current_context()
        assert context is not None
        answer = in_thread(lambda: ca.attach_context(context))
        ca.destroy_context()
        return answer

    assert in_thread(make) == ca.ECA.NOTTHREADED


@pytest.mark.parametrize("wrong", [None, 1, "context", object()])
def test_attaching_something_else_is_a_type_error(wrong: object) -> None:
    with pytest.raises(TypeError, match="a context is expected"):
        in_thread(lambda: ca.attach_context(wrong))  # type: ignore[arg-type]


def test_ended_context_cannot_be_attached() -> None:
    with Context(repeater=False) as context:
        pass
    assert in_thread(lambda: ca.attach_context(context)) == ca.ECA.NOCACTX


def test_show_context_prints(preemptive: None, capfd: pytest.CaptureFixture[str]) -> None:
    ca.show_context(ca.current_context(), 1)
    ca.show_context(level=0)
    assert "ca_client_context" in capfd.readouterr().out


def test_preemptive_callbacks_run_on_the_dispatcher(connect) -> None:  # type: ignore[no-untyped-def]
    seen = Events()
    connect("catest", seen)
    assert seen.next()["op"] == ca.CA_OP.CONN_UP
    context = ca.current_context()
    assert context is not None
    assert seen.threads == {context.name}


def test_callbacks_without_preemption_run_in_pend_event_only(ioc: SoftIoc) -> None:
    def use() -> tuple[list[object], set[str], str]:
        seen = Events()
        chid = ca.create_channel("catest", seen)[1]
        assert chid is not None
        wait_until(lambda: ca.state(chid) == ca.ChannelState.CONN, what="the connection")
        before = seen.drain()
        while not seen.threads:
            assert ca.pend_event(0.05) == ca.ECA.TIMEOUT
        threads = seen.threads
        ca.destroy_context()
        return before, threads, threading.current_thread().name

    before, threads, name = in_thread(use)
    assert before == []
    assert threads == {name}


def test_each_thread_has_its_own_context(ioc: SoftIoc) -> None:
    """Eight threads connect, get and put at once, each in a context of its own."""
    before = counts()
    together = threading.Barrier(8, timeout=SOON)
    failures: list[object] = []

    def work(number: int) -> None:
        try:
            ca.create_context(bool(number % 2))
            chid = ca.create_channel("cascratch1")[1]
            assert chid is not None
            assert ca.pend_io(30) == NORMAL
            together.wait()
            for turn in range(20):
                assert ca.put(chid, number * 100 + turn) == NORMAL
                status, value = ca.get(chid)
                assert status == NORMAL
                assert value is not None
                assert ca.pend_io(30) == NORMAL
                assert isinstance(value.get(), float)
            del value
            ca.destroy_context()
        except BaseException as exc:
            failures.append(exc)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    wait_until(lambda: counts() == before, what="the end of all contexts")


def test_context_of_an_ended_thread_is_freed(ioc: SoftIoc) -> None:
    before = len(contexts())
    in_thread(ca.flush_io)
    wait_until(lambda: len(contexts()) <= before, what="the end of the thread's context")


def test_foreign_thread_uses_a_chid_of_another_context(connect) -> None:  # type: ignore[no-untyped-def]
    chid = connect("catest")
    other = in_thread(
        lambda: (ca.name(chid), ca.state(chid), ca.field_type(chid), ca.put(chid, 12.3))
    )
    assert other == ("catest", ca.ChannelState.CONN, ca.DBF.DOUBLE, NORMAL)


def test_destroying_ends_channels_and_waits(connect) -> None:  # type: ignore[no-untyped-def]
    before = counts()
    chid = connect("catest")
    status, value = ca.get(chid)
    ca.destroy_context()
    assert status == NORMAL
    assert ca.get(chid) == (ca.ECA.BADCHID, None)
    assert ca.put(chid, 1) in (ca.ECA.BADCHID, ca.ECA.DISCONN)
    assert value.get() is None or isinstance(value.get(), float)
    del value
    wait_until(lambda: counts()[1:] == before[1:], what="the end of channel and request")


def test_thread_in_pend_event_survives_the_end_of_its_context(ioc: SoftIoc) -> None:
    """Whoever waits in a context that another thread closes comes back."""
    waiting = threading.Event()
    found: list[Context] = []

    def wait() -> ca.ECA:
        ca.create_context(False)
        context = ca.current_context()
        assert context is not None
        found.append(context)
        waiting.set()
        return ca.pend_event(60)

    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.append(wait()))
    thread.start()
    assert waiting.wait(SOON)
    found[0].close()
    thread.join(SOON)
    assert answers == [ca.ECA.TIMEOUT]


def test_a_dead_thread_leaves_no_waits_to_the_next(preemptive: None) -> None:
    """What a thread has started is not waited for by a later thread at the same address."""
    context = ca.current_context()
    assert context is not None

    def start() -> None:
        ca.attach_context(context)
        assert ca.create_channel("no:such:pv")[0] == NORMAL

    def mine() -> int:
        return int(lib.cc_wait_mine(context.id, 0.2))

    for _ in range(5):
        in_thread(start)
        assert in_thread(mine) == NORMAL


def test_closing_from_many_threads_at_once_is_done_once(ioc: SoftIoc) -> None:
    context = Context(repeater=False)
    together = threading.Barrier(4, timeout=SOON)

    def close() -> None:
        together.wait()
        context.close()

    threads = [threading.Thread(target=close) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    assert context.closed
    assert context not in contexts()


def test_channels_made_while_the_context_closes_are_refused_or_ended(ioc: SoftIoc) -> None:
    """Creating, reading and closing at the same time: an error each, never a crash."""
    before = counts()
    for _ in range(10):
        context = Context(repeater=False)
        together = threading.Barrier(3, timeout=SOON)
        answers: list[int] = []

        def work() -> None:
            together.wait()  # noqa: B023 - the thread ends within the turn
            for _ in range(200):
                channel = lib.cc_channel_create(context.id, b"catest", 0, 0, 1)  # noqa: B023
                answers.append(channel)  # noqa: B023
                if channel < 0:
                    return
                request = lib.cc_get(channel, 20, 1, 0, 0)
                if request > 0:
                    lib.cc_request_release(request)

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        together.wait()
        context.close()
        for thread in threads:
            thread.join(SOON)
        assert all(answer > 0 or -answer == ca.ECA.NOCACTX for answer in answers)
    wait_until(lambda: counts() == before, what="the end of all contexts")


def test_callback_belongs_to_the_context_of_its_channel(connect) -> None:
    """What is made in a callback is made in the same context, and sent by it."""
    context, inside, connected = ca.current_context(), Events(), Events()

    def callback(event: dict) -> None:
        status, other = ca.create_channel("calong", connected)
        flushed = ca.flush_io()
        inside((ca.current_context(), other.context, status, flushed))
        inside((ca.pend_event(0.01), ca.poll()))

    chid = connect("catest")
    live = counts()[0]
    assert ca.get(chid, None, None, callback) == (NORMAL, None)
    ca.flush_io()
    assert inside.next() == (context, context, NORMAL, NORMAL)
    assert inside.next() == (ca.ECA.EVDISALLOW, ca.ECA.EVDISALLOW)
    assert connected.next()["op"] == ca.CA_OP.CONN_UP
    assert counts()[0] == live
