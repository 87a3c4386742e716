"""The public names of ``CaChannel.ca``, for scripts that say ``import ca``."""

from cachannel._shadows import warn_once as _warn_once
from cachannel.ca import *
from cachannel.ca import HAS_NUMPY as HAS_NUMPY, IntEnum as IntEnum, os as os, warnings as warnings

_warn_once(stacklevel=2)
