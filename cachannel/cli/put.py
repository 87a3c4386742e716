"""``cachannel put``."""

from __future__ import annotations

from typing import Any

import click

from cachannel.cli.formats import Style, as_json, line, wide
from cachannel.cli.main import chooser, print_json
from cachannel.cli.work import capacity, connect, default_wait, fail, missing, out, read_all
from cachannel.protocol.channel_types import ChannelType
from cachannel.protocol.errors import CaprotoError
from cachannel.threading.client import PV, Context

__all__ = ["run"]


def _data(pv: PV, values: tuple[str, ...], options: dict[str, Any]) -> tuple[Any, Any]:
    """Return what is sent, and its type: text mostly, so that the server parses it."""
    native = int(pv._native_type() or 0)
    if options["array"]:
        try:
            count = int(values[0])
        except ValueError:
            raise click.UsageError("with -a the first value is the number of elements") from None
        values = values[1 : count + 1]
    if options["as_text"] and native == ChannelType.CHAR:
        return " ".join(values).encode() + b"\0", None
    if native == ChannelType.ENUM:
        if options["numbers"]:
            return [int(value) for value in values], None
        states = pv.read(data_type="control").metadata.enum_strings
        if not options["as_strings"] and values[0].encode() not in states:
            try:
                return [int(value, 0) for value in values], None
            except ValueError:
                pass
    return [value.encode() for value in values], ChannelType.STRING


def run(name: str, values: tuple[str, ...], options: dict[str, Any], style: Style) -> int:
    """Write, and print the value before and after. Returns the exit status."""
    wait = default_wait() if options["wait"] is None else options["wait"]
    choose = chooser(options, 14 if options["wide"] or options["as_json"] else 0)
    with Context(timeout=wait) as context:
        pvs = connect(context, [name], wait, options["priority"])
        if missing(pvs):
            return 1
        pv = pvs[0]
        array = capacity(pv) > 1

        def show(head: str) -> None:
            (response,) = read_all(context, pvs, choose, wait, current=False)
            if options["as_json"]:
                print_json({"which": head.split()[0].lower(), **as_json(name, response)})
            elif options["wide"]:
                out(head + wide(name, response, style, array))
            elif options["terse"]:
                out(line(name, response, style, array, True))
            else:
                out(head + line(name, response, style, array))

        if not options["terse"]:
            show("Old : ")
        try:
            data, data_type = _data(pv, values, options)
        except ValueError as exc:
            raise click.UsageError(str(exc)) from None
        rights = pv.access_rights
        if rights is not None and not rights & 2:
            fail("ERROR from put operation: Write access denied")
            return 1
        try:
            response = pv.write(
                data, data_type=data_type, wait=options["completion"],
                notify=options["completion"], timeout=None if options["completion"] else wait,
            )  # fmt: skip
        except CaprotoError as exc:
            fail(f"ERROR from put operation: {exc}")
            return 1
        if response is not None and not response.status.success:
            fail(f"ERROR from put operation: {response.status.description}")
            return 1
        show("New : ")
        return 0
