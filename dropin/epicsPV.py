"""The import name of CaChannel's `epicsPV` module; everything is `cachannel.epicsPV`."""

import warnings as _warnings

from CaChannel import CaChannel, ca

from cachannel.epicsPV import callBack, epicsPV, getCallback, putCallBack

if not issubclass(epicsPV, CaChannel):
    _warnings.warn(
        "the CaChannel that is imported is not that of cachannel-cffi, whose files it has in part; "
        "do 'pip uninstall CaChannel', then 'pip install --force-reinstall cachannel-cffi'",
        RuntimeWarning,
        stacklevel=2,
    )

__all__ = ["CaChannel", "ca", "callBack", "epicsPV", "getCallback", "putCallBack"]

callBack.__module__ = epicsPV.__module__ = __name__
