"""The import name of CaChannel's `epicsMotor` module; everything is `cachannel.epicsMotor`."""

import time

import epicsPV

from cachannel.epicsMotor import epicsMotor, epicsMotorException

__all__ = ["epicsMotor", "epicsMotorException", "epicsPV", "time"]

epicsMotor.__module__ = epicsMotorException.__module__ = __name__
epicsMotor.PVProperty.__module__ = __name__
