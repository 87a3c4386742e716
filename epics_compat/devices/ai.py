"""The ai record."""

from __future__ import annotations

from typing import Any

from epics_compat.device import Device

__all__ = ["ai"]


class ai(Device):
    """An analog input record.

    Args:
        prefix: name of the record.
        kw: see `Device`.
    """

    attrs = (
        "VAL",
        "EGU",
        "HOPR",
        "LOPR",
        "PREC",
        "NAME",
        "DESC",
        "DTYP",
        "INP",
        "LINR",
        "RVAL",
        "ROFF",
        "EGUF",
        "EGUL",
        "AOFF",
        "ASLO",
        "ESLO",
        "EOFF",
        "SMOO",
        "HIHI",
        "LOLO",
        "HIGH",
        "LOW",
        "HHSV",
        "LLSV",
        "HSV",
        "LSV",
        "HYST",
    )

    def __init__(self, prefix: str, **kw: Any) -> None:
        super().__init__(prefix.removesuffix("."), attrs=self.attrs, delim=".", **kw)
