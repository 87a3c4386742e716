"""``python -m cachannel demo``: Channel Access at work, as a tutorial that runs.

Needs nothing outside: it starts an IOC of its own on loopback, the one of `demo_ioc`, and runs the
lines of `LESSONS` against it, each printed as at the prompt of Python and followed by its result.
Everything goes through the public interface, so each line can be copied into a script.
"""

from __future__ import annotations

import contextlib
import io
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any, TextIO, cast

from cachannel.demo_ioc import READY

__all__ = ["LESSONS", "main"]

LOOPBACK = "127.0.0.1"

_RUN_IOC = "from cachannel.demo_ioc import serve_for_parent; serve_for_parent()"

_LAST_WORDS = {
    0: "\nThat is all. The IOC has ended.",
    1: "\nThe demo failed.",
    130: "\nInterrupted.",
}

LESSONS = """
# Connect to a PV. A method whose name ends in "w" waits.
from cachannel import CaChannel, CaChannelException, ca
temperature = CaChannel("demo:temperature")
temperature.searchw()
temperature.state(), temperature.field_type(), temperature.element_count()

# Read it: the value alone, or with its alarm, units and limits.
temperature.getw()
info = temperature.getw(ca.DBR_CTRL_DOUBLE)
info["pv_value"], info["pv_units"], info["pv_precision"]
info["pv_lodislim"], info["pv_updislim"], info["pv_lowarnlim"], info["pv_upalarmlim"]
info["pv_status"], info["pv_severity"]

# For a quick look and in small scripts: by name.
from cachannel.util import caget, cainfo, camonitor, caput
caget("demo:valve"), caget("demo:valve", as_string=True)
caput("demo:valve", "Open", wait=True)
caget("demo:valve", as_string=True)
caget(["demo:valve", "demo:position", "demo:pressure"])

# Write and wait until the move that this starts is over (half a second here).
import time
started = time.monotonic()
caput("demo:position", 12.5, wait=True)
f"{time.monotonic() - started:.1f} s", caget("demo:readback")

# Watch a PV that changes. The function runs on a thread of the library while the script sleeps.
def show(event, args):
    seconds = event["pv_seconds"] + ca.POSIX_TIME_AT_EPICS_EPOCH
    print(time.strftime("   %H:%M:%S", time.localtime(seconds)), f"{event['pv_value']:.2f}")
temperature.add_masked_array_event(ca.DBR_TIME_DOUBLE, None, None, show)
temperature.flush_io()
time.sleep(3)
temperature.clear_event()

# An alarm: the pressure is too high.
caput("demo:pressure", 9.5, wait=True)
cainfo("demo:pressure")
caput("demo:pressure", 4.0, wait=True)

# An array, written from NumPy and read as NumPy.
import numpy
wave = CaChannel("demo:wave")
wave.searchw()
wave.putw(numpy.hanning(1000))
profile = wave.getw(use_numpy=True)
type(profile), profile.dtype, profile.shape
f"{profile.max():.3f} at element {profile.argmax()}"

# What a user sees when there is no such PV.
missing = CaChannel("demo:no:such:pv")
missing.setTimeout(1)
missing.searchw()  # raises
"""


class _WholeLines(io.TextIOBase):
    """Standard output, a line at a time, for the statements and the callbacks that print at once.

    `print` writes a line in pieces, and two threads that print would mix theirs.
    """

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._pieces = threading.local()

    def write(self, text: str) -> int:
        pending = getattr(self._pieces, "text", "") + text
        lines, newline, self._pieces.text = pending.rpartition("\n")
        if newline:
            self._output.write(lines + newline)
            self._output.flush()
        return len(text)


def main() -> int:
    """Run the demo.

    Sets ``EPICS_*`` variables of this process, so call it only where no CA context exists yet.

    Returns:
        The exit status: 0; 1 when something did not work as the lesson says; 130 after Ctrl-C.
    """
    with contextlib.ExitStack() as stack:
        # libca starts a repeater when it finds this port free; the demo shall leave no process.
        repeater = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        repeater.bind(("", 0))
        settings = _settings(_free_port(), repeater.getsockname()[1])
        for name in [name for name in os.environ if name.startswith("EPICS_")]:
            del os.environ[name]
        os.environ.update(settings)
        try:
            stack.enter_context(_ioc())
        except OSError as error:
            print(f"The IOC of the demo did not start: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print(_LAST_WORDS[130])
            return 130
        print("An IOC in Python runs on this machine (cachannel/demo_ioc.py), seen by nobody else:")
        print(f"    EPICS_CA_ADDR_LIST={LOOPBACK}", end=" ")
        print(f"EPICS_CA_SERVER_PORT={settings['EPICS_CA_SERVER_PORT']}")
        code = 0
        try:
            with contextlib.redirect_stdout(cast(TextIO, _WholeLines(sys.stdout))):
                done = _teach(LESSONS)
            code = 0 if done else 1
        except KeyboardInterrupt:
            code = 130
        finally:
            # Before the last words, which a callback could otherwise interrupt.
            _disconnect()
    print(_LAST_WORDS[code])
    return code


def _settings(port: int, repeater_port: int) -> dict[str, str]:
    """The variables that keep client and server on loopback."""
    return {
        "CACHANNEL_REPEATER": "NO",
        "EPICS_CA_ADDR_LIST": LOOPBACK,
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
        "EPICS_CA_SERVER_PORT": str(port),
        "EPICS_CA_REPEATER_PORT": str(repeater_port),
        "EPICS_CAS_SERVER_PORT": str(port),
        "EPICS_CAS_INTF_ADDR_LIST": LOOPBACK,
        "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO",
        "EPICS_CAS_BEACON_ADDR_LIST": LOOPBACK,
        "EPICS_CAS_BEACON_PORT": str(repeater_port),
    }


def _free_port() -> int:
    """Find a port of loopback that is free for both protocols of a server."""
    while True:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        ):
            tcp.bind((LOOPBACK, 0))
            port: int = tcp.getsockname()[1]
            with contextlib.suppress(OSError):
                udp.bind((LOOPBACK, port))
                return port


@contextlib.contextmanager
def _ioc() -> Iterator[None]:
    """Run the IOC of the demo in a process of its own.

    Raises:
        OSError: It cannot be started, or ended at once.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", _RUN_IOC],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if line.strip() == READY:
                break
        else:
            raise OSError("".join(said).strip())
        yield
    finally:
        # The IOC leaves when its standard input ends.
        process.stdin.close()
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def _teach(lessons: str) -> bool:
    """Run statements one after the other, each printed before its result.

    Returns:
        Whether every statement did what it should: only those marked ``# raises`` raise.
    """
    names: dict[str, Any] = {"__name__": "demo"}
    for statement in _statements(lessons):
        if statement.startswith("#"):
            print(f"\n{statement}")
            continue
        first, *others = statement.splitlines()
        print(f">>> {first}", *(f"... {line}" for line in others), sep="\n", flush=True)
        try:
            # As at the prompt: the value of an expression is printed.
            exec(compile(statement + "\n", "<demo>", "single"), names)
            raised = False
        except Exception as error:
            print(f"{type(error).__name__}: {error}")
            raised = True
        sys.stdout.flush()
        if raised != statement.endswith("# raises"):
            return False
    return True


def _statements(text: str) -> Iterator[str]:
    """Split a script into its comments and statements; indented lines belong to the one above."""
    block: list[str] = []
    for line in text.strip().splitlines():
        if block and not line.startswith(" "):
            yield "\n".join(block)
            block = []
        if line:
            block.append(line)
    yield "\n".join(block)


def _disconnect() -> None:
    """Close the connections, so that nobody reports the end of the IOC as a loss."""
    from cachannel.context import contexts

    for context in contexts():
        context.close()


if __name__ == "__main__":
    sys.exit(main())
