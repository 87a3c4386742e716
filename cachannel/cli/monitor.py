"""``cachannel monitor``."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

import click

from cachannel._native import lib
from cachannel.cli.formats import clock, head, now, stamp_text, wide
from cachannel.cli.get import SHORTENED
from cachannel.cli.options import (
    CONTEXT_SETTINGS,
    Settings,
    base_option,
    common,
    formats,
    given,
    hint,
    rounding,
    settings,
    warn,
)
from cachannel.cli.readings import EPOCH, NORMAL, Reading, as_json, decode, decode_name
from cachannel.cli.terminal import coloured, has_colours, interrupted, needs_rich
from cachannel.cli.work import Session, out, print_json, request_type
from cachannel.engine import CONNECTION

__all__ = ["Screen", "Stamps", "command", "run"]

_MASKS = {"v": 1, "l": 2, "a": 4, "p": 8}
_UP = 6
_TICK = 0.1


class Screen(Protocol):
    """Where updates go."""

    def update(self, reading: Reading) -> None:
        """Show an update."""

    def lost(self, name: str, count: int, why: str) -> None:
        """Show that a PV is away; `why` is a sentence."""

    def tick(self) -> None:
        """Get called after every batch of updates, and ten times a second."""

    def close(self) -> None:
        """Leave the terminal as it was."""


@click.command("monitor", context_settings=CONTEXT_SETTINGS, short_help="Follow PVs.")
@click.argument("names", nargs=-1, required=True, metavar="PV...")
@base_option(
    "-t", "stamps", metavar="KEY",
    help="Time stamps: s of the server (default), c of this client, n none; with r relative to "
    "the start, i to the update before, I to the PV's update before: such as -t sI.",
)  # fmt: skip
@base_option(
    "-m", "mask", metavar="MASK",
    help="What is an update: a change of the value (v), of the alarm (a), for archives (l), of "
    "properties (p). The default is va.",
)  # fmt: skip
@click.option("--duration", type=click.FloatRange(min=0), metavar="SEC",
              help="End after this time.")  # fmt: skip
@click.option("--maximum", type=click.IntRange(min=1), metavar="N", help="End after N updates.")
@click.option("--table", is_flag=True, help="Show a table that changes in place.")
@click.option("--plot", is_flag=True, help="Draw a strip chart in the terminal.")
@click.option(
    "--span",
    type=click.FloatRange(min=0.1),
    default=60.0,
    metavar="SEC",
    show_default=True,
    help="Seconds that the strip chart shows.",
)
@click.option(
    "--save",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Append updates to a file: CSV when it ends in .csv, else JSON lines.",
)
@formats
@rounding
@common
def command(names: tuple[str, ...], **options: Any) -> int:
    """Follow PVs and print a line for each update, as camonitor does.

    Runs until Ctrl-C. PVs that are not found in time are told, and followed as soon as they are
    there; the same after a disconnect.
    """
    wanted = settings("monitor")
    stamps, mask = "s", 5
    for key, text in given():
        if key == "stamps":
            stamps = _checked(text, "scnriI", "-t")
        elif key == "mask":
            letters = _checked(text, "vlap", "-m")
            mask = sum({_MASKS[letter] for letter in letters}) or mask
    if options["table"] and options["plot"]:
        raise click.UsageError("--table and --plot exclude each other.")
    for name in ("table", "plot"):
        fault = needs_rich(f"--{name}") if options[name] else ""
        if fault:
            raise click.UsageError(fault)
    return run(names, wanted, options, stamps=stamps, mask=mask)


def _checked(text: str, letters: str, option: str) -> str:
    """Return the letters of an argument that mean something, and tell of the others."""
    for letter in text:
        if letter not in letters:
            warn(f"Invalid argument '{letter}' for option '{option}' - ignored.")
    return "".join(letter for letter in text if letter in letters)


class Stamps:
    """The time stamp column, by the key of the option ``-t``."""

    def __init__(self, key: str) -> None:
        self._server, self._client = "s" in key, "c" in key
        self._kind = next((letter for letter in reversed(key) if letter in "riI"), "")
        self._start: dict[str, float] = {"c": time.time()}
        self._last: dict[tuple[str, int], float] = {}
        self._seen: set[int] = set()

    def text(self, reading: Reading) -> str:
        """Return the column of an update."""
        first = reading.index not in self._seen
        self._seen.add(reading.index)
        text = ""
        if self._server:
            moment = EPOCH + reading.stamp[0] + reading.stamp[1] * 1e-9
            since = self._since("s", reading.index, moment)
            absolute = first or since is None
            text = stamp_text(reading) if absolute else f"{'':14}{since:+12.6f}"
        if self._client:
            nanoseconds = time.time_ns()
            since = self._since("c", reading.index, nanoseconds * 1e-9)
            if first or since is None:
                text += f"({clock(*divmod(nanoseconds, 1_000_000_000))})"
            else:
                text += f"{'':14}({since:+12.6f})"
        return text

    def _since(self, source: str, index: int, moment: float) -> float | None:
        """Return the seconds since what the stamps refer to; None for absolute ones."""
        if self._kind == "r":
            return moment - self._start.setdefault(source, moment)
        if not self._kind:
            return None
        key = source, index if self._kind == "I" else -1
        before = self._last.get(key, moment)
        self._last[key] = moment
        return moment - before


class Lines:
    """A line for each update; JSON, or as camonitor prints it."""

    def __init__(self, wanted: Settings, stamps: str) -> None:
        self._wanted = wanted
        self._stamps = Stamps(stamps)
        self._colours = has_colours()
        self._hinted = False

    def update(self, reading: Reading) -> None:
        """Print an update; base prints nothing for a PV that may not be read."""
        if self._wanted.as_json:
            print_json(as_json(reading, as_text=self._wanted.as_text))
            return
        if not reading.ok:
            warn(wide(reading, self._wanted))
            return
        text = wide(reading, self._wanted, self._stamps.text(reading))
        out(coloured(text, reading.alarm[1]) if self._colours else text)
        if self._wanted.shortened and not self._hinted:
            self._hinted = True
            hint(SHORTENED)

    def lost(self, name: str, count: int, why: str) -> None:
        """Print that a PV is away."""
        if self._wanted.as_json:
            print_json({"name": decode_name(name), "ok": False, "value": None, "error": why})
        else:
            stamp = "" if why.startswith("Not") else f"{now()} "
            out(f"{head(name, count, self._wanted.separator)}{stamp}*** {why}")

    def tick(self) -> None:
        """Let the reader of a pipe have everything."""
        sys.stdout.flush()

    def close(self) -> None:
        """Do nothing."""


def make_screen(
    names: tuple[str, ...], wanted: Settings, options: dict[str, Any], stamps: str
) -> Screen:
    """Make what shows the updates."""
    if options["table"]:
        from cachannel.cli.live import Table

        return Table(names, wanted)
    if options["plot"]:
        from cachannel.cli.live import Plot

        return Plot(names, wanted, options["span"])
    return Lines(wanted, stamps)


def run(
    names: tuple[str, ...], wanted: Settings, options: dict[str, Any], *, stamps: str, mask: int
) -> int:
    """Follow PVs until Ctrl-C or a limit. Returns the exit status."""
    saver = None
    if options["save"]:
        from cachannel.cli.saving import Saver

        saver = Saver(options["save"], as_text=wanted.as_text)
    end = None if options["duration"] is None else time.monotonic() + options["duration"]
    stop = _Stop()
    screen = make_screen(names, wanted, options, stamps)
    try:
        with stop, Following(names, wanted, mask) as following:
            shown = 0
            while not stop.wanted and (end is None or time.monotonic() < end):
                left = _TICK if end is None else max(0.0, min(_TICK, end - time.monotonic()))
                for item in following.wait(left):
                    if not isinstance(item, Reading):
                        screen.lost(*item)
                        continue
                    if saver is not None:
                        saver.save(item)
                    screen.update(item)
                    shown += 1
                    if shown == options["maximum"]:
                        return 0
                screen.tick()
    finally:
        screen.close()
        if saver is not None:
            saver.close()
    return interrupted(stop.wanted) if stop.wanted else 0


class _Stop:
    """Ctrl-C and SIGTERM as a wish; an exception could come in the middle of anything."""

    def __init__(self) -> None:
        self.wanted = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._want)

    def _want(self, number: int, frame: Any) -> None:
        if self.wanted:
            # The second time it is meant: something hangs, perhaps the reader of a pipe.
            raise KeyboardInterrupt
        self.wanted = number

    def __exit__(self, *args: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)


class Following:
    """Subscriptions to PVs, from the moment they are there.

    Args:
        names: of the PVs.
        wanted: what the options ask for.
        mask: DBE_* bits.
    """

    def __init__(self, names: tuple[str, ...], wanted: Settings, mask: int) -> None:
        self._wanted = wanted
        self._mask = mask
        self._items: list[Reading | tuple[str, int, str]] = []
        self._natives: dict[int, int] = {}
        self._counts: dict[int, int] = {}
        self._capacities: dict[int, int] = {}
        self._new: list[int] = []
        self.session = Session(names, wanted, self._event)
        self._told = time.monotonic() + wanted.wait if wanted.wait else None

    def __enter__(self) -> Following:
        return self

    def __exit__(self, *args: object) -> None:
        self.session.context.close()

    def _event(self, index: int, record: Any) -> None:
        if record[1] != CONNECTION:
            return
        if record[7] == _UP:
            if index not in self._natives:
                self._natives[index] = record[3]
                self._new.append(index)
        else:
            name = self.session.names[index]
            self._items.append((name, self._counts.get(index, 0), "disconnected"))

    def _subscribe(self, index: int) -> None:
        native = self._natives[index]
        channel = self.session.channels[index]
        capacity = channel.info().element_count
        self._capacities[index] = capacity
        count = self._wanted.count
        if count:
            count = min(count, capacity)
        status, _ = channel.subscribe(
            request_type(self._wanted, native), count, self._mask, self._deliver(index)
        )
        if status != NORMAL:
            self._items.append(Reading(self.session.names[index], native, status))

    def _deliver(self, index: int) -> Callable[[Any, Any, int], None]:
        name, native = self.session.names[index], self._natives[index]

        def deliver(record: Any, buffer: Any, offset: int) -> None:
            reading = decode(name, native, record, buffer, offset)
            reading.index = index
            reading.capacity = self._capacities[index]
            self._counts[index] = len(reading.elements)
            self._items.append(reading)

        return deliver

    def wait(self, seconds: float) -> list[Reading | tuple[str, int, str]]:
        """Wait for updates, and for PVs that come and go.

        Returns:
            Readings, and ``(name, count, why)`` for a PV that is away.
        """
        context = self.session.context
        lib.cc_queue_wait(context.queue, seconds)
        context.deliver()
        if self._new:
            new, self._new = self._new, []
            for index in new:
                self._subscribe(index)
            context.flush()
        if self._told is not None and time.monotonic() >= self._told:
            self._told = None
            for index, name in enumerate(self.session.names):
                if index not in self._natives:
                    self._items.append((name, 0, "Not connected (PV not found)"))
        items, self._items = self._items, []
        return items
