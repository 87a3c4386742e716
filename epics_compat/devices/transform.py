"""The transform record."""

from __future__ import annotations

from typing import Any

from epics_compat.device import Device

__all__ = ["Transform"]

_ROWS = "ABCDEFGHIJKLMNOP"
_FIELDS = {
    "Value": "%s",
    "Input": "INP%s",
    "Input_Valid": "I%sV",
    "Expression": "CLC%s",
    "Output": "OUT%s",
    "Output_Valid": "O%sV",
    "Comment": "CMT%s",
    "Expression_Valid": "C%sV",
    "Previous_Value": "L%s",
}


class Transform(Device):
    """A transform record.

    Args:
        prefix: name of the record.
        kw: see `Device`.
    """

    _nonpvs = ("_prefix", "_pvs", "_delim", "attrs", "rows")
    rows = _ROWS
    attr_fmts = _FIELDS
    attrs = ("COPT", "PREC", *(field % row for row in _ROWS for field in _FIELDS.values()))

    def __init__(self, prefix: str, **kw: Any) -> None:
        super().__init__(prefix.removesuffix("."), attrs=self.attrs, delim=".", **kw)

    def get_row(self, row: str = "A") -> dict[str, Any]:
        """Give all of a row (A to P)."""
        return {name: self.get(field % row) for name, field in _FIELDS.items()}

    def set_row(self, row: str = "A", data: dict[str, Any] | None = None) -> None:
        """Put what a dict has of a row; the keys are those of `get_row`."""
        for name, value in (data or {}).items():
            if name in _FIELDS:
                self.put(_FIELDS[name] % row, value)

    def set_calc(self, row: str = "A", calc: str = "") -> None:
        """Set the expression of a row."""
        self.put(f"CLC{row}", calc)

    def set_comment(self, row: str = "A", comment: str = "") -> None:
        """Set the comment of a row."""
        self.put(f"CMT{row}", comment)

    def set_input(self, row: str = "A", input: str = "") -> None:
        """Set the input link of a row."""
        self.put(f"INP{row}", input)
