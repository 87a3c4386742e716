"""EPICS menus: enumerations whose members have a text."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from cachannel.protocol.dbr import MAX_ENUM_STATES

__all__ = [
    "Menu",
    "aoOIF",
    "create_menu",
    "dtyp_ai",
    "dtyp_ao",
    "menuAlarmSevr",
    "menuAlarmStat",
    "menuConvert",
    "menuIvoa",
    "menuOmsl",
    "menuPini",
    "menuPriority",
    "menuScan",
    "menuSimm",
    "menuYesNo",
]


class Menu(IntEnum):
    """An EPICS menu. The value of a member is its number, its text is what clients see."""

    _text: str

    def __new__(cls, number: int, text: str) -> Menu:
        member = int.__new__(cls, number)
        member._value_ = number
        member._text = text
        return member

    @property
    def text(self) -> str:
        """What clients see."""
        return self._text

    @classmethod
    def get_string_dict(cls) -> dict[int, str]:
        """Return the texts by number."""
        return {int(member): member._text for member in cls}

    @classmethod
    def get_string_tuple(cls) -> tuple[str, ...]:
        """Return the texts in order, as many as Channel Access can carry."""
        return tuple(member._text for member in cls)[:MAX_ENUM_STATES]


def create_menu(name: str, **members: tuple[int, str]) -> Any:
    """Return a menu of members given as ``KEY=(number, text)``."""
    make: Any = Menu  # the functional form, which the class's own __new__ hides from checkers
    return make(name, members)


menuAlarmSevr = create_menu(
    "menuAlarmSevr",
    NO_ALARM=(0, "NO_ALARM"),
    MINOR=(1, "MINOR"),
    MAJOR=(2, "MAJOR"),
    INVALID=(3, "INVALID"),
)
menuAlarmStat = create_menu(
    "menuAlarmStat",
    NO_ALARM=(0, "NO_ALARM"),
    READ=(1, "READ"),
    WRITE=(2, "WRITE"),
    HIHI=(3, "HIHI"),
    HIGH=(4, "HIGH"),
    LOLO=(5, "LOLO"),
    LOW=(6, "LOW"),
    STATE=(7, "STATE"),
    COS=(8, "COS"),
    COMM=(9, "COMM"),
    TIMEOUT=(10, "TIMEOUT"),
    HWLIMIT=(11, "HWLIMIT"),
    CALC=(12, "CALC"),
    SCAN=(13, "SCAN"),
    LINK=(14, "LINK"),
    SOFT=(15, "SOFT"),
    BAD_SUB=(16, "BAD_SUB"),
    UDF=(17, "UDF"),
    DISABLE=(18, "DISABLE"),
    SIMM=(19, "SIMM"),
    READ_ACCESS=(20, "READ_ACCESS"),
    WRITE_ACCESS=(21, "WRITE_ACCESS"),
)
menuConvert = create_menu(
    "menuConvert",
    NO_CONVERSION=(0, "NO CONVERSION"),
    SLOPE=(1, "SLOPE"),
    LINEAR=(2, "LINEAR"),
    typeKdegF=(3, "typeKdegF"),
    typeKdegC=(4, "typeKdegC"),
    typeJdegF=(5, "typeJdegF"),
    typeJdegC=(6, "typeJdegC"),
    typeEdegF=(7, "typeEdegF(ixe only)"),
    typeEdegC=(8, "typeEdegC(ixe only)"),
    typeTdegF=(9, "typeTdegF"),
    typeTdegC=(10, "typeTdegC"),
    typeRdegF=(11, "typeRdegF"),
    typeRdegC=(12, "typeRdegC"),
    typeSdegF=(13, "typeSdegF"),
    typeSdegC=(14, "typeSdegC"),
)
menuIvoa = create_menu(
    "menuIvoa",
    Continue_normally=(0, "Continue normally"),
    Don_t_drive_outputs=(1, "Don't drive outputs"),
    Set_output_to_IVOV=(2, "Set output to IVOV"),
)
menuOmsl = create_menu(
    "menuOmsl",
    supervisory=(0, "supervisory"),
    closed_loop=(1, "closed_loop"),
)
menuPini = create_menu(
    "menuPini",
    NO=(0, "NO"),
    YES=(1, "YES"),
    RUN=(2, "RUN"),
    RUNNING=(3, "RUNNING"),
    PAUSE=(4, "PAUSE"),
    PAUSED=(5, "PAUSED"),
)
menuPriority = create_menu(
    "menuPriority",
    LOW=(0, "LOW"),
    MEDIUM=(1, "MEDIUM"),
    HIGH=(2, "HIGH"),
)
menuScan = create_menu(
    "menuScan",
    Passive=(0, "Passive"),
    Event=(1, "Event"),
    I_O_Intr=(2, "I/O Intr"),
    scan_10_second=(3, "10 second"),
    scan_5_second=(4, "5 second"),
    scan_2_second=(5, "2 second"),
    scan_1_second=(6, "1 second"),
    scan_point_5_second=(7, ".5 second"),
    scan_point_2_second=(8, ".2 second"),
    scan_point_1_second=(9, ".1 second"),
)
menuSimm = create_menu(
    "menuSimm",
    NO=(0, "NO"),
    YES=(1, "YES"),
    RAW=(2, "RAW"),
)
menuYesNo = create_menu(
    "menuYesNo",
    NO=(0, "NO"),
    YES=(1, "YES"),
)
aoOIF = create_menu(
    "aoOIF",
    Full=(0, "Full"),
    Incremental=(1, "Incremental"),
)
dtyp_ai = create_menu("dtyp_ai", soft_channel=(0, "Soft Channel"))
dtyp_ao = create_menu("dtyp_ao", soft_channel=(0, "Soft Channel"))
