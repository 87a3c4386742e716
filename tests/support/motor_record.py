"""A small motor record for the soft IOC of the tests, written in Python.

The fields are those that ``epicsMotor``, pyepics' Motor and ophyd's EpicsMotor use, with the types
of the motor record of synApps. The record moves at VELO units per second in a thread, keeps user,
dial and raw (step) coordinates in step, knows SET, STOP, SPMG, RLV, tweaking and homing (to 0), and
refuses targets outside its soft limits with LVIO, unless both dial limits are 0. A put with
completion is complete when the motor has arrived or was stopped. LLS and HLS are plain fields which
a test may write.

EPICS base takes record support as C functions; ctypes makes them.  The layout of the record after
the common fields is `_Fields`; the common fields are laid out as in the ao record.
"""

import ctypes
import math
import os
import tempfile
import threading
import time

from epicscorelibs import ioc

_DOUBLES = {
    "VAL": 0.0, "DVAL": 0.0, "RLV": 0.0, "RBV": 0.0, "DRBV": 0.0, "VELO": 50.0, "VBAS": 0.1,
    "ACCL": 0.2, "MRES": 0.01, "HLM": 100.0, "LLM": -100.0, "DHLM": 100.0, "DLLM": -100.0,
    "BDST": 0.0, "OFF": 0.0, "TWV": 0.5,
}  # fmt: skip
_LONGS = {"RVAL": 0, "RRBV": 0}
_SHORTS = {
    "DMOV": 1, "STOP": 0, "SET": 0, "LVIO": 0, "LLS": 0, "HLS": 0, "MOVN": 0, "TDIR": 0, "TWF": 0,
    "TWR": 0, "HOMF": 0, "HOMR": 0, "PREC": 3,
}  # fmt: skip
_MENUS = {"DIR": ("Pos", "Neg"), "FOFF": ("Variable", "Frozen"),
          "SPMG": ("Go", "Stop", "Pause", "Move")}  # fmt: skip
_STRINGS = {"EGU": "mm"}
_STARTS_PROCESSING = {"VAL", "DVAL", "RVAL", "RLV", "STOP", "TWF", "TWR", "HOMF", "HOMR", "SPMG"}
_DBE_VALUE_LOG = 3


class _Fields(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_double) for name in _DOUBLES),
        *((name, ctypes.c_int32) for name in _LONGS),
        *((name, ctypes.c_int16) for name in _SHORTS),
        *((name, ctypes.c_uint16) for name in _MENUS),
        *((name, ctypes.c_char * 16) for name in _STRINGS),
    ]


class _EllNode(ctypes.Structure):
    _fields_ = [("next", ctypes.c_void_p), ("previous", ctypes.c_void_p)]


class _EllList(ctypes.Structure):
    _fields_ = [("node", _EllNode), ("count", ctypes.c_int)]


class _FieldDescription(ctypes.Structure):
    """dbFldDes of dbBase.h; the three one-bit flags are one unsigned int here."""

    _fields_ = [
        ("prompt", ctypes.c_char_p),
        ("name", ctypes.c_char_p),
        ("extra", ctypes.c_char_p),
        ("record_type", ctypes.c_void_p),
        ("index", ctypes.c_short),
        ("special", ctypes.c_short),
        ("field_type", ctypes.c_int),
        ("flags", ctypes.c_uint),
        ("base", ctypes.c_int),
        ("promptgroup", ctypes.c_short),
        ("interest", ctypes.c_short),
        ("as_level", ctypes.c_int),
        ("initial", ctypes.c_char_p),
        ("private", ctypes.c_void_p),
        ("size", ctypes.c_short),
        ("offset", ctypes.c_ushort),
    ]


class _RecordType(ctypes.Structure):
    """dbRecordType of dbBase.h."""

    _fields_ = [
        ("node", _EllNode),
        ("lists", _EllList * 4),
        ("name", ctypes.c_char_p),
        ("no_fields", ctypes.c_short),
        ("no_prompt", ctypes.c_short),
        ("no_links", ctypes.c_short),
        ("no_aliases", ctypes.c_short),
        ("link_ind", ctypes.c_void_p),
        ("sorted_names", ctypes.c_void_p),
        ("sorted_index", ctypes.c_void_p),
        ("val_description", ctypes.c_void_p),
        ("val_index", ctypes.c_short),
        ("descriptions", ctypes.POINTER(ctypes.POINTER(_FieldDescription))),
        ("support", ctypes.c_void_p),
        ("rec_size", ctypes.c_int),
    ]


class _Base(ctypes.Structure):
    """The head of dbBase of dbBase.h."""

    _fields_ = [("menus", _EllList), ("record_types", _EllList)]


_SizeOffset = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_RecordType))
_InitRecord = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_void_p, ctypes.c_int)
_Process = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_void_p)


_GetControl = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_void_p, ctypes.POINTER(ctypes.c_double))


class _Support(ctypes.Structure):
    """struct typed_rset of recSup.h; base skips the functions that are null."""

    _fields_ = [
        ("number", ctypes.c_long),
        ("report", ctypes.c_void_p),
        ("init", ctypes.c_void_p),
        ("init_record", _InitRecord),
        ("process", _Process),
        ("others", ctypes.c_void_p * 11),
        ("get_control_double", _GetControl),
        ("get_alarm_double", ctypes.c_void_p),
    ]


class _Location(ctypes.Structure):
    _fields_ = [("support", ctypes.POINTER(_Support)), ("size_offset", _SizeOffset)]


_core = ioc.dbCore
_core.dbScanLock.argtypes = [ctypes.c_void_p]
_core.dbScanUnlock.argtypes = [ctypes.c_void_p]
_core.db_post_events.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint]
_core.recGblFwdLink.argtypes = [ctypes.c_void_p]
_core.recGblGetTimeStamp.argtypes = [ctypes.c_void_p]
_core.recGblResetAlarms.argtypes = [ctypes.c_void_p]
_core.registerRecordTypes.argtypes = [
    ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(ctypes.c_char_p), ctypes.POINTER(_Location),
]  # fmt: skip

_common: dict[bytes, tuple[int, int]] = {}  # name of a common field -> (offset, size)
_fields_offset = 0
_motors: dict[int, "_Motor"] = {}


class _Motor:
    """One record: its memory in the IOC and the thread that moves it."""

    def __init__(self, address: int) -> None:
        self.address = address
        self.fields = _Fields.from_address(address + _fields_offset)
        self.posted = {name: getattr(self.fields, name) for name, _ in _Fields._fields_}
        self.run = 0  # number of the newest motion; an older thread ends when it sees a newer one

    def process(self) -> None:
        """Obey the field that was written; the caller holds the record's lock."""
        f = self.fields
        written = {name for name, value in self.posted.items() if getattr(f, name) != value}
        if f.STOP or f.SPMG == 1:
            f.STOP = 0
            self.run += 1
            f.VAL, f.DVAL, f.DMOV, f.MOVN = f.RBV, f.DRBV, 1, 0
        elif f.TWF or f.TWR:
            f.VAL += f.TWV if f.TWF else -f.TWV
            f.TWF = f.TWR = 0
            self._go(f.VAL - f.OFF)
        elif f.HOMF or f.HOMR:
            f.HOMF = f.HOMR = 0
            self._go(0.0)
        elif f.RLV:
            f.VAL, f.RLV = f.VAL + f.RLV, 0.0
            self._go(f.VAL - f.OFF)
        elif "VAL" in written and f.SET:
            f.OFF = f.VAL - f.DVAL
            f.RBV = f.DRBV + f.OFF
        elif "VAL" in written:
            self._go(f.VAL - f.OFF)
        elif "DVAL" in written:
            self._go(f.DVAL)
        elif "RVAL" in written:
            self._go(f.RVAL * f.MRES)
        elif f.DMOV:
            # Told to go where it is: the real record says busy and done at once.
            f.DMOV = 0
            self.post()
            f.DMOV = 1
        self.post()

    def _go(self, dial: float) -> None:
        f = self.fields
        if f.SET:
            # Calibration: the motor is declared to be there, nothing moves.
            f.DRBV, f.DVAL = dial, dial
            f.RBV = f.VAL = dial + f.OFF
            f.RVAL = f.RRBV = round(dial / f.MRES)
            return
        unlimited = f.DLLM == f.DHLM == 0
        f.LVIO = int(not (unlimited or f.LLM <= dial + f.OFF <= f.HLM))
        if f.LVIO:
            f.VAL, f.DVAL = f.RBV, f.DRBV
            f.RVAL = f.RRBV
            return
        f.DVAL, f.VAL, f.RVAL = dial, dial + f.OFF, round(dial / f.MRES)
        f.DMOV, f.MOVN, f.TDIR = 0, 1, int(dial > f.DRBV)
        self.run += 1
        threading.Thread(target=self._move, args=(self.run, dial), daemon=True).start()

    def _move(self, run: int, target: float) -> None:
        step = 0.02
        while True:
            time.sleep(step)
            _core.dbScanLock(self.address)
            try:
                f = self.fields
                if run != self.run:
                    return
                left = target - f.DRBV
                f.DRBV += math.copysign(min(abs(left), f.VELO * step), left)
                arrived = abs(target - f.DRBV) < 1e-9
                if arrived:
                    f.DRBV, f.DMOV, f.MOVN = target, 1, 0
                f.RBV, f.RRBV = f.DRBV + f.OFF, round(f.DRBV / f.MRES)
                self.post()
                if arrived:
                    _core.recGblFwdLink(self.address)
                    return
            finally:
                _core.dbScanUnlock(self.address)

    def post(self) -> None:
        """Tell the subscribers of each field that differs from what they were told last."""
        _core.recGblGetTimeStamp(self.address)
        _core.recGblResetAlarms(self.address)
        for name, _ in _Fields._fields_:
            value = getattr(self.fields, name)
            if value != self.posted[name]:
                self.posted[name] = value
                where = self.address + _fields_offset + getattr(_Fields, name).offset
                _core.db_post_events(self.address, where, _DBE_VALUE_LOG)


@_SizeOffset
def _size_offset(pointer):  # type: ignore[no-untyped-def]
    record_type = pointer.contents
    for index in range(record_type.no_fields):
        description = record_type.descriptions[index].contents
        common = _common.get(description.name)
        if common:
            description.offset, description.size = common
        else:
            place = getattr(_Fields, description.name.decode())
            description.offset, description.size = _fields_offset + place.offset, place.size
    record_type.rec_size = _fields_offset + ctypes.sizeof(_Fields)
    return 0


@_InitRecord
def _init_record(address, when):  # type: ignore[no-untyped-def]
    if when == 0:
        _motors[address] = _Motor(address)
        udf, _ = _common[b"UDF"]
        ctypes.c_ubyte.from_address(address + udf).value = 0
        for name in (b"STAT", b"SEVR"):
            ctypes.c_uint16.from_address(address + _common[name][0]).value = 0
    return 0


@_Process
def _process(address):  # type: ignore[no-untyped-def]
    pact = ctypes.c_ubyte.from_address(address + _common[b"PACT"][0])
    pact.value = 1
    motor = _motors[address]
    motor.process()
    if motor.fields.DMOV:
        _core.recGblFwdLink(address)
    pact.value = 0
    return 0


@_GetControl
def _get_control(address, limits):  # type: ignore[no-untyped-def]
    # A dbAddr begins with the address of the record.
    fields = _motors[ctypes.c_void_p.from_address(address).value].fields
    limits[0], limits[1] = fields.HLM, fields.LLM
    return 0


_support = _Support(
    number=17, init_record=_init_record, process=_process, get_control_double=_get_control
)
_location = _Location(ctypes.pointer(_support), _size_offset)


def _definition() -> str:
    def field(name: str, kind: str, initial: object) -> str:
        passive = " pp(TRUE)" if name in _STARTS_PROCESSING else ""
        return f'    field({name}, {kind}) {{ prompt("{name}") initial("{initial}"){passive} }}\n'

    def menu(name: str, choices: tuple[str, ...]) -> str:
        listed = "".join(f'choice(motor{name}_{text}, "{text}") ' for text in choices)
        return f"menu(motor{name}) {{ {listed}}}\n"

    return (
        "".join(menu(name, choices) for name, choices in _MENUS.items())
        + 'recordtype(motor) {\n    include "dbCommon.dbd"\n'
        + "".join(field(name, "DBF_DOUBLE", value) for name, value in _DOUBLES.items())
        + "".join(field(name, "DBF_LONG", value) for name, value in _LONGS.items())
        + "".join(field(name, "DBF_SHORT", value) for name, value in _SHORTS.items())
        + "".join(
            f'    field({name}, DBF_MENU) {{ prompt("{name}") menu(motor{name})'
            f"{' pp(TRUE)' if name in _STARTS_PROCESSING else ''} }}\n"
            for name in _MENUS
        )
        + "".join(
            f'    field({name}, DBF_STRING) {{ prompt("{name}") initial("{text}") size(16) }}\n'
            for name, text in _STRINGS.items()
        )
        + "}\n"
    )


def register() -> None:
    """Make the record type known; call it after base.dbd was loaded and registered."""
    global _fields_offset
    base = _Base.from_address(ioc.pdbbase.value)
    node = base.record_types.node.next
    while node:
        record_type = _RecordType.from_address(node)
        if record_type.name == b"ao":
            break
        node = record_type.node.next
    for index in range(record_type.no_fields):
        description = record_type.descriptions[index].contents
        if description.name == b"VAL":
            _fields_offset = (description.offset + 7) // 8 * 8
            break
        _common[description.name] = (description.offset, description.size)

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "motor.dbd")
        with open(path, "w", encoding="ascii") as file:
            file.write(_definition())
        if ioc.dbLoadDatabase(path.encode(), ioc.DEFAULT_DBD_PATH.encode(), None):
            raise SystemExit("the motor record could not be loaded")
    names = (ctypes.c_char_p * 1)(b"motor")
    _core.registerRecordTypes(ioc.pdbbase, 1, names, ctypes.byref(_location))
