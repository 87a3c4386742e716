"""A libca context, its event queue, and the thread that runs user code.

libca's threads never run Python. They copy what happened into the bounded queue of the context;
the dispatcher, a plain Python thread, takes whole batches out and calls the owners of the events.
So any call is allowed inside a callback. Waiting does not go through the dispatcher: the C
boundary marks a request as done, and whoever waits for it wakes up.

A context with ``preemptive=False`` has no dispatcher: callbacks run in the thread that calls
`Context.pend`.

Lock order: nothing here is held while libca is called. `_closing` guards the end of a context
only.
"""

from __future__ import annotations

import atexit
import itertools
import logging
import os
import sys
import threading
import time
import traceback
import weakref
from operator import length_hint
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from cachannel import _last_resort, _trace
from cachannel._libca_texts import exception_line, exception_text
from cachannel._native import ffi, lib
from cachannel._native.forks import destroy_queue, forks, new_queue
from cachannel.errors import CAError, check
from cachannel.protocol import text
from cachannel.protocol.enums import ECA
from cachannel.values.decode import RECORD, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Deliver = Callable[[Record, Any, int], object]

__all__ = ["Context", "Run", "contexts", "report"]

QUEUE_RECORDS: Final = 200_000
"""Events that wait for the dispatcher before newer values replace older ones."""
QUEUE_BYTES: Final = 256 << 20
"""The same limit for the data of arrays and strings, in bytes."""

SLICE: Final = 0.1
"""Seconds that a wait stays in C at a time; then Ctrl-C and signal handlers get their turn."""

FOREVER: Final = -1.0

LAST_SECONDS: Final = 0.2
"""Seconds that the end of a context waits for callbacks of what has come."""

FIRST_OF_RUNS: Final = 1 << 62
"""Tokens from here on belong to runs of requests, above those of all owners."""
RUN_BITS: Final = 24
"""How many bits of a token number the requests of a run; the others say which run it is."""

_AFTER_BATCH: Final = -1
"""What runs on the dispatcher besides the owners with their tokens, which are above 0."""

_IN_BATCH: Final = 2
_ON_HEAP: Final = 3
_MESSAGE: Final = 7
_TRACE: Final = 10
_RECORD_SIZE: Final = RECORD.size

_last_resort.install()
_callback_logger = logging.getLogger("cachannel.callback")
_libca_logger = logging.getLogger("cachannel.libca")

_NO_REPEATER: Final = (
    "contact CA repeater after 50 tries.",
    "starting a CA repeater daemon",
    "ca_pend_event() and or ca_poll() more often.",
)
"""Ends of the lines that libca prints when no repeater has answered for a minute."""


_contexts: weakref.WeakSet[Context] = weakref.WeakSet()
_numbers = itertools.count(1)


class Run(Protocol):
    """The owner of many requests; what it is told, it is told on the dispatcher thread."""

    def take_run(self, records: bytes) -> object:
        """Take answers that are in their records: numbers, completions, refusals."""

    def take(self, record: Record, buffer: Any, offset: int) -> object:
        """Take an answer with data besides; these are good until it returns."""


class _Unraisable:
    """What a hook of the user in place of `sys.unraisablehook` gets; Python's own takes only what
    Python makes.
    """

    def __init__(self, exc: BaseException, owner: object) -> None:
        self.exc_type = type(exc)
        self.exc_value = exc
        self.exc_traceback = exc.__traceback__
        self.err_msg = "Exception ignored in Channel Access callback"
        self.object = owner


def report(exc: BaseException, owner: object) -> None:
    """Tell of an exception in a callback: to the logger and to `sys.unraisablehook`, which prints
    the traceback on standard error unless the user has put another one in its place.
    """
    _callback_logger.error(
        "exception in a callback: %r", exc, exc_info=exc, extra=_last_resort.REPORTED
    )
    arguments = _Unraisable(exc, owner)
    try:
        if sys.unraisablehook is not sys.__unraisablehook__:
            sys.unraisablehook(cast("sys.UnraisableHookArgs", arguments))
        elif sys.stderr is not None:
            text = "".join(traceback.format_exception(exc))
            sys.stderr.write(f"{arguments.err_msg}: {owner!r}\n{text}")
            sys.stderr.flush()
    except Exception:
        _callback_logger.exception("sys.unraisablehook failed")


def contexts() -> list[Context]:
    """List the contexts of this process that are open."""
    return [context for context in _contexts if not context.closed]


def heap_buffer(address: int, nbytes: int) -> Any:
    """Take over a payload on the heap; it is freed with the last reference to the buffer."""
    pointer = ffi.gc(ffi.cast("char *", address), _free, nbytes)
    return ffi.buffer(pointer, nbytes)


def _free(pointer: Any) -> None:
    lib.cc_payload_free(int(ffi.cast("uint64_t", pointer)))


class Context:
    """One client context of libca, with its circuits, channels and event queue.

    Args:
        preemptive: run callbacks on a dispatcher thread. Otherwise they run in `pend` only.
        queue_records: events that may wait for the dispatcher. When there are more, the newest
            value of a subscription replaces its pending one, and `replaced` counts.
        queue_bytes: the same limit for the data of arrays and strings.
        repeater: start a caRepeater if none runs.
        at_start: called with the context on the dispatcher thread, before the first callback.

    Attributes:
        after_batch: functions that are called on the dispatcher thread after each batch of
            events, so that what a batch brings can be handed on with one wake-up.

    Raises:
        CAError: libca could not make a context.
    """

    def __init__(
        self,
        *,
        preemptive: bool = True,
        queue_records: int = QUEUE_RECORDS,
        queue_bytes: int = QUEUE_BYTES,
        repeater: bool = True,
        at_start: Callable[[Context], object] | None = None,
    ) -> None:
        self.preemptive = preemptive
        # Until there is something to close: Ctrl-C may come before.
        self.closed = True
        self._retired = False
        self._traced = False
        self.name = f"cachannel-{next(_numbers)}"
        self._pid = os.getpid()
        self._tokens = itertools.count(1)
        self.owners: dict[int, Deliver] = {}
        self.runs: dict[int, Run] = {}
        self._run_numbers = itertools.count(FIRST_OF_RUNS >> RUN_BITS)
        self._running = 0
        self._dispatcher = 0
        self._flush_wanted = False
        # Batches whose callbacks have run, and how many there were when `settle` gave up.
        self._delivered = 0
        self._stuck = -1
        # Who takes batches out of the queue holds this; a batch is good until the next is taken.
        self._consuming = threading.Lock()
        # The rest of a batch, in which a callback has raised KeyboardInterrupt or SystemExit.
        self._rest: tuple[memoryview, Any, int] | None = None
        self._orphaned = False
        self._closing = threading.Lock()
        self._text = ""
        self._exceptions: Deliver | None = None
        self._messages: Callable[[str], object] | None = None
        self._repeater = repeater
        if repeater:
            _start_repeater()
        self.queue = ffi.NULL
        self._batch = ffi.new("cc_batch *")
        self._sinks: list[Any] = []
        self.after_batch: list[Callable[[], object]] = []
        token = self.token()
        self.owners[token] = _weak_notice(self)
        self.id = 0
        self._thread: threading.Thread | None = None
        queues: list[Any] = []
        made: list[int] = []
        try:
            new_queue(queues, queue_records, queue_bytes)
            self.queue = queues[0]
            with forks.held_off():
                # One step of the interpreter, so that Ctrl-C does not lose the id.
                made.extend(map(lib.cc_context_create, (self.queue,), (token,), (preemptive,)))
            if made[0] < 0:
                check(-made[0], operation="create a context")
            self._begin(made[0], at_start)
        except BaseException:
            if made and made[0] > 0:
                self.id, self.closed = made[0], False
                self.close()
            elif queues:
                destroy_queue(queues[0])
            raise

    def _begin(self, number: int, at_start: Callable[[Context], object] | None) -> None:
        self.id, self.closed = number, False
        if _trace.is_wanted():
            self._traced = True
            lib.cc_context_trace(number, True)
        _contexts.add(self)
        if self.preemptive:
            self._thread = threading.Thread(target=_dispatch, args=(self, at_start), name=self.name)
            self._thread.daemon = True
            self._thread.start()

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"{len(self.owners) - 1} owners"
        return f"<Context {self.name} {state}>"

    def __enter__(self) -> Context:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    # Owners ---------------------------------------------------------------------------------

    def token(self) -> int:
        """Return a number that nothing else in this context has."""
        return next(self._tokens)

    def own(self, deliver: Deliver) -> int:
        """Register who gets the events of a request that is about to be made.

        Args:
            deliver: called as ``deliver(record, buffer, offset)``, on the dispatcher thread (or
                in `pend`), for every event with the token.

        Returns:
            The token to give to the C call.
        """
        token = next(self._tokens)
        self.owners[token] = deliver
        return token

    def disown(self, token: int) -> None:
        """Forget an owner. When this returns, none of its callbacks starts any more."""
        self.owners.pop(token, None)
        if self._running == token and threading.get_ident() != self._dispatcher:
            # The dispatcher may be between looking the owner up and calling it. A callback that
            # still runs after this time has certainly started, and is not waited for: it may
            # itself be waiting for this thread.
            deadline = time.monotonic() + 0.25
            while self._running == token and time.monotonic() < deadline:
                time.sleep(0.0005)

    def own_run(self, run: Run) -> int:
        """Register the owner of many requests, and return the token of the first.

        The tokens of the others follow it, up to 2**24 in all. Registering them one by one costs
        more than the rest of what is done for a read.
        """
        number = next(self._run_numbers)
        self.runs[number] = run
        return number << RUN_BITS

    def disown_run(self, token: int) -> bool:
        """Forget the owner of the run that a token belongs to; True the first time only."""
        return self.runs.pop(token >> RUN_BITS, None) is not None

    @property
    def in_callback(self) -> bool:
        """Whether the calling thread is running a callback of this context."""
        return self._running != 0 and threading.get_ident() == self._dispatcher

    @property
    def replaced(self) -> int:
        """How many monitor events gave way to newer ones because the queue was full."""
        return int(self._batch.replaced)

    @property
    def ioc_count(self) -> int:
        """How many IOCs circuits are open to (ca_get_ioc_connection_count)."""
        return int(lib.cc_ioc_count(self.id))

    @property
    def beacon_anomalies(self) -> int:
        """How many beacons came out of turn, so that searches were tried again
        (ca_beacon_anomaly_count).
        """
        return int(lib.cc_beacon_anomalies(self.id))

    # Delivering -----------------------------------------------------------------------------

    def deliver(self) -> int:
        """Run the callbacks of what is queued, in the calling thread.

        Returns:
            The number of events; 0 also when another thread is delivering.

        Raises:
            KeyboardInterrupt, SystemExit: a callback raised it, and the context has no dispatcher.
                The callbacks of the other events run in the next call. All other exceptions of
                callbacks are reported, see `report`.
        """
        if not self._consuming.acquire(blocking=False):
            return 0
        try:
            return 0 if self.closed else self._deliver()
        finally:
            if self._orphaned:
                self._destroy_queue()
            self._consuming.release()

    def _deliver(self) -> int:
        self._dispatcher = threading.get_ident()
        batch = self._batch
        position = 0
        if self._rest is not None:
            (records, data, position), self._rest = self._rest, None
            length = len(records) // _RECORD_SIZE
        else:
            length = lib.cc_queue_take(self.queue, batch)
            if not length:
                self._delivered += 1
                return 0
            records = memoryview(ffi.buffer(batch.records, length * _RECORD_SIZE))
            data = ffi.buffer(batch.bytes, batch.nbytes) if batch.nbytes else b""
        get = self.owners.get
        owner: Deliver | None = None
        rest = RECORD.iter_unpack(b"")
        buffer: Any = None
        offset = 0
        try:
            while position < length:
                rest = RECORD.iter_unpack(records[position * _RECORD_SIZE :])
                position = length
                for record in rest:
                    self._running = token = record[0]
                    owner = get(token)
                    if owner is None:
                        if token >= FIRST_OF_RUNS:
                            first = length - length_hint(rest) - 1
                            position = self._deliver_run(token, records, data, first)
                            break
                        if record[2] > _IN_BATCH:
                            heap_buffer(record[13], record[11])
                        continue
                    if record[2] < _IN_BATCH:
                        buffer = None
                    elif record[2] == _IN_BATCH:
                        buffer, offset = data, record[13]
                    else:
                        buffer, offset = heap_buffer(record[13], record[11]), 0
                    try:
                        owner(record, buffer, offset)
                    except BaseException as exc:  # user code; it must not stop the others
                        if not self.preemptive and isinstance(exc, KeyboardInterrupt | SystemExit):
                            raise
                        report(exc, owner)
        except BaseException:
            self._rest = records, data, length - length_hint(rest)
            raise
        finally:
            self._running = _AFTER_BATCH
            if self._rest is None:
                self._delivered += 1
            try:
                # A copy: `settle` of another thread puts functions in and out.
                for function in (*self.after_batch,):
                    function()
            finally:
                self._running = 0
            if self._flush_wanted:
                self._flush_wanted = False
                self.flush()
        return length

    def _deliver_run(self, token: int, records: memoryview, data: Any, first: int) -> int:
        """Give a run what has come for it in a row.

        Args:
            token: of the first.
            records: the records of the batch.
            data: what they have in the batch besides.
            first: which record is the first.

        Returns:
            Which record comes after them.
        """
        number = token >> RUN_BITS
        run = self.runs.get(number)
        end: int = lib.cc_batch_numbers(self._batch, first, RUN_BITS)
        try:
            if end > first:
                if run is not None:
                    run.take_run(bytes(records[first * _RECORD_SIZE : end * _RECORD_SIZE]))
                return end
            for record in RECORD.iter_unpack(records[first * _RECORD_SIZE :]):
                if record[0] >> RUN_BITS != number or record[2] < _IN_BATCH:
                    break
                end += 1
                if record[2] == _IN_BATCH:
                    buffer, offset = data, record[13]
                else:
                    buffer, offset = heap_buffer(record[13], record[11]), 0
                if run is not None:
                    run.take(record, buffer, offset)
        except BaseException as exc:
            report(exc, run)
        return end

    def settle(self, timeout: float) -> bool:
        """Wait until the callbacks of what is queued now have run, unless in one of them.

        Args:
            timeout: seconds; a callback that takes longer is not waited for again.

        Returns:
            Whether they have.
        """
        if self.closed or self.in_callback:
            return False
        with self._closing:
            # The queue goes some time after `closed` is set.
            if self.closed:
                return False
            mark = int(lib.cc_queue_mark(self.queue))
        if self._delivered >= mark:
            return True
        if not self.preemptive:
            while self.deliver() and self._delivered < mark:
                pass
            return self._delivered >= mark
        if self._stuck == self._delivered:
            return False
        event = threading.Event()

        def look() -> None:
            if self._delivered >= mark:
                event.set()

        self.after_batch.append(look)
        try:
            look()
            if not event.wait(timeout):
                self._stuck = self._delivered
        finally:
            self.after_batch.remove(look)
        return event.is_set()

    def pend(self, timeout: float) -> None:
        """Wait for `timeout` seconds; without a dispatcher, run callbacks as they come.

        Args:
            timeout: seconds; < 0: without limit.

        Raises:
            KeyboardInterrupt, SystemExit: see `deliver`.
        """
        self.flush()
        deadline = time.monotonic() + timeout
        if self.preemptive or self.in_callback:
            while not self.closed:
                left = SLICE if timeout < 0 else min(SLICE, deadline - time.monotonic())
                if left <= 0:
                    return
                time.sleep(left)
            return
        while not self.closed:
            while self.deliver():
                if 0 <= timeout <= time.monotonic() - deadline + timeout:
                    break
            left = SLICE if timeout < 0 else min(SLICE, deadline - time.monotonic())
            if left <= 0:
                return
            if not self._consuming.acquire(timeout=left):
                continue
            try:
                if not self.closed:
                    lib.cc_queue_wait(self.queue, left)
            finally:
                self._consuming.release()

    def wait(
        self, function: Callable[[int, float], int], target: int, timeout: float | None
    ) -> int:
        """Wait in C, in slices, so that signals are handled and callbacks run.

        Args:
            function: a ``lib.cc_*wait*`` function.
            target: the id it takes.
            timeout: seconds; None: without limit.

        Returns:
            The CA status, ECA_NORMAL, ECA_TIMEOUT, or what the function says.
        """
        drain = not self.preemptive and not self.in_callback
        if timeout is not None and timeout <= SLICE and not drain:
            return int(function(target, max(timeout, 0.0)))
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = SLICE if deadline is None else min(SLICE, deadline - time.monotonic())
            if drain:
                left = min(left, 0.01)
            status: int = function(target, max(left, 0.0))
            if drain:
                self.deliver()
            if status != ECA.TIMEOUT or left <= 0:
                return status

    def flush(self) -> int:
        """Send what is buffered (ca_flush_io). Returns the CA status."""
        return int(lib.cc_flush(self.id))

    def flush_soon(self) -> None:
        """Send what is buffered: in a callback once for the whole batch of events, else now."""
        if self.in_callback:
            self._flush_wanted = True
        else:
            self.flush()

    # Messages -------------------------------------------------------------------------------

    def on_exception(self, deliver: Deliver | None) -> None:
        """Install who gets libca's exceptions; None: they go to the logger."""
        self._exceptions = deliver

    def on_message(self, function: Callable[[str], object] | None) -> None:
        """Install who gets libca's messages, in the pieces they come in; None: the logger."""
        self._messages = function

    def _notice(self, record: Record, buffer: Any, offset: int) -> None:
        """Handle what belongs to the context itself."""
        data = bytes(buffer[offset : offset + record[11]])
        if record[1] == _TRACE:
            _trace.log(record, data)
        elif record[1] == _MESSAGE:
            self._message(text.decode(data))
        elif self._exceptions is not None:
            self._exceptions(record, buffer, offset)
        elif self._messages is not None:
            # As libca prints an exception that nobody takes: in pieces.
            for piece in exception_text(record, data):
                self._messages(piece)
        else:
            name, line = exception_line(record, data)
            _libca_logger.warning("%s", line, extra={"pv": name} if name else None)

    def _message(self, piece: str) -> None:
        if self._messages is not None:
            self._messages(piece)
            return
        *lines, self._text = (self._text + piece).split("\n")
        for line in lines:
            if line.strip(" ."):
                # Who wants no repeater need not hear that libca misses one.
                known = not self._repeater and line.strip().endswith(_NO_REPEATER)
                level = logging.DEBUG if known else logging.WARNING
                _libca_logger.log(level, "%s", line.strip())

    # End ------------------------------------------------------------------------------------

    def close(self) -> None:
        """End the context: its channels, subscriptions and requests end with it.

        When this has returned no callback of the context starts any more. May be called more than
        once, and from a callback. While the interpreter ends it does nothing, see `retire`.
        """
        if not self.closed and not self._retired and self._pid == os.getpid():
            self._finish()
        with self._closing:
            if self.closed or self._retired:
                return
            self.closed = True
        if self._pid != os.getpid():
            return
        self.owners.clear()
        self.runs.clear()
        lib.cc_queue_close(self.queue)
        for sink in self._sinks:
            lib.cc_queue_close(sink.queue)
        with forks.held_off():
            lib.cc_context_close(self.id)
        _contexts.discard(self)
        # A callback may still be running, even the one that called this. Who consumes the queue
        # looks at it again after that, and destroys it.
        inside = self.in_callback
        if self._thread is not None:
            # Ctrl-C may have come before it runs; then it ends by itself.
            here = self._thread is threading.current_thread()
            if not inside and not here and self._thread.is_alive():
                self._thread.join(2.0)
        elif inside or not self._consuming.acquire(timeout=2.0):
            self._orphaned = True
        else:
            self._destroy_queue()
            self._consuming.release()

    def _finish(self) -> None:
        """Deliver what has come: a script that ends must still hear of a refused write."""
        if self._thread is not None and self._thread.is_alive():
            # The lines of a log are many, and the last ones are those that people look at.
            self.settle(2.0 if self._traced else LAST_SECONDS)

    def retire(self) -> None:
        """End the dispatcher, because the interpreter ends; C ends the context after Python.

        Until then finalizers and exit functions may read and write: the lamp that a script's
        object switches off in its `__del__`. Callbacks run in `pend` only.
        """
        if self.closed or self._pid != os.getpid():
            return
        self._finish()
        thread = None if self.in_callback else self._thread
        with self._closing:
            # Another thread may have closed it meanwhile; from here on none can.
            self._retired = not self.closed
            if self._retired and thread is not None:
                lib.cc_queue_wake(self.queue)
        if thread is None:
            return
        thread.join(2.0)
        if not thread.is_alive():
            self._thread, self.preemptive = None, False

    def _destroy_queue(self) -> None:
        queue, self.queue = self.queue, ffi.NULL
        if self._rest is not None:
            (records, _, position), self._rest = self._rest, None
            for record in RECORD.iter_unpack(records[position * _RECORD_SIZE :]):
                if record[2] == _ON_HEAP:
                    heap_buffer(record[13], record[11])
        if queue:
            destroy_queue(queue)

    def __del__(self) -> None:
        if not getattr(self, "closed", True):
            self.close()


def _dispatch(context: Context, at_start: Callable[[Context], object] | None) -> None:
    """Run the dispatcher thread."""
    context._dispatcher = threading.get_ident()
    if at_start is not None:
        at_start(context)
    while True:
        state = lib.cc_queue_wait(context.queue, FOREVER)
        if state < 0:
            context._destroy_queue()
            return
        if context._retired:
            return
        if state:
            context.deliver()


def _weak_notice(context: Context) -> Deliver:
    """Make the owner of a context's own events; it must not keep the context alive."""
    reference = weakref.ref(context)

    def notice(record: Record, buffer: Any, offset: int) -> None:
        found = reference()
        if found is not None:
            found._notice(record, buffer, offset)

    return notice


def _start_repeater() -> None:
    # Imported here and in there at the first call; a child that was forked in the middle of an
    # import would wait for ever at its own.
    with forks.held_off():
        try:
            from cachannel.repeater import spawn_repeater
        except ImportError:
            # In a signal handler, in the middle of this very import, after which it is started.
            return
        spawn_repeater()


_ending = False


def park_at_exit() -> None:
    """Hold a daemon thread whose context is gone because the process ends.

    It would otherwise raise, and print a traceback nobody can do anything about. The thread ends
    with the process; the limit is for a process that does not end.
    """
    if _ending and threading.current_thread().daemon:
        time.sleep(5.0)


def _close_all() -> None:
    """At exit: end what runs Python, while Python is still whole."""
    global _ending
    _ending = True
    later = lib.cc_close_at_exit()
    for context in list(_contexts):
        if later:
            context.retire()
        else:
            context.close()


def _after_fork() -> None:
    """In the child of a fork, nothing of the parent's contexts may be touched."""
    for context in list(_contexts):
        context.closed = True
        context.owners.clear()
        context.runs.clear()
        for sink in context._sinks:
            sink.closed = True
    _contexts.clear()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_after_fork)


def create_many(
    context: Context, names: Sequence[bytes], priority: int, first_token: int, flags: int
) -> list[int]:
    """Create channels with one call into C.

    Returns:
        For each name the id of its channel, or a negated CA status.
    """
    ids = ffi.new("cc_id[]", len(names))
    joined = b"\0".join(names) + b"\0"
    status = lib.cc_create_many(context.id, joined, len(names), priority, first_token, flags, ids)
    if status != ECA.NORMAL:
        for channel in ffi.unpack(ids, len(names)) if names else []:
            if channel > 0:
                lib.cc_channel_clear(channel)
        raise CAError(status, operation="create channels")
    return ffi.unpack(ids, len(names)) if names else []
