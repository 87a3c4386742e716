"""What a PV holds: value, time stamp, alarm, and how all of it is read, written and published.

A `ChannelData` keeps one value in the form Python code gave or a client put. Replies are encoded
when somebody asks, once per request type and count, and kept until the value changes; so a
thousand reads or two hundred subscribers of one value cost one encoding.

Writing is `await channel.write(value)`. Where a channel has no hooks (no putter, no overridden
method) nothing in that is awaited, and the server calls `write_now` instead.
"""

from __future__ import annotations

import codecs
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from cachannel.protocol.channel_types import (
    AccessRights,
    AlarmSeverity,
    AlarmStatus,
    ChannelType,
    SubscriptionType,
)
from cachannel.protocol.dbr import LAYOUTS, DbrLayout
from cachannel.protocol.errors import (
    CaprotoConversionError,
    CaprotoValueError,
    Forbidden,
    SkipWrite,
)
from cachannel.protocol.text import encode
from cachannel.protocol.timestamp import TimeStamp

from .alarm import EPOCH_NS, NO_ALARM, UNTOUCHED, ChannelAlarm, State, acknowledge
from .encoding import (
    Elements,
    Reply,
    decode_elements,
    number_elements,
    numpy,
    pack_texts,
    reply,
)
from .mapping import ChannelMapping
from .metadata import LIMITS_CHANGED, check_names, meaningful, packed
from .values import NOT_GIVEN, number, numbers, numbers_from_wire, shaped

if TYPE_CHECKING:
    from .subscription import Subscription

__all__ = ["EPOCH_NS", "ChannelData"]

_VALUE_AND_LOG: Final = int(SubscriptionType.DBE_VALUE | SubscriptionType.DBE_LOG)
_ALARM: Final = int(SubscriptionType.DBE_ALARM)
_PROPERTY: Final = int(SubscriptionType.DBE_PROPERTY)
_STRING: Final = int(ChannelType.STRING)
_STSACK: Final = int(ChannelType.STSACK_STRING)
_CLASS_NAME: Final = int(ChannelType.CLASS_NAME)
_FOR_PUTS_ONLY: Final = (int(ChannelType.PUT_ACKT), int(ChannelType.PUT_ACKS))

# A client may ask for any count; only so many different replies are kept per channel.
_MAX_CACHED_REPLIES: Final = 16
# The cache of channels that nobody has read; never written to.
_NO_REPLIES: Final[dict[int, Reply]] = {}

_F = TypeVar("_F", bound=Callable[..., Any])

# The methods that user classes override. As long as a class has only our versions of them, the
# server may take the short way past them.
_OVERRIDABLE: Final = (
    "auth_read",
    "auth_write",
    "check_access",
    "preprocess_value",
    "publish",
    "read",
    "update_fields",
    "verify_value",
    "write",
    "write_from_dbr",
)


def standard(method: _F) -> _F:
    """Mark a method as ours: a class that has only such methods can take the short way."""
    method.__standard__ = True  # type: ignore[attr-defined]
    return method


class ChannelData:
    """One served value: a number, or an array of numbers, served as LONG.

    The classes derived from it are served as other types, and say more about their values.

    Args:
        alarm: a `ChannelAlarm` to share; one of its own if absent.
        value: the initial value.
        timestamp: of the initial value: Unix seconds, a `TimeStamp`, or a pair (EPICS seconds,
            nanoseconds); now if absent.
        max_length: the most elements the value may have; its initial length if absent.
        string_encoding: of text, both ways. If absent, text is written as UTF-8, and read as
            UTF-8 if it is valid, else as Latin-1.
        reported_record_type: what a client is told that asks for the record type.
        max_subscription_backlog: events kept for a client that does not read.
    """

    data_type: ClassVar[ChannelType] = ChannelType.LONG
    default_value: ClassVar[Any] = 0

    _standard: ClassVar[bool] = True
    _standard_read: ClassVar[bool] = True
    _standard_access: ClassVar[bool] = True

    # What a channel without these has. They are instance attributes where there is more to say:
    # an IOC may have very many channels, and most of them are never read.
    _encoding: str | None = None
    reported_record_type: str = "cachannel"
    max_subscription_backlog: int | None = None
    _cache: dict[int, Reply] = _NO_REPLIES
    _version = 0
    _subs: list[Subscription] | None = None
    _max_length = 1
    _own_alarm: ChannelAlarm | None = None
    # The name that the server found this channel by, where nothing else has given it a name.
    _pvname: str = ""
    _served_as: str | None = None
    _has_started = False
    _getter: Any = None
    _field_inst: Any = None
    _failed = False
    _held: dict[str, int] | None = None
    _writing = 0
    _last_value_posted: Any = None
    _last_log_posted: Any = None

    def __init__(
        self,
        *,
        alarm: ChannelAlarm | None = None,
        value: Any = NOT_GIVEN,
        timestamp: float | tuple[int, int] | TimeStamp | None = None,
        max_length: int | None = None,
        string_encoding: str | None = None,
        reported_record_type: str = "cachannel",
        max_subscription_backlog: int | None = None,
    ) -> None:
        if string_encoding is not None:
            codecs.lookup(string_encoding)
            self._encoding = string_encoding
        if reported_record_type != "cachannel":
            self.reported_record_type = reported_record_type
        if max_subscription_backlog is not None:
            self.max_subscription_backlog = max_subscription_backlog
        if alarm is not None:
            self.alarm = alarm
        if max_length is None:
            max_length = 1 if value is NOT_GIVEN else max(self.calculate_length(value), 1)
        elif max_length < 1:
            raise CaprotoValueError(f"max_length must be 1 or more, not {max_length}")
        self._max_length = int(max_length)
        if value is NOT_GIVEN:
            self._value = self._nothing()
        else:
            self._value = self.preprocess_value(value)
        self._stamp_ns = time.time_ns() - EPOCH_NS if timestamp is None else self._to_ns(timestamp)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)

        def ours(name: str) -> bool:
            return getattr(getattr(cls, name), "__standard__", False)

        cls._standard = all(ours(name) for name in _OVERRIDABLE)
        cls._standard_read = ours("read") and ours("auth_read") and ours("check_access")
        cls._standard_access = ours("check_access")

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        state.pop("_cache", None)
        state.pop("_subs", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._own_alarm is not None:
            self._own_alarm.connect(self)

    def __len__(self) -> int:
        return self.length

    def __bool__(self) -> bool:
        # A channel is something, also when its value is empty.
        return True

    # ------------------------------------------------------------------ what it holds

    @property
    def value(self) -> Any:
        """The value as it was written."""
        return self._value

    @property
    def _data(self) -> ChannelMapping:
        """Value, stamp and metadata by name; what is assigned is served, without an event."""
        return ChannelMapping(self)

    def _data_keys(self) -> tuple[str, ...]:
        """Return the names of the metadata in `_data`."""
        return ()

    @property
    def alarm(self) -> ChannelAlarm:
        """The alarm; it may be set, to share that of another channel."""
        if self._own_alarm is None:
            self.alarm = ChannelAlarm()
        return self._own_alarm  # type: ignore[return-value]  # the setter has set it

    @alarm.setter
    def alarm(self, alarm: ChannelAlarm) -> None:
        if self._own_alarm is not None:
            self._own_alarm.disconnect(self)
        self._own_alarm = alarm
        alarm.connect(self)

    @property
    def status(self) -> int:
        """The alarm's `AlarmStatus`.

        Set inside a putter it is held back, overrides what the limits say, and reaches the alarm
        when the write ends.
        """
        return self.alarm.status

    @status.setter
    def status(self, status: int) -> None:
        self._hold("status", AlarmStatus(status))

    @property
    def severity(self) -> int:
        """The alarm's `AlarmSeverity`; setting it works as for `status`."""
        return self.alarm.severity

    @severity.setter
    def severity(self, severity: int) -> None:
        self._hold("severity", AlarmSeverity(severity))

    @property
    def string_encoding(self) -> str:
        """The encoding of text that was given; it may be set.

        It reads ``'latin-1'`` if none was given, because programs for caproto expect a name here.
        """
        return self._encoding or "latin-1"

    @string_encoding.setter
    def string_encoding(self, encoding: str) -> None:
        codecs.lookup(encoding)
        self._encoding = encoding
        self._invalidate()

    @property
    def epics_timestamp(self) -> TimeStamp:
        """The stamp of the value."""
        return TimeStamp(*divmod(self._stamp_ns, 10**9))

    @property
    def timestamp(self) -> float:
        """The stamp of the value as Unix time in seconds."""
        return self.epics_timestamp.timestamp

    @property
    def length(self) -> int:
        """The number of elements there are now."""
        return self.calculate_length(self._value)

    @property
    def max_length(self) -> int:
        """The most elements there can be."""
        return self._max_length

    @property
    def _element_count(self) -> int:
        """The count that a client sees."""
        return self._max_length

    @property
    def _label(self) -> str:
        """The name of this channel in messages: the PV's name, or the class if there is none."""
        return self._pvname or type(self).__name__

    @property
    def _channel_log(self) -> logging.Logger:
        """The logger for what concerns this channel."""
        return logging.getLogger("cachannel.server")

    @staticmethod
    def _to_ns(timestamp: float | tuple[int, int] | TimeStamp) -> int:
        stamp = TimeStamp.from_flexible_value(timestamp)
        return stamp.secondsSinceEpoch * 10**9 + stamp.nanoSeconds

    def _hold(self, key: str, number: int) -> None:
        if self._writing:
            self._held = {**(self._held or {}), key: number}
        else:
            status, severity = (number, None) if key == "status" else (None, number)
            self.alarm.update(status=status, severity=severity)

    def _nothing(self) -> Any:
        """Return the value of a channel that is made without one."""
        return self.default_value if self._max_length == 1 else []

    # ------------------------------------------------------------------ lengths

    @standard
    def calculate_length(self, value: Any) -> int:
        """Return the number of elements of a value; a scalar or text is one."""
        kind = type(value)
        if kind is float or kind is int or value is None:
            return 1
        if isinstance(value, (str, bytes)):
            return 1
        try:
            return len(value)
        except TypeError:
            return 1

    @standard
    def preprocess_value(self, value: Any) -> Any:
        """Bring a value into the shape that this channel stores, and check its numbers.

        A sequence of one element becomes a scalar if the channel is one, and a scalar becomes a
        list if it is not. Texts that are numbers become numbers.

        Raises:
            CaprotoValueError: too many elements, none for a scalar, or more than one dimension;
                an element that is not a number, or out of the range of the channel's type.
        """
        where, base = self._label, self.data_type
        value = shaped(value, self._max_length, where)
        if base == _STRING:  # a class of the user's that is served as text
            return value
        if self._max_length == 1:
            return number(value, base, where)
        return numbers(value, base, where)

    # ------------------------------------------------------------------ writing

    @standard
    async def verify_value(self, value: Any) -> Any:
        """Check a value before it is stored; return the value to go on with.

        Subclasses override this and call it. Raising refuses the write.
        """
        return self._check(value)

    @standard
    async def update_fields(self, value: Any) -> None:
        """Let the fields of a record follow a new value."""
        if self._field_inst is not None:
            await self._field_inst.value_write_hook(self, value)

    @standard
    async def write(
        self,
        value: Any,
        *,
        flags: int = 0,
        verify_value: bool = True,
        update_fields: bool = True,
        **metadata: Any,
    ) -> None:
        """Store a value and tell the subscribers, also when it equals the one before.

        Args:
            value: the new value.
            flags: event bits to add, see `SubscriptionType`.
            verify_value: run the checks and the putter.
            update_fields: let the fields of a record follow.
            **metadata: ``timestamp``, ``status``, ``severity``, and what `write_metadata` takes.

        Raises:
            Exception: what the checks or the putter raise, also for a value of a wrong shape. The
                value stays, and the alarm is set to WRITE, MAJOR.
            CaprotoTypeError: metadata that no class has; nothing changes.
        """
        if metadata:
            check_names(metadata, self._label)
        try:
            value = self.preprocess_value(value)
        except Exception:
            self._write_failed()
            raise
        if self._is_plain():
            if verify_value:
                try:
                    value = self._check(value)
                except Exception:
                    self._write_failed()
                    raise
            mask = self._commit(value, flags, metadata, verified=verify_value)
            if self._subs:
                self._post(mask)
            return
        self._writing += 1
        try:
            if verify_value:
                checked = await self.verify_value(value)
                if checked is SkipWrite:
                    return
                if checked is not None and checked is not value:
                    value = self._settle(self.preprocess_value(checked))
            if update_fields:
                await self.update_fields(value)
            mask = self._commit(value, flags, metadata, verified=verify_value)
        except SkipWrite:
            return
        except Exception:
            self._write_failed()
            raise
        except GeneratorExit:
            raise
        except BaseException:
            # Cancelled: the value was not written, so it counts as a failure too.
            self._write_failed()
            raise
        finally:
            self._writing -= 1
            if not self._writing:
                self._held = None
        await self.publish(mask)

    def _write_now(self, value: Any) -> None:
        """Do what ``await write(value)`` does, for a channel where nothing awaits.

        Only to be used when `_is_plain` says so.
        """
        try:
            value = self._check(self.preprocess_value(value))
        except Exception:
            self._write_failed()
            raise
        mask = self._commit(value, 0, None, verified=True)
        if self._subs:
            self._post(mask)

    def _is_plain(self) -> bool:
        """Tell whether writing runs no code but ours."""
        return self._standard and self._field_inst is None

    def _check(self, value: Any) -> Any:
        """Refuse or normalise a value; the part of `verify_value` that classes share."""
        return value

    def _settle(self, value: Any) -> Any:
        """Normalise what a putter returned: limits are for what is written, not for that."""
        return value

    def _write_failed(self) -> None:
        """Set the alarm that a failed write leaves behind, and publish it."""
        self._failed = True
        self._held = None
        mask = self.alarm.update(status=AlarmStatus.WRITE, severity=AlarmSeverity.MAJOR_ALARM)
        self.alarm.publish(mask)

    def _limit_alarm(self, value: Any) -> State | None:
        """Return (status, severity) that follow from a value, None where limits do not apply."""
        return None

    def _judge_again(self) -> int:
        """Let the alarm follow new limits; return the event bits."""
        state = self._limit_alarm(self._value)
        if state is not None:
            status, severity = self.alarm.follows_limits(self, state)
            if self._take_alarm(status, severity):
                return _ALARM  # and not DBE_VALUE: the value is the same
        return 0

    def _take_alarm(self, status: int | None, severity: int | None) -> int:
        """Change the alarm, tell the fields and other channels of it; return the event bits."""
        if changed := self.alarm.update(status=status, severity=severity):
            self.alarm.publish(changed, but=self)
            if self._field_inst is not None:
                self._field_inst.alarm_changed(changed)
        return changed

    def _value_mask(self, value: Any) -> int:
        """Return the event bits of a new value: DBE_VALUE and DBE_LOG, less what deadbands hold."""
        return _VALUE_AND_LOG

    def _commit(
        self, value: Any, flags: int, metadata: dict[str, Any] | None, *, verified: bool
    ) -> int:
        """Store a value with what comes with it; return the event bits to publish."""
        mask = flags
        stamp = given = None
        if metadata:
            stamp = metadata.pop("timestamp", None)
            given = metadata.pop("status", None), metadata.pop("severity", None)
            if metadata:
                mask |= self._set_metadata(metadata) & ~LIMITS_CHANGED
        stamp_ns = time.time_ns() - EPOCH_NS if stamp is None else self._to_ns(stamp)
        by_value = self._limit_alarm(value) if verified else None
        # Nearly all values have no alarm, and follow values without one.
        if by_value is not NO_ALARM or self._own_alarm is not None or given or self._held:
            new = (self._own_alarm or UNTOUCHED).after_write(self, by_value, given)
            if new is not None:
                mask |= self._take_alarm(*new) | _ALARM | _VALUE_AND_LOG
        self._stamp_ns = stamp_ns
        self._value = value
        self._version += 1
        if self._cache:
            self._cache.clear()
        fields = self._field_inst
        if fields is not None and (
            fields._is_undefined or (self._max_length == 1 and value != value)  # NaN
        ):
            fields.value_stored(value)
        return mask | self._value_mask(value)

    def _set_metadata(self, metadata: dict[str, Any]) -> int:
        """Store metadata by name, ignoring what this class does not have.

        Returns:
            The event bits: DBE_PROPERTY if a property has changed, and `LIMITS_CHANGED` if the
            alarm is to be judged again.
        """
        return 0

    async def write_metadata(
        self,
        publish: bool = True,
        units: str | None = None,
        precision: int | None = None,
        timestamp: float | tuple[int, int] | TimeStamp | None = None,
        *,
        status: int | None = None,
        severity: int | None = None,
        **metadata: Any,
    ) -> None:
        """Store metadata and tell the subscribers of DBE_PROPERTY, if there is a change.

        The alarm follows new limits at once; its subscribers are told of a change (DBE_ALARM).

        Args:
            publish: send events.
            units: engineering units.
            precision: digits after the decimal point.
            timestamp: of the value, see the class.
            status: for the alarm.
            severity: for the alarm.
            **metadata: limits, ``value_atol``, ``log_atol``, ``enum_strings``. None leaves a key
                as it is, and keys that only other classes have are ignored.

        Raises:
            CaprotoTypeError: metadata that no class has.
        """
        check_names(metadata, self._label)
        metadata.update(units=units, precision=precision)
        mask = self._set_metadata({k: v for k, v in metadata.items() if v is not None})
        if mask & LIMITS_CHANGED:
            mask = mask ^ LIMITS_CHANGED | self._judge_again()
        if status is not None or severity is not None:
            mask |= self._take_alarm(status, severity)
        if timestamp is not None and (stamp := self._to_ns(timestamp)) != self._stamp_ns:
            self._stamp_ns = stamp
            mask |= _PROPERTY
        if mask:
            self._invalidate()
            if publish:
                await self.publish(mask)

    # ------------------------------------------------------------------ events

    @standard
    async def publish(self, flags: int) -> None:
        """Send an event with the present value to every subscription that wants these bits."""
        if self._subs:
            self._post(flags)

    def _post(self, mask: int) -> None:
        """Do what `publish` does, without awaiting."""
        subs = self._subs
        if subs:
            for sub in subs:
                if sub.mask & mask:
                    sub.circuit.post(sub, mask)

    def _alarm_changed(self, mask: int) -> None:
        """Publish after a change of the alarm that this channel shares."""
        if self._subs:
            self._post(mask)
        if self._field_inst is not None:
            self._field_inst.alarm_changed(mask)

    def _invalidate(self) -> None:
        """Forget encoded replies; something that is in them changed."""
        self._version += 1
        if self._cache:
            self._cache.clear()

    def _subscribe(self, sub: Subscription) -> None:
        """Add a subscription."""
        if self._subs is None:
            self._subs = []
        self._subs.append(sub)

    def _unsubscribe(self, sub: Subscription) -> None:
        """Remove a subscription."""
        if self._subs is not None:
            self._subs.remove(sub)
            if not self._subs:
                self._subs = None

    def pre_state_change(self, state: str, new_value: bool) -> None:
        """Called on every channel of a group before one of its states changes."""

    def post_state_change(self, state: str, new_value: bool) -> None:
        """Called on every channel of a group when a change of state is complete."""

    # ------------------------------------------------------------------ clients

    @standard
    def check_access(self, hostname: str, username: str) -> AccessRights:
        """Return what a client may do, by the names that the client gave itself."""
        return AccessRights.READ | AccessRights.WRITE

    @standard
    async def auth_read(
        self, hostname: str, username: str, data_type: int, *, user_address: Any = None
    ) -> tuple[bytes, Any]:
        """Read for a client. See `read`.

        Raises:
            Forbidden: the client may not read this channel.
        """
        if not self.check_access(hostname, username) & AccessRights.READ:
            raise Forbidden(f"read of {self._label}: {username}@{hostname} has no read access")
        return await self.read(data_type)

    @standard
    async def read(self, data_type: int) -> tuple[bytes, Any]:
        """Run the getter, if there is one, and return the value as a request type has it.

        Returns:
            The metadata in wire form, and the elements: a list of bytes for STRING, else a NumPy
            array in host order.

        Raises:
            CaprotoConversionError: the value cannot be had as that type.
        """
        await self._refresh()
        whole = self._encoded(int(data_type), 0)
        layout = LAYOUTS[int(data_type)]
        start = 8 if whole.read_head[2:4] == b"\xff\xff" else 0
        elements = self._elements_of(int(data_type))
        body = memoryview(whole.rest)[start:]
        metadata = bytes(body[: layout.value_offset])
        data = body[layout.value_offset :]
        values = decode_elements(layout.base_type, elements.length, data)
        if layout.base_type != 0 and elements.length == 1:
            values = numpy().array([values], layout.dtype)
        return metadata, values

    async def _refresh(self) -> None:
        """Run the getter; a value that it returns is written, with putter and events."""
        getter = self._getter
        if getter is not None:
            value = await getter(self)
            if value is not None:
                await self.write(value)

    @standard
    async def auth_write(
        self,
        hostname: str,
        username: str,
        data: Any,
        data_type: int,
        metadata: dict[str, Any] | None,
        *,
        flags: int = 0,
        user_address: Any = None,
    ) -> None:
        """Write for a client. See `write_from_dbr`.

        Raises:
            Forbidden: the client may not write this channel.
        """
        if not self.check_access(hostname, username) & AccessRights.WRITE:
            raise Forbidden(f"write to {self._label}: {username}@{hostname} has no write access")
        await self.write_from_dbr(data, data_type, metadata, flags=flags)

    @standard
    async def write_from_dbr(
        self, data: Any, data_type: int, metadata: dict[str, Any] | None, *, flags: int = 0
    ) -> None:
        """Write what a client put.

        Args:
            data: the elements as `encoding.decode_elements` gives them.
            data_type: the request type; of PUT_ACKT and PUT_ACKS the alarm is told.
            metadata: what a put of a compound type carries, see `decode_metadata`.
            flags: see `write`.
        """
        if data_type in (ChannelType.PUT_ACKS, ChannelType.PUT_ACKT):
            await acknowledge(self.alarm, data_type, data, self._label)
            return
        value = self._from_wire(LAYOUTS[data_type].base_type, data)
        await self.write(value, flags=flags, **meaningful(metadata))

    # ------------------------------------------------------------------ wire form

    def _from_wire(self, base: int, data: Any) -> Any:
        """Return put elements as this channel stores them, before `preprocess_value`.

        Raises:
            CaprotoConversionError: they do not convert.
        """
        native, scalar = self.data_type, self._max_length == 1
        if base == native and scalar:  # nearly all
            return data
        return numbers_from_wire(data, base, int(native), scalar, self._label)

    def _encoded(self, dbr_type: int, count: int) -> Reply:
        """Return the reply with the present value, from the cache if it is there.

        Args:
            dbr_type: the request type.
            count: elements to send, zero filled if there are fewer; 0 for what there is.

        Raises:
            CaprotoConversionError: the value cannot be had as that type.
        """
        key = count << 6 | dbr_type
        cache = self._cache
        found = cache.get(key)
        if found is None:
            if dbr_type in _FOR_PUTS_ONLY:
                raise CaprotoConversionError(f"{self._label}: type {dbr_type} is for puts only")
            found = reply(dbr_type, self._metadata(dbr_type), self._elements_of(dbr_type), count)
            if count > self._max_length:
                return found  # a curiosity; not worth the memory
            if cache is _NO_REPLIES:
                self._cache = cache = {}
            elif len(cache) >= _MAX_CACHED_REPLIES:
                cache.clear()
            cache[key] = found
        return found

    def _elements_of(self, dbr_type: int) -> Elements:
        if dbr_type == _CLASS_NAME:
            return pack_texts([encode(self.reported_record_type)])
        if dbr_type == _STSACK:
            # The value as text (rsrv); alarm texts are not transported by Channel Access.
            return self._elements(0)
        return self._elements(dbr_type % 7)

    def _elements(self, base: int) -> Elements:
        """Return the value's elements as a base type."""
        return number_elements(self._value, self._max_length == 1, base, self._number_text)

    def _number_text(self, value: Any) -> bytes:
        """Return the text of a number as a STRING request gets it."""
        if value is None:
            return b""
        if hasattr(value, "item"):
            value = value.item()
        return str(int(value) if isinstance(value, int) else value).encode()

    def _metadata(self, dbr_type: int) -> bytes:
        """Return the metadata of a request type in wire form."""
        if dbr_type <= 6 or dbr_type == _CLASS_NAME:
            return b""
        return packed(self, self._own_alarm or UNTOUCHED, dbr_type)

    def _fill_metadata(self, layout: DbrLayout, values: list[Any]) -> None:
        """Put what this class knows into the fields of a GR or CTRL type."""
