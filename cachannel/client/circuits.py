"""Circuits: the connections to servers, as far as users see them."""

from __future__ import annotations

import itertools
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from cachannel._native import ffi, lib
from cachannel.client.callbacks import Outbox, Workers
from cachannel.client.executor import CallbackExecutor
from cachannel.protocol.channel_types import CLIENT, CONNECTED, DISCONNECTED, SERVER, ChannelType
from cachannel.protocol.errors import CaprotoNotImplementedError

if TYPE_CHECKING:
    from cachannel.client.context import BaseContext
    from cachannel.client.pv import BasePV
    from cachannel.client.responses import EventAddResponse
    from cachannel.client.subscription import BaseSubscription

__all__ = ["BaseCircuitManager", "ChannelInfo", "Circuit", "address_of", "resolve"]

logger = logging.getLogger("cachannel.circ")

_IDS: Final = 1 << 16
"""Numbers of requests, and of subscriptions, of a circuit."""

_NOWHERE: Final = ("", "<disconnected>")
"""What libca calls the host of a channel that has none."""

_THIS_PROCESS: Final = ("127.0.0.1", 0)

_DOTTED = re.compile(r"\d+\.\d+\.\d+\.\d+$")


def resolve(text: str) -> tuple[str, int] | None:
    """Make (dotted address, port) of what libca calls a host; None while disconnected.

    The records of an IOC in this process have the name of the host and no port, because libca
    reaches them without a circuit: their address is (127.0.0.1, 0).
    """
    host, _, port = text.rpartition(":")
    if not port.isdigit():
        return None if text in _NOWHERE else _THIS_PROCESS
    if not _DOTTED.match(host):
        try:
            host = socket.gethostbyname(host)
        except OSError:
            logger.debug("the name %r of a server has no address", host)
    return host, int(port)


def address_of(channel: int) -> str:
    """Ask libca for the host of a channel, as text."""
    buffer = ffi.new("char[]", 256)
    lib.cc_host_name(channel, buffer, 256)
    data: bytes = ffi.string(buffer)
    return data.decode("ascii", "replace")


class Circuit:
    """What is known about one connection to a server."""

    def __init__(self, manager: BaseCircuitManager, address: tuple[str, int], priority: int):
        self._manager = manager
        self.address = address
        self.host, self.port = address
        self.priority = priority

    @property
    def states(self) -> dict[Any, Any]:
        """State of each end."""
        state = CONNECTED if self._manager.connected else DISCONNECTED
        return {CLIENT: state, SERVER: state}

    @property
    def protocol_version(self) -> int:
        """Minor version of the protocol that the server speaks; 0 while it is not known."""
        return self._manager.server_protocol_version

    def __repr__(self) -> str:
        return f"<Circuit address={self.address} priority={self.priority}>"


class ChannelInfo:
    """A connected channel, as ``pv.channel``."""

    def __init__(self, pv: BasePV[Any, Any]) -> None:
        self._pv = pv
        self.name = pv.name
        self.cid = self.sid = pv._number

    @property
    def native_data_type(self) -> Any:
        """Type of the channel at its server, or what it was last."""
        native = self._pv._native_type()
        return ChannelType(self._pv._native) if native is None else native

    @property
    def native_data_count(self) -> int:
        """Capacity of the channel; 0 while it is not connected."""
        return max(0, int(lib.cc_element_count(self._pv._id)))

    @property
    def access_rights(self) -> Any:
        """What this client may do."""
        return self._pv.access_rights

    @property
    def circuit(self) -> Circuit | None:
        """The connection that the channel uses."""
        manager = self._pv.circuit_manager
        return None if manager is None else manager.circuit

    @property
    def protocol_version(self) -> int:
        """Minor version of the protocol that the server speaks; 0 while it is not known."""
        info = ffi.new("cc_channel_info *")
        lib.cc_channel_info_get(self._pv._id, info)
        return int(info.minor_protocol)

    def __repr__(self) -> str:
        return f"<ClientChannel name={self.name!r} cid={self.cid} sid={self.sid}>"


class BaseCircuitManager:
    """One connection to a server, with the channels and subscriptions of a context on it.

    Attributes:
        context: the client context.
        circuit: address, priority, and states.
        pvs: the PVs on it by their numbers.
        subscriptions: the active subscriptions by their ids.
        dead: an Event that is set when the connection is lost.
    """

    dead: Any
    log = logger

    def __init__(self, context: BaseContext, address: tuple[str, int], priority: int) -> None:
        self.context = context
        self.circuit = Circuit(self, address, priority)
        self.pvs: dict[int, BasePV[Any, Any]] = {}
        self.subscriptions: dict[int, BaseSubscription] = {}
        self.dead = self._make_event()
        self.workers = Workers(context.max_workers, context._after_callbacks)
        self.outbox = Outbox(context._engine.dirty, self.workers.send)
        self._ioid_lock = threading.Lock()
        self._next_ioid = 0
        self._ioids: set[int] = set()
        self._next_subscriptionid = 0
        # While updates are off: the newest of each subscription.
        self.held: dict[BaseSubscription, EventAddResponse] | None = None

    @staticmethod
    def _make_event() -> Any:
        return threading.Event()

    def __repr__(self) -> str:
        state = "connected" if self.connected else "disconnected"
        return f"<VirtualCircuitManager address={self.circuit.address} {state}>"

    def take_ioids(self, length: int) -> Sequence[int]:
        """Take the next numbers of requests that no request in progress has.

        Give them back with `release_ioids`. With 65536 requests in progress numbers are shared.
        """
        with self._ioid_lock:
            first, used = self._next_ioid, self._ioids
            if first + length <= _IDS and (
                not used or used.isdisjoint(range(first, first + length))
            ):
                numbers: Sequence[int] = range(first, first + length)
                self._next_ioid = (first + length) % _IDS
            elif len(used) + length > _IDS:
                numbers = [(first + index) % _IDS for index in range(length)]
                self._next_ioid = (first + length) % _IDS
            else:
                following = (number % _IDS for number in itertools.count(first))
                free = (number for number in following if number not in used)
                numbers = list(itertools.islice(free, length))
                self._next_ioid = (numbers[-1] + 1) % _IDS
            used.update(numbers)
        return numbers

    def release_ioids(self, numbers: Sequence[int]) -> None:
        """Let other requests have these numbers."""
        with self._ioid_lock:
            self._ioids.difference_update(numbers)

    def next_subscriptionid(self) -> int:
        """Return the next number of a subscription that is not in use."""
        number = self._next_subscriptionid
        while number in self.subscriptions and len(self.subscriptions) < _IDS:
            number = (number + 1) % _IDS
        self._next_subscriptionid = (number + 1) % _IDS
        return number

    @property
    def connected(self) -> bool:
        """Whether some channel on the circuit is connected."""
        return any(pv.connected for pv in list(self.pvs.values()))

    def _some(self) -> int:
        return next((pv._id for pv in list(self.pvs.values()) if pv.connected), 0)

    @property
    def server_protocol_version(self) -> int:
        """Minor version of the protocol that the server speaks; 0 when disconnected."""
        info = ffi.new("cc_channel_info *")
        lib.cc_channel_info_get(self._some(), info)
        return int(info.minor_protocol)

    @property
    def silence(self) -> float | None:
        """Seconds since the server was heard from; None when disconnected."""
        channel = self._some()
        info = ffi.new("cc_channel_info *")
        if not channel or lib.cc_channel_info_get(channel, info) != 1:
            return None
        return max(0.0, self.context._engine.watchdog - float(info.watchdog_delay))

    @property
    def last_tcp_receipt(self) -> float | None:
        """When the server was last heard from, as `time.monotonic` has it."""
        silence = self.silence
        return None if silence is None else time.monotonic() - silence

    @property
    def user_callback_executor(self) -> CallbackExecutor:
        """Runs functions where the callbacks of this circuit run, in turn with these."""
        return CallbackExecutor(self)

    def _outbox_for(self, func: Callable[..., object]) -> Outbox:
        """Find where calls of a function go."""
        return self.outbox

    @property
    def dropped(self) -> int:
        """How many updates gave way to newer ones, as plain callbacks were too slow.

        200,000 updates (or 256 MB of arrays and text) may wait for the threads of a circuit.
        """
        return self.workers.dropped

    def _close_channels(self) -> None:
        """Close the channels on this circuit; requests open them again."""
        with self.context._lock:
            for pv in list(self.pvs.values()):
                pv._close()
                pv._idle = True

    def _off(self) -> None:
        with self.context._lock:
            if self.held is None:
                self.held = {}

    def _on(self) -> None:
        with self.context._lock:
            held, self.held = self.held, None
            for subscription, response in (held or {}).items():
                subscription._hand_out(response, False)

    def _obey(self, commands: tuple[Any, ...]) -> None:
        """Do what messages ask for that have a meaning here."""
        for command in commands:
            name = type(command).__name__
            if name == "EventsOffRequest":
                self._off()
            elif name == "EventsOnRequest":
                self._on()
            elif name != "EchoRequest":
                message = f"{name} cannot be sent by hand: libca owns the circuit"
                raise CaprotoNotImplementedError(message)

    def _gone(self, pv: BasePV[Any, Any]) -> None:
        """Take note that a PV has left; on any thread, with the lock held."""
        self.pvs.pop(pv._number, None)
        if not self.pvs:
            self.held = None
            self._set_dead()

    def _set_dead(self) -> None:
        self.dead.set()
