"""The file settings that detectors have in common."""

from __future__ import annotations

from typing import Any

from epics_compat.device import Device

__all__ = ["FileSettings"]


class FileSettings(Device):
    """Puts and gets of the file saver whose name is `filesaver`, below the device's prefix."""

    filesaver = ""

    def filePut(self, attr: str, value: Any, **kw: Any) -> Any:
        """Write a field of the file saver."""
        return self.put(f"{self.filesaver}{attr}", value, **kw)

    def fileGet(self, attr: str, **kw: Any) -> Any:
        """Read a field of the file saver."""
        return self.get(f"{self.filesaver}{attr}", **kw)

    def setFilePath(self, pathname: str) -> None:
        """Set the folder."""
        self.filePut("FilePath", pathname)

    def setFileTemplate(self, fmt: str) -> None:
        """Set the format that makes a file's name of path, name and number."""
        self.filePut("FileTemplate", fmt)

    def setFileWriteMode(self, mode: Any) -> None:
        """Set the mode: single, capture or stream."""
        self.filePut("FileWriteMode", mode)

    def setFileName(self, fname: str) -> None:
        """Set the name."""
        self.filePut("FileName", fname)

    def nextFileNumber(self) -> None:
        """Count the number up by one."""
        self.setFileNumber(1 + self.fileGet("FileNumber"))

    def setFileNumber(self, fnum: int | None = None) -> None:
        """Set the number; None: let it count up by itself."""
        if fnum is None:
            self.filePut("AutoIncrement", 1)
        else:
            self.filePut("AutoIncrement", 0)
            self.filePut("FileNumber", fnum)

    def getLastFileName(self) -> Any:
        """Give the full name of the file that was written last."""
        return self.fileGet("FullFileName_RBV", as_string=True)

    def FileCaptureOn(self) -> None:
        """Begin to capture."""
        self.filePut("Capture", 1)

    def FileCaptureOff(self) -> None:
        """End capturing."""
        self.filePut("Capture", 0)

    def setFileNumCapture(self, n: int) -> None:
        """Set how many frames are captured."""
        self.filePut("NumCapture", n)

    def FileWriteComplete(self) -> bool:
        """Whether no file is being written."""
        return bool(self.fileGet("WriteFile_RBV") == 0)

    def getFileTemplate(self) -> Any:
        """Give the format of file names."""
        return self.fileGet("FileTemplate_RBV", as_string=True)

    def getFileName(self) -> Any:
        """Give the name."""
        return self.fileGet("FileName_RBV", as_string=True)

    def getFileNumber(self) -> Any:
        """Give the number."""
        return self.fileGet("FileNumber_RBV")

    def getFilePath(self) -> Any:
        """Give the folder."""
        return self.fileGet("FilePath_RBV", as_string=True)

    def getFileNameByIndex(self, index: int) -> str:
        """Give the full name that a number makes."""
        return str(self.getFileTemplate() % (self.getFilePath(), self.getFileName(), index))
