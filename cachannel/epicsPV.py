"""Class `epicsPV`: a CaChannel that remembers its monitor's last value and can wait for a put.

With a monitor (`epicsPV.setMonitor`) reads take the value of the last event and cause no network
traffic.  `epicsPV.getControl` reads limits, units and the like, `epicsPV.putWait` returns when
the record has processed.

The results of callbacks are attributes of the object `epicsPV.callBack`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, SupportsInt

import cachannel as _package
from cachannel import ca
from cachannel._ca.core import type_number
from cachannel._ca.steps import are_overridden, put_in_steps
from cachannel.channel import CaChannel

__all__ = ["CaChannel", "ca", "callBack", "epicsPV", "getCallback", "putCallBack"]

# Long enough for the events that have arrived, too short to be felt (seconds).
_AT_ONCE = 0.0001


class callBack:
    """What the callbacks of one `epicsPV` left behind.

    Every item of a callback's dictionary becomes an attribute: ``chid``, ``type``, ``count``,
    ``status``, ``pv_value`` and, depending on the request, ``pv_severity``, ``pv_units`` and so
    on (see `CaChannel.array_get_callback`).

    Attributes:
        newMonitor: 1 when a value arrived that nobody has looked at yet, else 0.
        putComplete: 1 when the last `epicsPV.putWait` completed, 0 before.
        monitorState: 0 without monitor, 1 before its first event, 2 from then on.
        pv_value: The last value; None before the first.
    """

    def __init__(self) -> None:
        self.newMonitor = 0
        self.putComplete = 0
        self.monitorState = 0
        self.pv_value: Any = None

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


def getCallback(epicsArgs: dict[str, Any], userArgs: tuple[Any, ...]) -> None:
    """Keep the result of a get or monitor; called on the dispatcher thread of the context.

    Args:
        epicsArgs: The dictionary of the callback; each item becomes an attribute.
        userArgs: Its first item is the `callBack` to fill.
    """
    target = userArgs[0]
    for name, value in epicsArgs.items():
        setattr(target, name, value)
    # Last, so that whoever sees the flag sees the value that belongs to it.
    if target.monitorState == 1:
        target.monitorState = 2
    target.newMonitor = 1


def putCallBack(epicsArgs: dict[str, Any], userArgs: tuple[Any, ...]) -> None:
    """Mark a put as complete.

    Args:
        epicsArgs: The dictionary of the callback, not looked at.
        userArgs: Its first item is the `callBack` whose ``putComplete`` becomes 1.
    """
    userArgs[0].putComplete = 1


class epicsPV(CaChannel):
    """A channel that can serve reads from its monitor and wait for a put to complete.

    Args:
        pvName: Name of the PV; without one, connect later with a search method.
        wait: Wait for the connection, at most `getTimeout` seconds. If false, the search is only
            started, and ``pend_io`` of any channel sends and awaits it.

    Raises:
        CaChannelException: ECA_TIMEOUT when the PV did not connect in time, ECA_BADSTR for ''.

    Attributes:
        callBack: The results of callbacks, see `callBack`.
    """

    def __init__(self, pvName: str | bytes | None = None, wait: Any = True) -> None:
        self.callBack = callBack()
        super().__init__(pvName)
        if pvName is None:
            return
        if wait:
            self.searchw()
        else:
            self.search()

    def setMonitor(self) -> None:
        """Subscribe to changes of the value; reads are then served from the last event.

        The request leaves with the next flush or wait of any channel. Nothing happens when a
        monitor is set already.

        Raises:
            CaChannelException: ECA_BADTYPE when the channel is not connected.
        """
        if self.callBack.monitorState != 0:
            return
        # Before the subscription: its first event may come before the call returns.
        self.callBack.monitorState = 1
        try:
            self.add_masked_array_event(None, None, ca.DBE_VALUE, getCallback, self.callBack)
        except BaseException:
            self.callBack.monitorState = 0
            raise

    def clearMonitor(self) -> None:
        """End the monitor; reads go to the server again."""
        self.clear_event()
        self.callBack.monitorState = 0

    def checkMonitor(self) -> int:
        """Tell whether a value arrived since the last look.

        Returns:
            1 when an event, or a reply to `getControl`, came since the last call of this method,
            `getw`, `getValue` or `array_get`; else 0.
        """
        self.pend_event(_AT_ONCE)
        seen = self.callBack.newMonitor
        self.callBack.newMonitor = 0
        return seen

    def _last(self) -> Any:
        """Take the value of the last event."""
        self.pend_event(_AT_ONCE)
        self.callBack.newMonitor = 0
        return self.callBack.pv_value

    def array_get(
        self, req_type: SupportsInt | None = None, count: SupportsInt | None = None, **keywords: Any
    ) -> Any:
        """Start a get, or with a monitor return the value of the last event.

        Args:
            req_type: Request type (``ca.DBR_XXXX``); native type when None.
            count: Number of elements; native count when None.
            keywords: ``use_numpy``, see `CaChannel.array_get`.

        Returns:
            None without monitor, as the value comes with `getValue` after ``pend_io``. With a
            monitor the whole last value, in its native type.

        Raises:
            CaChannelException: The request cannot be sent.
        """
        if self.callBack.monitorState == 2:
            return self._last()
        super().array_get(req_type, count, **keywords)
        return None

    def getw(
        self, req_type: SupportsInt | None = None, count: SupportsInt | None = None, **keywords: Any
    ) -> Any:
        """Read the value from the server, or with a monitor return that of the last event.

        Args:
            req_type: Request type (``ca.DBR_XXXX``); native type when None. Without effect with
                a monitor.
            count: Number of elements; native count when None. With a monitor the first ``count``
                elements of the last value.
            keywords: ``use_numpy``, see `CaChannel.getw`.

        Returns:
            The value, as `CaChannel.getw` returns it.

        Raises:
            CaChannelException: No answer within `getTimeout` seconds, or a refusal.
            TypeError: ``count`` was given and the last value of the monitor is a scalar.
        """
        if self.callBack.monitorState != 2:
            return super().getw(req_type, count, **keywords)
        value = self._last()
        return value if count is None else value[0 : int(count)]

    def getValue(self) -> Any:
        """Return the value of the last `array_get`, or with a monitor that of the last event."""
        if self.callBack.monitorState != 2:
            return super().getValue()
        return self._last()

    def getControl(
        self,
        req_type: SupportsInt | None = None,
        count: SupportsInt | None = None,
        wait: Any = 1,
        poll: float = 0.01,
    ) -> None:
        """Read value, alarm, units and limits into the attributes of `callBack`.

        Args:
            req_type: Field type (``ca.DBF_XXXX``) whose CTRL type is requested; native when None.
            count: Number of elements; native count when None.
            wait: Return when the reply is there. If false, `checkMonitor` tells when it came.
            poll: Accepted for old scripts: seconds between two looks. The wait ends with the
                reply itself.

        Raises:
            CaChannelException: The request cannot be sent, or the server refused it.
        """
        if req_type is None:
            native: int = self.field_type()
        else:
            native = type_number(req_type, self._open("getControl"), "getControl")
        dbr_type = ca.dbf_type_to_DBR_CTRL(native)
        if wait:
            # Waits without the dispatcher thread, so that it works inside a callback too.
            reply = self._get_wait(dbr_type, count, None, use_numpy=_package.USE_NUMPY)
            getCallback(reply, (self.callBack,))
        else:
            self.array_get_callback(dbr_type, count, getCallback, self.callBack)

    def putWait(
        self,
        value: Any,
        req_type: SupportsInt | None = None,
        count: SupportsInt | None = None,
        poll: float = 0.01,
    ) -> None:
        """Write, and return when the record and all that it triggered has processed.

        Args:
            value: What to write; a list or tuple for several elements.
            req_type: Request type (``ca.DBR_XXXX``); native type when None.
            count: Number of elements; as many as ``value`` has when None.
            poll: Seconds given to the monitor after completion, if there is one, so that a read
                after this call finds the new value.

        Raises:
            CaChannelException: The request cannot be sent, the server refused or failed it
                (ECA_PUTFAIL), or the connection was lost meanwhile (ECA_DISCONN).
            ValueError, TypeError, OverflowError: ``value`` cannot be sent as the type; nothing
                was written.
        """
        self.callBack.putComplete = 0
        if are_overridden(type(self), "array_put_callback", "pend_event") and not (
            self._open("putWait").context.in_callback
        ):
            put_in_steps(self, value, req_type, count, poll)
        else:
            self._put_wait(value, req_type, count, None)
        self.callBack.putComplete = 1
        if self.callBack.monitorState:
            # The server sends events and completions independently of each other.
            self.pend_event(max(poll, _AT_ONCE))
