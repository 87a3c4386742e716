"""The import name of CaChannel's `epicsPV` module; everything is `cachannel.epicsPV`."""

from CaChannel import CaChannel, ca

from cachannel._shadows import warn_once as _warn_once
from cachannel.epicsPV import callBack, epicsPV, getCallback, putCallBack

# Our file may be there while `import CaChannel` finds the folder of another distribution.
_warn_once(stacklevel=2)

__all__ = ["CaChannel", "ca", "callBack", "epicsPV", "getCallback", "putCallBack"]

callBack.__module__ = epicsPV.__module__ = __name__
