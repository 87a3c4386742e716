# The constants and texts by themselves: type checkers read no starred lists in __all__.
from cachannel._ca.constants import *
from cachannel._ca.texts import *
from cachannel.ca import *
from cachannel.ca import HAS_NUMPY as HAS_NUMPY
