"""EPICS Channel Access for Python: one engine, every API its users already know.

Names are loaded when they are first used: importing this package, or its parts that need no
libca, loads no C code.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cachannel import ca as ca, util as util
    from cachannel.channel import CaChannel as CaChannel, CaChannelException as CaChannelException
    from cachannel.context import Context as Context

__version__ = "0.1.0"

USE_NUMPY = False
"""Whether reads give several numbers as ndarrays by default; looked at by each call."""

# Where the names are that this package has besides its modules.
_HOMES = {
    "CaChannel": "cachannel.channel",
    "CaChannelException": "cachannel.channel",
    "Context": "cachannel.context",
}
_HOMES |= {
    name: module
    for module, names in {
        "cachannel.client.common": (
            "ClientException ThreadingClientException ContextDisconnectedError DeadCircuitError"
        ),
        "cachannel.client.headers": "MessageHeader ExtendedMessageHeader",
        "cachannel.client.responses": (
            "ReadNotifyResponse ReadResponse WriteNotifyResponse EventAddResponse ErrorResponse"
        ),
        "cachannel.client.requests": (
            "ReadNotifyRequest ReadRequest WriteNotifyRequest WriteRequest EventAddRequest "
            "EventCancelRequest EventsOffRequest EventsOnRequest EchoRequest"
        ),
    }.items()
    for name in names.split()
}
_MODULES = ("ca", "channel", "context", "errors", "many", "protocol", "server", "util", "values")


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    elif name in _MODULES:
        value = import_module(f"cachannel.{name}")
    elif home := _names_of_ioc_code().get(name):
        value = getattr(import_module(home), name)
    else:
        message = f"module {__name__!r} has no attribute {name!r}"
        # Python suggests a name that is like it, out of `dir` of the object.
        raise AttributeError(message, name=name, obj=sys.modules[__name__])
    globals()[name] = value
    return value


def _names_of_ioc_code() -> dict[str, str]:
    """Where the names are that IOCs and their clients import from here."""
    from cachannel._root_names import ROOT_NAMES

    return ROOT_NAMES


def __dir__() -> list[str]:
    # Without our own helpers and what they need.
    found = {name for name in globals() if not name.startswith("_") or name.endswith("__")}
    found -= {"Any", "TYPE_CHECKING", "annotations", "import_module", "sys"}
    return sorted({*found, *_HOMES, *_MODULES, *_names_of_ioc_code()})
