"""``CaChannel.CaChannel``: the module with the class of the same name.

Scripts print, log and pickle the classes under this module's name, so they get it here.  Run this
module to check its examples.
"""

import sys

from cachannel import ca, channel
from cachannel.channel import CaChannel, CaChannelException

__all__ = ["CaChannel", "CaChannelException", "ca"]

if __name__ == "__main__":
    import doctest

    sys.exit(bool(doctest.testmod(channel).failed))

CaChannel.__module__ = CaChannelException.__module__ = __name__
