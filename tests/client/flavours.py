"""The three clients behind one set of calls, so that one suite tests them all."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import cachannel.asyncio.client as asyncio_client
import cachannel.sync.client as sync_client
import cachannel.threading.client as threading_client

TIMEOUT = 60.0


class Following:
    """A subscription that keeps all its updates."""

    def __init__(self) -> None:
        self.responses: list[Any] = []
        self.subscription: Any = None
        self.stop: Callable[[], None] = lambda: None

    def take(self, subscription: Any, response: Any) -> None:
        """Keep an update."""
        self.responses.append(response)

    @property
    def numbers(self) -> list[float]:
        """The first element of each update."""
        return [response.data[0] for response in self.responses]


class Flavour:
    """What they have in common.

    Attributes:
        prefix: of the names of all PVs.
    """

    prefix = ""

    def full(self, pvname: Any) -> Any:
        """Put the prefix before a name; what is no name stays as it is."""
        return self.prefix + pvname if isinstance(pvname, str) else pvname


class SyncFlavour(Flavour):
    """`cachannel.sync.client`."""

    name = "sync"

    def read(self, pvname: str, **options: Any) -> Any:
        return sync_client.read(self.full(pvname), **{"timeout": TIMEOUT} | options)

    def write(self, pvname: str, data: Any, **options: Any) -> Any:
        return sync_client.write(
            self.full(pvname), data, **{"timeout": TIMEOUT, "notify": True} | options
        )

    def follow(self, pvname: str) -> Following:
        following = Following()
        subscription = sync_client.subscribe(self.full(pvname))
        following.subscription = subscription
        subscription.add_callback(following.take)
        thread = threading.Thread(target=subscription.block, kwargs={"timeout": TIMEOUT})
        thread.start()

        def stop() -> None:
            while thread.is_alive():
                subscription.interrupt()
                thread.join(0.05)

        following.stop = stop
        return following

    def close(self) -> None:
        """Nothing is kept."""


class ThreadingFlavour(Flavour):
    """`cachannel.threading.client`."""

    name = "threading"

    def __init__(self) -> None:
        self.context = threading_client.Context(timeout=TIMEOUT)

    def pv(self, pvname: str) -> Any:
        return self.context.get_pvs(self.full(pvname))[0]

    def read(self, pvname: str, **options: Any) -> Any:
        return self.pv(pvname).read(**options)

    def write(self, pvname: str, data: Any, **options: Any) -> Any:
        if not options.pop("notify", True):
            options["wait"] = False
        return self.pv(pvname).write(data, **options)

    def follow(self, pvname: str) -> Following:
        following = Following()
        following.subscription = self.pv(pvname).subscribe(data_type="time")
        following.subscription.add_callback(following.take)
        following.stop = following.subscription.clear
        return following

    def close(self) -> None:
        self.context.disconnect()


class AsyncioFlavour(Flavour):
    """`cachannel.asyncio.client`, with an event loop in a thread."""

    name = "asyncio"

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.context = self.do(self._make())

    async def _make(self) -> Any:
        return asyncio_client.Context(timeout=TIMEOUT)

    def do(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    def pv(self, pvname: str) -> Any:
        return self.do(self.context.get_pvs(self.full(pvname)))[0]

    def read(self, pvname: str, **options: Any) -> Any:
        return self.do(self.pv(pvname).read(**options))

    def write(self, pvname: str, data: Any, **options: Any) -> Any:
        if not options.pop("notify", True):
            options["wait"] = False
        return self.do(self.pv(pvname).write(data, **options))

    def follow(self, pvname: str) -> Following:
        following = Following()

        async def begin() -> None:
            following.subscription = pv.subscribe(data_type="time")
            following.subscription.add_callback(following.take)

        pv = self.pv(pvname)
        self.do(begin())
        following.stop = lambda: self.do(following.subscription.clear())
        return following

    def close(self) -> None:
        self.do(self.context.disconnect())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(60)
        self.loop.close()


FLAVOURS: dict[str, Callable[[], Any]] = {
    "sync": SyncFlavour,
    "threading": ThreadingFlavour,
    "asyncio": AsyncioFlavour,
}
