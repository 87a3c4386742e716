from cachannel.epicsMotor import (
    epicsMotor as epicsMotor,
    epicsMotorException as epicsMotorException,
)
