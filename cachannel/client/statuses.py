"""The CA statuses that the clients tell apart, and other numbers of the C boundary."""

from typing import Final

NORMAL: Final = 1
TIMEOUT: Final = 80
BADTYPE: Final = 114
PUTFAIL: Final = 160
DISCONN: Final = 192
DBLCHNL: Final = 200
NORDACCESS: Final = 368
NOWTACCESS: Final = 376
BADCHID: Final = 410
CHANDESTROY: Final = 440
DISCONNCHID: Final = 106

LOST: Final = frozenset((DISCONN, CHANDESTROY, BADCHID, DISCONNCHID))
"""Statuses of a request whose channel went away; it may be tried again."""

ATTEMPTS: Final = 4
"""How often a request is sent when its channel goes away under it."""

DROPPED: Final = 8
"""Kind of a record: the channel was closed before the answer came."""
