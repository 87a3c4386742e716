"""An IOC with every kind of hook, on any async library; run by test_servers.py."""

import sys

from cachannel import AccessRights
from cachannel.server import PVGroup, PvpropertyDouble, ioc_arg_parser, pvproperty, run


def say(*words):
    """Print for the test."""
    print(*words, flush=True)  # noqa: T201


class Guarded(PvpropertyDouble):
    """A channel whose access another PV decides about."""

    def check_access(self, hostname, username):
        """Return READ while it is locked."""
        return AccessRights.READ if self.group.lock.value else super().check_access("", "")


class HooksIOC(PVGroup):
    """See test_servers.py."""

    plain = pvproperty(value=1.0)
    hooked = pvproperty(value=0.0)
    failing = pvproperty(value=0.0, alarm_group="failing")
    scanned = pvproperty(value=0, alarm_group="scanned")
    bad_scan = pvproperty(value=0, alarm_group="bad")
    bad_startup = pvproperty(value=0)
    stopping = pvproperty(value=0, alarm_group="stopping")
    got = pvproperty(value=0)
    burst = pvproperty(value=0, alarm_group="burst")
    leave = pvproperty(value=0)
    lock = pvproperty(value=0)
    guarded = pvproperty(value=0.0, dtype=Guarded)
    victim = pvproperty(value=0.0)
    text = pvproperty(value="text", max_length=1_000_000)
    remove = pvproperty(value=0)

    async def __ainit__(self, async_lib):
        """Run before all others."""
        say("startup_hook", async_lib.name, async_lib.library.__name__)

    @plain.startup
    async def plain(self, instance, async_lib):
        """Try what the layer offers."""
        self.async_lib = async_lib
        queue = async_lib.ThreadsafeQueue()
        queue.put(1)
        await queue.async_put(2)
        say("queue", await queue.async_get(), await queue.async_get())
        event = async_lib.Event()
        say("event", await event.wait(timeout=0.01), event.is_set())
        import threading

        threading.Timer(0.05, event.set).start()
        threading.Timer(0.05, queue.put, (3,)).start()
        say("woken", await event.wait(), await event.wait(timeout=60), await queue.async_get())
        event.clear()
        say("cleared", event.is_set())

    @plain.shutdown
    async def plain(self, instance, async_lib):
        """Say that it ran."""
        await async_lib.sleep(0.01)
        say("shutdown", async_lib.name)

    @hooked.putter
    async def hooked(self, instance, value):
        """Take some time, and return another value."""
        await self.async_lib.sleep(0.05)
        return value * 2

    @failing.putter
    async def failing(self, instance, value):
        """Fail, for some values."""
        if value > 1:
            raise RuntimeError("too much")

    @scanned.scan(period=0.02)
    async def scanned(self, instance, async_lib):
        """Count."""
        await instance.write(instance.value + 1)

    @bad_scan.scan(period=0.02)
    async def bad_scan(self, instance, async_lib):
        """Fail for a while."""
        self.scans = getattr(self, "scans", 0) + 1
        if self.scans < 10:
            raise ValueError("not yet")

    @stopping.scan(period=0.02, stop_on_error=True, failure_severity=1)
    async def stopping(self, instance, async_lib):
        """Fail, and so be called once."""
        await instance.write(instance.value + 1)
        raise ValueError("no more")

    @bad_startup.startup
    async def bad_startup(self, instance, async_lib):
        """Fail."""
        raise RuntimeError("never mind")

    @got.getter
    async def got(self, instance):
        """Count reads."""
        await self.async_lib.sleep(0)
        return instance.value + 1

    @burst.putter
    async def burst(self, instance, value):
        """Write the PV many times."""
        for number in range(value):
            await instance.write(number, verify_value=False)

    @remove.putter
    async def remove(self, instance, value):
        """Take a PV away."""
        del self.pvdb[self.victim.pvname]

    @leave.putter
    async def leave(self, instance, value):
        """End the process."""
        sys.exit(value)


if __name__ == "__main__":
    ioc_options, run_options = ioc_arg_parser(default_prefix="h:", desc="hooks")
    ioc = HooksIOC(**ioc_options)
    run(ioc.pvdb, startup_hook=ioc.__ainit__, **run_options)
