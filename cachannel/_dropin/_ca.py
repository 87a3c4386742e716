"""``CaChannel._ca``, the compiled part of CaChannel 3.2: the module `cachannel.ca` itself."""

import sys

from cachannel import ca

sys.modules[__name__] = ca
