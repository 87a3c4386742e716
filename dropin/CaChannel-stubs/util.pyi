from cachannel import ca as ca
from cachannel.channel import CaChannel as CaChannel
from cachannel.util import caget as caget, cainfo as cainfo, camonitor as camonitor, caput as caput
