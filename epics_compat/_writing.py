"""Writing a `PV`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from epics_compat import _io, ca, dbr, utils
from epics_compat._encode import only_text
from epics_compat._errors import ChannelAccessDisconnected, shorten
from epics_compat._state import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from epics_compat._core import Entry

__all__ = ["Writing"]


class Writing(State):
    """The puts of a PV."""

    def put(
        self,
        value: Any,
        wait: bool = False,
        timeout: float = 30.0,
        use_complete: bool = False,
        callback: Callable[..., Any] | None = None,
        callback_data: Any = None,
    ) -> int | None:
        """Write the PV.

        Args:
            value: number, text (also the name of a state) or sequence.
            wait: wait until the record, and all it triggered, has processed.
            timeout: seconds of that wait.
            use_complete: `put_complete` tells when it has.
            callback: called when it has, as ``callback(pvname=, data=callback_data)``, or with
                the items of `callback_data` when that is a dict; a function that has a parameter
                ``status`` gets the CA status as well (1: written; anything else: the server
                refused, or was lost). On the dispatcher thread; with `wait` in the calling
                thread, before this returns.
            callback_data: see there.

        Returns:
            1; -1 when the wait took too long, or the server was lost meanwhile; None when the PV
            did not connect.

        Raises:
            CASeverityException: there is no write access; with `wait` also when the record
                refuses.
            TypeError, ValueError: the value cannot be sent.
            ChannelAccessDisconnected, ChannelAccessTimeout: in place of None and -1, when
                `ca.RAISE_ERRORS` is set.
        """
        if not self.wait_for_connection():
            self._say_disconnected("put")
            return None
        entry = self._checked()
        value = self._state_number(value)
        try:
            return self._send(entry, value, wait, timeout, use_complete, callback, callback_data)
        except ChannelAccessDisconnected:
            # It was lost meanwhile.
            if ca.RAISE_ERRORS:
                raise
            return None
        except Exception as exc:
            shorten(exc)
            raise

    def _send(
        self, entry: Entry, value: Any, wait: bool, timeout: float, use_complete: bool,
        callback: Callable[..., Any] | None, callback_data: Any,
    ) -> int:  # fmt: skip
        if not (use_complete or callback is not None):
            self._put_complete = None
            return _io.put(entry, value, entry.ftype, wait, timeout)
        self._put_complete = False

        def completed() -> None:
            self._put_complete = True

        told = _io.Completion(self.pvname, callback, callback_data, completed)
        return _io.put(entry, value, entry.ftype, wait, timeout, told)

    def _state_number(self, value: Any) -> Any:
        """Give the number of a state for its name; other values stay."""
        if isinstance(value, int | float) or self._checked().ftype != dbr.ENUM:
            return value
        name = only_text(value)
        if name is None:
            return value
        name = utils.bytes2str(name)
        if self._args["enum_strs"] is None:
            self.get_ctrlvars()
        states = self._args["enum_strs"] or ()
        return states.index(name) if name in states else value

    @property
    def put_complete(self) -> bool | None:
        """Whether the last put has processed; None if it was made without completion."""
        return self._put_complete
