"""The bo record."""

from __future__ import annotations

from typing import Any

from epics_compat.device import Device

__all__ = ["bo"]


class bo(Device):
    """A binary output record.

    Args:
        prefix: name of the record.
        kw: see `Device`.
    """

    attrs = (
        "DOL",
        "OMSL",
        "RVAL",
        "HIGH",
        "ZNAM",
        "ONAM",
        "VAL",
        "EGU",
        "HOPR",
        "LOPR",
        "PREC",
        "NAME",
        "DESC",
        "DTYP",
    )

    def __init__(self, prefix: str, **kw: Any) -> None:
        super().__init__(prefix.removesuffix("."), attrs=self.attrs, delim=".", **kw)
