"""areaDetector arrays as multichannel analyzers."""

from __future__ import annotations

from functools import total_ordering
from typing import Any

import numpy

from epics_compat import pv
from epics_compat.device import Device

__all__ = ["ADMCA", "ADMCAROI"]

MAX_CHAN = 4096
MAX_ROIS = 48


@total_ordering
class ADMCAROI(Device):
    """A region of interest, ordered by its lower end.

    Args:
        prefix: start of the names.
        roi: number of the region.
        bgr_width: bins on each side that tell the background.
        data_pv: the PV of the spectrum; None: the plugin counts.
        with_poll: has no effect.
    """

    _nonpvs = ("_prefix", "_pvs", "_delim", "attrs", "bgr_width")
    attrs = ("Use", "Name", "MinX", "SizeX", "BgdWidth", "SizeX_RBV", "MinX_RBV", "Total_RBV",
             "Net_RBV")  # fmt: skip
    _attrs = attrs

    def __init__(
        self,
        prefix: str,
        roi: int = 1,
        bgr_width: int = 3,
        data_pv: Any = None,
        with_poll: bool = False,
    ) -> None:
        super().__init__(
            f"{prefix}:{roi}", delim=":", attrs=("Name", "MinX"),
            aliases={"left": "MinX", "width": "SizeX", "name": "Name", "sum": "Total_RBV",
                     "net": "Net_RBV"},
        )  # fmt: skip
        self.bgr_width = bgr_width
        if data_pv is not None:
            self._pvs["_dat_"] = pv.get_pv(data_pv)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ADMCAROI) and self._prefix == other._prefix

    def __lt__(self, other: ADMCAROI) -> bool:
        return bool(self.get("MinX") < other.get("MinX"))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        low, width = self.get("MinX"), self.get("SizeX")
        name = self.get("Name", as_string=True)
        return f"<ADMCAROI '{self._prefix}', name='{name}', range=[{low}:{low + width}]>"

    def get_right(self) -> Any:
        """Give the upper end."""
        return self.get("MinX") + self.get("SizeX")

    def set_right(self, val: int) -> None:
        """Set the upper end; the lower one stays."""
        self.put("SizeX", val - self.get("MinX"))

    right = property(get_right, set_right, None, "The upper end; setting it keeps the lower one.")

    def get_center(self) -> Any:
        """Give the bin in the middle."""
        return self.get("MinX") + self.get("SizeX") // 2

    def set_center(self, val: int) -> None:
        """Move the middle; the width stays."""
        self.put("MinX", val - self.get("SizeX") // 2)

    center = property(get_center, set_center, None, "The bin in the middle; it can be moved.")

    def now(self) -> tuple[str, Any, Any]:
        """Read name and ends from the plugin: a monitor may not know yet what was put."""
        low, width = (self.PV(attr).get(use_monitor=False) for attr in ("MinX", "SizeX"))
        name = self.PV("Name").get(as_string=True, use_monitor=False)
        return str(name or ""), low, None if width is None else low + width

    def clear(self) -> None:
        """Let the region be unused."""
        self.put("Name", "")
        self.put("MinX", 0)
        self.put("SizeX", 0)
        self.put("Use", 0)

    def get_counts(self, data: Any = None, net: bool = False) -> Any:
        """Sum the counts, as `ROI.get_counts` of the mca record does."""
        if data is None and "_dat_" in self._pvs:
            data = self._pvs["_dat_"].get()
        if data is None:
            return self.get("Net_RBV" if net else "Total_RBV")
        low = int(self.get("MinX"))
        high = low + int(self.get("SizeX"))
        total = numpy.sum(data[low : high + 1])
        if not net:
            return total
        below = data[max(low - self.bgr_width, 0) : low]
        beside = numpy.concatenate((below, data[high + 1 : high + 1 + self.bgr_width]))
        return total - (numpy.mean(beside) if len(beside) else 0.0) * (high - low)


class ADMCA(Device):
    """A spectrum of an areaDetector.

    Args:
        prefix: start of the names.
        data_pv: the PV of the spectrum.
        nrois: how many regions there are; None: `MAX_ROIS`.
        roi_prefix: start of the names of the regions.
    """

    attrs = ("AcquireTime", "Acquire", "NumImages")
    _attrs = attrs
    _nonpvs = ("_prefix", "_pvs", "_delim", "attrs", "rois", "_nrois", "_roi_prefix", "_dataname")

    def __init__(
        self,
        prefix: str,
        data_pv: Any = None,
        nrois: int | None = None,
        roi_prefix: str | None = None,
    ) -> None:
        super().__init__(prefix, delim="", attrs=self.attrs)
        self._nrois = MAX_ROIS if nrois is None else nrois
        self._roi_prefix = roi_prefix
        self._dataname = data_pv
        self.rois: list[ADMCAROI] = []
        if data_pv is not None:
            self._pvs["VAL"] = pv.get_pv(data_pv, auto_monitor=False)

    def start(self) -> None:
        """Begin to acquire."""
        self.put("Acquire", 1)

    def stop(self) -> None:
        """Stop acquiring."""
        self.put("Acquire", 0)

    def get_calib(self) -> list[float]:
        """Give offset, slope and quadratic term; an areaDetector has bins of 10 eV."""
        return [0.0, 0.01, 0.0]

    def get_energy(self) -> Any:
        """Give the energies of the bins, an ndarray."""
        offset, slope, _ = self.get_calib()
        return offset + slope * numpy.arange(MAX_CHAN)

    def _roi(self, number: int) -> ADMCAROI:
        return ADMCAROI(str(self._roi_prefix), roi=number, data_pv=self._dataname)

    def get_rois(self, nrois: int | None = None) -> list[ADMCAROI]:
        """Give the regions that are in use, up to the first that is not."""
        self.rois = []
        if self._roi_prefix is None:
            return self.rois
        for number in range(1, (self._nrois if nrois is None else nrois) + 1):
            region = self._roi(number)
            name, low, high = region.now()
            if not name or high is None or high <= low:
                break
            self.rois.append(region)
        return self.rois

    def clear_rois(self, nrois: int | None = None) -> None:
        """Clear all regions."""
        for region in self.get_rois(nrois):
            region.clear()
        self.rois = []

    def _all(self) -> list[tuple[str, int, int]]:
        return [region.now() for region in self.get_rois()]

    def del_roi(self, roiname: str) -> None:
        """Delete a region by its name, in any case."""
        wanted = roiname.strip().lower()
        self.set_rois([item for item in self._all() if item[0].strip().lower() != wanted])

    def add_roi(
        self,
        roiname: str,
        lo: int,
        wid: int | None = None,
        hi: int | None = None,
        sort: bool = True,
    ) -> None:
        """Add a region.

        Args:
            roiname: its name.
            lo: lower end.
            wid: width, or
            hi: upper end.
            sort: keep the regions sorted.
        """
        if wid is None and hi is None:
            message = "a region needs a width or an upper end"
            raise ValueError(message)
        high = lo + wid if wid is not None else hi
        assert high is not None
        regions = [*self._all(), (roiname, lo, high)]
        self._write(sorted(regions, key=lambda item: item[1]) if sort else regions)

    def sort_rois(self) -> None:
        """Sort the regions by their lower ends."""
        self._write(sorted(self._all(), key=lambda item: item[1]))

    def set_rois(self, roidata: Any) -> None:
        """Set all regions: name, lower and upper end of each."""
        self._write(sorted(roidata, key=lambda item: item[1]))

    def _write(self, regions: list[tuple[str, int, int]]) -> None:
        before = len(self.get_rois())
        for number, (name, low, high) in enumerate(regions[: self._nrois], 1):
            region = self._roi(number)
            region.put("MinX", low)
            region.put("SizeX", high - low)
            region.put("Use", 1)
            region.put("Name", name, wait=True)
        for number in range(len(regions) + 1, before + 1):
            self._roi(number).clear()
        self.get_rois()
