"""``CaChannel.ca``: the module `cachannel.ca` itself."""

import sys

from cachannel import ca

sys.modules[__name__] = ca
