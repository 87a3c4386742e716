"""``CaChannel.util``: the module `cachannel.util` itself; run it to check its examples."""

import sys

from cachannel import util

if __name__ == "__main__":
    import doctest

    sys.exit(bool(doctest.testmod(util).failed))

sys.modules[__name__] = util
