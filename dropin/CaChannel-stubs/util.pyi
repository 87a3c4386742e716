from cachannel.util import caget as caget
from cachannel.util import cainfo as cainfo
from cachannel.util import camonitor as camonitor
from cachannel.util import caput as caput
