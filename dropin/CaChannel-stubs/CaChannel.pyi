from cachannel import ca as ca
from cachannel.channel import CaChannel as CaChannel, CaChannelException as CaChannelException
