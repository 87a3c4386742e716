"""Status codes under the names that response code uses, with everything that is known about each.

They live apart from `channel_types` because servers have no use for them, and two hundred members
of enumerations count when an IOC starts.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Final, NamedTuple

from .enums import ECA, eca_message

__all__ = ["CASeverity", "CAStatus", "CAStatusCode", "ca_status"]


class CASeverity(IntEnum):
    """Severity of a status code (caerr.h); ``str()`` is the member's name."""

    INFO = 3
    ERROR = 2
    SUCCESS = 1
    WARNING = 0
    SEVERE = 4
    FATAL = 6

    def __str__(self) -> str:
        return self.name


class CAStatusCode(NamedTuple):
    """All that is known about a status code.

    Attributes:
        name: such as ``'ECA_NORMAL'``.
        code: the message number, 0 to 60.
        code_with_severity: the number on the wire, ``code << 3 | severity``.
        severity: a `CASeverity`.
        success: 1 for SUCCESS and INFO codes, else 0.
        defunct: whether today's libca and servers no longer produce it.
        description: libca's text.
    """

    name: str
    code: int
    code_with_severity: int
    severity: CASeverity
    success: int
    defunct: bool
    description: str


def _code(member: ECA, *, defunct: bool = False) -> CAStatusCode:
    name = "16KARRAYCLIENT" if member is ECA.ARRAY16KCLIENT else member.name
    return CAStatusCode(
        f"ECA_{name}",
        member >> 3,
        int(member),
        CASeverity(member & 7),
        member & 1,
        defunct,
        eca_message(member),
    )


class CAStatus(Enum):
    """Status codes (caerr.h); each value is a `CAStatusCode`."""

    ECA_NORMAL = _code(ECA.NORMAL)
    ECA_MAXIOC = _code(ECA.MAXIOC, defunct=True)
    ECA_UKNHOST = _code(ECA.UKNHOST, defunct=True)
    ECA_UKNSERV = _code(ECA.UKNSERV, defunct=True)
    ECA_SOCK = _code(ECA.SOCK, defunct=True)
    ECA_CONN = _code(ECA.CONN, defunct=True)
    ECA_ALLOCMEM = _code(ECA.ALLOCMEM)
    ECA_UKNCHAN = _code(ECA.UKNCHAN, defunct=True)
    ECA_UKNFIELD = _code(ECA.UKNFIELD, defunct=True)
    ECA_TOLARGE = _code(ECA.TOLARGE)
    ECA_TIMEOUT = _code(ECA.TIMEOUT)
    ECA_NOSUPPORT = _code(ECA.NOSUPPORT, defunct=True)
    ECA_STRTOBIG = _code(ECA.STRTOBIG, defunct=True)
    ECA_DISCONNCHID = _code(ECA.DISCONNCHID, defunct=True)
    ECA_BADTYPE = _code(ECA.BADTYPE)
    ECA_CHIDNOTFND = _code(ECA.CHIDNOTFND, defunct=True)
    ECA_CHIDRETRY = _code(ECA.CHIDRETRY, defunct=True)
    ECA_INTERNAL = _code(ECA.INTERNAL)
    ECA_DBLCLFAIL = _code(ECA.DBLCLFAIL, defunct=True)
    ECA_GETFAIL = _code(ECA.GETFAIL)
    ECA_PUTFAIL = _code(ECA.PUTFAIL)
    ECA_ADDFAIL = _code(ECA.ADDFAIL, defunct=True)
    ECA_BADCOUNT = _code(ECA.BADCOUNT)
    ECA_BADSTR = _code(ECA.BADSTR)
    ECA_DISCONN = _code(ECA.DISCONN)
    ECA_DBLCHNL = _code(ECA.DBLCHNL)
    ECA_EVDISALLOW = _code(ECA.EVDISALLOW)
    ECA_BUILDGET = _code(ECA.BUILDGET, defunct=True)
    ECA_NEEDSFP = _code(ECA.NEEDSFP, defunct=True)
    ECA_OVEVFAIL = _code(ECA.OVEVFAIL, defunct=True)
    ECA_BADMONID = _code(ECA.BADMONID)
    ECA_NEWADDR = _code(ECA.NEWADDR, defunct=True)
    ECA_NEWCONN = _code(ECA.NEWCONN, defunct=True)
    ECA_NOCACTX = _code(ECA.NOCACTX, defunct=True)
    ECA_DEFUNCT = _code(ECA.DEFUNCT, defunct=True)
    ECA_EMPTYSTR = _code(ECA.EMPTYSTR, defunct=True)
    ECA_NOREPEATER = _code(ECA.NOREPEATER, defunct=True)
    ECA_NOCHANMSG = _code(ECA.NOCHANMSG, defunct=True)
    ECA_DLCKREST = _code(ECA.DLCKREST, defunct=True)
    ECA_SERVBEHIND = _code(ECA.SERVBEHIND, defunct=True)
    ECA_NOCAST = _code(ECA.NOCAST, defunct=True)
    ECA_BADMASK = _code(ECA.BADMASK)
    ECA_IODONE = _code(ECA.IODONE)
    ECA_IOINPROGRESS = _code(ECA.IOINPROGRESS)
    ECA_BADSYNCGRP = _code(ECA.BADSYNCGRP)
    ECA_PUTCBINPROG = _code(ECA.PUTCBINPROG)
    ECA_NORDACCESS = _code(ECA.NORDACCESS)
    ECA_NOWTACCESS = _code(ECA.NOWTACCESS)
    ECA_ANACHRONISM = _code(ECA.ANACHRONISM)
    ECA_NOSEARCHADDR = _code(ECA.NOSEARCHADDR)
    ECA_NOCONVERT = _code(ECA.NOCONVERT)
    ECA_BADCHID = _code(ECA.BADCHID)
    ECA_BADFUNCPTR = _code(ECA.BADFUNCPTR)
    ECA_ISATTACHED = _code(ECA.ISATTACHED)
    ECA_UNAVAILINSERV = _code(ECA.UNAVAILINSERV)
    ECA_CHANDESTROY = _code(ECA.CHANDESTROY)
    ECA_BADPRIORITY = _code(ECA.BADPRIORITY)
    ECA_NOTTHREADED = _code(ECA.NOTTHREADED)
    ECA_16KARRAYCLIENT = _code(ECA.ARRAY16KCLIENT)
    ECA_CONNSEQTMO = _code(ECA.CONNSEQTMO)
    ECA_UNRESPTMO = _code(ECA.UNRESPTMO)


_CA_STATUS_BY_NUMBER: Final = {s.value.code_with_severity: s.value for s in CAStatus}


def ca_status(status: int) -> CAStatusCode:
    """Return what is known about a status code as it travels (``code_with_severity``).

    An unknown code gives a tuple with the name ``'ECA_<number>'`` and libca's text for it.
    """
    known = _CA_STATUS_BY_NUMBER.get(status)
    if known is not None:
        return known
    try:
        severity = CASeverity(status & 7)
    except ValueError:  # 5 and 7 are no severities
        severity = CASeverity.FATAL
    number = status >> 3
    return CAStatusCode(
        f"ECA_{status}", number, status, severity, status & 1, False, eca_message(status)
    )
