"""What `cachannel.ca` hands out: channel and subscription handles, and values to come."""

from __future__ import annotations

import time
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from cachannel._native import ffi, lib
from cachannel.errors import DisconnectedError
from cachannel.protocol.dbr import LAYOUTS, dbr_size_n
from cachannel.protocol.enums import DBR, ECA
from cachannel.protocol.text import decode
from cachannel.values.decode import RECORD, Record, ca_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachannel.context import Context

__all__ = ["Chid", "DBRValue", "Evid", "fetch", "format_dbr"]

# States of a request, see engine.h.
PENDING: Final = 0
FLOAT: Final = 1
INTEGER: Final = 2
OTHER: Final = 3

_NOWHERE: Final = 0
_ON_HEAP: Final = 3
_COPY: Final = 2
_BIG: Final = 65536
_CODES: Final = ("", "h", "f", "H", "B", "i", "d")


class Hooks:
    """What hangs on a channel, for the channels on which something does.

    Attributes:
        token: under which connection and access events come; 0: none do.
        access: the access rights callback.
        tokens: those of the subscriptions.
        evid: the monitor of a `CaChannel` object.
    """

    __slots__ = ("access", "evid", "token", "tokens")

    def __init__(self, token: int = 0) -> None:
        self.token = token
        self.access: Callable[[dict[str, Any]], object] | None = None
        self.tokens: set[int] = set()
        self.evid: Evid | None = None


class Chid:
    """A channel: opaque, comparable and hashable.

    The same channel is the same chid wherever it turns up. There is one for
    each of perhaps 100,000 channels, so it is small; what only some channels need is in `hooks`.

    Attributes:
        id: the C id; 0 until it is known, negative once the channel has been cleared.
        pvname: the name as it was given.
        context: the context the channel belongs to.
        hooks: what hangs on the channel, or None.
    """

    __slots__ = ("context", "hooks", "id", "pvname")

    def __init__(
        self, channel: int, pvname: str | bytes, context: Context, hooks: Hooks | None = None
    ) -> None:
        self.id = channel
        self.pvname = pvname
        self.context = context
        self.hooks = hooks

    def __repr__(self) -> str:
        return f"<chid {self.pvname!r}{' cleared' if self.id < 0 else ''}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Chid) and abs(self.id) == abs(other.id)

    def __hash__(self) -> int:
        return hash(abs(self.id))

    @property
    def shown(self) -> str:
        """The name for messages."""
        name = self.pvname
        return name if isinstance(name, str) else decode(name)

    def known(self, channel: int) -> bool:
        """Learn the C id, which an event may bring before the creating call returns.

        Returns:
            False when the channel has been cleared.
        """
        if not self.id:
            self.id = channel
        return self.id > 0

    def hooked(self) -> Hooks:
        """Return the hooks, making them if need be."""
        hooks = self.hooks
        if hooks is None:
            self.hooks = hooks = Hooks()
        return hooks

    def disown(self, token: int) -> None:
        """Forget a subscription that has been cleared."""
        if self.hooks is not None:
            self.hooks.tokens.discard(token)
        self.context.disown(token)

    def clear(self) -> int:
        """End the channel and all that hangs on it. Returns the CA status."""
        channel = self.id
        if channel <= 0:
            return int(ECA.BADCHID)
        self.id = -channel
        status: int = lib.cc_channel_clear(channel)
        hooks, self.hooks = self.hooks, None
        if hooks is not None:
            if hooks.token:
                self.context.disown(hooks.token)
            for token in list(hooks.tokens):
                self.context.disown(token)
        return status

    def checked(self) -> int:
        """Return the C id.

        Raises:
            DisconnectedError: (ECA_BADCHID) the channel has been cleared.
        """
        if self.id <= 0:
            raise DisconnectedError(ECA.BADCHID, self.shown, "use", "it has been cleared")
        return self.id


class Evid:
    """A subscription."""

    __slots__ = ("chid", "id", "token")

    def __init__(self, subscription: int, chid: Chid, token: int) -> None:
        self.id = subscription
        self.chid = chid
        self.token = token

    def __repr__(self) -> str:
        return f"<evid of {self.chid.pvname!r}{'' if self.id else ' cleared'}>"

    def clear(self) -> int:
        """End the subscription. Returns the CA status."""
        subscription, self.id = self.id, 0
        if not subscription:
            return int(ECA.BADMONID)
        status: int = lib.cc_unsubscribe(subscription)
        self.chid.disown(self.token)
        return status


def fetch(request: int, *, steal: bool) -> tuple[Record, Any] | None:
    """Get the answer to a request with its data.

    Args:
        request: id of the request.
        steal: take large data over instead of copying it; it can be fetched only once then.

    Returns:
        The record and the buffer its data starts in, or None while there is no answer. Without a
        buffer the number is in the record, or the data has been taken over before.
    """
    record, data, room = ffi.new("cc_record *"), ffi.NULL, 0
    # The first round tells how much there is. A thread that reads the same object meanwhile may
    # put another answer in the place of the one just seen, so each round is complete in itself.
    while True:
        if lib.cc_request_record(request, record, data and ffi.from_buffer(data), room) != 1:
            return None
        nbytes: int = record.nbytes
        if record.place != _ON_HEAP:
            return RECORD.unpack(ffi.buffer(record)), None
        if steal and nbytes >= _BIG:
            address = lib.cc_request_steal(request, record)
            if not address:
                continue
            from cachannel.context import heap_buffer

            fields = RECORD.unpack(ffi.buffer(record))
            return fields, heap_buffer(address, fields[11])
        if room == nbytes:
            return RECORD.unpack(ffi.buffer(record)), data or b""
        data, room = bytearray(nbytes), nbytes


class DBRValue:
    """The value of a get, once `pend_io` has returned ECA_NORMAL.

    Attributes:
        use_numpy: several numbers are an ndarray; may be set before `get`.
    """

    __slots__ = ("_kept", "_request", "use_numpy")

    def __init__(self, request: int, use_numpy: bool) -> None:
        self._request = request
        # Large data, as `answer` gives it; anything else: what stands there until it is here.
        self._kept: object = None
        self.use_numpy = use_numpy

    def __del__(self) -> None:
        if self._request:
            lib.cc_request_release(self._request)

    def renew(self, request: int) -> None:
        """Stand for another request from now on; 0: for none."""
        # Another thread may have asked for the same object meanwhile. Its request is lost, as
        # the last one counts, but must not stay behind.
        lost, self._request = self._request, request
        self._kept = None
        if lost:
            lib.cc_request_release(lost)

    def answer(self, *, give: bool = False) -> tuple[Record, Any] | None:
        """Return the record and the buffer of its data, or None while there is none.

        Args:
            give: an array may be the very memory of large data, which is copied otherwise. What
                is written into it shows in all later values.
        """
        place = self._kept
        if isinstance(place, tuple):
            return place
        if not self._request:
            return None
        if place is None:
            # `renew` takes it away: an answer that comes after that is not the one to keep.
            self._kept = place = object()
        answer = fetch(self._request, steal=True)
        if answer is None:
            return None
        record, data = answer
        if record[2] == _NOWHERE and record[7] == ECA.NORMAL:
            # Another thread has just taken it over, and keeps it in a moment.
            for _ in range(100):
                if self._kept is not place:
                    break
                time.sleep(0.001)
            kept = self._kept
            return kept if isinstance(kept, tuple) else None
        if data is None or len(data) < _BIG:
            return answer
        # The request has nothing more to give.
        to_copy = ((*record[:2], _COPY, *record[3:]), data)
        if self._kept is place:
            self._kept = to_copy
        return answer if give else to_copy

    def get(self) -> Any:
        """Return the value, as often as wanted.

        Returns:
            A scalar, list or ndarray of shape ``(count,)``, or a dict for the types with
            metadata. None while there is no answer, or after a failure.
        """
        reading = lib.cc_request_look(self._request)
        state = reading.state
        if state == FLOAT:
            return reading.number
        if state == INTEGER:
            return int(reading.number)
        answer = self.answer()
        if answer is None or answer[0][7] != ECA.NORMAL:
            return None
        return ca_value(*answer, 0, self.use_numpy)

    @property
    def dbrtype(self) -> DBR:
        """The request type of the answer; DBR.INVALID while there is none."""
        answer = self.answer()
        return DBR(answer[0][3]) if answer is not None else DBR.INVALID

    @property
    def count(self) -> int:
        """The number of elements of the answer."""
        answer = self.answer()
        return int(answer[0][8]) if answer is not None else 0

    @property
    def cvalue(self) -> bytes:
        """The answer as a DBR structure in host byte order; empty while there is none."""
        answer = self.answer()
        if answer is None or answer[0][3] < 0:
            return b""
        record, data = answer
        return structure(record) if data is None else bytes(data)


def structure(record: Record) -> bytes:
    """Rebuild the DBR structure of a single number, which came in the record itself."""
    layout = LAYOUTS[record[3]]
    known = {"status": record[4], "severity": record[5], "secs": record[9], "nsec": record[10]}
    members = [known[field.name] for field in layout.fields]
    number = record[12] if layout.base_type in (2, 6) else int(record[12])
    return layout.native.pack(*members) + Struct(f"={_CODES[layout.base_type]}").pack(number)


def format_dbr(dbrType: int, count: int, dbrValue: Any, use_numpy: bool = False) -> Any:
    """Decode a DBR structure.

    Args:
        dbrType: its request type.
        count: number of elements.
        dbrValue: the structure in host byte order: bytes, a buffer, or a pointer of cffi.
        use_numpy: several numbers are an ndarray of shape ``(count,)``.

    Returns:
        The value as `get` gives it.
    """
    kind, length = int(dbrType), int(count)
    if isinstance(dbrValue, ffi.CData):
        data = bytes(ffi.buffer(ffi.cast("char *", dbrValue), dbr_size_n(kind, length)))
    else:
        data = bytes(dbrValue)
    status = severity = seconds = nanoseconds = 0
    if 7 <= kind <= 37:
        status, severity = Struct("=hh").unpack_from(data)
    if 14 <= kind <= 20:
        seconds, nanoseconds = Struct("=II").unpack_from(data, 4)
    record = (0, 4, _COPY, kind, status, severity, 0, 1, length, seconds, nanoseconds)
    return ca_value((*record, len(data), 0.0, 0), bytearray(data), 0, use_numpy)
