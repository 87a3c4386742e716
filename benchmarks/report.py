"""The report: tables for a terminal, and one JSON file."""

from __future__ import annotations

import datetime
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.bars import Verdict
from benchmarks.measure import Measurement
from benchmarks.plan import Metric, Size
from benchmarks.summary import Figure, Row, Section

__all__ = ["as_document", "print_report", "write_json"]

HELD = {True: "held", False: "MISSED", None: "unknown"}

Table = tuple[str, list[str], list[list[str]], list[str]]


def as_document(
    sections: Sequence[Section],
    verdicts: Sequence[Verdict],
    measurements: Sequence[Measurement],
    size: Size,
) -> dict[str, Any]:
    """Return everything that was measured, ready for JSON."""
    return {
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {
            "system": platform.platform(),
            "processors": os.cpu_count(),
            "python": sys.version,
            "load": os.getloadavg() if hasattr(os, "getloadavg") else None,
        },
        "size": asdict(size),
        "scenarios": {
            section.scenario.name: {
                "title": section.scenario.title,
                "peers": {row.peer: _row_document(row) for row in section.rows},
            }
            for section in sections
        },
        "bars": [
            {
                "title": verdict.bar.title,
                "bound": verdict.bar.bound,
                "at_most": verdict.bar.at_most,
                "measured": verdict.measured,
                "held": verdict.is_held,
            }
            for verdict in verdicts
        ],
        "runs": [asdict(measurement) for measurement in measurements],
    }


def _row_document(row: Row) -> dict[str, Any]:
    return {
        "metrics": {
            key: {
                **(asdict(figure.spread) if figure.spread else {"median": None}),
                "times_c_limit": figure.to_limit,
                "times_cachannel": figure.to_original,
            }
            for key, figure in row.figures.items()
        },
        "done": row.done,
        "expected": row.expected,
        "complete": row.is_complete,
        "runs": row.runs,
        "failed": row.failed,
        "error": row.error,
        "library": row.library,
    }


def write_json(document: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def print_report(sections: Sequence[Section], verdicts: Sequence[Verdict], size: Size) -> None:
    """Print the tables, with rich if it is installed."""
    tables = [_table_of(section) for section in sections]
    if verdicts:
        tables.append(_table_of_verdicts(verdicts, size))
    try:
        import rich.console
        import rich.table
    except ImportError:
        for table in tables:
            _print_plain(*table)
        return
    # A width of its own when written to a file: rich would fold the tables to 80 columns there.
    console = rich.console.Console(width=None if sys.stdout.isatty() else 160)
    for title, heads, lines, notes in tables:
        shown = rich.table.Table(title=title, title_justify="left", title_style="bold")
        for index, head in enumerate(heads):
            shown.add_column(head, justify="left" if index == 0 else "right", no_wrap=index == 0)
        for line in lines:
            shown.add_row(*line)
        console.print(shown)
        for note in notes:
            console.print(note, markup=False, highlight=False)
        console.print()


def _print_plain(title: str, heads: list[str], lines: list[list[str]], notes: list[str]) -> None:
    widths = [max(map(len, column)) for column in zip(heads, *lines, strict=True)]
    print(title)
    for line in [heads, *lines]:
        first, *others = (
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        print("  " + "  ".join([first, *others]))
    for note in notes:
        print(f"  {note}")
    print()


def _table_of(section: Section) -> Table:
    heads = ["peer"]
    for metric in section.scenario.metrics:
        heads += [metric.title, "x C", "x CaCh"] if metric.compared else [metric.title]
    heads += ["done", "runs"]
    lines = []
    notes = []
    for row in section.rows:
        line = [row.peer]
        for metric in section.scenario.metrics:
            line += _cells(metric, row.figures[metric.key])
        done = f"{row.done:.0f} of {row.expected:.0f}"
        runs = f"{row.runs - row.failed} of {row.runs}" if row.failed else str(row.runs)
        lines.append([*line, done if row.is_complete else f"{done} !", runs])
        if row.error:
            notes.append(f"! {row.peer}: {row.error}")
    return f"{section.scenario.name}: {section.scenario.title}", heads, lines, notes


def _cells(metric: Metric, figure: Figure) -> list[str]:
    median = "-" if figure.spread is None else f"{figure.spread.median:,.{metric.digits}f}"
    if not metric.compared:
        return [median]
    return [median, _ratio(figure.to_limit), _ratio(figure.to_original)]


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _table_of_verdicts(verdicts: Sequence[Verdict], size: Size) -> Table:
    lines = [
        [
            verdict.bar.title,
            ("at most " if verdict.bar.at_most else "at least ") + f"{verdict.bar.bound:g}",
            "-" if verdict.measured is None else f"{verdict.measured:.4g}",
            HELD[verdict.is_held],
        ]
        for verdict in verdicts
    ]
    notes = [] if size.full else ["Not a full run: the sizes are not those of the promises."]
    return "what is promised", ["figure", "promise", "measured", ""], lines, notes
