"""Updates in a file, for `cachannel monitor --save`."""

from __future__ import annotations

import csv
from pathlib import Path

from cachannel.cli.formats import values
from cachannel.cli.options import Settings
from cachannel.cli.readings import (
    CHAR,
    Reading,
    as_json,
    condition,
    decode_name,
    reason,
    severity,
)
from cachannel.cli.work import json_text
from cachannel.protocol.text import decode

__all__ = ["Saver"]


class Saver:
    """Appends updates to a file, each as soon as it is there.

    Args:
        path: CSV when it ends in ``.csv``: name, Unix time in seconds (empty if the record was
            never processed), severity, condition, and a column for each element; numbers have all
            their digits. For a PV that cannot be read the reason stands in place of the
            condition. Otherwise JSON lines. Both are UTF-8.
        as_text: CHAR arrays as text.
    """

    def __init__(self, path: str, *, as_text: bool = False) -> None:
        self._is_csv = path.lower().endswith(".csv")
        self._as_text = as_text
        self._style = Settings(floating=".17g", as_text=as_text)
        new = not Path(path).exists() or not Path(path).stat().st_size
        self._file = open(path, "a", encoding="utf-8", newline="")  # noqa: SIM115
        self._writer = csv.writer(self._file)
        if new and self._is_csv:
            self._writer.writerow(["name", "timestamp", "severity", "status", "value"])

    def save(self, reading: Reading) -> None:
        """Append one update."""
        if self._is_csv and not reading.ok:
            self._writer.writerow([decode_name(reading.name), "", "", reason(reading.status)])
        elif self._is_csv:
            shown = values(reading, self._style)
            if self._as_text and reading.base == CHAR:
                shown = [decode(reading.text)]
            elif not reading.base:
                shown = [decode(data) for data in reading.elements]
            elif reading.base in (2, 6):
                shown = [repr(float(value)) for value in reading.elements]
            moment = reading.timestamp
            self._writer.writerow([
                decode_name(reading.name), "" if moment is None else f"{moment:.9f}",
                severity(reading), condition(reading), *shown,
            ])  # fmt: skip
        else:
            self._file.write(json_text(as_json(reading, as_text=self._as_text)) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
