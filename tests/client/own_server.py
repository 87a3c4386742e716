"""An IOC of this package for the clients' tests; run as a program, or started with `OwnServer`.

PVs: ``own:many0`` ... with the value of its second argument; ``own:refuses``, whose putter raises;
``own:slow``, whose writes take until ``own:release`` is written; those of the contract suite.
"""

import argparse
import asyncio
import subprocess
import sys
from types import TracebackType

from cachannel.protocol.channel_types import ChannelType
from cachannel.server import PVGroup, pvproperty, run
from support.ioc import clean_environment
from support.ports import client_environment, server_environment


class Refusing(PVGroup):
    """PVs that refuse or delay what is written."""

    refuses = pvproperty(value=1.0)
    strings = pvproperty(value="text", dtype=str, max_length=10)
    array = pvproperty(value=[1.0, 2.0, 3.0])
    slow = pvproperty(value=0.0)
    release = pvproperty(value=0)

    @refuses.putter
    async def refuses(self, instance, value):
        """Refuse everything."""
        message = "this PV refuses"
        raise ValueError(message)

    @slow.putter
    async def slow(self, instance, value):
        """Wait for `release`."""
        while not self.release.value:
            await asyncio.sleep(0.01)


class Contract(Refusing):
    """The PVs of `support/records.db` that the contract suite uses."""

    catest = pvproperty(
        value=12.3, units="mm", precision=4, upper_disp_limit=200.0, lower_disp_limit=-200.0,
        upper_ctrl_limit=190.0, lower_ctrl_limit=-190.0,
    )  # fmt: skip
    calong = pvproperty(value=3)
    castring = pvproperty(value=["a string"], dtype=ChannelType.STRING)
    cambbo = pvproperty(value="two", enum_strings=("zero", "one", "two", "three"),
                        dtype=ChannelType.ENUM)  # fmt: skip
    cawave = pvproperty(value=[0.0], max_length=20)
    cawaveh = pvproperty(value=[0], dtype=ChannelType.INT, max_length=10)
    cawavel = pvproperty(value=[0], dtype=ChannelType.LONG, max_length=10)
    calongtext = pvproperty(value=b"text", dtype=ChannelType.CHAR, max_length=200)
    camillion = pvproperty(value=[0.0], max_length=1_000_000)
    caread = pvproperty(value=5.0, read_only=True)
    cascratch1 = pvproperty(value=0.0)
    cascratch2 = pvproperty(value=0.0)
    cascratch3 = pvproperty(value=0.0)


class OwnServer:
    """The IOC in a process of its own, until the end of a ``with`` block."""

    def __init__(self, port: int, repeater_port: int, number: int = 0) -> None:
        self._port, self._repeater_port, self._number = port, repeater_port, number
        self._process: subprocess.Popen[str] | None = None

    def start(self, value: float = 1.0) -> None:
        """Start it and wait until it is ready."""
        environment = clean_environment()
        environment |= client_environment([self._port], self._repeater_port)
        environment |= server_environment(self._port, self._repeater_port)
        environment["PYTHONPATH"] = ":".join(path for path in sys.path if path)
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(self._number), str(value)],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def restart(self, value: float) -> None:
        """Kill it and start it again at the same port."""
        self.kill()
        self.start(value)

    def __enter__(self) -> "OwnServer":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()


def main() -> None:
    """Run the IOC."""
    parser = argparse.ArgumentParser()
    parser.add_argument("number", type=int)
    parser.add_argument("value", type=float)
    options = parser.parse_args()
    members = {f"many{n}": pvproperty(value=options.value) for n in range(options.number)}
    group = type("Many", (Contract,), members)(prefix="own:")

    async def ready(async_lib: object) -> None:
        sys.stdout.write("ready\n")
        sys.stdout.flush()

    run(group.pvdb, interfaces=["127.0.0.1"], startup_hook=ready)


if __name__ == "__main__":
    main()
