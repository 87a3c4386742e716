"""areaDetector: the plugins that write files."""

from __future__ import annotations

from typing import Any

from epics_compat.devices.ad_base import AD_Plugin, with_readback

__all__ = ["AD_FilePlugin"]


class AD_FilePlugin(AD_Plugin):
    """A plugin that writes files.

    Args:
        prefix: start of the names, such as ``13SIM1:TIFF1:``.
    """

    attrs = (
        *with_readback(
            "AutoIncrement", "AutoSave", "Capture", "EnableCallbacks", "FileName", "FileNumber",
            "FilePath", "FileTemplate", "FileWriteMode", "NDArrayPort", "NumCapture", "ReadFile",
            "WriteFile",
        ),
        "FilePathExists_RBV",
        "FullFileName_RBV",
        "NumCaptured_RBV",
        "WriteMessage",
        "WriteStatus",
    )  # fmt: skip

    def setFileName(self, fname: str) -> None:
        """Set the name."""
        self.put("FileName", fname)

    def nextFileNumber(self) -> None:
        """Count the number up by one."""
        self.setFileNumber(1 + self.get("FileNumber"))

    def setFileNumber(self, fnum: int | None = None) -> None:
        """Set the number; None: let it count up by itself."""
        if fnum is None:
            self.put("AutoIncrement", 1)
        else:
            self.put("AutoIncrement", 0)
            self.put("FileNumber", fnum)

    def setPath(self, pathname: str) -> None:
        """Set the folder."""
        self.put("FilePath", pathname)

    def setTemplate(self, fmt: str) -> None:
        """Set the format that makes a file's name of path, name and number."""
        self.put("FileTemplate", fmt)

    def setWriteMode(self, mode: Any) -> None:
        """Set the mode: single, capture or stream."""
        self.put("FileWriteMode", mode)

    def getLastFileName(self) -> Any:
        """Give the full name of the file that was written last."""
        return self.get("FullFileName_RBV", as_string=True)

    def CaptureOn(self) -> None:
        """Begin to capture."""
        self.put("Capture", 1)

    def CaptureOff(self) -> None:
        """End capturing."""
        self.put("Capture", 0)

    def setNumCapture(self, n: int) -> None:
        """Set how many frames are captured."""
        self.put("NumCapture", n)

    def WriteComplete(self) -> bool:
        """Whether no file is being written."""
        return bool(self.get("WriteFile_RBV") == 0)

    def getTemplate(self) -> Any:
        """Give the format of file names."""
        return self.get("FileTemplate_RBV", as_string=True)

    def getName(self) -> Any:
        """Give the name."""
        return self.get("FileName_RBV", as_string=True)

    def getNumber(self) -> Any:
        """Give the number."""
        return self.get("FileNumber_RBV")

    def getPath(self) -> Any:
        """Give the folder."""
        return self.get("FilePath_RBV", as_string=True)

    def getFileNameByIndex(self, index: int) -> str:
        """Give the full name that a number makes."""
        return str(self.getTemplate() % (self.getPath(), self.getName(), index))
