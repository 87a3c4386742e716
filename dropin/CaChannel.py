from cachannel import ca
from cachannel.channel import CaChannel, CaChannelException
__version__ = "3.2.0"
USE_NUMPY = False
