from cachannel import ca as ca
from cachannel.channel import CaChannel as CaChannel
from cachannel.epicsPV import (
    callBack as callBack,
    epicsPV as epicsPV,
    getCallback as getCallback,
    putCallBack as putCallBack,
)
