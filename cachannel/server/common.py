"""What the three I/O shells share: the life of a server around its event loop."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from cachannel import _last_resort
from cachannel.protocol.errors import CaprotoTypeError
from cachannel.protocol.settings import ServerSettings

from .circuit import Circuit, Subscription
from .core import PVDatabase, ServerCore
from .data import ChannelData
from .layer import AsyncLibraryLayer
from .sockets import ServerSockets, open_sockets
from .upkeep import Upkeep

__all__ = [
    "Circuit",
    "Context",
    "DisconnectedCircuit",
    "LoopExit",
    "ServerExit",
    "Subscription",
    "SubscriptionSpec",
    "VirtualCircuit",
]

VirtualCircuit = Circuit

Hook = Callable[[AsyncLibraryLayer], Awaitable[Any]]


class ServerExit(Exception):  # noqa: N818 - the name is a contract
    """Raised by a hook to end the server in good order."""


class DisconnectedCircuit(Exception):  # noqa: N818 - the name is a contract
    """A client is gone. Nothing here raises it; code that catches it finds it."""


class LoopExit(Exception):  # noqa: N818 - the name is a contract
    """A task is to end. Nothing here raises it; code that catches it finds it."""


class SubscriptionSpec(NamedTuple):
    """What subscriptions have in common that are sent the same events.

    Attributes:
        db_entry: the channel.
        data_type_name: of the request type.
        mask: the event bits.
        channel_filter: of the channel's name.
    """

    db_entry: Any
    data_type_name: str
    mask: int
    channel_filter: Any


class Context:
    """A server on one async library.

    Args:
        pvdb: PV name to channel, see `ServerCore`.
        interfaces: addresses to listen on; EPICS_CAS_INTF_ADDR_LIST if absent.

    Raises:
        CaprotoEnvironmentSetupError: an EPICS variable that does not parse.
    """

    library_name = ""

    def __init__(self, pvdb: PVDatabase, interfaces: Sequence[str] | None = None) -> None:
        self.pvdb = pvdb
        self.interfaces = list(interfaces) if interfaces else None
        self.settings = ServerSettings.from_environment()
        self.core = ServerCore(pvdb, self.settings)
        self.upkeep = Upkeep(self.core)
        self._size = 0
        # The end was asked for; this may be before the server has anything to end.
        self.stopping = False
        self._ended = False
        self.log = logging.getLogger("cachannel.ctx")
        _last_resort.install()

    @property
    def port(self) -> int:
        """The TCP port; the configured one until the server listens."""
        return self.core.port

    @property
    def circuits(self) -> set[Circuit]:
        """The clients that are connected."""
        return self.core.circuits

    # ------------------------------------------------------------------ the end

    def stop(self) -> None:
        """End `run` in good order."""
        raise NotImplementedError

    def end(self, reason: str) -> None:
        """Say why, once, and end `run` in good order.

        Args:
            reason: the name of a signal.
        """
        if not self.stopping:
            self.log.info("%s received.", reason)
            self._ended = True
            self.stop()

    def log_ended(self) -> None:
        """Say that the tasks have ended, if that was because of a signal."""
        if self._ended:
            self.log.info("Server task cancelled. Will shut down.")

    # ------------------------------------------------------------------ log lines

    def log_starting(self) -> None:
        """Say that the server starts."""
        self.log.info("%s server starting up...", self.library_name.capitalize())

    def prepare(self, startup_hook: Hook | None) -> tuple[list[tuple[str, Hook]], ServerSockets]:
        """Make ready what a start needs: the hooks and the sockets.

        An error is logged before it is raised: a program that runs the server as one of its tasks
        may not look at its end.

        Raises:
            CaprotoTypeError: the pvdb is not a mapping of names to channels, or the hook of `run`
                cannot be called.
            CaprotoNetworkError: no sockets to be had.
        """
        self.log_starting()
        try:
            hooks = self.startup_methods(startup_hook)
            sockets = open_sockets(self.settings, self.interfaces)
        except Exception as exc:
            self.log.error("the server did not start: %s: %s", type(exc).__name__, exc)
            raise
        self.core.port = sockets.port
        return hooks, sockets

    def log_started(self, port: int, interfaces: list[str], log_pv_names: bool) -> None:
        """Say that the server is there, and with `log_pv_names` what it serves."""
        for host in interfaces:
            self.log.info("Listening on %s:%d", host, port)
        self.log.info("Server startup complete.")
        if log_pv_names:
            self.log.info("PVs available:\n%s", "\n".join(name for name, _ in self._items()))

    def connected(self, circuit: Circuit) -> None:
        """Count a new client."""
        self.core.circuits.add(circuit)
        self.log.debug(
            "Connected to new client at %s:%d (total: %d).",
            *circuit.peer,
            len(self.core.circuits),
            extra={"their_address": circuit.peer, "role": "SERVER"},
        )

    def disconnected(self, circuit: Circuit) -> None:
        """Count a client that left."""
        circuit.close()
        if circuit in self.core.circuits:
            self.core.circuits.remove(circuit)
            self.log.debug(
                "Disconnected from client at %s:%d (total: %d).",
                *circuit.peer,
                len(self.core.circuits),
                extra={"their_address": circuit.peer, "role": "SERVER"},
            )

    def is_ignored(self, host: str) -> bool:
        """Tell whether searches of a host are not answered."""
        return host in self.settings.ignored

    @staticmethod
    async def repeat(step: Callable[[], float], layer: AsyncLibraryLayer) -> None:
        """Do a step for ever; it returns the seconds until the next one."""
        while True:
            await layer.sleep(step())

    # ------------------------------------------------------------------ hooks

    def _items(self) -> list[tuple[str, ChannelData]]:
        """Return the PVs that are known from the start.

        Raises:
            CaprotoTypeError: the pvdb is not a mapping of names to channels.
        """
        try:
            items = self.pvdb.items
        except AttributeError:
            raise CaprotoTypeError(
                "a server takes a dict of PV name to channel, or an object that has items(), `in`"
                f" and []; {type(self.pvdb).__name__} has no items()"
            ) from None
        return list(items())

    def _hooked(self, *kinds: str) -> Iterator[tuple[str, str, ChannelData, Any]]:
        """Yield (kind, name, channel, hook) of every channel and field channel that has one.

        Few of many channels do; nothing is made for the others, since it counts at the start.
        """
        for name, channel in self._items():
            for kind in kinds:
                hook = getattr(channel, kind, None)
                if hook is not None:
                    yield kind, name, channel, hook
            try:
                fields = channel._field_inst
            except AttributeError:
                raise CaprotoTypeError(
                    f"PV {name!r} is {channel!r}, which is not a channel (an instance of"
                    " ChannelData, as a PVGroup's pvdb has)"
                ) from None
            if fields is not None:
                for field_name, field in fields.hooked_fields():
                    for kind in kinds:
                        hook = getattr(field, kind, None)
                        if hook is not None:
                            yield kind, f"{name}.{field_name}", field, hook

    def startup_methods(self, startup_hook: Hook | None) -> list[tuple[str, Hook]]:
        """List what to start, in order: the hook of `run`, startup hooks, scan loops.

        Raises:
            CaprotoTypeError: the pvdb is not a mapping of names to channels, or the hook of `run`
                cannot be called.
        """
        found: list[tuple[str, Hook]] = []
        if startup_hook is not None:
            if not callable(startup_hook):
                raise CaprotoTypeError(
                    f"startup_hook is {startup_hook!r}; it must be `async def hook(async_lib)`"
                )
            found.append(("startup_hook", startup_hook))
        scans: list[tuple[str, Hook]] = []
        for kind, name, channel, hook in self._hooked("startup", "scan"):
            entries = scans if kind == "scan" else found
            entries.append((f"{kind} of {name}", partial(hook, channel)))
            channel._has_started = True
        self._size = self._count()
        return found + scans

    def _count(self) -> int:
        try:
            return len(self.pvdb)  # type: ignore[arg-type]
        except TypeError:
            return 0  # it does not tell; clients that lose a PV do

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Start a coroutine as a task that ends with the server."""
        raise NotImplementedError

    def look_after(self, layer: AsyncLibraryLayer) -> float:
        """Do what is due now and then; return the seconds until the next time.

        Hooks of PVs that an IOC adds while it serves are started here. A mapping tells nobody that
        it has changed, so only its size is looked at, and whether a client has lost a PV.
        """
        period = self.upkeep.look()
        if self.core.has_lost or self._count() != self._size:
            self.core.has_lost = False
            self._size = self._count()
            hooked = self._hooked("startup", "scan")
            for kind, name, channel, hook in [each for each in hooked if not each[2]._has_started]:
                channel._has_started = True
                what = f"{kind} of {name}"
                self.spawn(self._hook(what, partial(hook, channel), layer))
        return period

    def shutdown_methods(self) -> list[tuple[str, Hook]]:
        """List what to run when the server stops."""
        try:
            return [
                (f"shutdown of {name}", partial(hook, channel))
                for _, name, channel, hook in self._hooked("shutdown")
            ]
        except Exception:
            # The rest of the end must not be missed: sockets are closed, clients are told.
            self.log.exception("the PVs cannot be listed; no shutdown hook runs")
            return []

    async def _hook(self, what: str, hook: Hook, layer: AsyncLibraryLayer) -> None:
        await self.run_hook(what, hook, layer)

    async def run_hook(self, what: str, hook: Hook, layer: AsyncLibraryLayer) -> None:
        """Run a hook; what it raises is logged and ends nothing but the hook.

        Raises:
            ServerExit: the hook asks for the end of the server.
        """
        try:
            result = hook(layer)
            if inspect.isawaitable(result):
                await result
        except ServerExit:
            raise
        except Exception:
            self.log.exception("%s failed; the server goes on", what)

    async def run_shutdown_hook(self, what: str, hook: Hook, layer: AsyncLibraryLayer) -> None:
        """Run a shutdown hook; what it raises is logged, and the other hooks run all the same."""
        try:
            await hook(layer)
        except ServerExit:
            pass
        except Exception:
            self.log.exception("%s failed; the server ends all the same", what)
