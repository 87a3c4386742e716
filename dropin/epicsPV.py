"""The import name of CaChannel's `epicsPV` module; everything is `cachannel.epicsPV`."""

from CaChannel import CaChannel, ca

from cachannel.epicsPV import callBack, epicsPV, getCallback, putCallBack

__all__ = ["CaChannel", "ca", "callBack", "epicsPV", "getCallback", "putCallBack"]

callBack.__module__ = epicsPV.__module__ = __name__
