from cachannel import ca as ca
from cachannel.channel import CaChannel as CaChannel
from cachannel.epicsPV import callBack as callBack
from cachannel.epicsPV import epicsPV as epicsPV
from cachannel.epicsPV import getCallback as getCallback
from cachannel.epicsPV import putCallBack as putCallBack
