"""IOCs that end, or do not start, in one way or the other; run by test_endings.py."""

import importlib
import logging
import signal
import sys
import threading

from cachannel.logs import config_caproto_logging
from cachannel.server import PVGroup, pvproperty, run

LIBRARY, KIND = sys.argv[1:3]
if KIND == "blocked":  # as procServ leaves it to its child
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGHUP})


def say(text):
    """Print for the test."""
    print(text, flush=True)  # noqa: T201


class Ending(PVGroup):
    """One PV with a shutdown hook."""

    heater = pvproperty(value=1.0)

    @heater.shutdown
    async def heater(self, instance, async_lib):
        """Take some time; with "slow" until the test says so."""
        if KIND == "slow":
            gone_on = async_lib.Event()
            threading.Thread(
                target=lambda: (sys.stdin.readline(), gone_on.set()), daemon=True
            ).start()
            say("switching off")
            await gone_on.wait()
        await async_lib.sleep(0.01)
        say("heater off")


class BadShutdown(Ending):
    """One hook fails."""

    bad = pvproperty(value=0)

    @bad.shutdown
    async def bad(self, instance, async_lib):
        """Fail."""
        raise ValueError("stuck")


class Own:
    """A mapping with what a server asks for, and no more; it makes up a PV."""

    def __init__(self, pvdb):
        self.pvdb = pvdb

    def items(self):
        """List what there is."""
        return self.pvdb.items()

    def __contains__(self, name):
        return name in self.pvdb

    def __getitem__(self, name):
        return self.pvdb["e:heater" if name == "e:made-up" else name]


class NoItems:
    """Not a mapping."""


class Broken(Own):
    """Cannot list its PVs."""

    def items(self):
        """Fail."""
        raise RuntimeError("broken items")


def main():
    """Serve."""
    pvdb = (BadShutdown if KIND == "bad-shutdown" else Ending)(prefix="e:").pvdb
    options = {"interfaces": ["127.0.0.1"], "module_name": f"cachannel.{LIBRARY}.server"}
    if KIND == "none":
        pvdb = None
    elif KIND == "own":
        pvdb = Own(pvdb)
        options["log_pv_names"] = True
    elif KIND == "no-items":
        pvdb = NoItems()
    elif KIND == "broken":
        pvdb = Broken(pvdb)
    elif KIND == "not-a-channel":
        pvdb = {"a": 5}
    elif KIND == "not-our-address":
        options["interfaces"] = ["203.0.113.7"]
    elif KIND == "no-hook":
        options["startup_hook"] = 5
    elif KIND == "bad-startup":

        async def fail(async_lib):
            raise ValueError("bad")

        options["startup_hook"] = fail
    elif KIND == "early":
        # The line that a server logs first is a moment at which it has nothing to end yet.
        import signal

        class Early(logging.Handler):
            def emit(self, record):
                if "starting up" in record.getMessage():
                    signal.raise_signal(signal.SIGTERM)

        logging.getLogger("cachannel.ctx").addHandler(Early())
    if KIND == "task":
        start_in_a_task(options["module_name"])
    elif KIND == "thread":
        thread = threading.Thread(target=run, args=(pvdb,), kwargs=options)
        thread.start()
        thread.join()
    else:
        run(pvdb, **options)
        say("after run")


def start_in_a_task(module_name):
    """Start a server that fails, in a task whose result is not looked at."""
    module = importlib.import_module(module_name)
    library = importlib.import_module(LIBRARY)

    async def main():
        try:
            await module.start_server(None)
        except Exception:
            return

    library.run(main() if LIBRARY == "asyncio" else main)


TELL_WITHOUT_SET_UP = ("task", "none", "no-items", "broken", "bad-startup")

if __name__ == "__main__":
    if KIND not in TELL_WITHOUT_SET_UP:
        config_caproto_logging(level="INFO")
    main()
