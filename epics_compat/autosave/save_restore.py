"""Request files and save files."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any, Final

import numpy

from cachannel.protocol.text import decode
from epics_compat import ca, dbr, pv, utils

__all__ = ["AutoSaver", "restore_pvs", "save_pvs"]

_NAME: Final = re.compile(r"[\w$()\-+:\[\]<>;{}]+(?:\.[\w$]+)?")
_INCLUDE: Final = re.compile(r'file\s+(?:"([^"]+)"|(\S+))\s*,?\s*(.*)')
_MACRO: Final = re.compile(r"\s*([\w]+)\s*=\s*(\"[^\"]*\"|[^,;]*)\s*[,;]?")
_END: Final = "<END>"
_ARRAY: Final = "@array@"


def _lines(path: Path) -> list[str]:
    """Read the lines of a file, which other programs may have written in Latin-1.

    A line ends at a line feed only: some characters that end lines in Python may be in a value.
    """
    return [line.removesuffix("\r") for line in decode(path.read_bytes()).split("\n")]


def _expand(text: str, macros: dict[str, str]) -> str:
    for name, value in macros.items():
        text = text.replace(f"$({name})", value)
    return text


def _macros(text: str, outer: dict[str, str]) -> dict[str, str]:
    """Read ``A=1,B=2``; a value may use the macros of the including file."""
    given = dict(outer)
    for name, value in _MACRO.findall(text):
        given[name] = _expand(value.strip().strip('"'), outer)
    return given


def _read_request(path: Path, macros: dict[str, str], including: tuple[Path, ...]) -> list[str]:
    """List the names of PVs of a request file.

    Raises:
        ValueError: the file includes itself.
    """
    if path in including:
        message = f"{path} includes itself"
        raise ValueError(message)
    names: list[str] = []
    for line in _lines(path):
        text = line.split("#", 1)[0].strip()
        if not text:
            continue
        include = _INCLUDE.fullmatch(text)
        if include is not None:
            other = _expand(include[1] or include[2].rstrip(","), macros)
            inner = _macros(include[3], macros)
            names += _read_request(path.parent / other, inner, (*including, path))
            continue
        names += _NAME.findall(_expand(text, macros))
    return names


def _saved(thispv: Any) -> str | None:
    """Give the value of a PV as a save file has it; None when it cannot be read."""
    value = thispv.get()
    if value is None:
        return None
    base = dbr.native_type(thispv.ftype)
    if thispv.nelm == 1:
        text = str(value)
        return text if _fits_a_line(text) else f"{_ARRAY} {json.dumps([text])}"
    if base == dbr.CHAR:
        text = str(thispv.get(as_string=True))
        if _fits_a_line(text):
            return text
        value = numpy.frombuffer(utils.str2bytes(text) + b"\0", "u1")
    values = value.tolist() if isinstance(value, numpy.ndarray) else value
    return f"{_ARRAY} {json.dumps(values)}"


def _fits_a_line(text: str) -> bool:
    """Whether text comes back from a line of a save file as it is."""
    return text == text.strip() and "\n" not in text and not text.startswith(_ARRAY)


class AutoSaver:
    """Reads a request file, and saves the PVs that it names.

    Args:
        request_file: names of PVs, one or several per line; ``#`` comments; ``file NAME A=1,B=2``
            includes another file, with macros.

    Attributes:
        request_file: the file that was read last.
        pvs: the PVs.
    """

    def __init__(self, request_file: str | None = None) -> None:
        self.request_file = request_file
        self.pvs: list[Any] = []
        if request_file is not None:
            self.read_request_file(request_file)

    def read_request_file(self, request_file: str | None = None) -> None:
        """Read a request file; the PVs connect in the background.

        Args:
            request_file: None: the one that was given before.
        """
        if request_file is not None:
            self.request_file = request_file
        if self.request_file is None:
            message = "there is no request file"
            raise ValueError(message)
        names = _read_request(Path(self.request_file), {}, ())
        self.pvs = [pv.get_pv(name) for name in names]

    def save(self, save_file: str | None = None, verbose: bool = False) -> None:
        """Write the values of the PVs that are connected. All are waited for together.

        Args:
            save_file: None: the name of the request file with the date and time.
            verbose: print a line for each PV.
        """
        if save_file is None:
            stem = str(self.request_file).removesuffix(".req")
            save_file = f"{stem}_{time.strftime('%Y%b%d_%H%M%S')}.sav"
        lines = [
            f"# File saved by pyepics AutoSaver.save() on {time.ctime()}",
            "# Edit with extreme care.",
        ]
        _connect(self.pvs)
        for thispv in self.pvs:
            text = _saved(thispv) if thispv.connected else None
            if text is None:
                if verbose:
                    ca.write(f"PV {thispv.pvname} not connected")
                continue
            lines.append(f"{thispv.pvname} {text}")
            if verbose:
                ca.write(f"PV {thispv.pvname} = {text}")
        lines.append(_END)
        Path(save_file).write_text("\n".join(lines) + "\n", encoding="utf-8")
        ca.write(f"wrote {save_file}")


def _connect(pvs: list[Any]) -> None:
    """Wait for all, as long as the most patient one."""
    deadline = time.monotonic() + max((p.connection_timeout for p in pvs), default=0.0)
    for thispv in pvs:
        thispv.wait_for_connection(timeout=max(deadline - time.monotonic(), 0.0))


def save_pvs(request_file: str, save_file: str, debug: bool = False) -> None:
    """Save the PVs that a request file names.

    Args:
        request_file: see `AutoSaver`.
        save_file: where to.
        debug: print a line for each PV.
    """
    AutoSaver(request_file).save(save_file, verbose=debug)


def restore_pvs(filepath: str, debug: bool = False) -> bool:
    """Put what a save file has, without waiting for completion.

    A name alone on its line has an empty text as its value.

    Args:
        filepath: the save file.
        debug: print a line for each PV.

    Returns:
        Whether no put failed; PVs that are not connected, or not writable, are told of by a line.
    """
    values: list[tuple[Any, Any]] = []
    for line in _lines(Path(filepath)):
        text = line.strip()
        if not text or text.startswith(("#", "!", _END)):
            continue
        name, _, value = text.partition(" ")
        values.append((pv.get_pv(name), _restored(value.strip())))
    _connect([thispv for thispv, _ in values])
    good = True
    for thispv, value in values:
        name = thispv.pvname
        if not thispv.connected:
            ca.write(f"Cannot connect to {name}")
        elif not thispv.write_access:
            ca.write(f"No write access to {name}")
        else:
            if debug:
                ca.write(f"Setting {name} to {value}")
            try:
                if value == "" and dbr.native_type(thispv.ftype) not in (dbr.STRING, dbr.CHAR):
                    # A put of it would set all numbers of an array to 0.
                    message = "there is no value"
                    raise ValueError(message)
                thispv.put(value)
            except (ca.CASeverityException, TypeError, ValueError) as exc:
                ca.write(f"Cannot restore {name}: {exc}")
                good = False
    return good


def _restored(text: str) -> Any:
    if text.startswith(_ARRAY):
        data = text.removeprefix(_ARRAY).strip()
        if data.startswith("{") and data.endswith("}"):
            data = data[1:-1]
        return json.loads(data)
    return text
