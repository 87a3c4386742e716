"""``python -m cachannel.commandline.put``."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any

from cachannel.commandline import shared
from cachannel.sync.client import read_write_read

__all__ = ["main"]


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


def main() -> int:
    """Write to the PV that ``sys.argv`` names and print it. Returns the exit status."""
    parser = shared.parser("Write to a PV.")
    parser.add_argument("pv_name", metavar="PV")
    parser.add_argument("data", metavar="VALUE", help="a Python literal, or text")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--terse", "-t", action="store_true", help="values only")
    how.add_argument("--wide", "-l", action="store_true", help="with time")
    parser.add_argument("--notify", "-c", action="store_true", help="wait for completion")
    parser.add_argument("--array", "-a", action="store_true", help="VALUE is several, with blanks")
    parser.add_argument("--array-pad", type=int, default=0, metavar="N", help="zeros up to N")
    parser.add_argument("--file", action="store_true", help="VALUE names a file with the value")
    parser.add_argument("-n", action="store_true", dest="numbers", help="enumerations as numbers")
    parser.add_argument("-S", action="store_true", dest="as_text", help="text to CHAR arrays")
    options = parser.parse_args()
    text = Path(options.data).read_text(encoding="utf-8") if options.file else options.data
    data: Any = text
    if options.array:
        data = [_literal(part) for part in text.split()]
    elif not options.as_text:
        data = _literal(text)
    if options.array_pad:
        data = list(data) if isinstance(data, list | tuple) else [data]
        data += [0] * (options.array_pad - len(data))
    kind = "time" if options.wide or "{timestamp" in (options.format or "") else None
    try:
        first, _, last = read_write_read(
            options.pv_name, data, notify=options.notify, read_data_type=kind,
            timeout=options.timeout, priority=options.priority, force_int_enums=options.numbers,
            repeater=not options.no_repeater,
        )  # fmt: skip
    except Exception as exc:
        shared.failed(exc, options.verbose)
        return 1
    layout = options.format or "{which} : {pv_name: <40}  {data}"
    if options.terse:
        layout = "{bare}"
    elif options.wide:
        layout = "{pv_name} {timestamp} {response.data} {response.status.name}"
    shown = shared.ValueFormat(options)
    for which, response in (("Old", first), ("New", last)):
        shared.show(
            layout, response, shown, which=which, pv_name=options.pv_name,
            data=str(response.data), bare=shown.value(response, False),
        )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
