"""Updates in a file, for `cachannel monitor --save`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from cachannel.cli.formats import values
from cachannel.cli.options import Settings
from cachannel.cli.readings import CHAR, Reading, as_json, condition, severity

__all__ = ["Saver"]


class Saver:
    """Appends updates to a file, each as soon as it is there.

    Args:
        path: CSV when it ends in ``.csv``: name, Unix time in seconds, severity, condition, and a
            column for each element; numbers have all their digits. Otherwise JSON lines.
        as_text: CHAR arrays as text.
    """

    def __init__(self, path: str, *, as_text: bool = False) -> None:
        self._is_csv = path.lower().endswith(".csv")
        self._as_text = as_text
        self._style = Settings(floating=".17g", as_text=as_text)
        new = not Path(path).exists() or not Path(path).stat().st_size
        self._file = open(path, "a", encoding="utf-8", newline="", errors="surrogateescape")  # noqa: SIM115
        self._writer = csv.writer(self._file)
        if new and self._is_csv:
            self._writer.writerow(["name", "timestamp", "severity", "status", "value"])

    def save(self, reading: Reading) -> None:
        """Append one update."""
        if self._is_csv:
            shown = values(reading, self._style)
            if self._as_text and reading.base == CHAR:
                shown = [reading.text.decode("utf-8", "replace")]
            elif not reading.base:
                shown = [text.decode("utf-8", "replace") for text in reading.elements]
            elif reading.base in (2, 6):
                shown = [repr(float(value)) for value in reading.elements]
            self._writer.writerow([
                reading.name, f"{reading.timestamp:.9f}", severity(reading), condition(reading),
                *shown,
            ])  # fmt: skip
        else:
            self._file.write(json.dumps(as_json(reading, as_text=self._as_text)) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
