"""What the commands have in common: connecting, reading in groups, and telling of failures."""

from __future__ import annotations

import math
import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from cachannel.cli.options import Settings, hint, warn
from cachannel.cli.readings import (
    DOUBLE,
    ENUM,
    FLOAT,
    NORMAL,
    NOT_FOUND,
    SHORT,
    STRING,
    Reading,
    decode,
)
from cachannel.engine import Channel, Context, create_channels, get_many

__all__ = ["Session", "json_text", "out", "print_json", "request_type"]

_NAMES_TOLD: Final = 5
_SHOW_AFTER: Final = 0.4
_TIMEOUT: Final = 80
_TIME: Final = 14
_GROUPS: Final = {"native": 0, "status": 7, "time": 14, "graphic": 21, "control": 28}


def out(text: str) -> None:
    """Write a line to standard output."""
    sys.stdout.write(text + "\n")


def json_text(found: Any) -> str:
    """Return JSON that every parser reads: a float that is not a number, or infinite, is null."""
    import json

    try:
        return json.dumps(found, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(found), ensure_ascii=False, allow_nan=False)


def _finite(found: Any) -> Any:
    if isinstance(found, float):
        return found if math.isfinite(found) else None
    if isinstance(found, dict):
        return {key: _finite(value) for key, value in found.items()}
    if isinstance(found, (list, tuple)):
        return [_finite(value) for value in found]
    return found


def print_json(found: Any) -> None:
    """Write one JSON object as a line."""
    out(json_text(found))


def request_type(settings: Settings, native: int) -> int:
    """Find the type to ask for, from the native one."""
    if settings.layout == "type":
        return settings.dbr_type if not settings.group else native + _GROUPS[settings.group]
    if native == ENUM and not (settings.numbers and settings.as_json):
        # Base asks for numbers as SHORT, and so prints those above 32767 below 0.
        return _TIME + (SHORT if settings.numbers else STRING)
    if settings.as_strings and native in (FLOAT, DOUBLE):
        return _TIME
    return native + _TIME


def limit(wait: float) -> float | None:
    """Return the seconds that an option ``-w`` means; 0 is without limit, as in libca."""
    return None if wait == 0 else wait


class Session:
    """The channels of one command.

    Args:
        names: of the PVs.
        settings: what the options ask for.
        events: called as ``events(index, record)`` for connects, disconnects and changes of the
            access rights, during `wait_for_events`.

    Attributes:
        names: of the PVs.
        channels: one for each name.
        bad: the first name that libca refuses, with its CA status; or None.
    """

    def __init__(
        self,
        names: Sequence[str],
        settings: Settings,
        events: Callable[[int, Any], None] | None = None,
    ) -> None:
        self.names = names
        self.settings = settings
        self.context = Context(preemptive=False)
        self.context.on_exception(self._exception)
        self.exceptions: list[int] = []
        self.bad: tuple[str, int] | None = None
        encoded = [os.fsencode(name) for name in names]

        def teller(index: int) -> Any:
            if events is None:
                return _nothing
            return lambda record, buffer, offset: events(index, record)

        tellers = [teller(index) for index in range(len(names))]
        if settings.priority or b"" in encoded:
            self.channels = [
                Channel(self.context, name, tell, settings.priority)
                for name, tell in zip(encoded, tellers, strict=True)
            ]
        else:
            self.channels = create_channels(self.context, encoded, tellers)
        for name, channel in zip(names, self.channels, strict=True):
            if channel.status != NORMAL and self.bad is None:
                self.bad = name, channel.status
        self.context.flush()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *args: object) -> None:
        self.context.close()

    def _exception(self, record: Any, buffer: Any, offset: int) -> None:
        self.exceptions.append(record[7])

    def connect(self) -> bool:
        """Wait for all channels, within the time of the options; tell of what is missing.

        Returns:
            Whether all are connected.
        """
        self.wait()
        lost = self.lost
        if self.bad is not None:
            from cachannel.errors import describe

            name, status = self.bad
            warn(f"CA error {describe(status)} occurred while trying to create channel '{name}'.")
        elif lost and len(self.names) == 1:
            warn(f"Channel connect timed out: '{self.names[0]}' not found.")
        elif lost and self.settings.on_terminal:
            shown = ", ".join(f"'{name}'" for name in lost[:_NAMES_TOLD])
            more = f" and {len(lost) - _NAMES_TOLD} more" if len(lost) > _NAMES_TOLD else ""
            warn(f"Channel connect timed out: {shown}{more} not found.")
        elif lost:
            warn("Channel connect timed out: some PV(s) not found.")
        if lost and self.bad is None:
            hint(f"'cachannel doctor {shlex.quote(lost[0])}' explains why.")
        return not lost

    def wait(self) -> None:
        """Wait until all channels are connected, or the time is over."""
        start = time.monotonic()
        seconds = limit(self.settings.wait)
        end = None if seconds is None else start + seconds
        progress = Progress(len(self.channels))
        for channel in self.channels:
            if channel.status != NORMAL:
                continue
            while not channel.connected:
                left = 0.1 if end is None else min(0.1, end - time.monotonic())
                if left <= 0:
                    break
                channel.wait(left)
                progress.show(self.channels)
        progress.clear()

    @property
    def lost(self) -> list[str]:
        """The names that are not connected."""
        return [
            name
            for name, channel in zip(self.names, self.channels, strict=True)
            if not channel.connected
        ]

    def missing(self) -> list[Reading]:
        """Return a reading without a value for each PV that is not connected."""
        return [
            Reading(
                name, -1, NOT_FOUND if channel.status == NORMAL else channel.status, index=index
            )
            for index, (name, channel) in enumerate(zip(self.names, self.channels, strict=True))
            if not channel.connected
        ]

    def read(
        self, kind: Callable[[int], int] | None = None, *, current: bool = False
    ) -> list[Reading]:
        """Read the channels that are connected, those of one type and count with one request.

        Args:
            kind: finds the type to ask for, called with the native type.
            current: the current length of arrays, not their capacity.
        """
        settings = self.settings
        groups: dict[tuple[int, int], list[int]] = {}
        natives: dict[int, int] = {}
        capacities: dict[int, int] = {}
        for index, channel in enumerate(self.channels):
            info = channel.info()
            if info.state != 2:
                continue
            natives[index] = info.field_type
            capacities[index] = info.element_count
            elements = 0 if current else info.element_count
            if settings.count:
                elements = min(settings.count, info.element_count)
            chosen = request_type(settings, info.field_type) if kind is None else kind(
                info.field_type
            )  # fmt: skip
            groups.setdefault((chosen, elements), []).append(index)
        found: dict[int, Reading] = {}
        seconds = limit(settings.wait)
        end = None if seconds is None else time.monotonic() + seconds
        for (dbr_type, elements), members in groups.items():
            left = None if end is None else max(0.0, end - time.monotonic())
            answers = get_many([self.channels[i] for i in members], dbr_type, elements, left)
            for index, (status, answer) in zip(members, answers, strict=True):
                name, native = self.names[index], natives[index]
                if status != NORMAL:
                    found[index] = Reading(name, native, status)
                elif isinstance(answer, tuple):
                    found[index] = decode(name, native, *answer)
                else:
                    if dbr_type % 7 == 4 and answer > 127:
                        answer -= 256
                    found[index] = Reading(name, native, NORMAL, dbr_type, [answer])
                found[index].index = index
                found[index].capacity = capacities[index]
        return [found[index] for index in sorted(found)]

    @staticmethod
    def timed_out(readings: Sequence[Reading]) -> bool:
        """Whether one of the readings did not come in time."""
        return any(reading.status == _TIMEOUT for reading in readings)


def _nothing(record: Any, buffer: Any, offset: int) -> None:
    """Take an event that nobody is interested in."""


class Progress:
    """A line on standard error that says how many PVs are connected, on a terminal only."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._start = time.monotonic()
        self._shown = False
        self._wanted = total > 1 and sys.stderr.isatty()

    def show(self, channels: Sequence[Channel]) -> None:
        """Show it, unless all is still quick."""
        if self._wanted and time.monotonic() - self._start > _SHOW_AFTER:
            connected = sum(channel.connected for channel in channels)
            sys.stderr.write(f"\r\x1b[Kconnecting: {connected} of {self._total} PVs")
            sys.stderr.flush()
            self._shown = True

    def clear(self) -> None:
        """Take it away."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
