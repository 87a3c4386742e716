"""What a `PV` keeps, declared once for the classes that it is put together from.

`_args` is made when somebody first looks at it, as most of many PVs are only connected, written
or read in bulk. Until then all that is in it follows from the PV and the entry of its channel.

Lock: `_args` is made, and news of the connection are put in, under the lock of the entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from epics_compat import dbr

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachannel.engine import Subscription
    from epics_compat._core import Entry

__all__ = ["ACCESS_TEXTS", "NOTHING", "State"]

ACCESS_TEXTS = ("no access", "read-only", "write-only", "read/write")

NOTHING: dict[str, Any] = dict.fromkeys(
    (
        "pvname", "value", "char_value", "status", "ftype", "chid", "host", "count", "access",
        "write_access", "read_access", "severity", "timestamp", "posixseconds", "nanoseconds",
        "precision", "units", "enum_strs", "monitor_delta", *dbr.ctrl_limits, "nelm", "type",
        "typefull",
    )
)  # fmt: skip
"""The keys of `_args`, all without a value."""


FROM_ENTRY: Any = object()
"""In `State._chid`: it is that of the entry."""


class State:
    """The attributes of a PV, and what its parts want of each other."""

    _fields = tuple(NOTHING)

    # Given by the user.
    pvname: str
    form: str
    verbose: bool
    connection_timeout: float
    callbacks: dict[Any, tuple[Callable[..., Any], dict[str, Any]]]
    _connection_callbacks: list[Any] | None = None
    _access_callbacks: list[Any] | None = None
    _auto_monitor: Any
    _count: int | None
    _delta: float | None

    # Defaults that few PVs change; so they take no room in each.
    auto_monitor_mask: int | None = None
    connected: bool = False
    context: int | None = None
    _chid: Any = None
    _entry: Entry | None = None
    _seen: int = 0
    """Which connection of the entry the PV knows of; 0: none."""
    _announced: int = 0
    """Which connection the callbacks were told of; 0: none."""
    _rights: int = -1
    """The rights that the access callbacks were told of; -1: none."""
    _released: bool = False
    """Whether `disconnect` was called, and nothing revived the PV since."""
    _monitor: Subscription | None = None
    _monitored_type: int = -1
    _first_pending: bool = False
    """Whether the first event of the monitor, which brings the present value, is still to come."""
    _told_early: dict[Any, tuple[Any, ...]] | None = None
    """What callbacks were told of while it was, by their indices."""
    _properties: Subscription | None = None
    """What keeps units, limits, precision and states current."""
    _watched: bool = False
    """Whether that is wanted: the metadata were asked for once."""
    _metadata_wanted: bool = False
    """Whether a callback that was given before the connection wants them."""
    _put_complete: bool | None = None
    _last_passed: Any = None
    _deadband: Any = None
    _told: bool = False
    """Whether it was said that the PV is not connected."""
    _client: Any = None
    _cached_as: tuple[str, str, int | None] | None = None

    _kept: dict[str, Any] | None = None
    """`_args`, if somebody has looked at it."""
    ftype: int | None

    @property
    def _args(self) -> dict[str, Any]:
        """All that is known, by the keywords of callbacks."""
        args = self._kept
        if args is not None:
            return args
        entry = self._entry
        if entry is None:
            self._kept = args = self._first_args()
            return args
        with entry.lock:
            if self._kept is None:
                args = self._first_args()
                if self._seen:
                    self._note_connection(args)
                self._kept = args
            return self._kept

    @property
    def chid(self) -> Any:
        """The `dbr.chid_t` of the channel; may be assigned, as ophyd does to release a PV."""
        if self._chid is FROM_ENTRY and self._entry is not None:
            return self._entry.chid
        return self._chid

    @chid.setter
    def chid(self, value: Any) -> None:
        self._chid = value

    @property
    def connection_callbacks(self) -> list[Any]:
        """What is called as ``f(pvname=, conn=, pv=)``; a list to change or to replace."""
        if self._connection_callbacks is None:
            self._connection_callbacks = []
        return self._connection_callbacks

    @connection_callbacks.setter
    def connection_callbacks(self, value: list[Any]) -> None:
        self._connection_callbacks = value

    @property
    def access_callbacks(self) -> list[Any]:
        """What is called as ``f(read, write, pv=)``; a list to change or to replace."""
        if self._access_callbacks is None:
            self._access_callbacks = []
        return self._access_callbacks

    @access_callbacks.setter
    def access_callbacks(self, value: list[Any]) -> None:
        self._access_callbacks = value

    def _first_args(self) -> dict[str, Any]:
        return dict(
            NOTHING, pvname=self.pvname, count=self._count, nelm=-1, type="unknown",
            typefull="unknown", access="unknown", monitor_delta=self._delta,
            chid=None if self._entry is None else self._entry.chid_int,
        )  # fmt: skip

    def _note_connection(self, args: dict[str, Any]) -> None:
        """Put into `_args` what is known of the connected channel."""
        raise NotImplementedError

    def _checked(self) -> Entry:
        """Return the entry of the channel.

        Raises:
            RuntimeError: the context of the PV was taken away.
        """
        raise NotImplementedError

    def wait_for_connection(self, timeout: float | None = None) -> bool:
        """Wait until the PV is connected."""
        raise NotImplementedError

    def force_read_access_rights(self) -> None:
        """Ask for the access rights again."""
        raise NotImplementedError

    def _say_disconnected(self, operation: str) -> None:
        """Tell that there is no connection for an operation."""
        raise NotImplementedError

    def get(
        self,
        count: int | None = None,
        as_string: bool = False,
        as_numpy: bool = True,
        timeout: float | None = None,
        with_ctrlvars: bool = False,
        use_monitor: bool = True,
    ) -> Any:
        """Read the value."""
        raise NotImplementedError

    def put(
        self,
        value: Any,
        wait: bool = False,
        timeout: float = 30.0,
        use_complete: bool = False,
        callback: Callable[..., Any] | None = None,
        callback_data: Any = None,
    ) -> int | None:
        """Write the value."""
        raise NotImplementedError

    def get_ctrlvars(self, timeout: float | None = 5, warn: bool = True) -> dict[str, Any] | None:
        """Read units, limits, precision or states."""
        raise NotImplementedError

    def get_timevars(self, timeout: float | None = 5, warn: bool = True) -> dict[str, Any] | None:
        """Read alarm and time stamp."""
        raise NotImplementedError

    def _getarg(self, arg: str) -> Any:
        """Give an item of `_args`, and fetch it when it is not known."""
        raise NotImplementedError

    def _set_char_value(self, value: Any) -> None:
        raise NotImplementedError

    def _text(self, value: Any, *, ask: bool) -> Any:
        raise NotImplementedError

    def _subscribe(self) -> None:
        raise NotImplementedError

    def _unsubscribe(self) -> None:
        raise NotImplementedError

    def _watch_properties(self) -> None:
        """Keep units, limits, precision and states current from now on."""
        raise NotImplementedError

    def _write_deadband(self) -> None:
        """Let the record, too, leave out changes below `monitor_delta`."""
        raise NotImplementedError

    def run_callbacks(self) -> None:
        """Run all callbacks here and now."""
        raise NotImplementedError

    def _run_first(self) -> None:
        """Run the callbacks for the first event of the monitor."""
        raise NotImplementedError
