"""The mca record, its regions of interest, and the XMAP electronics."""

from __future__ import annotations

import math
import time
from functools import total_ordering
from pathlib import Path
from typing import Any

import numpy

from epics_compat import ca, pv
from epics_compat.device import Device
from epics_compat.devices._files import FileSettings

__all__ = ["DXP", "MCA", "ROI", "MultiXMAP"]

MAX_ROIS = 32


class DXP(Device):
    """A channel of DXP electronics.

    Args:
        prefix: start of the names.
        mca: number of the channel.
    """

    _attrs = (
        "PreampGain",
        "MaxEnergy",
        "ADCPercentRule",
        "BaselineCutPercent",
        "BaselineThreshold",
        "BaselineFilterLength",
        "BaselineCutEnable",
        "InputCountRate",
        "OutputCountRate",
        "GapTime",
        "PeakingTime",
        "EnergyThreshold",
        "MaxWidth",
        "PresetMode",
        "TriggerPeakingTime",
        "TriggerGapTime",
        "TriggerThreshold",
    )
    _nonpvs = ("_prefix", "_pvs", "_delim", "_attrs")

    def __init__(self, prefix: str, mca: int = 1) -> None:
        super().__init__(f"{prefix}dxp{mca}", delim=":")


@total_ordering
class ROI(Device):
    """A region of interest of an mca record; ordered by its lower end.

    Args:
        prefix: name of the record.
        roi: number of the region.
        bgr_width: bins on each side that tell the background.
        data_pv: the PV of the spectrum; None: the counts come from the record.
    """

    _nonpvs = ("_prefix", "_pvs", "_delim", "bgr_width", "_dat_", "_net_", "attrs")
    attrs = ("NM", "LO", "HI")

    def __init__(self, prefix: str, roi: int = 0, bgr_width: int = 3, data_pv: Any = None) -> None:
        full = f"{prefix}.R{roi}"
        super().__init__(
            full, delim="", attrs=self.attrs, aliases={"left": "LO", "right": "HI", "name": "NM"}
        )
        self.bgr_width = bgr_width
        self._pvs["_dat_"] = pv.get_pv(full) if data_pv is None else pv.get_pv(data_pv)
        self._pvs["_net_"] = pv.get_pv(f"{full}N")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ROI) and self._key() == other._key()

    def __lt__(self, other: ROI) -> bool:
        return bool(self.LO < other.LO)

    def _key(self) -> tuple[str, Any]:
        return self._prefix, self.LO

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<ROI '{self._prefix}', name='{self.NM}', range=[{self.LO}:{self.HI}]>"

    @property
    def total(self) -> Any:
        """The counts in the region."""
        return self.get_counts()

    @property
    def sum(self) -> Any:
        """The counts in the region."""
        return self.get_counts()

    @property
    def net(self) -> Any:
        """The counts in the region without the background."""
        return self.get_counts(net=True)

    @property
    def center(self) -> int:
        """The bin in the middle."""
        middle: int = round((self.LO + self.HI) / 2.0)
        return middle

    @property
    def width(self) -> int:
        """How many bins it is wide."""
        bins: int = round(self.HI - self.LO)
        return bins

    def now(self) -> tuple[Any, Any, Any]:
        """Read name and ends from the record: a monitor may not know yet what was put."""
        low, high = (self._pvs[attr].get(use_monitor=False) for attr in ("LO", "HI"))
        return self._pvs["NM"].get(use_monitor=False), low, high

    def clear(self) -> None:
        """Let the region be unused."""
        self.put("NM", "")
        self.put("LO", -1)
        self.put("HI", -1)

    def get_counts(self, data: Any = None, net: bool = False) -> Any:
        """Sum the counts.

        Args:
            data: the spectrum; None: read it.
            net: without the background, which is the mean of the bins on both sides.
        """
        spectrum = self._pvs["_dat_"].get() if data is None else data
        if not hasattr(spectrum, "__len__"):
            # The record counts itself.
            return self._pvs["_net_"].get() if net else spectrum
        low, high = int(self.LO), int(self.HI)
        total = numpy.sum(spectrum[low : high + 1])
        if not net:
            return total
        below = spectrum[max(low - self.bgr_width, 0) : low]
        above = spectrum[high + 1 : high + 1 + self.bgr_width]
        beside = numpy.concatenate((below, above))
        return total - (numpy.mean(beside) if len(beside) else 0.0) * (high - low)


class MCA(Device):
    """An mca record.

    Args:
        prefix: name of the record, or its start when `mca` is a number.
        mca: the record is ``<prefix>mca<mca>``.
        nrois: how many regions there are; None: `MAX_ROIS`.
        data_pv: the PV of the spectrum; None: VAL.
    """

    attrs = (
        "CALO",
        "CALS",
        "CALQ",
        "TTH",
        "EGU",
        "PRTM",
        "PLTM",
        "ACQG",
        "NUSE",
        "DWEL",
        "ERTM",
        "ELTM",
        "IDTIM",
    )
    _attrs = attrs
    _nonpvs = ("_prefix", "_pvs", "_delim", "attrs", "rois", "_nrois", "_npts", "_dataname")

    def __init__(
        self, prefix: str, mca: Any = None, nrois: int | None = None, data_pv: Any = None
    ) -> None:
        if isinstance(mca, int):
            prefix = f"{prefix}mca{mca}"
        prefix = prefix.removesuffix(".")
        super().__init__(prefix, delim=".", attrs=self.attrs)
        self._nrois = MAX_ROIS if nrois is None else nrois
        self._pvs["VAL"] = pv.get_pv(f"{prefix}.VAL", auto_monitor=False)
        self._pvs["_dat_"] = self._pvs["VAL"] if data_pv is None else pv.get_pv(data_pv)
        self._dataname = data_pv
        self.rois: list[ROI] = []

    def _roi(self, number: int) -> ROI:
        return ROI(self._prefix.removesuffix("."), roi=number, data_pv=self._dataname)

    def get_rois(self, nrois: int | None = None) -> list[ROI]:
        """Give the regions that are in use, up to the first that is not."""
        self.rois = []
        for number in range(self._nrois if nrois is None else nrois):
            region = self._roi(number)
            name, _, high = region.now()
            if not name or high is None or high < 1:
                break
            self.rois.append(region)
        return self.rois

    def del_roi(self, roiname: str) -> None:
        """Delete a region by its name, in any case."""
        wanted = roiname.strip().lower()
        regions = [region.now() for region in self.get_rois()]
        self.set_rois([item for item in regions if item[0].strip().lower() != wanted])

    def add_roi(self, roiname: str, lo: Any = -1, hi: Any = -1, calib: Any = None) -> None:
        """Add a region.

        Args:
            roiname: its name.
            lo: lower end, a bin.
            hi: upper end, a bin.
            calib: offset, slope and quadratic term of the detector whose bins these are; they
                are scaled by the ratio of the slopes and moved by the difference of the offsets.
        """
        if lo is None or lo < 0 or hi < 0:
            return
        regions = [region.now() for region in self.get_rois()]
        low, high = self._bins(lo, hi, calib)
        if len(regions) < self._nrois:
            self.set_rois([*regions, (roiname, low, high)])

    def set_rois(self, rois: Any, calib: Any = None) -> None:
        """Set all regions, sorted by their lower ends; others are cleared.

        Args:
            rois: `ROI` objects, or name, lower and upper end of each.
            calib: see `add_roi`.
        """
        given = [each.now() if isinstance(each, ROI) else each for each in rois]
        wanted = sorted(
            ((name, *self._bins(lo, hi, calib)) for name, lo, hi in given),
            key=lambda item: item[1],
        )
        before = len(self.get_rois())
        for number, (name, low, high) in enumerate(wanted[: self._nrois]):
            region = self._roi(number)
            region.put("LO", low)
            region.put("HI", high)
            region.put("NM", name.strip(), wait=True)
        for number in range(len(wanted), before):
            self._roi(number).clear()
        self.get_rois()

    def clear_rois(self, nrois: int | None = None) -> None:
        """Clear all regions."""
        for region in self.get_rois(nrois):
            region.clear()
        self.rois = []

    def get_calib(self) -> list[Any]:
        """Give offset, slope and quadratic term."""
        return [self.get(name) for name in ("CALO", "CALS", "CALQ")]

    def get_energy(self) -> Any:
        """Give the energies of the bins, an ndarray."""
        offset, slope, quadratic = self.get_calib()
        number = self.get("NUSE") or self._pvs["VAL"].nelm
        bins = numpy.arange(int(number))
        return offset + bins * (slope + bins * quadratic)

    def _bins(self, lo: Any, hi: Any, calib: Any) -> tuple[int, int]:
        """Convert bins of a detector with another calibration to those of this one.

        As in pyepics, the difference of the offsets counts as bins, although it is an energy.
        """
        if calib is not None:
            offset, slope = self.get_calib()[:2]
            lo, hi = (calib[0] - offset + each * calib[1] / slope for each in (lo, hi))
        return round(lo), round(hi)


class MultiXMAP(FileSettings):
    """XMAP electronics with several channels.

    Args:
        prefix: start of the names.
        filesaver: the plugin that writes files.
        nmca: number of channels.
    """

    attrs = (
        "PresetReal",
        "Dwell",
        "Acquiring",
        "EraseStart",
        "StopAll",
        "PresetMode",
        "PixelsPerBuffer_RBV",
        "NextPixel",
        "PixelsPerRun",
        "Apply",
        "AutoApply",
        "CollectMode",
        "SyncCount",
        "BufferSize_RBV",
    )
    pathattrs = (
        "FilePath",
        "FileTemplate",
        "FileWriteMode",
        "FileName",
        "FileNumber",
        "FullFileName_RBV",
        "Capture",
        "NumCapture",
        "WriteFile_RBV",
        "AutoSave",
        "EnableCallbacks",
        "ArraySize0_RBV",
        "FileTemplate_RBV",
        "FileName_RBV",
        "AutoIncrement",
    )
    _nonpvs = ("_prefix", "_pvs", "_delim", "attrs", "pathattrs", "filesaver", "nmca", "dxps",
               "mcas", "rois")  # fmt: skip

    def __init__(self, prefix: str, filesaver: str = "netCDF1:", nmca: int = 4) -> None:
        self.__dict__["filesaver"] = filesaver
        self.__dict__["nmca"] = nmca
        files = [f"{filesaver}{name}" for name in self.pathattrs]
        super().__init__(prefix, delim="", attrs=[*self.attrs, *files])
        for name in self.pathattrs:
            self._pvs[name] = self._pvs[f"{filesaver}{name}"]
        self.dxps = [DXP(prefix, mca=number + 1) for number in range(nmca)]
        self.mcas = [MCA(prefix, mca=number + 1) for number in range(nmca)]

    def get_calib(self) -> list[Any]:
        """Give the calibration of each channel."""
        return [mca.get_calib() for mca in self.mcas]

    def get_rois(self) -> list[Any]:
        """Give the regions of each channel."""
        return [mca.get_rois() for mca in self.mcas]

    def roi_calib_info(self) -> list[str]:
        """Describe regions and calibrations, a text for each line."""
        lines = [*roi_lines(self.mcas), "[dxp]"]
        for name in DXP._attrs:
            values = [str(dxp.get(name, as_string=True)) for dxp in self.dxps]
            lines.append(f"{name} = {' '.join(values)}")
        return lines

    def restore_rois(self, roifile: str) -> None:
        """Set the regions of all channels from a file that `roi_calib_info` made."""
        restore_rois(roifile, self.mcas)

    def Write_CurrentConfig(self, filename: str | None = None) -> list[str]:
        """Describe settings and regions; write them to a file, too.

        Returns:
            The lines.
        """
        lines = ["#Multi-Element xMAP Settings saved: " + time.ctime()]
        lines += [f"{name} = {self.get(name, as_string=True)}" for name in self.attrs]
        lines += self.roi_calib_info()
        if filename is not None:
            Path(filename).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return lines

    def start(self) -> None:
        """Erase, and begin."""
        self.put("EraseStart", 1)

    def stop(self) -> None:
        """Stop."""
        self.put("StopAll", 1)

    def next_pixel(self) -> None:
        """Go on to the next pixel."""
        self.put("NextPixel", 1)

    def finish_pixels(self, timeout: float = 2) -> bool:
        """Go through the pixels that are left, `timeout` seconds at most.

        Returns:
            Whether it is over.
        """
        deadline = time.monotonic() + timeout
        while self.get("Acquiring") and time.monotonic() < deadline:
            self.next_pixel()
            ca.pend_event(0.05)
        return not self.get("Acquiring")

    def readmca(self, n: int = 1) -> Any:
        """Read the spectrum of a channel."""
        return self.mcas[n - 1].get("VAL")

    def SCAMode(self) -> None:
        """Let only the regions be counted."""
        self.put("CollectMode", 2)

    def SpectraMode(self) -> None:
        """Take single spectra."""
        self.put("CollectMode", 0)
        self.put("PresetMode", 0)
        self.stop()

    def MCAMode(
        self, filename: str | None = None, filenumber: int | None = None, npulses: int = 11
    ) -> None:
        """Take a spectrum for each pulse, into a file.

        Args:
            filename: name of the file; None: as it is.
            filenumber: its number; None: it counts up.
            npulses: how many pulses.
        """
        self.put("CollectMode", 1)
        self.put("PresetMode", 0)
        self.put("AutoApply", 1)
        self.put("Apply", 1)
        self.put("SyncCount", 1)
        self.put("PixelsPerRun", npulses)
        # The electronics hand over whole buffers of pixels, and the file has one for each.
        buffer = self.get("PixelsPerBuffer_RBV") or 1
        self.setFileNumCapture(math.ceil(npulses / buffer))
        if filename is not None:
            self.setFileName(filename)
        self.setFileNumber(filenumber)
        self.setFileWriteMode(2)


def roi_lines(mcas: Any) -> list[str]:
    """Describe the regions and calibrations of detectors, one text for each line."""
    lines = ["[rois]"]
    regions = [mca.get_rois() for mca in mcas]
    for number, first in enumerate(regions[0] if regions else ()):
        ends = [
            f"{each[number].left} {each[number].right}" if number < len(each) else "-1 -1"
            for each in regions
        ]
        lines.append(f"ROI{number:02d} = {first.name} | {' '.join(ends)}")
    lines.append("[calibration]")
    calibrations = [mca.get_calib() for mca in mcas]
    for name, position in (("OFFSET", 0), ("SLOPE ", 1), ("QUAD  ", 2)):
        lines.append(f"{name} = {' '.join(f'{each[position]:g}' for each in calibrations)} ")
    return lines


def restore_rois(roifile: str, mcas: Any) -> None:
    """Set the regions of detectors from a file with lines of `roi_lines`.

    The ends are those of the first detector; the calibrations make those of the others.
    """
    regions: list[tuple[str, int, int]] = []
    for line in Path(roifile).read_text(encoding="utf-8").splitlines():
        if not line.strip().upper().startswith("ROI"):
            continue
        name, _, ends = line.split("=", 1)[1].partition("|")
        low, high = (int(text) for text in ends.replace("|", " ").split()[:2])
        if high > 0:
            regions.append((name.strip(), low, high))
    for mca in mcas:
        if isinstance(mca, MCA):
            mca.set_rois(regions, calib=mcas[0].get_calib())
        else:
            mca.set_rois(regions)
