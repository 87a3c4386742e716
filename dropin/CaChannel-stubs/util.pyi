from cachannel.util import caget as caget, cainfo as cainfo, camonitor as camonitor, caput as caput
