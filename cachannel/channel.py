"""Class `CaChannel`: one PV as an object, with the names and the behaviour of CaChannel 3.2.

All objects share one preemptive context, made on first use; a thread that uses an object is
attached to it. Requests are buffered: `flush_io`, `pend_io`, `pend_event`, `poll` and the methods
whose names end in "w" send them.

Callbacks run on the dispatcher thread of the context, one at a time, never on a thread of libca.
They take two arguments: what happened, and the user arguments as a tuple. Any method may be
called in them, also those that wait.

Life. An object is freed with its last reference, which clears the channel. With a monitor or a
connection callback it lives until `clear_event` or `clear_channel`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, SupportsFloat, SupportsInt

import cachannel as _package
from cachannel import ca
from cachannel._ca.callbacks import on_connection, on_value
from cachannel._ca.core import (
    ANY,
    answer,
    attach_shared,
    change_connection,
    count_number,
    create_in,
    create_waited,
    encode_name,
    exception_dict,
    last_reading,
    mask_number,
    once,
    pend_io_in,
    prepare,
    put_with,
    seconds,
    subscribe_with,
    type_number,
    wait_mine,
)
from cachannel._ca.handles import FLOAT, PENDING, Chid, DBRValue, Evid, fetch
from cachannel._ca.pv_values import as_text, shown, value_of
from cachannel._ca.steps import are_overridden, read_in_steps, search_in_steps
from cachannel._ca.unconnected import failure, late
from cachannel._ca.waited import get_waited, put_waited
from cachannel._native import lib
from cachannel.errors import CaChannelException, CAError, StringTooLongError
from cachannel.protocol.enums import CA_OP, DBF, ECA, ChannelState
from cachannel.values.decode import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachannel.context import Context

    Arguments = dict[str, Any]
    Callback = Callable[[Arguments, tuple[Any, ...]], object]

__all__ = ["CaChannel", "CaChannelException"]

_NORMAL = ECA.NORMAL
_TEXT_TYPES = frozenset((0, 7, 14, 21, 28))
_CHAR = 4
# What the shortest ways call, without a look into `lib`.
_read_number: Callable[[int], float] = lib.cc_read_number


def _wants_numpy(keywords: dict[str, Any]) -> bool:
    return bool(keywords.get("use_numpy", _package.USE_NUMPY))


class CaChannel:
    """One PV.

    Args:
        pvName: name of the PV, str or bytes; may also be given to `search` and its kin.

    Attributes:
        ca_timeout: seconds that the objects without a time-out of their own wait. It is read from
            this class.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_chid",
        "_dbrvalue",
        "_pvname",
        "_timeout",
    )

    ca_timeout: ClassVar[float] = 3.0
    __version__: ClassVar[str] = "3.2.0"

    _pvname: str | bytes | None
    _chid: Chid | None
    _timeout: float | None
    # What `getValue` gives: the last answer, or the number it was.
    _dbrvalue: DBRValue | float | None
    # Nothing is kept here; scripts that look into it find it empty.
    _callbacks: ClassVar[dict[str, Any]] = {}
    # What a script's class overrides: steps of searching, of reading.
    _searches_itself: ClassVar[bool] = False
    _reads_itself: ClassVar[bool] = False

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        cls._searches_itself = are_overridden(cls, "search", "pend_io")
        cls._reads_itself = are_overridden(cls, "array_get", "pend_io", "getValue")

    def __init__(self, pvName: str | bytes | None = None) -> None:
        self._pvname = pvName
        self._chid = None
        self._timeout = None
        self._dbrvalue = None

    @property
    def _evid(self) -> Evid | None:
        """The monitor, which lives with the channel."""
        chid = self._chid
        return None if chid is None or chid.hooks is None else chid.hooks.evid

    @_evid.setter
    def _evid(self, evid: Evid | None) -> None:
        """Take note of nothing: classes of scripts set it as `__init__` and `clear_event` do."""

    def __del__(self) -> None:
        chid = getattr(self, "_chid", None)
        if chid is not None and chid.id > 0:
            try:
                chid.clear()
                chid.context.flush()
            except Exception:  # nobody could be told, and the channel goes anyway
                self._chid = None

    def __repr__(self) -> str:
        return shown(self)

    @staticmethod
    def version() -> str:
        """Return the version of CaChannel whose interface this is."""
        return CaChannel.__version__

    # Helpers --------------------------------------------------------------------------------

    def _failed(self, status: int, operation: str, detail: str = "", kind: int = ANY) -> CAError:
        """Make the exception of a status; `kind` is the type that the caller asked for."""
        chid, name = self._chid, self._pvname
        return failure(0 if chid is None else chid.id, name, status, operation, detail, kind)

    def _late(self, context: Context, operation: str, detail: str) -> CAError:
        """Make the exception of what has not come, in time or ever."""
        if context.closed:
            return self._failed(ECA.NOCACTX, operation, "the context was ended meanwhile")
        return self._failed(ECA.TIMEOUT, operation, detail)

    def _check(self, status: int, operation: str) -> None:
        if status != _NORMAL:
            raise self._failed(status, operation)

    def _open(self, operation: str) -> Chid:
        """Return the channel.

        Raises:
            CaChannelException: (ECA_BADCHID) there has been no search, or it has been cleared.
        """
        chid = self._chid
        if chid is None:
            raise self._failed(ECA.BADCHID, operation, "no search was made, or it was cleared")
        return chid

    def _context(self) -> Context:
        """Return the context of the channel; without a channel, the shared one."""
        shared = attach_shared()
        chid = self._chid
        return shared if chid is None else chid.context

    # Connecting -----------------------------------------------------------------------------

    def _create(
        self,
        name: str | bytes | None,
        callback: Callable[[Chid, CA_OP], object] | None,
        operation: str,
    ) -> None:
        if name is None:
            name = self._pvname
        else:
            self._pvname = name
        context = attach_shared()
        if self._chid is not None:
            self.clear_channel()
        if not name:
            raise self._failed(ECA.BADSTR, operation, "the PV has no name")
        if not isinstance(name, str | bytes):
            encode_name(name)
        status, chid = create_in(context, name, callback)
        if chid is None:
            raise self._failed(status, operation)
        self._chid = chid

    def search(self, pvName: str | bytes | None = None) -> None:
        """Start to connect; `pend_io` waits for it.

        Args:
            pvName: name of the PV; None: the one given before. A former channel of this object
                is cleared first.

        Raises:
            CaChannelException: ECA_BADSTR without a name.
        """
        name = self._pvname if pvName is None else pvName
        if self._chid is None and type(name) is str:
            # The short way for the usual call, which is made for thousands of PVs.
            context = attach_shared()
            channel = create_waited(context, name)
            if channel > 0:
                self._pvname, self._chid = name, Chid(channel, name, context)
                return
        self._create(pvName, None, "search")

    def search_and_connect(
        self,
        pvName: str | bytes | None,
        callback: Callable[[tuple[Chid, CA_OP], tuple[Any, ...]], object],
        *user_args: Any,
    ) -> None:
        """Start to connect, with a callback; `pend_io` does not wait for it.

        Args:
            pvName: name of the PV; None: the one given before.
            callback: called as ``callback((chid, op), user_args)`` on every connect and
                disconnect, op being CA_OP.CONN_UP or CA_OP.CONN_DOWN.
            user_args: anything.

        Raises:
            CaChannelException: ECA_BADSTR without a name.
        """
        self._create(pvName, on_connection(self, callback, user_args), "search_and_connect")

    def searchw(self, pvName: str | bytes | None = None) -> None:
        """Connect, and wait for it at most `getTimeout` seconds.

        It waits for everything else that this thread has started, too.

        Raises:
            CaChannelException: ECA_TIMEOUT when this PV did not connect. The channel stays, and
                may connect later.
        """
        if self._searches_itself:
            search_in_steps(self, pvName)
            return
        self._create(pvName, None, "searchw")
        chid = self._open("searchw")
        context, timeout = chid.context, self.getTimeout()
        wait_mine(context, lib.cc_channel_wait, (chid.id,), timeout or None)
        if lib.cc_channel_is_connected(chid.id) != 1:
            raise self._late(context, "searchw", f"not connected within {timeout:g} s")

    def clear_channel(self) -> None:
        """End the channel and its monitor. The object can search again."""
        chid, self._chid, self._dbrvalue = self._chid, None, None
        if chid is not None:
            chid.clear()

    def change_connection_event(
        self,
        callback: Callable[[tuple[Chid, CA_OP], tuple[Any, ...]], object] | None,
        *user_args: Any,
    ) -> None:
        """Install, replace or (not callable) remove the connection callback.

        Args:
            callback: as for `search_and_connect`.
            user_args: anything.

        Raises:
            CaChannelException: ECA_BADCHID without a channel.
        """
        chid = self._open("change_connection_event")
        status = change_connection(chid, on_connection(self, callback, user_args))
        self._check(status, "change_connection_event")

    # Writing --------------------------------------------------------------------------------

    def _put(self, value: Any, req_type: Any, count: Any, operation: str) -> Any:
        """Convert a value; raise what keeps it from being sent."""
        chid = self._open(operation)
        try:
            encoded = prepare(chid, value, req_type, count, operation)
        except StringTooLongError as exc:
            raise CaChannelException(ECA.BADSTR, chid.shown, operation, exc.detail) from None
        except CAError as exc:
            exc.__traceback__ = None  # it says what is wrong; the frames below do not help
            raise
        if isinstance(encoded, int):
            raise self._failed(encoded, operation)
        return encoded

    def array_put(
        self, value: Any, req_type: SupportsInt | None = None, count: SupportsInt | None = None
    ) -> None:
        """Write, without waiting and without sending: the next flush sends.

        Args:
            value: a number, text, or a sequence of them.
            req_type: type to send it as, ca.DBR_STRING to ca.DBR_DOUBLE; None: the native type.
            count: at most so many elements; None: as many as there are. A number is one element,
                whatever this says, and cuts off the rest of an array.

        Raises:
            CaChannelException: ECA_BADTYPE or ECA_DISCONN when not connected, ECA_NOWTACCESS,
                ECA_BADSTR (text too long), ECA_BADCOUNT.
            BadValueError, RangeError, ValueTypeError: the value cannot be sent as this type.
        """
        chid = self._chid
        if chid is not None and req_type is None and count is None:
            kind = type(value)
            if kind is float or (kind is int and -0x80000000 <= value < 0x80000000):
                status = lib.cc_put_number(chid.id, ANY, value)
                if status == 1:
                    return
                if status > 0:
                    raise self._failed(status, "array_put")
        encoded = self._put(value, req_type, count, "array_put")
        self._check(lib.cc_put(self._chid.id, *encoded), "array_put")  # type: ignore[union-attr]

    def array_put_callback(
        self,
        value: Any,
        req_type: SupportsInt | None,
        count: SupportsInt | None,
        callback: Callback | None,
        *user_args: Any,
    ) -> None:
        """Write with completion. Several may be out at the same time.

        Args:
            value: as for `array_put`, as are `req_type` and `count`.
            callback: called as ``callback({'chid', 'type', 'count', 'status'}, user_args)`` when
                the record and all that it triggered has processed, or when that failed.
            user_args: anything.

        Raises:
            CaChannelException: as for `array_put`.
        """
        encoded = self._put(value, req_type, count, "array_put_callback")
        chid = self._open("array_put_callback")

        def done(record: Record, buffer: Any, offset: int) -> None:
            if callable(callback):
                callback(answer(chid, record), user_args)

        self._check(put_with(chid, encoded, done), "array_put_callback")

    def putw(self, value: Any, req_type: SupportsInt | None = None) -> None:
        """Write and send. It does not wait for anything, despite its name.

        Args:
            value: as for `array_put`, as is `req_type`.

        Raises:
            CaChannelException: as for `array_put`.
        """
        self.array_put(value, req_type)
        self.flush_io()

    def _put_wait(
        self,
        value: Any,
        req_type: SupportsInt | None = None,
        count: SupportsInt | None = None,
        timeout: float | None = None,
        operation: str = "putWait",
    ) -> None:
        """Write and wait for completion, see `put_waited`."""
        try:
            put_waited(self, self._put(value, req_type, count, operation), timeout, operation)
        except CAError as exc:
            exc.__traceback__ = None  # as in `_put`
            raise

    # Reading --------------------------------------------------------------------------------

    def array_get(
        self,
        req_type: SupportsInt | None = None,
        count: SupportsInt | None = None,
        **keywords: Any,
    ) -> Any:
        """Ask for the value; `pend_io` waits for it, `getValue` gives it.

        Args:
            req_type: request type, ca.DBR_*; None: the native type.
            count: at most so many elements; None: the native count; 0: one.
            keywords: ``use_numpy``: several numbers come as an ndarray; default
                `cachannel.USE_NUMPY`. Others are ignored.

        Raises:
            CaChannelException: ECA_BADTYPE, ECA_DISCONN, ECA_NORDACCESS.
            OverflowError: `count` is negative.
        """
        value, chid = self._dbrvalue, self._chid
        if not isinstance(value, DBRValue):
            self._dbrvalue = value = DBRValue(0, False)
        elif req_type is None and count is None and chid is not None and not keywords:
            # The short way for the usual call, which is made for thousands of PVs.
            previous, value._request = value._request, 0
            request = lib.cc_get(chid.id, ANY, ANY, previous, 1)
            if request > 0:
                # As `DBRValue.renew`, without a call.
                lost, value._request, value._kept = value._request, request, None
                value.use_numpy = _package.USE_NUMPY
                if lost:
                    lib.cc_request_release(lost)
                return
        self._start_get(value, req_type, count, keywords, "array_get")

    def _start_get(
        self,
        value: DBRValue,
        req_type: Any,
        count: Any,
        keywords: dict[str, Any],
        operation: str,
    ) -> None:
        chid = self._chid
        if chid is None:
            chid = self._open(operation)
        kind = ANY if req_type is None else type_number(req_type, chid, operation)
        elements = ANY if count is None else count_number(count, chid.shown, operation)
        previous, value._request = value._request, 0
        request = lib.cc_get(chid.id, kind, elements, previous, 1)
        if request < 0:
            value.renew(0)
            raise self._failed(-request, operation, kind=kind)
        value.renew(request)
        value.use_numpy = _wants_numpy(keywords)

    def getValue(self) -> Any:
        """Return the value of the last `array_get`, as often as wanted.

        Returns:
            None while there is none. A plain type gives a number, str, or list or ndarray of shape
            ``(count,)``. Other types: a dict with ``pv_value``, ``pv_severity``, ``pv_status``
            and, by type, ``pv_seconds`` (since 1990) and ``pv_nseconds``, or ``pv_units``, the
            limits (``pv_updislim``, ...), ``pv_precision``, ``pv_nostrings`` and
            ``pv_statestrings``.
        """
        value = self._dbrvalue
        if not isinstance(value, DBRValue):
            return value
        # The short way, as `value_of` begins.
        number = lib.cc_request_float(value._request)
        return number if number == number else value_of(value)

    def getw(
        self,
        req_type: SupportsInt | None = None,
        count: SupportsInt | None = None,
        **keywords: Any,
    ) -> Any:
        """Read, and wait for the value at most `getTimeout` seconds.

        It waits for everything else that this thread has started, too. A time-out below 5 ms is
        one of 5 ms.

        Args:
            req_type: as for `array_get`. A PV of native type CHAR read as one of the STRING types
                gives its bytes up to the first NUL as one text.
            count: as for `array_get`.
            keywords: as for `array_get`.

        Returns:
            As `getValue`.

        Raises:
            CaChannelException: ECA_TIMEOUT; the server's status when it refused; ECA_DISCONN
                when the connection was lost meanwhile; as for `array_get`.
        """
        value, chid, text_wanted, spent = None, self._chid, False, 0.0
        itself = self._reads_itself
        if req_type is None and count is None and chid is not None and not (keywords or itself):
            # The short way for the usual call.
            channel = chid.id
            number = _read_number(channel)
            if number == number:
                self._dbrvalue = number
                return number
            reading = last_reading(channel)
            if isinstance(reading, DBRValue):
                value, spent = reading, lib.CC_BRIEFLY
            elif reading is not None:
                self._dbrvalue = reading
                return reading
        elif req_type is not None and chid is not None:
            kind = type_number(req_type, chid, "getw")
            if kind in _TEXT_TYPES and lib.cc_field_type(chid.id) == _CHAR:
                text_wanted, req_type = True, kind + _CHAR
        if itself:
            if text_wanted:
                keywords["use_numpy"] = False
            answer = read_in_steps(self, req_type, count, keywords)
            return as_text(answer) if text_wanted else answer
        if value is None:
            # A request of its own: several threads may read the same object at the same time.
            value = DBRValue(0, False)
            self._start_get(value, req_type, count, keywords, "getw")
        self._await_get(value, spent)
        # Looked at before `array_get` of another thread can use its request again.
        if text_wanted:
            value.use_numpy = False
            answer = as_text(value_of(value))
        else:
            answer = value_of(value, give=True)
        self._dbrvalue = value
        return answer

    def _await_get(self, value: DBRValue, spent: float) -> None:
        chid, request, timeout = self._open("getw"), value._request, self.getTimeout()
        left = max(timeout - spent, 0.0) if timeout else None
        wait_mine(chid.context, lib.cc_request_wait, (request,), left)
        state = lib.cc_request_state(request)
        if FLOAT <= state < 4:
            return
        if state == PENDING or chid.context.closed:
            raise self._late(chid.context, "getw", f"no answer within {timeout:g} s")
        lib.cc_request_forgive(request)
        got = fetch(request, steal=False)
        raise self._failed(got[0][7] if got else ECA.CHANDESTROY, "getw")

    def array_get_callback(
        self,
        req_type: SupportsInt | None,
        count: SupportsInt | None,
        callback: Callback,
        *user_args: Any,
        **keywords: Any,
    ) -> None:
        """Ask for the value, with a callback. Several may be out at the same time.

        Args:
            req_type: as for `array_get`.
            count: at most so many elements; None: the native count; 0: as many as there are.
            callback: called as ``callback({'chid', 'type', 'count', 'status', 'pv_value', ...},
                user_args)`` with the items of `getValue`. After a failure `status` says why and
                ``pv_value`` is None.
            user_args: anything.
            keywords: as for `array_get`.

        Raises:
            CaChannelException: as for `array_get`.
            TypeError: `callback` cannot be called.
        """
        operation = "array_get_callback"
        chid = self._open(operation)
        deliver = once(
            chid, on_value(self, chid, callback, user_args, use_numpy=_wants_numpy(keywords))
        )
        kind = type_number(req_type, chid, operation)
        elements = count_number(count, chid.shown, operation)
        token = chid.context.own(deliver)
        status = lib.cc_get_callback(chid.id, kind, elements, token)
        if status != _NORMAL:
            chid.context.disown(token)
            raise self._failed(status, operation, kind=kind)

    def _get_wait(
        self,
        req_type: SupportsInt | None = None,
        count: SupportsInt | None = None,
        timeout: float | None = None,
        use_numpy: bool = False,
        operation: str = "getControl",
    ) -> dict[str, Any]:
        """Read as `array_get_callback` does, and wait, see `get_waited`."""
        return get_waited(self, req_type, count, timeout, use_numpy, operation)

    # Monitoring -----------------------------------------------------------------------------

    def add_masked_array_event(
        self,
        req_type: SupportsInt | None = None,
        count: SupportsInt | None = None,
        mask: SupportsInt | None = None,
        callback: Callback | None = None,
        *user_args: Any,
        **keywords: Any,
    ) -> None:
        """Monitor the PV. An object has one monitor: an earlier one is ended first.

        Args:
            req_type: as for `array_get`; must be given while the channel is not connected.
            count: at most so many elements; None: the native count; 0: as many as there are each
                time.
            mask: ca.DBE_* bits; None: ca.DBE_VALUE | ca.DBE_ALARM.
            callback: called as for `array_get_callback`: soon after the next flush with the
                present value, with every change, and again after every reconnect.
            user_args: anything.
            keywords: as for `array_get`.

        Raises:
            CaChannelException: ECA_BADTYPE, ECA_BADMASK; the earlier monitor goes on then.
            TypeError: `callback` cannot be called.
        """
        operation = "add_masked_array_event"
        chid = self._open(operation)
        deliver = on_value(self, chid, callback, user_args, use_numpy=_wants_numpy(keywords))
        kind = type_number(req_type, chid, operation)
        elements = count_number(count, chid.shown, operation)
        events = mask_number(mask, chid, operation)
        connected = lib.cc_channel_is_connected(chid.id) == 1
        if not -1 <= kind <= 38 or (kind == ANY and not connected):
            raise self._failed(ECA.BADTYPE, operation, kind=kind)
        if not 0 < events <= 0xFFFF:
            raise self._failed(ECA.BADMASK, operation)
        self.clear_event()
        status, evid = subscribe_with(chid, deliver, kind, elements, events)
        if evid is None:
            raise self._failed(status, operation, kind=kind)
        chid.hooked().evid = evid

    def clear_event(self) -> None:
        """End the monitor. When this returns its callback does not start any more."""
        chid = self._chid
        if chid is not None and chid.hooks is not None:
            evid, chid.hooks.evid = chid.hooks.evid, None
            if evid is not None:
                evid.clear()

    # Waiting --------------------------------------------------------------------------------

    def pend_io(self, timeout: SupportsFloat | None = None) -> None:
        """Send, and wait for the searches and gets of all objects.

        Args:
            timeout: seconds; None: `getTimeout`; 0: **without limit**.

        Raises:
            CaChannelException: ECA_TIMEOUT when not all came in time, naming what did not, or when
                the server refused a get.
        """
        length = self.getTimeout() if timeout is None else seconds(timeout)
        status, words, names = pend_io_in(self._context(), length)
        if status == ECA.GETFAIL:
            raise self._failed(ECA.TIMEOUT, "pend_io", "the server refused a get")
        if names:
            raise late(length, words, names)
        if status != _NORMAL:
            raise self._failed(status, "pend_io", f"not all is through after {length:g} s")

    def pend_event(self, timeout: SupportsFloat | None = None) -> ECA:
        """Send, and let callbacks run for a time.

        Args:
            timeout: seconds; None: 0.1; 0: **for ever**.

        Returns:
            ECA.TIMEOUT after that time; ECA.EVDISALLOW at once inside a callback.
        """
        length = 0.1 if timeout is None else seconds(timeout)
        context = self._context()
        if context.in_callback:
            context.flush()
            return ECA.EVDISALLOW
        context.pend(-1.0 if length == 0 else max(length, 0.0))
        return ECA.TIMEOUT

    def poll(self) -> ECA:
        """Send. Returns ECA.TIMEOUT, inside a callback ECA.EVDISALLOW."""
        context = self._context()
        context.flush()
        return ECA.EVDISALLOW if context.in_callback else ECA.TIMEOUT

    def flush_io(self) -> None:
        """Send what is buffered."""
        self._check(self._context().flush(), "flush_io")

    def setTimeout(self, timeout: SupportsFloat | None) -> None:
        """Set how long this object waits.

        Args:
            timeout: seconds; 0: **without limit**; None: `ca_timeout` of the class.

        Raises:
            ValueError: it is negative or NaN.
            TypeError: it is not a number.
        """
        if timeout is None:
            self._timeout = None
            return
        length = seconds(timeout)
        if length < 0:
            raise ValueError(f"the time-out must be 0 or more seconds, not {timeout!r}")
        # As it was given: scripts print it.
        self._timeout = timeout if isinstance(timeout, int | float) else length

    def getTimeout(self) -> float:
        """Return how many seconds this object waits."""
        return CaChannel.ca_timeout if self._timeout is None else self._timeout

    # Asking ---------------------------------------------------------------------------------

    def field_type(self) -> DBF:
        """Return the native type; DBF.NOTCONN (-1) while not connected."""
        return ca.field_type(self._open("field_type"))

    def element_count(self) -> int:
        """Return the native element count; 0 while not connected."""
        return ca.element_count(self._open("element_count"))

    def name(self) -> str | bytes:
        """Return the name of the PV."""
        return ca.name(self._open("name"))

    def state(self) -> ChannelState:
        """Return the state of the channel; NEVER_SEARCH without one."""
        return ca.state(self._chid)

    def host_name(self) -> str:
        """Return ``'host:port'`` of the server, ``'<disconnected>'`` while not connected."""
        return ca.host_name(self._open("host_name"))

    def read_access(self) -> bool:
        """Tell whether this client may read the PV."""
        return ca.read_access(self._open("read_access"))

    def write_access(self) -> bool:
        """Tell whether this client may write the PV."""
        return ca.write_access(self._open("write_access"))

    # Access rights, exceptions, messages ------------------------------------------------------

    def replace_access_rights_event(
        self, callback: Callable[[Arguments, Any], object] | None = None, user_args: Any = None
    ) -> None:
        """Install, replace or remove (None) the access rights callback.

        Args:
            callback: called as ``callback({'chid', 'read_access', 'write_access'}, user_args)``:
                at once, in the calling thread, if the channel is connected; then whenever the
                rights change, and on connect and disconnect.
            user_args: handed over as given.

        Raises:
            CaChannelException: ECA_BADCHID without a channel.
        """
        chid = self._open("replace_access_rights_event")
        wrapped = None
        if callable(callback):

            def wrapped(event: Arguments) -> object:
                return callback(event, user_args)

        status = ca.replace_access_rights_event(chid, wrapped)
        self._check(status, "replace_access_rights_event")

    @classmethod
    def add_exception_event(
        cls, callback: Callable[[Arguments, Any], object] | None = None, user_args: Any = None
    ) -> None:
        """Install, replace or remove (None) who hears of faults that belong to no callback.

        Args:
            callback: called as ``callback(event, user_args)`` on the dispatcher thread; the
                event is that of `cachannel.ca.add_exception_event`. Without one, faults go to the
                logger ``cachannel.libca``.
            user_args: handed over as given.
        """
        context = attach_shared()
        if not callable(callback):
            context.on_exception(None)
            return

        def deliver(record: Record, buffer: Any, offset: int) -> None:
            callback(exception_dict(context, record, buffer, offset), user_args)

        context.on_exception(deliver)

    @classmethod
    def replace_printf_handler(
        cls, callback: Callable[[str, Any], object] | None = None, user_args: Any = None
    ) -> None:
        """Install, replace or remove (None) who gets libca's messages.

        Args:
            callback: called as ``callback(text, user_args)`` on the dispatcher thread; one
                diagnostic comes in several pieces. Without one, they go to the logger
                ``cachannel.libca``.
            user_args: handed over as given.
        """
        attach_shared()
        if not callable(callback):
            ca.replace_printf_handler(None)
        else:
            ca.replace_printf_handler(lambda piece: callback(piece, user_args))
