# What type checkers know of the import name CaChannel: everything is cachannel's.
from cachannel import ca as ca
from cachannel.channel import CaChannel as CaChannel, CaChannelException as CaChannelException

__version__: str
version_info: tuple[int, int, str]
USE_NUMPY: bool
