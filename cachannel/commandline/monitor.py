"""``python -m cachannel.commandline.monitor``."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any

from cachannel.commandline import shared
from cachannel.sync.client import block, interrupt, subscribe

__all__ = ["main"]

_MASKS = {"v": 1, "l": 2, "a": 4, "p": 8}


def main() -> int:
    """Follow the PVs that ``sys.argv`` names. Returns the exit status."""
    parser = shared.parser("monitor", "Follow PVs, and print a line for each update.")
    parser.add_argument("pv_names", nargs="+", metavar="PV", help="name of a PV")
    until = parser.add_mutually_exclusive_group()
    until.add_argument("--duration", type=float, metavar="SEC", help="end after this time")
    until.add_argument("--maximum", type=int, metavar="N", help="end after N updates")
    parser.add_argument(
        "-m",
        dest="mask",
        default="va",
        help="what is an update: changes of value (v), alarm (a), for archives (l), of properties "
        "(p); default: va",
    )
    shared.formats(parser)
    options = parser.parse_args()
    shared.logs(options.verbose)
    if not set(options.mask) <= set(_MASKS):
        parser.error("-m takes letters of 'valp'")
    mask = sum(_MASKS[letter] for letter in set(options.mask))
    layout = options.format or "{pv_name: <40}  {timestamp:%Y-%m-%d %H:%M:%S.%f} {response.data}"
    shown = shared.ValueFormat(options)
    counted = 0
    before: datetime | None = None

    def update(subscription: Any, response: Any) -> None:
        nonlocal counted, before
        if options.maximum is not None and counted >= options.maximum:
            return
        counted += 1
        moment = datetime.fromtimestamp(response.timestamp or 0.0)
        delta = (datetime.now() - moment) if before is None else moment - before
        before = moment
        shared.show(
            layout, response, shown, pv_name=subscription.pv_name, callback_count=counted,
            timedelta=delta,
        )  # fmt: skip
        if counted == options.maximum:
            interrupt()

    subscriptions = []
    for name in options.pv_names:
        subscription = subscribe(
            name, priority=options.priority, data_count=options.count, mask=mask
        )
        subscription.add_callback(update)
        subscriptions.append(subscription)
    try:
        block(
            *subscriptions, duration=options.duration, timeout=options.timeout,
            force_int_enums=options.numbers, repeater=not options.no_repeater,
        )  # fmt: skip
    except Exception as exc:
        shared.failed(exc, options.verbose)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
