"""``python -m cachannel.commandline.put``."""

from __future__ import annotations

import ast
import logging
import sys
import threading
from pathlib import Path
from typing import Any

from cachannel.commandline import shared
from cachannel.errors import describe
from cachannel.protocol.channel_types import AccessRights, ChannelType
from cachannel.sync.client import connected
from cachannel.threading.client import PV

__all__ = ["main"]


class _AsArray(shared.ValueFormat):
    """Values as ``str(response.data)`` has them: what this command prints of old."""

    def value(self, response: Any, brackets: bool = True) -> str:
        """Show all elements."""
        return str(response.data)


class _Refusals(logging.Handler):
    """Takes the log lines about a plain write: its refusal reaches nobody else."""

    def __init__(self, pv_name: str) -> None:
        super().__init__(logging.WARNING)
        self._pv_name = pv_name
        self.status = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the status of a refusal."""
        if getattr(record, "pv", None) == self._pv_name:
            self.status = getattr(record, "status", 0)


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


def main() -> int:
    """Write to the PV that ``sys.argv`` names and print it. Returns the exit status."""
    parser = shared.parser("put", "Write to a PV, and print its value before and after.")
    parser.add_argument("pv_name", metavar="PV", help="name of the PV")
    parser.add_argument(
        "data", metavar="VALUE", help="a number, a list as Python writes it, or text"
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--terse",
        "-t",
        action="store_true",
        help="print values only, without brackets if there is one",
    )
    how.add_argument(
        "--wide", "-l", action="store_true", help="print name, time stamp, value and status"
    )
    parser.add_argument(
        "--notify", "-c", action="store_true", help="wait until the record has finished"
    )
    parser.add_argument(
        "--array",
        "-a",
        action="store_true",
        help="VALUE is several values with blanks between them",
    )
    parser.add_argument(
        "--array-pad",
        type=int,
        default=0,
        metavar="N",
        help="append zeros until there are N values",
    )
    parser.add_argument(
        "--file", action="store_true", help="VALUE is the name of a file that has the value"
    )
    parser.add_argument(
        "-n", action="store_true", dest="numbers", help="print enumerations as numbers"
    )
    parser.add_argument(
        "-S", action="store_true", dest="as_text", help="write VALUE as text to an array of CHAR"
    )
    options = parser.parse_args()
    shared.logs(options.verbose)
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
        with connected(
            options.pv_name, options.priority, options.timeout, not options.no_repeater
        ) as pv:
            first, refused, last = _write(pv, data, kind, options)
    except Exception as exc:
        shared.failed(exc, options.verbose)
        return 1
    layout = options.format or "{which} : {pv_name: <40}  {data}"
    if options.terse:
        layout = "{bare}"
    elif options.wide:
        layout = "{pv_name} {timestamp} {data} {response.status.name}"
    shown = _AsArray(options)
    for which, response in (("Old", first), ("New", last)):
        shared.show(
            layout, response, shown, which=which, pv_name=options.pv_name,
            data=str(response.data),
            bare=str(response.data[0] if len(response.data) == 1 else response.data),
        )  # fmt: skip
    if refused:
        sys.stderr.write(f"{options.pv_name}: {refused}\n")
    return int(bool(refused))


def _write(pv: PV, data: Any, kind: str | None, options: Any) -> tuple[Any, str, Any]:
    """Read, write and read. Returns both readings, and why the write was refused or ''."""
    channel = pv.channel
    if channel is not None and channel.native_data_type == ChannelType.ENUM:
        if kind is None and not options.numbers:
            kind = ChannelType.STRING  # type: ignore[assignment]
        first = data[0] if isinstance(data, list | tuple) and data else data
        encoded = ChannelType.STRING if isinstance(first, str | bytes) else None
    else:
        encoded = None
    first = pv.read(data_type=kind)
    refused = ""
    if pv.access_rights is not None and AccessRights.WRITE not in pv.access_rights:
        refused = "Write access denied"
    elif options.notify:
        answer = pv.write(data, data_type=encoded)
        if not answer.status.success:
            refused = answer.status.description
    else:
        return first, *_write_plainly(pv, data, encoded, kind)
    return first, refused, pv.read(data_type=kind)


def _write_plainly(pv: PV, data: Any, encoded: Any, kind: Any) -> tuple[str, Any]:
    """Write without an answer and read. Returns why the write was refused or '', and the reading.

    The server's error message comes before the reading, on the same circuit.
    """
    refusals = _Refusals(pv.name)
    channel_logger = logging.getLogger("cachannel.ch")
    channel_logger.addHandler(refusals)
    try:
        pv.write(data, wait=False, data_type=encoded)
        last = pv.read(data_type=kind)
        # Callbacks run behind the log lines of what came before their answers.
        heard = threading.Event()
        pv.read(wait=False, callback=lambda _: heard.set())
        heard.wait(pv.timeout)
    finally:
        channel_logger.removeHandler(refusals)
    return describe(refusals.status) if refusals.status else "", last


if __name__ == "__main__":
    sys.exit(main())
