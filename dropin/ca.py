"""The public names of ``CaChannel.ca``, for scripts that say ``import ca``."""

from cachannel.ca import *
from cachannel.ca import HAS_NUMPY as HAS_NUMPY
from cachannel.ca import IntEnum as IntEnum
from cachannel.ca import os as os
from cachannel.ca import warnings as warnings
