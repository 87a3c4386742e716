import time as time

from cachannel import epicsPV as epicsPV
from cachannel.epicsMotor import (
    epicsMotor as epicsMotor,
    epicsMotorException as epicsMotorException,
)
