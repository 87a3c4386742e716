from cachannel import ca as ca
from cachannel.channel import CaChannel as CaChannel
from cachannel.channel import CaChannelException as CaChannelException
