"""What all circuits of a server share: the PVs, the limits, the logger."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable
from functools import partial
from typing import Any, Protocol, cast

from cachannel.protocol.errors import CaprotoKeyError, FilterValidationError
from cachannel.protocol.filters import (
    ArrayFilter,
    RecordModifiers,
    TimestampFilter,
    parse_filters,
    split_candidates,
)
from cachannel.protocol.settings import ServerSettings

from .circuit import Circuit
from .data import ChannelData
from .filtering import EventFilter, FilteredView
from .subscription import ClientChannel, Served
from .text import ChannelChar, ChannelString, LongStringView

__all__ = ["PVDatabase", "ServerCore"]

_RECEIVE_BYTES = 262144
_MOST_JUNK_HOSTS = 1000


class PVDatabase(Protocol):
    """What a server asks of the PVs that it is given: `items` when it starts and ends, ``[]`` at
    searches and for new channels, ``in`` while a client has a channel. A dict has all three.
    """

    def items(self) -> Iterable[tuple[str, ChannelData]]:
        """Return (PV name, channel) of the PVs that the server knows of from the start."""

    def __contains__(self, name: object, /) -> bool:
        """Tell whether the PVs include a name."""

    def __getitem__(self, name: str, /) -> ChannelData:
        """Return a channel.

        Raises:
            KeyError: there is no such PV.
        """


class ServerCore:
    """A server without sockets.

    Args:
        pvdb: PV name to channel, a dict or an object like one (see `PVDatabase`). It is looked up
            at every search and creation, so it may change or make up its channels, and is never
            written to.
        settings: ports and limits.
    """

    def __init__(self, pvdb: PVDatabase, settings: ServerSettings | None = None) -> None:
        self.pvdb = pvdb
        self.settings = settings = settings or ServerSettings()
        self.port = settings.port
        self.max_array_bytes = settings.max_array_bytes
        self.subscription_backlog = settings.subscription_backlog
        self.total_backlog = settings.total_backlog
        self.command_backlog = settings.command_backlog
        self.log = logging.getLogger("cachannel.circ")
        self._search_log = logging.getLogger("cachannel.bcast.search")
        # Asking the logger for each piece of input would cost a tenth of a small read.
        self.logs_requests = self.log.isEnabledFor(logging.DEBUG)
        self.circuits: set[Circuit] = set()
        self._junk_hosts: set[str] = set()
        # Names by identity of channels, made if there are channels under other names than theirs.
        self._names: dict[int, str] | None = None
        # A client has lost a PV, which may have been replaced by another channel.
        self.has_lost = False
        # Circuits without an unfinished message receive into one buffer, so that idle clients
        # cost nothing.
        self.receive_array = bytearray(_RECEIVE_BYTES)
        self.receive_buffer = memoryview(self.receive_array)

    def exists(self, name: str) -> bool:
        """Tell whether a name is served, fields and `$` included."""
        try:
            found = self._find(name) is not None
        except FilterValidationError:
            found = False
        except Exception:
            self._search_log.exception("lookup of %r failed", name)
            return False
        if self._search_log.isEnabledFor(logging.DEBUG):
            answer = "served here" if found else "not served here"
            self._search_log.debug("search for %s: %s", name, answer, extra={"pv": name})
        return found

    def resolve(self, name: str) -> Served | None:
        """Return what a name stands for, None if it is not served."""
        try:
            return self._find(name)
        except FilterValidationError as exc:
            self.log.warning("channel %r refused: %s", name, exc)
            return None
        except Exception:
            self.log.exception("lookup of %r failed", name)
            return None

    def _get(self, name: str) -> ChannelData | None:
        try:
            channel = self.pvdb[name]
        except KeyError:
            return None
        if channel._served_as is None:
            channel._served_as = self._served_name(channel, name)
            if not channel._pvname:
                channel._pvname = channel._served_as  # for messages about it
        return channel

    def _served_name(self, channel: ChannelData, asked: str) -> str:
        """Return the name of a channel: its own if it is served under that, else the first one."""
        own, pvdb = channel._pvname, cast("Any", self.pvdb)
        if own == asked:
            return own
        # A mapping of the user's own may raise anything for a name it lacks.
        with contextlib.suppress(Exception):
            if own and pvdb[own] is channel:
                return own
        if type(pvdb) is not dict:
            return asked
        if self._names is None or id(channel) not in self._names:
            self._names = {id(each): name for name, each in reversed(pvdb.items())}
        return self._names.get(id(channel), asked)

    def _find(self, name: str) -> Served | None:
        channel = self._get(name)
        if channel is not None:
            return Served(channel, channel, None, name, channel)
        for parts in split_candidates(name):
            record = self._get(parts.record)
            if record is None:
                continue
            try:
                channel = _field_of(record, parts.field or "")
            except KeyError:
                continue
            view: Any = channel
            if parts.modifiers is None:
                return Served(view, channel, None, parts.record, record)
            flags, text = parts.modifiers
            if flags & RecordModifiers.long_string:
                if not isinstance(channel, (ChannelChar, ChannelString)):
                    return None
                if isinstance(channel, ChannelString) or channel._report_as_string:
                    view = LongStringView(channel)
            if text is None:
                return Served(view, channel, None, parts.record, record)
            filters = parse_filters(text)
            # Filters of values make the view, those of updates say which become events.
            of_values = [f for f in filters if isinstance(f, (ArrayFilter, TimestampFilter))]
            if of_values:
                view = FilteredView(view, channel, of_values)
            events = None
            if len(of_values) < len(filters):
                events = partial(EventFilter, channel, filters)
            return Served(view, channel, events, parts.record, record)
        return None

    def junk_level(self, host: str) -> int:
        """Return the level at which to log a peer that does not speak Channel Access.

        One warning per host: a scanner of ports, or a browser, may come many times a second.
        """
        if host in self._junk_hosts or len(self._junk_hosts) >= _MOST_JUNK_HOSTS:
            return logging.DEBUG
        self._junk_hosts.add(host)
        return logging.WARNING

    def update_logging(self) -> None:
        """Look whether requests are logged; `Upkeep` calls this, as the level may change."""
        self.logs_requests = self.log.isEnabledFor(logging.DEBUG)

    def lists(self, name: str) -> bool:
        """Tell whether the mapping says that it has a name; it may make up channels as well."""
        try:
            return name in self.pvdb
        except Exception:
            return False

    def still_serves(self, channel: ClientChannel) -> bool:
        """Tell whether what a client has a channel to is still there.

        If pvdb is not a dict, only the names it lists are checked: it may create the others on
        demand.
        """
        pvdb: Any = self.pvdb
        if type(pvdb) is dict:
            serves = pvdb.get(channel.record) is channel.owner
        else:
            serves = not channel.listed or self.lists(channel.record)
        self.has_lost |= not serves
        return serves


def _field_of(record: Any, name: str) -> ChannelData:
    """Return the channel of a field: a channel without fields has VAL, which is itself.

    Raises:
        KeyError: there is no such field.
    """
    if hasattr(record, "get_field"):
        found: ChannelData = record.get_field(name)
        return found
    if name in ("", "VAL"):
        channel: ChannelData = record
        return channel
    raise CaprotoKeyError(name)
