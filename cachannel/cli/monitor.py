"""``cachannel monitor``."""

from __future__ import annotations

import csv
import json
import sys
import time
from datetime import datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import click

from cachannel.cli.formats import NAME_WIDTH, Style, alarm_names, as_json, plain, stamp_text, wide
from cachannel.cli.main import chooser, print_json
from cachannel.cli.work import capacity, connect, default_wait, out
from cachannel.threading.client import PV, Context

__all__ = ["run"]

_MASKS = {"v": 1, "l": 2, "a": 4, "p": 8}
_EPOCH = 631152000


class Stamps:
    """The time stamp column, by the key of the option ``-t``."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._first: float | None = None
        self._last: dict[str, float] = {}

    def text(self, name: str, response: Any) -> str:
        """Return the column of an update."""
        key, record = self._key, response._record
        if "n" in key:
            return ""
        moment = _EPOCH + record[9] + record[10] * 1e-9
        shown = stamp_text(response)
        if "c" in key:
            moment = time.time()
            shown = datetime.fromtimestamp(moment).strftime("(%Y-%m-%d %H:%M:%S.%f)")
        reference = None
        if "r" in key:
            reference = self._first
        elif "i" in key:
            reference = self._last.get("")
        elif "I" in key:
            reference = self._last.get(name)
        if self._first is None:
            self._first = moment
        self._last[""] = self._last[name] = moment
        if reference is None:
            return shown
        return f"{f'{moment - reference:+12.6f}':>{len(shown)}}"


class Saver:
    """Appends updates to a file."""

    def __init__(self, path: str) -> None:
        self._is_csv = path.endswith(".csv")
        new = not Path(path).exists()
        self._file = open(path, "a", encoding="utf-8", newline="")  # noqa: SIM115
        self._writer = csv.writer(self._file)
        if new and self._is_csv:
            self._writer.writerow(["name", "timestamp", "severity", "status", "value"])

    def save(self, name: str, response: Any) -> None:
        """Append one update."""
        if self._is_csv:
            status, severity = alarm_names(response)
            values = plain(response, Style(floating=".17g"))
            self._writer.writerow([name, response.timestamp, severity, status, *values])
        else:
            self._file.write(json.dumps(as_json(name, response)) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Screen:
    """Where updates go: lines, JSON, or a table in place."""

    def __init__(self, names: tuple[str, ...], options: dict[str, Any], style: Style) -> None:
        self._options = options
        self._style = style
        self._stamps = Stamps(options["stamps"])
        self._rows: dict[str, tuple[str, ...]] = dict.fromkeys(names, ("", "*** not connected"))
        self._live: Any = None
        if options["table"]:
            try:
                from rich.live import Live
            except ImportError:
                raise click.UsageError(
                    "--table needs rich: pip install 'cachannel-cffi[cli]'"
                ) from None
            self._live = Live(self._table(), refresh_per_second=8)
            self._live.start()

    def _table(self) -> Any:
        from rich.table import Table

        table = Table("PV", "time", "value", "alarm")
        colours = {"MINOR": "yellow", "MAJOR": "red", "INVALID": "magenta"}
        for name, row in self._rows.items():
            cells = [*row, "", "", ""][:3]
            table.add_row(name, *cells, style=colours.get(cells[2].partition(" ")[0], ""))
        return table

    def update(self, pv: PV, response: Any) -> None:
        """Show an update."""
        if self._live is not None:
            status, severity = alarm_names(response)
            value = " ".join(plain(response, self._style)[:8])
            self._rows[pv.name] = (stamp_text(response), value, f"{severity} {status}")
            self._live.update(self._table())
        elif self._options["as_json"]:
            print_json(as_json(pv.name, response))
        else:
            array = capacity(pv) > 1
            text = wide(pv.name, response, self._style, array, self._stamps.text(pv.name, response))
            out(_coloured(text, response) if sys.stdout.isatty() else text)

    def lost(self, name: str, text: str) -> None:
        """Show that a PV is away."""
        if self._live is not None:
            self._rows[name] = ("", f"*** {text}")
            self._live.update(self._table())
        elif self._options["as_json"]:
            print_json({"name": name, "ok": False, "error": text})
        else:
            stamp = "" if text.startswith("Not") else f"{datetime.now():%Y-%m-%d %H:%M:%S.%f} "
            out(f"{name:<{NAME_WIDTH}} {stamp}*** {text}")

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._live is not None:
            self._live.stop()


def _coloured(text: str, response: Any) -> str:
    colour = {1: "33", 2: "31", 3: "35"}.get(response._record[5])
    return text if colour is None else f"\033[{colour}m{text}\033[0m"


def run(names: tuple[str, ...], options: dict[str, Any], style: Style) -> int:
    """Follow PVs until Ctrl-C or a limit. Returns the exit status."""
    if options["duration"] is not None and options["maximum"] is not None:
        raise click.UsageError("--duration and --maximum exclude each other")
    try:
        mask = sum({_MASKS[letter] for letter in options["mask"]})
    except KeyError as exc:
        raise click.UsageError(f"-m takes letters of 'vlap', not {exc.args[0]!r}") from None
    wait = default_wait() if options["wait"] is None else options["wait"]
    end = None if options["duration"] is None else time.monotonic() + options["duration"]
    saver = Saver(options["save"]) if options["save"] else None
    screen = Screen(names, options, style)
    try:
        with Context() as context:
            return _follow(context, names, options, mask, wait, end, screen, saver)
    except KeyboardInterrupt:
        return 0
    finally:
        screen.close()
        if saver is not None:
            saver.close()


def _follow(
    context: Context, names: tuple[str, ...], options: dict[str, Any], mask: int, wait: float,
    end: float | None, screen: Screen, saver: Saver | None,
) -> int:  # fmt: skip
    updates: SimpleQueue[tuple[PV, Any]] = SimpleQueue()
    choose = chooser(options, 14)
    started: dict[str, Any] = {}

    def update(subscription: Any, response: Any) -> None:
        updates.put((subscription.pv, response))

    def state(pv: PV, text: str) -> None:
        updates.put((pv, text))

    pvs = connect(context, names, wait, options["priority"])
    for pv in pvs:
        if not pv.connected:
            screen.lost(pv.name, "Not connected (PV not found)")
        pv.connection_state_callback.add_callback(state, run=True)
    shown = 0
    while end is None or time.monotonic() < end:
        sys.stdout.flush()
        try:
            left = 0.2 if end is None else max(0.0, min(0.2, end - time.monotonic()))
            pv, item = updates.get(timeout=left)
        except Empty:
            continue
        if item == "connected":
            if pv.name not in started:
                native = int(pv._native_type() or 0)
                subscription = pv.subscribe(
                    data_type=choose(native), data_count=options["count"], mask=mask
                )
                subscription.add_callback(update)
                started[pv.name] = subscription
        elif item == "disconnected":
            screen.lost(pv.name, "disconnected")
        else:
            screen.update(pv, item)
            if saver is not None:
                saver.save(pv.name, item)
            shown += 1
            if options["maximum"] is not None and shown >= options["maximum"]:
                break
    return 0
