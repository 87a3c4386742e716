"""What must hold under load, at exit, over restarts, in forks; small here, full in `make soak`."""

import gc
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from cachannel import CaChannel, CaChannelException, ca
from cachannel._native import ffi, lib
from cachannel.epicsPV import epicsPV
from cachannel.errors import CAError
from cachannel.many import connect_many
from cachannel.util import caget, camonitor
from support.calls import SOON, Events
from support.ioc import SoftIoc
from support.scripts import Outcome
from support.waiting import wait_until

NORMAL = ca.ECA.NORMAL


def connected(name: str) -> CaChannel:
    channel = CaChannel(name)
    channel.setTimeout(30)
    channel.searchw()
    return channel


def counts() -> tuple[int, ...]:
    found = ffi.new("cc_counts *")
    lib.cc_get_counts(found)
    return found.channels, found.subscriptions, found.requests, found.queues


def resources() -> tuple[int, int]:
    """Threads and open files of this process."""
    return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))


def fast_records(number: int, prefix: str) -> str:
    return "".join(
        f'record(calc, "{prefix}{index}") {{ field(CALC, "VAL+1") field(SCAN, ".1 second") }}\n'
        for index in range(number)
    )


@pytest.mark.parametrize("ending", ["sys.exit(7)", "raise SystemExit(7)", "os._exit", "error"])
def test_exit_under_2000_monitors_at_full_rate(
    make_ioc: Callable[..., SoftIoc], run_script: Callable[..., Outcome], ending: str
) -> None:
    """The exit status survives and nothing is printed by us."""
    server = make_ioc(fast_records(2000, "exit:"))
    last = {"error": "raise ValueError('mine')", "os._exit": "return_value = 7"}.get(ending, ending)
    outcome = run_script(
        f"""
        import os, sys, threading
        from cachannel import CaChannel
        from cachannel.many import connect_many
        seen, enough = [0], threading.Event()
        def changed(event, args):
            seen[0] += 1
            if seen[0] > 10_000:
                enough.set()
        channels = connect_many([f"exit:{{n}}" for n in range(2000)], 60)
        for channel in channels:
            channel.add_masked_array_event(None, None, None, changed)
        channels[0].flush_io()
        assert enough.wait(60)
        {last}
        """,
        120,
        **server.env,
    )
    expected = {"error": 1, "os._exit": 0}.get(ending, 7)
    assert (outcome.code, outcome.stdout) == (expected, "")
    if ending == "error":
        assert outcome.stderr.endswith("ValueError: mine\n")
        assert outcome.stderr.startswith("Traceback")
    else:
        assert outcome.stderr == ""


def test_exit_with_a_thread_in_every_wait(run_script: Callable[..., Outcome]) -> None:
    """Daemon threads in getw, pend_event and callbacks do not keep or break the exit."""
    for _ in range(3):
        outcome = run_script(
            """
            import threading, time
            from cachannel import CaChannel, ca
            running = threading.Barrier(4)
            def search():
                channel = CaChannel("no:such:pv")
                channel.setTimeout(100)
                running.wait()
                channel.searchw()
            def pend():
                chid = ca.create_channel("cacalc")[1]
                ca.pend_io(30)
                for _ in range(50):
                    ca.create_subscription(chid, lambda event: time.sleep(0.001))
                running.wait()
                ca.pend_event(0)
            def read():
                channel = CaChannel("catest")
                channel.setTimeout(30)
                channel.searchw()
                running.wait()
                while True:
                    channel.getw()
            for target in (search, pend, read):
                threading.Thread(target=target, daemon=True).start()
            running.wait(60)
            time.sleep(0.2)
            print("end")
            """
        )
        assert outcome.succeeded().lines == ["end"]


@pytest.mark.parametrize("name", ["robust:frozen", "no:such:pv"])
def test_a_wait_that_its_context_does_not_outlive_says_so(
    name: str, run_script: Callable[..., Outcome], make_ioc: Callable[..., SoftIoc]
) -> None:
    server = make_ioc('record(ao, "robust:frozen") {}')
    outcome = run_script(
        f"""
        import os, signal, threading
        from CaChannel import CaChannel, CaChannelException
        from cachannel.context import contexts
        channel = CaChannel({name!r})
        channel.setTimeout(60)
        if {name!r} == "robust:frozen":
            channel.searchw()
            os.kill({server.pid}, signal.SIGSTOP)
            threading.Timer(0.8, os.kill, ({server.pid}, signal.SIGCONT)).start()
        threading.Timer(0.3, lambda: contexts()[0].close()).start()
        try:
            channel.searchw() if channel.state() != 2 else None
            while True:
                channel.getw()
        except CaChannelException as error:
            print(error.status.name)
        """,
        **server.env,
    )
    assert outcome.succeeded().lines == ["NOCACTX"]


def test_a_context_that_another_thread_closes_at_the_end(
    run_script: Callable[..., Outcome],
) -> None:
    """The end of the interpreter delivers what has come; just then the context is closed."""
    run_script(
        """
        import threading
        from cachannel.context import Context

        context = Context()
        deliver, threads = context._finish, []

        def closed_meanwhile():
            deliver()
            if not threads:
                threads.append(threading.Thread(target=context.close))
                threads[0].start()
                threads[0].join()

        context._finish = closed_meanwhile
        """
    ).succeeded()


def test_finalizers_and_early_exit_functions_still_read_and_write(
    run_script: Callable[..., Outcome],
) -> None:
    """A lamp that its object switches off in the end is off."""
    outcome = run_script(
        """
        import atexit

        def at_the_very_end():
            late.putw(2.0)
            print("exit", late.getw())
            done = []
            late.array_put_callback(3.0, None, None, lambda args, _: done.append(args["status"]))
            while not done:
                late.pend_event(0.01)
            print("callback", *map(int, done), late.getw())

        atexit.register(at_the_very_end)  # before CaChannel is imported, so it runs after it
        from CaChannel import CaChannel

        def connected(name):
            channel = CaChannel(name)
            channel.setTimeout(30)
            channel.searchw()
            return channel

        late = connected("cascratch1")
        late.putw(1.0)
        print("run", late.getw())
        """
    )
    assert outcome.succeeded().lines == ["run 1.0", "exit 2.0", "callback 1 3.0"]
    outcome = run_script(
        """
        from CaChannel import CaChannel

        class Lamp:
            def __init__(self):
                self.channel = CaChannel("cascratch2")
                self.channel.setTimeout(30)
                self.channel.searchw()
                self.channel.putw(1.0)

            def __del__(self):
                self.channel.putw(-1.0)

        lamp = Lamp()
        """
    )
    assert outcome.succeeded().lines == []
    assert connected("cascratch2").getw() == -1.0


CALLS: dict[str, Callable[[CaChannel], Any]] = {
    "getw": lambda channel: channel.getw(),
    "put with wait": lambda channel: channel._put_wait(4.0, timeout=30),
    "pend_io": lambda channel: channel.pend_io(),
    "pend_event": lambda channel: channel.pend_event(1),
    "poll": lambda channel: channel.poll(),
    "flush_io": lambda channel: channel.flush_io(),
    "putw": lambda channel: channel.putw(4.0),
    "searchw": lambda channel: connected("cabo").getw(),
    "get with callback": lambda channel: channel.array_get_callback(None, None, print_nothing),
    "another monitor": lambda channel: channel.add_masked_array_event(
        None, None, None, print_nothing
    ),
    "clear_event": lambda channel: channel.clear_event(),
    "clear_channel": lambda channel: channel.clear_channel(),
    "asking": lambda channel: (channel.field_type(), channel.state(), channel.host_name()),
    "connect_many": lambda channel: connect_many(["cabo", "calong"], 30),
}


def print_nothing(event: object, args: object) -> None:
    """Do nothing with an event."""


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("where", ["monitor", "get", "put", "connection"])
def test_any_call_in_any_callback(ioc: SoftIoc, call: str, where: str) -> None:
    """Calls that wait, clear and create work in callbacks of every kind."""
    channel, seen = CaChannel("cascratch2"), Events()
    channel.setTimeout(30)

    def callback(event: object, args: object) -> None:
        if seen.threads:
            return
        try:
            CALLS[call](channel)
            seen("done")
        except BaseException as exc:
            seen(exc)

    if where == "connection":
        channel.search_and_connect(None, callback)
    else:
        channel.searchw()
        if where == "monitor":
            channel.add_masked_array_event(None, None, None, callback)
        elif where == "get":
            channel.array_get_callback(None, None, callback)
        else:
            channel.array_put_callback(4.0, None, None, callback)
    channel.flush_io()
    assert seen.next(60) == "done"
    channel.clear_channel()


def test_cycles_leave_nothing_behind(ioc: SoftIoc) -> None:
    """Create, get, monitor, put, clear: objects, threads and files are the same at the end."""

    def cycle() -> None:
        channels = connect_many(["catest", "cawave", "castring", "cabo"] * 5, 30)
        for channel in channels:
            channel.add_masked_array_event(None, None, None, print_nothing)
            channel.array_get()
            channel.array_get_callback(None, None, print_nothing)
        channels[0].pend_io(30)
        for index, channel in enumerate(channels):
            channel.array_get_callback(None, None, print_nothing)
            if index % 2:
                channel.clear_event()
            channel.clear_channel()

    cycle()
    gc.collect()
    before, kept = counts(), resources()
    for _ in range(100):
        cycle()
    gc.collect()
    wait_until(lambda: counts() == before, what="the end of all objects")
    wait_until(
        # libca opens two sockets some seconds after a context was made.
        lambda: all(now <= then + 2 for now, then in zip(resources(), kept, strict=True)),
        what="the end of all threads and files",
    )


def test_contexts_leave_nothing_behind(ioc: SoftIoc) -> None:
    from cachannel import Context

    def cycle() -> None:
        with Context(repeater=False) as context:
            channel = lib.cc_channel_create(context.id, b"cacalc", 0, 0, 1)
            assert lib.cc_wait_all(context.id, 30) == NORMAL
            lib.cc_subscribe(channel, 20, 1, 5, context.own(lambda *args: None), ffi.NULL)
            lib.cc_flush(context.id)

    cycle()
    before, kept = counts(), resources()
    for _ in range(30):
        cycle()
    wait_until(lambda: counts() == before, what="the end of all objects")
    wait_until(
        # libca opens two sockets some seconds after a context was made.
        lambda: all(now <= then + 2 for now, then in zip(resources(), kept, strict=True)),
        what="the end of all threads and files",
    )


def test_ioc_killed_and_restarted_under_1000_monitors(make_ioc: Callable[..., SoftIoc]) -> None:
    """Connection callbacks go down and up, every monitor resumes, nothing leaks."""
    number = 1000
    records = "".join(f'record(ao, "many:{index}") {{}}\n' for index in range(number))
    server = make_ioc(records)
    ups, downs = set(), set()
    values: list[int] = [0] * number
    lock = threading.Lock()

    def on_connection(event: Any, args: Any) -> None:
        with lock:
            (ups if event[1] == ca.CA_OP.CONN_UP else downs).add(args[0])

    def on_value(event: Any, args: Any) -> None:
        with lock:
            values[args[0]] += event["status"] == NORMAL

    channels = [CaChannel(f"many:{index}") for index in range(number)]
    for index, channel in enumerate(channels):
        channel.search_and_connect(None, on_connection, index)
    channels[0].flush_io()
    wait_until(lambda: len(ups) == number, 60, what="all connections")
    for index, channel in enumerate(channels):
        channel.add_masked_array_event(None, None, None, on_value, index)
    channels[0].flush_io()
    wait_until(lambda: min(values) == 1, 60, what="the first value of all")
    before = counts()
    for turn in range(2):
        ups.clear()
        downs.clear()
        server.kill()
        wait_until(lambda: len(downs) == number, 60, what="the loss of all connections")
        server.start()
        wait_until(lambda: len(ups) == number, 90, what="all connections again")
        wait_until(lambda turn=turn: min(values) == turn + 2, 60, what="all values again")
        wait_until(lambda: counts() == before, what="as many objects as before")
    for channel in channels:
        channel.clear_channel()
    wait_until(lambda: counts()[0] == before[0] - number, what="the end of all channels")


def test_eight_threads_get_and_put_in_one_context(ioc: SoftIoc) -> None:
    failures: list[object] = []
    names = ["cascratch1", "cascratch2", "calong", "cawave"]

    def work(number: int) -> None:
        try:
            channels = connect_many(names, 30)
            done = Events()
            for turn in range(40):
                for channel in channels:
                    channel.array_put_callback(turn, None, None, lambda event, args: done(event))
                    channel.array_get()
                channels[number % 4].pend_io(30)
                assert all(channel.getValue() is not None for channel in channels)
                for _ in channels:
                    assert done.next()["status"] == NORMAL
        except BaseException as exc:
            failures.append(exc)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failures == []


def test_clearing_while_others_read(ioc: SoftIoc) -> None:
    """Clearing under requests of other threads: a clear error each, never a crash."""
    strange: list[object] = []
    for _ in range(30):
        channel = connected("cawave")
        together = threading.Barrier(3, timeout=SOON)

        def read(channel: CaChannel = channel, together: threading.Barrier = together) -> None:
            together.wait()
            try:
                while True:
                    channel.array_get_callback(None, None, print_nothing)
                    channel.getw()
            except CAError as exc:
                if exc.status not in (
                    ca.ECA.BADCHID, ca.ECA.CHANDESTROY, ca.ECA.DISCONN, ca.ECA.BADTYPE,
                    ca.ECA.TIMEOUT,
                ):  # fmt: skip
                    strange.append(exc)
            except BaseException as exc:
                strange.append(exc)

        threads = [threading.Thread(target=read) for _ in range(2)]
        for thread in threads:
            thread.start()
        together.wait()
        channel.clear_channel()
        for thread in threads:
            thread.join(SOON)
    assert strange == []


def test_fork_after_use(run_script: Callable[..., Outcome]) -> None:
    """The child uses Channel Access afresh; the parent's channels and monitors go on."""
    outcome = run_script(
        """
        import os, threading, warnings
        from cachannel import CaChannel
        warnings.simplefilter("ignore")
        seen = threading.Semaphore(0)
        channel = CaChannel("cacalc")
        channel.setTimeout(30)
        channel.searchw()
        channel.add_masked_array_event(None, None, None, lambda event, args: seen.release())
        channel.array_get()
        channel.flush_io()
        assert seen.acquire(timeout=60)
        for _ in range(3):
            child = os.fork()
            if not child:
                fresh = CaChannel("catest")
                fresh.setTimeout(30)
                fresh.searchw()
                got = threading.Event()
                fresh.add_masked_array_event(None, None, None, lambda event, args: got.set())
                fresh.flush_io()
                assert got.wait(60)
                try:
                    channel.getw()
                except Exception as exc:
                    assert "cacalc" in str(exc), exc
                else:
                    raise AssertionError("the parent's channel lives in the child")
                channel.clear_channel()
                raise SystemExit(5)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
            while seen.acquire(blocking=False):
                pass
            assert seen.acquire(timeout=60)
            assert isinstance(channel.getw(), float)
        print("parent ends")
        """,
        120,
    )
    assert outcome.succeeded().lines == ["parent ends"]


FOREIGN_HEAD = """
    import ctypes, sys
    from pathlib import Path
    from cachannel import CaChannel, ca
    from cachannel._native import lib
    maps = Path("/proc/self/maps").read_text().splitlines()
    path = [line.split()[-1] for line in maps if "/libca." in line][0]
    other = ctypes.CDLL(path)
    other.ca_current_context.restype = ctypes.c_void_p
    other.ca_pend_io.argtypes = other.ca_pend_event.argtypes = [ctypes.c_double]
    other.ca_message.restype = ctypes.c_char_p
    assert other.ca_context_create({preemptive}) == 1
    theirs = other.ca_current_context()
    assert theirs
"""

FOREIGN = (
    FOREIGN_HEAD
    + """
    def use_theirs():
        chid, value = ctypes.c_void_p(), ctypes.c_double(-1)
        assert other.ca_create_channel(b"catest", None, None, 0, ctypes.byref(chid)) == 1
        assert other.ca_pend_io(30.0) == 1
        assert other.ca_array_get(6, 1, chid, ctypes.byref(value)) == 1
        assert other.ca_pend_io(30.0) == 1
        assert other.ca_clear_channel(chid) == 1
        return value.value
    before = use_theirs()
    channel = CaChannel("catest")
    channel.setTimeout(30)
    channel.searchw()
    assert channel.getw() == before
    channel.putw(before)
    channel.array_get_callback(None, None, lambda event, args: None)
    channel.pend_event(0.05)
    assert other.ca_current_context() == theirs
    assert use_theirs() == before
    channel.clear_channel()
    assert other.ca_current_context() == theirs
    assert use_theirs() == before
    print("both work")
"""
)


@pytest.mark.parametrize("preemptive", [0, 1])
def test_foreign_context_in_the_same_thread(
    run_script: Callable[..., Outcome], preemptive: int
) -> None:
    """Another user of libca in the same thread keeps its context, and both work."""
    outcome = run_script(FOREIGN.format(preemptive=preemptive))
    assert outcome.succeeded().lines == ["both work"]


def test_channels_made_through_another_thread_are_waited_for_here(
    run_script: Callable[..., Outcome],
) -> None:
    """A thread in a foreign context without callbacks has another one call libca for it; what
    is created there still counts among what this thread waits for.
    """
    outcome = run_script(
        FOREIGN_HEAD.format(preemptive=0)
        + """
    from cachannel._ca.core import attach_shared
    from cachannel.context import create_many
    context = attach_shared()
    create_many(context, [b"no:such:pv", b"no:such:pw"], 0, 0, 1)
    print(lib.cc_outstanding(context.id), lib.cc_wait_mine(context.id, 0.05))
    lib.cc_forget_mine(context.id)
    print(lib.cc_outstanding(context.id))
"""
    )
    assert outcome.succeeded().lines == ["2 80", "0"]


BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "unknown PV": (lambda: _search("no:such:pv"), "no:such:pv"),
    "wrong type to get": (lambda: connected("catest").getw(99), "catest"),
    "wrong type to put": (lambda: connected("catest").putw(1, 99), "catest"),
    "count too large to put": (
        lambda: connected("catest").array_put([], None, 5), "catest"
    ),
    "text too long": (lambda: connected("castring").putw("x" * 40), "castring"),
    "text for a number": (lambda: connected("catest").putw("twelve"), "catest"),
    "invalid enum state": (lambda: _put_wait("cabo", "Neither"), "cabo"),
    "no write access": (lambda: connected("caread").putw(1), "caread"),
    "no read access": (lambda: connected("canoaccess").getw(), "canoaccess"),
    "cleared": (lambda: _cleared("catest").getw(), "catest"),
    "never searched": (lambda: CaChannel("catest").getw(), "catest"),
    "no name": (lambda: CaChannel().searchw(), "searchw"),
    "empty name": (lambda: CaChannel("").searchw(), "searchw"),
    "empty name of bytes": (lambda: CaChannel(b"").search(), "search"),
    "61 characters": (lambda: _search("n" * 61), "n" * 61),
    "256 characters": (lambda: _search("n" * 256), "n" * 256),
    "70000 characters": (lambda: _search("n" * 70000), "n" * 100),
    "NaN for an integer": (lambda: connected("calong").putw(float("nan")), "calong"),
    "infinity for an integer": (lambda: connected("calong").putw(float("inf")), "calong"),
    "None": (lambda: connected("catest").putw(None), "catest"),
    "server refuses": (lambda: _put_wait("cadisabled", 1), "cadisabled"),
}  # fmt: skip


def _search(name: str) -> None:
    channel = CaChannel(name)
    channel.setTimeout(0.1)
    channel.searchw()


def _cleared(name: str) -> CaChannel:
    channel = connected(name)
    channel.clear_channel()
    return channel


def _put_wait(name: str, value: Any) -> None:
    connected(name)._put_wait(value, timeout=30)


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(ioc: SoftIoc, case: str) -> None:
    """Each fault of the caller is one exception that names the PV and what was attempted."""
    call, named = BAD[case]
    with pytest.raises(CAError) as caught:
        call()
    error = caught.value
    assert named in str(error)
    assert error.operation
    assert error.operation in str(error)
    assert isinstance(error, CaChannelException | ValueError | TypeError)


def _ignore(*args: object) -> None:
    """A callback."""


# Each takes a channel, a request type, a count and a mask.
WITH_ARGUMENTS: dict[str, Callable[[CaChannel, Any, Any, Any], Any]] = {
    "array_get": lambda c, kind, count, mask: c.array_get(kind, count),
    "getw": lambda c, kind, count, mask: c.getw(kind, count),
    "array_get_callback": lambda c, kind, count, mask: c.array_get_callback(kind, count, _ignore),
    "add_masked_array_event": (
        lambda c, kind, count, mask: c.add_masked_array_event(kind, count, mask, _ignore)
    ),
    "array_put": lambda c, kind, count, mask: c.array_put([1.0], kind, count),
    "array_put_callback": (
        lambda c, kind, count, mask: c.array_put_callback([1.0], kind, count, _ignore)
    ),
    "putWait": lambda c, kind, count, mask: epicsPV("cawave").putWait([1.0], kind, count),
    "getControl": lambda c, kind, count, mask: epicsPV("cawave").getControl(kind, count),
    "get": lambda c, kind, count, mask: ca.get(c._chid, kind, count),
    "put": lambda c, kind, count, mask: ca.put(c._chid, [1.0], kind, count),
    "create_subscription": (
        lambda c, kind, count, mask: ca.create_subscription(c._chid, _ignore, kind, count, mask)
    ),
    "sg_get": lambda c, kind, count, mask: ca.sg_get(ca.sg_create()[1], c._chid, kind, count),
    "sg_put": lambda c, kind, count, mask: ca.sg_put(
        ca.sg_create()[1], c._chid, [1.0], kind, count
    ),
    "caget": lambda c, kind, count, mask: caget("cawave", count=count),
    "camonitor": lambda c, kind, count, mask: camonitor("cawave", count=count, callback=_ignore),
}


@pytest.mark.parametrize("operation", WITH_ARGUMENTS)
@pytest.mark.parametrize("count", [-1, "2", [1]])
def test_bad_counts_are_named(ioc: SoftIoc, operation: str, count: object) -> None:
    """A count that is none is an error of its own kind that names the PV and the operation."""
    with pytest.raises(OverflowError if count == -1 else ValueError) as caught:
        WITH_ARGUMENTS[operation](connected("cawave"), None, count, None)
    error = caught.value
    assert isinstance(error, CAError)
    assert (error.status, error.pvname) == (ca.ECA.BADCOUNT, "cawave")
    assert "'cawave'" in str(error)
    assert error.operation in ("add_masked_array_event", operation)


@pytest.mark.parametrize("operation", WITH_ARGUMENTS.keys() - {"caget", "camonitor"})
def test_bad_types_are_named(ioc: SoftIoc, operation: str) -> None:
    with pytest.raises(ValueError, match="'double'") as caught:
        WITH_ARGUMENTS[operation](connected("cawave"), "double", None, None)
    error = caught.value
    assert isinstance(error, CAError)
    assert (error.status, error.pvname, error.operation) == (ca.ECA.BADTYPE, "cawave", operation)


@pytest.mark.parametrize("operation", ["add_masked_array_event", "create_subscription"])
def test_bad_masks_are_named(ioc: SoftIoc, operation: str) -> None:
    with pytest.raises(ValueError, match="'all'") as caught:
        WITH_ARGUMENTS[operation](connected("cawave"), None, None, "all")
    error = caught.value
    assert isinstance(error, CAError)
    assert (error.status, error.pvname, error.operation) == (ca.ECA.BADMASK, "cawave", operation)


@pytest.mark.parametrize("name", [b"catest", b"no:\xff"])
def test_names_of_bytes_are_readable_in_messages(ioc: SoftIoc, name: bytes) -> None:
    channel = CaChannel(name)
    channel.setTimeout(0.1 if name != b"catest" else 30)
    with pytest.raises(CAError) as caught:
        channel.searchw()
        channel.putw("no number")
    assert caught.value.pvname == name.decode("utf-8" if name == b"catest" else "latin-1")


def test_reading_nothing(ioc: SoftIoc) -> None:
    """An array without elements reads as an empty list with a callback and as 0s without."""
    channel, seen = connected("cawaveempty"), Events()
    channel.array_get_callback(ca.DBR_TIME_DOUBLE, 0, lambda event, args: seen(event))
    channel.flush_io()
    event = seen.next()
    assert (event["count"], event["pv_value"]) == (0, [])
    assert channel.getw() == [0.0] * 8


def test_reads_of_one_object_in_two_threads_leave_nothing_behind(ioc: SoftIoc) -> None:
    """Both replace what the object asked for last; no request stays behind."""
    live = counts()[2]
    channel = connected("catest")

    def read() -> None:
        for _ in range(3000):
            channel.array_get()
        channel.pend_io()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert isinstance(channel.getValue(), float)
    channel.clear_channel()
    wait_until(lambda: counts()[2] == live, what="the end of all requests")


FORK_IN_THE_MIDDLE = """
    import os, sys, threading, time
    from cachannel.context import Context
    ending = threading.Event()

    def make_and_end():
        while not ending.is_set():
            Context().close()

    threads = [threading.Thread(target=make_and_end) for _ in range(3)]
    for thread in threads:
        thread.start()
    statuses = []
    for _ in range(60):
        child = os.fork()
        if not child:
            Context()
            os._exit(0)
        deadline = time.monotonic() + 60
        while not (ended := os.waitpid(child, os.WNOHANG))[0]:
            if time.monotonic() > deadline:
                os.kill(child, 9)
            time.sleep(0.002)
        statuses.append(ended[1])
    ending.set()
    for thread in threads:
        thread.join()
    print(sum(status != 0 for status in statuses))
"""


def test_fork_while_contexts_begin_and_end(run_script: Callable[..., Outcome]) -> None:
    """The child can use CA, whatever other threads of the parent were doing."""
    outcome = run_script(FORK_IN_THE_MIDDLE, timeout=120)
    assert outcome.succeeded().lines == ["0"]


FORK_IN_AN_IMPORT = """
    import os, sys, threading, time
    from cachannel.context import Context
    begun = threading.Event()

    class Slow:
        def find_spec(self, name, path, target=None):
            if name == "cachannel.repeater":
                begun.set()
                time.sleep(1)

    assert "cachannel.repeater" not in sys.modules
    sys.meta_path.insert(0, Slow())
    thread = threading.Thread(target=lambda: Context().close())
    thread.start()
    assert begun.wait(60)
    child = os.fork()
    if not child:
        Context()
        os._exit(0)
    deadline = time.monotonic() + 20
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > deadline:
            os.kill(child, 9)
        time.sleep(0.002)
    thread.join()
    print(ended[1])
"""


def test_fork_while_the_first_context_imports_what_it_needs(
    run_script: Callable[..., Outcome],
) -> None:
    """Python keeps the lock of a module whose import was under way; the child would wait for it."""
    assert run_script(FORK_IN_AN_IMPORT).succeeded().lines == ["0"]
