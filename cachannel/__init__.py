"""EPICS Channel Access for Python: one engine over libca, and the APIs that its users know.

The layout; a part imports only parts that stand above it here:

- `protocol` is Channel Access as data, and `server` runs IOCs. Neither needs libca.
- `_native` holds the C code. `values`, `context`, `_ca` and `engine` make Python values, contexts,
  channels, requests and subscriptions of it. Together they are the engine.
- `ca`, `channel`, `epicsPV`, `epicsMotor`, `many` and `util` are the CaChannel family.
- `threading`, `sync` and `asyncio` are clients with caproto's model; `client` holds the parts that
  they share. `asyncio`, `trio` and `curio` also have the import name of the server.
- `cli` is the command ``cachannel``, and `commandline` holds commands like caproto's.

`epics_compat`, a package of its own, has pyepics' names over `engine`. CONTRIBUTING.md has the
whole map.

Names are loaded when they are first used: importing this package, or a part that does not need
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

if sys.version_info < (3, 11):  # noqa: UP036 - only pip looks at what is required
    message = (
        f"cachannel needs Python 3.11 or newer, and {sys.executable} is Python "
        f"{sys.version.split()[0]}: install cachannel-cffi with a newer Python."
    )
    raise ImportError(message, name=__name__)

__version__ = "0.1.0"

USE_NUMPY = False
"""Whether a read of several numbers returns an ndarray by default; each call looks at it."""

# The modules that hold the names of this package that are not modules themselves.
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
        if name.startswith("CaChannel"):
            # It is right here, but `import CaChannel` may find another one.
            from cachannel._shadows import warn_once

            warn_once(stacklevel=2)
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
    """Return the names that IOCs and their clients import from here, with their modules."""
    from cachannel._root_names import ROOT_NAMES

    return ROOT_NAMES


def __dir__() -> list[str]:
    # Without our own helpers and what they need.
    found = {name for name in globals() if not name.startswith("_") or name.endswith("__")}
    found -= {"Any", "TYPE_CHECKING", "annotations", "import_module", "sys"}
    return sorted({*found, *_HOMES, *_MODULES, *_names_of_ioc_code()})
