from cachannel.epicsMotor import epicsMotor as epicsMotor
from cachannel.epicsMotor import epicsMotorException as epicsMotorException
