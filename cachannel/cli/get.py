"""``cachannel get``."""

from __future__ import annotations

from typing import Any

import click

from cachannel.cli.formats import Style, as_json, labelled, line, wide
from cachannel.cli.main import chooser, print_json
from cachannel.cli.work import capacity, connect, default_wait, missing, out, parse_type, read_all
from cachannel.threading.client import Context

__all__ = ["run"]


def run(names: tuple[str, ...], options: dict[str, Any], style: Style) -> int:
    """Read PVs and print them. Returns the exit status."""
    wait = default_wait() if options["wait"] is None else options["wait"]
    try:
        asked = parse_type(options["type_name"])
    except ValueError as exc:
        raise click.UsageError(str(exc)) from None
    choose: Any = chooser(options, 14 if options["wide"] or options["as_json"] else 0)
    if options["type_name"] is not None:
        choose = lambda native: asked  # noqa: E731
    elif style.integer != "d":
        plain = choose
        choose = lambda native: plain(5 if native in (2, 6) else native)  # noqa: E731
    with Context() as context:
        pvs = connect(context, names, wait, options["priority"])
        lost = missing(pvs)
        if lost and not options["as_json"]:
            return 1
        found = [pv for pv in pvs if pv.connected]
        responses = read_all(
            context, found, choose, wait, current=options["current"], count=options["count"]
        )
        failed = bool(lost)
        for pv, response in zip(found, responses, strict=True):
            failed |= response._record[7] not in (1, 368)
            array = capacity(pv) > 1
            if options["as_json"]:
                print_json(as_json(pv.name, response))
            elif options["type_name"] is not None:
                out(labelled(pv.name, int(pv._native_type() or 0), response, style))
            elif options["wide"]:
                out(wide(pv.name, response, style, array))
            else:
                out(line(pv.name, response, style, array, options["terse"]))
        for pv in lost:
            if options["as_json"]:
                print_json({"name": pv.name, "ok": False, "error": "not found"})
        return int(failed)
