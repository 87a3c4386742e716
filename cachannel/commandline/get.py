"""``python -m cachannel.commandline.get``."""

from __future__ import annotations

import sys

from cachannel.commandline import shared
from cachannel.sync.client import read

__all__ = ["main"]


def main() -> int:
    """Read the PVs that ``sys.argv`` names and print them. Returns the exit status."""
    parser = shared.parser("get", "Read PVs and print their values, one line each.")
    parser.add_argument("pv_names", nargs="+", metavar="PV", help="name of a PV")
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "-d",
        dest="data_type",
        metavar="TYPE",
        help="ask for this type: native, status, time, graphic, control, a name or a number",
    )
    how.add_argument(
        "--terse",
        "-t",
        action="store_true",
        help="print values only, without brackets if there is one",
    )
    how.add_argument(
        "-a",
        "-l",
        "--wide",
        dest="wide",
        action="store_true",
        help="print name, time stamp, value and status",
    )
    parser.add_argument(
        "--list-types", action="store_true", help="print the types for -d, and exit"
    )
    parser.add_argument("--notify", "-c", action="store_true", help="accepted, without effect")
    shared.formats(parser)
    if "--list-types" in sys.argv:
        sys.stdout.write(shared.type_list())
        return 0
    options = parser.parse_args()
    shared.logs(options.verbose)
    try:
        data_type = shared.parse_type(options.data_type)
    except ValueError as exc:
        parser.error(str(exc))
    layout = options.format
    if layout is None:
        layout = "{pv_name: <40}  {response.data}"
        if options.terse:
            layout = "{bare}"
        elif options.wide:
            layout = "{pv_name} {timestamp} {response.data} {response.status.name}"
    if data_type is None and (options.wide or "{timestamp" in layout):
        data_type = "time"
    shown = shared.ValueFormat(options)
    status = 0
    for name in options.pv_names:
        try:
            response = read(
                name, data_type=data_type, timeout=options.timeout, priority=options.priority,
                data_count=options.count, force_int_enums=options.numbers,
                repeater=not options.no_repeater,
            )  # fmt: skip
        except Exception as exc:
            shared.failed(exc, options.verbose)
            status = 1
            continue
        shared.show(layout, response, shown, pv_name=name, bare=shown.value(response, False))
    return status


if __name__ == "__main__":
    sys.exit(main())
