from cachannel.ca import *
from cachannel.ca import HAS_NUMPY as HAS_NUMPY
