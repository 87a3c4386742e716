"""Updates in place on a terminal: a table, and a strip chart."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console, Group
from rich.live import Live
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from cachannel.cli.formats import alarm_fields, stamp_text, value_text, values
from cachannel.cli.options import Settings
from cachannel.cli.readings import Reading

if TYPE_CHECKING:
    from rich.console import ConsoleOptions, RenderResult

__all__ = ["Chart", "Plot", "Table"]

_PER_SECOND: Final = 8
_SHOWN: Final = 8
_CLOCK: Final = 12
_COLOURS: Final = ("cyan", "yellow", "green", "magenta", "blue", "red")
_SEVERITIES: Final = {1: "yellow", 2: "red", 3: "magenta"}
_LEFT, _RIGHT = (0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80)
_BRAILLE: Final = 0x2800


class _InPlace:
    """What the two have in common: the alternate screen, drawn a few times a second."""

    def __init__(self) -> None:
        self._console = Console()
        self._live = Live(
            console=self._console, screen=True, auto_refresh=False, vertical_overflow="crop"
        )
        self._live.start()
        self._next = 0.0

    def renderable(self) -> Any:
        """Return what is drawn."""
        raise NotImplementedError

    def tick(self) -> None:
        """Draw it, if the last time is long enough ago."""
        moment = time.monotonic()
        if moment >= self._next:
            self._next = moment + 1 / _PER_SECOND
            self._live.update(self.renderable(), refresh=True)

    def close(self) -> None:
        """Leave the alternate screen, and print the last state below the command."""
        self._live.stop()
        self._console.print(self.renderable())


def _brief(stamp: str) -> str:
    """Return the time of day of a time stamp of today, else its date."""
    day, _, clock = stamp.partition(" ")
    return clock[:12] if day == time.strftime("%Y-%m-%d") else day


def _cut(text: str, width: int) -> str:
    return f"{text:<{width}}" if len(text) <= width else text[: width - 1] + "…"


class Table(_InPlace):
    """A row for each PV: time, value and alarm, coloured by the severity.

    Args:
        names: of the PVs.
        wanted: how values are shown.
    """

    def __init__(self, names: Sequence[str], wanted: Settings) -> None:
        self._wanted = wanted
        self._rows: dict[str, tuple[str, str, str, str]] = dict.fromkeys(
            names, ("", "connecting", "", "dim")
        )
        super().__init__()

    def update(self, reading: Reading) -> None:
        """Take a value."""
        alarm = " ".join(alarm_fields(reading)).strip()
        text = value_text(reading, self._wanted, _SHOWN)
        colour = _SEVERITIES.get(reading.alarm[1], "")
        stamp = _brief(stamp_text(reading)) if reading.ok else ""
        self._rows[reading.name] = stamp, text, alarm, colour

    def lost(self, name: str, count: int, why: str) -> None:
        """Take that a PV is away."""
        stamp, text, alarm, _ = self._rows[name]
        self._rows[name] = stamp, f"{text} *** {why}" if stamp else f"*** {why}", alarm, "dim"

    def renderable(self) -> Any:
        """Return the table; rows that do not fit on the terminal are counted below it."""
        width, height = self._console.size
        rows = [("PV", "time", "value", "alarm", "bold")]
        room = max(1, height - 2)
        rows += [(name, *row) for name, row in list(self._rows.items())[:room]]
        name_width = min(max(len(row[0]) for row in rows), width // 2)
        alarm_width = max(len(row[3]) for row in rows)
        value_width = max(8, width - name_width - _CLOCK - alarm_width - 6)
        lines = [
            Text(
                f"{_cut(name, name_width)}  {stamp:<{_CLOCK}}  {_cut(text, value_width)}  {alarm}",
                style=style, no_wrap=True, overflow="ellipsis",
            )
            for name, stamp, text, alarm, style in rows
        ]  # fmt: skip
        hidden = len(self._rows) - room
        if hidden > 0:
            lines.append(Text(f"and {hidden} more", style="dim"))
        return Group(*lines)


class Plot(_InPlace):
    """A strip chart of numbers against the time.

    Args:
        names: of the PVs.
        wanted: how values are shown.
        span: seconds from the left to the right edge.
    """

    def __init__(self, names: Sequence[str], wanted: Settings, span: float) -> None:
        self._wanted = wanted
        self._chart = Chart(span)
        self._texts: dict[str, tuple[str, str]] = dict.fromkeys(names, ("connecting", "dim"))
        self._colours = {
            name: _COLOURS[index % len(_COLOURS)] for index, name in enumerate(dict.fromkeys(names))
        }
        super().__init__()

    def update(self, reading: Reading) -> None:
        """Take a value; of an array its first element."""
        if len(reading.elements) > 1:
            text = values(reading, self._wanted, 1)[0]
        else:
            text = value_text(reading, self._wanted)
        self._texts[reading.name] = text, _SEVERITIES.get(reading.alarm[1], "")
        number = reading.elements[0] if reading.elements else math.nan
        if isinstance(number, bytes):
            try:
                number = float(number)
            except ValueError:
                number = math.nan
        self._chart.add(reading.name, time.time(), number)

    def lost(self, name: str, count: int, why: str) -> None:
        """Take that a PV is away: its line has a gap."""
        self._texts[name] = why, "dim"
        self._chart.add(name, time.time(), math.nan)

    def renderable(self) -> Any:
        """Return the chart with the names and the last values above it."""
        legend = Text(no_wrap=True, overflow="ellipsis")
        for name, (text, style) in self._texts.items():
            legend.append("── ", self._colours[name]).append(f"{name} ").append(text, style)
            legend.append("   ")
        self._chart.end = time.time()
        self._chart.height = max(3, self._console.size.height - 3)
        self._chart.colours = self._colours
        return Group(legend, self._chart)


class Chart:
    """Lines in Braille dots, with a scale on the left; a rich renderable.

    Args:
        span: seconds from the left to the right edge.

    Attributes:
        end: Unix time at the right edge.
        height: lines of the terminal, besides the one of the time axis.
        colours: of the lines, by name.
    """

    def __init__(self, span: float) -> None:
        self.span = span
        self.end = 0.0
        self.height = 10
        self.colours: dict[str, str] = {}
        self._points: dict[str, deque[tuple[float, float]]] = {}

    def add(self, name: str, moment: float, value: float) -> None:
        """Add a value that holds from a moment on; NaN makes a gap."""
        points = self._points.setdefault(name, deque())
        points.append((moment, value))
        # One point from before the left edge is kept: its value holds at the edge.
        while len(points) > 2 and points[1][0] < moment - self.span:
            points.popleft()

    def limits(self) -> tuple[float, float]:
        """Return the lowest and the highest value that is shown, with room between them."""
        start = self.end - self.span
        shown = []
        for points in self._points.values():
            for index, (_, value) in enumerate(points):
                ends = points[index + 1][0] if index + 1 < len(points) else self.end
                if ends >= start and math.isfinite(value):
                    shown.append(value)
        low, high = min(shown, default=0.0), max(shown, default=1.0)
        if low == high:
            room = abs(low) * 0.1 or 1.0
            return low - room, high + room
        return low, high

    def dots(self, width: int) -> list[list[tuple[int, str]]]:
        """Draw the lines.

        Args:
            width: columns of the terminal.

        Returns:
            For each line of the terminal and each column the Braille dots and the colour.
        """
        low, high = self.limits()
        grid = [[(0, "")] * width for _ in range(self.height)]
        start, rows = self.end - self.span, 4 * self.height - 1
        for name, points in self._points.items():
            colour = self.colours.get(name, "")
            before: int | None = None
            index = -1
            for dot in range(2 * width):
                moment = start + (dot + 1) * self.span / (2 * width)
                # All values that fall into this column are covered by one stroke.
                covered: list[int] = [] if before is None else [before]
                while index + 1 < len(points) and points[index + 1][0] <= moment:
                    index += 1
                    value = points[index][1]
                    if not math.isfinite(value):
                        before, covered = None, []
                        continue
                    before = round((high - value) / (high - low) * rows)
                    before = min(max(before, 0), rows)
                    covered.append(before)
                if not covered:
                    continue
                for row in range(min(covered), max(covered) + 1):
                    bits, _ = grid[row // 4][dot // 2]
                    bit = (_RIGHT if dot % 2 else _LEFT)[row % 4]
                    grid[row // 4][dot // 2] = bits | bit, colour
        return grid

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        low, high = self.limits()
        labels = [f"{high - (high - low) * row / (self.height - 1):.5g}"
                  for row in range(self.height)]  # fmt: skip
        margin = max(len(label) for label in labels)
        width = max(4, options.max_width - margin - 2)
        for row, line in enumerate(self.dots(width)):
            label = labels[row] if row % 4 == 0 or row == self.height - 1 else ""
            yield Segment(f"{label:>{margin}} ┤" if label else " " * (margin + 1) + "│")
            for bits, colour in line:
                if bits:
                    yield Segment(chr(_BRAILLE + bits), Style(color=colour or None))
                else:
                    yield Segment(" ")
            yield Segment.line()
        left, right = f"-{self.span:g} s", "now"
        gap = max(1, width - len(left) - len(right))
        yield Segment(" " * (margin + 2) + left + " " * gap + right)
        yield Segment.line()
