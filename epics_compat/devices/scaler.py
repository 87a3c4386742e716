"""The scaler record."""

from __future__ import annotations

from typing import Any

from epics_compat.device import Device

__all__ = ["Scaler"]


class Scaler(Device):
    """A scaler record with its calculations.

    Args:
        prefix: name of the record.
        nchan: number of channels.
    """

    attrs = ("CNT", "CONT", "TP", "T", "VAL")
    attr_kws = {"calc_enable": "%s_calcEnable.VAL"}  # noqa: RUF012
    chan_attrs = ("NM%i", "S%i")
    calc_attrs = {"calc%i": "%s_calc%i.VAL", "expr%i": "%s_calc%i.CALC"}  # noqa: RUF012
    _nonpvs = ("_prefix", "_pvs", "_delim", "_nchan", "_chans", "attrs")

    def __init__(self, prefix: str, nchan: int = 8) -> None:
        prefix = prefix.removesuffix(".")
        self.__dict__["_nchan"] = nchan
        self.__dict__["_chans"] = range(1, nchan + 1)
        attrs = [*self.attrs]
        for channel in self._chans:
            attrs += [attr % channel for attr in self.chan_attrs]
        super().__init__(prefix, delim=".", attrs=attrs)
        for channel in self._chans:
            for attr, name in self.calc_attrs.items():
                self.add_pv(name % (prefix, channel), attr=attr % channel)
        for attr, name in self.attr_kws.items():
            self.add_pv(name % prefix, attr=attr)
        self.__dict__["_mutable"] = False

    def AutoCountMode(self) -> None:
        """Count again and again."""
        self.put("CONT", 1)

    def OneShotMode(self) -> None:
        """Count once when told to."""
        self.put("CONT", 0)

    def CountTime(self, ctime: float) -> None:
        """Set the counting time, in seconds."""
        self.put("TP", ctime)

    def Count(self, ctime: float | None = None, wait: bool = False) -> None:
        """Begin to count.

        Args:
            ctime: counting time in seconds; None: as it is.
            wait: until the counting is over.
        """
        if ctime is not None:
            self.CountTime(ctime)
        self.put("CNT", 1, wait=wait, timeout=3600 if ctime is None else ctime + 60)

    def EnableCalcs(self) -> None:
        """Switch the calculations on."""
        self.put("calc_enable", 1)

    def setCalc(self, i: int, calc: str) -> None:
        """Set the expression of a channel."""
        self.put(f"expr{i}", calc)

    def getNames(self) -> list[Any]:
        """Give the names of the channels."""
        return [self.get(f"NM{channel}") for channel in self._chans]

    def Read(self, use_calc: bool = False) -> list[Any]:
        """Give the counts of the channels, or what is calculated of them."""
        letter = "calc" if use_calc else "S"
        return [self.get(f"{letter}{channel}") for channel in self._chans]
