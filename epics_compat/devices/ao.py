"""The ao record."""

from __future__ import annotations

from typing import Any

from epics_compat.device import Device

__all__ = ["ao"]


class ao(Device):
    """An analog output record.

    Args:
        prefix: name of the record.
        kw: see `Device`.
    """

    attrs = (
        "OUT",
        "LINR",
        "RVAL",
        "ROFF",
        "EGUF",
        "EGUL",
        "AOFF",
        "ASLO",
        "ESLO",
        "EOFF",
        "VAL",
        "EGU",
        "HOPR",
        "LOPR",
        "PREC",
        "NAME",
        "DESC",
        "DTYP",
        "HIHI",
        "LOLO",
        "HIGH",
        "LOW",
        "HHSV",
        "LLSV",
        "HSV",
        "LSV",
        "HYST",
        "OMSL",
        "DOL",
        "OIF",
        "DRVH",
        "DRVL",
        "OROC",
        "OVAL",
    )

    def __init__(self, prefix: str, **kw: Any) -> None:
        super().__init__(prefix.removesuffix("."), attrs=self.attrs, delim=".", **kw)
