"""Ctrl-C and `sys.exit`: in callbacks of a context without a dispatcher, and while one is made."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cachannel import Context
from cachannel._native import ffi, lib
from cachannel.protocol.enums import ECA
from support.ioc import SoftIoc
from support.scripts import Outcome
from support.waiting import wait_until

_DOUBLE = 6


@pytest.fixture
def context(ioc: SoftIoc) -> Iterator[Context]:
    with Context(preemptive=False, repeater=False) as context:
        yield context


def read(context: Context, name: str, count: int, *delivers: Callable[..., object]) -> None:
    """Read a channel once for each of the callbacks, and wait until the answers are queued."""
    channel = lib.cc_channel_create(context.id, name.encode(), 0, 0, 1)
    assert lib.cc_wait_all(context.id, 30) == ECA.NORMAL
    before = lib.cc_queue_mark(context.queue)
    for deliver in delivers:
        token = context.own(deliver)
        assert lib.cc_get_callback(channel, _DOUBLE, count, token) == ECA.NORMAL
    # Answered after those.
    request = lib.cc_get(channel, _DOUBLE, 1, 0, 0)
    assert lib.cc_request_wait(request, 30) == ECA.NORMAL
    lib.cc_request_release(request)
    assert lib.cc_queue_mark(context.queue) == before + 1


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit])
def test_the_caller_of_pend_gets_it_and_the_others_run_later(context, raised) -> None:
    seen: list[str] = []

    def first(record: Any, buffer: Any, offset: int) -> None:
        seen.append("first")
        raise raised

    def others(record: Any, buffer: Any, offset: int) -> None:
        seen.append(f"{record[8]} elements")
        assert len(ffi.unpack(ffi.from_buffer("double[]", buffer), record[8])) == record[8]

    def bad(record: Any, buffer: Any, offset: int) -> None:
        seen.append("bad")
        raise raised

    read(context, "cawavef", 150, first, others, bad, others)
    with pytest.raises(raised):
        context.pend(30)
    assert seen == ["first"]
    with pytest.raises(raised):
        context.pend(30)
    assert seen == ["first", "150 elements", "bad"]
    assert not context.in_callback
    assert context.settle(1)
    assert seen == ["first", "150 elements", "bad", "150 elements"]
    assert context.deliver() == 0


def test_what_is_left_of_a_batch_is_freed_with_the_context(ioc: SoftIoc) -> None:
    def stop(record: Any, buffer: Any, offset: int) -> None:
        raise KeyboardInterrupt

    counts = ffi.new("cc_counts *")
    lib.cc_get_counts(counts)
    before = counts.payload_bytes
    with Context(preemptive=False, repeater=False) as context:
        read(context, "cawavef", 150, stop, stop, stop)
        with pytest.raises(KeyboardInterrupt):
            context.pend(30)
    lib.cc_get_counts(counts)
    assert counts.payload_bytes == before


def test_a_wait_of_the_context_raises_it_too(context) -> None:
    def stop(record: Any, buffer: Any, offset: int) -> None:
        raise SystemExit(3)

    read(context, "cawave", 1, stop)
    unknown = lib.cc_channel_create(context.id, b"nobody:has:this", 0, 0, 0)
    with pytest.raises(SystemExit):
        context.wait(lib.cc_channel_wait, unknown, 30)


def test_on_the_dispatcher_it_is_reported(ioc, monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[BaseException] = []
    monkeypatch.setattr("sys.unraisablehook", lambda args: reported.append(args.exc_value))

    def stop(record: Any, buffer: Any, offset: int) -> None:
        raise SystemExit

    with Context(repeater=False) as context:
        channel = lib.cc_channel_create(context.id, b"cawave", 0, 0, 1)
        assert lib.cc_wait_all(context.id, 30) == ECA.NORMAL
        for _ in range(2):
            assert lib.cc_get_callback(channel, _DOUBLE, 1, context.own(stop)) == ECA.NORMAL
        context.flush()
        wait_until(lambda: len(reported) == 2)


@pytest.mark.parametrize(
    ("statement", "code"),
    [("os.kill(os.getpid(), signal.SIGINT)", -2), ("sys.exit(7)", 7)],
    ids=["Ctrl-C", "sys.exit"],
)
def test_a_script_ends_as_its_callback_says(
    run_script: Callable[..., Outcome], statement: str, code: int
) -> None:
    outcome = run_script(
        f"""
        import os, signal, sys
        from cachannel import ca
        ca.create_context(False)
        channel = ca.create_channel("catest")[1]
        ca.pend_io(30)
        def changed(event):
            {statement}
        ca.create_subscription(channel, changed)
        ca.pend_event(30)
        print("not reached")
        """
    )
    assert (outcome.code, outcome.stdout) == (code, "")
    assert "Exception ignored" not in outcome.stderr


def test_a_context_that_is_not_made_leaves_none_in_libca(
    run_script: Callable[..., Outcome],
) -> None:
    """Ctrl-C at any moment of it; the timer is quicker than the fingers."""
    outcome = run_script(
        """
        import gc, signal, time
        from cachannel.context import Context, contexts
        from cachannel._native import ffi, lib

        class Pressed(KeyboardInterrupt):
            pass

        def press(*_):
            if armed:
                armed.clear()
                raise Pressed

        armed = []
        signal.signal(signal.SIGALRM, press)
        with Context() as context:
            pass
        start = time.perf_counter()
        Context().close()
        took = time.perf_counter() - start
        stopped = 0
        for step in range(300):
            try:
                context = None
                armed.append(1)
                signal.setitimer(signal.ITIMER_REAL, 1e-6 + took * step / 250)
                context = Context()
                armed.clear()
                context.close()
            except (Pressed, RuntimeError) as exc:
                # threading.Thread.start may turn it into an error of its own lock.
                assert isinstance(exc, Pressed) or isinstance(exc.__context__, Pressed)
                stopped += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
            armed.clear()
        context = None
        gc.collect()
        counts = ffi.new("cc_counts *")
        lib.cc_get_counts(counts)
        # Those that were made just before they had a name.
        print(stopped > 20, counts.contexts - len(contexts()))
        for context in contexts():
            context.close()
        with Context():
            lib.cc_get_counts(counts)
        print(counts.contexts)
        """
    )
    assert outcome.succeeded().lines == ["True 0", "1"]
