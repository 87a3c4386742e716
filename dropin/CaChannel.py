"""The import name of CaChannel 3.2, for scripts written for it.

Everything here is `cachannel`: the classes, the module ``ca`` and the flag ``USE_NUMPY`` are the
same objects under both names.
"""

# ruff: noqa: E402 - the order of the imports at the end matters

import sys as _sys
import types as _types

import cachannel as _cachannel
import cachannel._dropin as _dropin

# The submodules are files of that folder; see there for the reason.
__path__ = list(_dropin.__path__)

__version__ = "3.2.0"
version_info = (3, 2, "0")

# Listed by dir() and the star import; what is read and assigned is the property below.
USE_NUMPY = False


class _Package(_types.ModuleType):
    """A module whose USE_NUMPY is that of `cachannel`, whichever name it is assigned to."""

    @property
    def USE_NUMPY(self) -> bool:
        return _cachannel.USE_NUMPY

    @USE_NUMPY.setter
    def USE_NUMPY(self, value: bool) -> None:
        _cachannel.USE_NUMPY = value


_sys.modules[__name__].__class__ = _Package

import CaChannel.ca
from CaChannel import _ca as _ca

# Last: each import of the submodule that has the name of the class makes that name the module.
from CaChannel.CaChannel import CaChannel as CaChannel, CaChannelException as CaChannelException
