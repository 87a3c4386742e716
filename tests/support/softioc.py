"""A soft IOC with access security, an IOC shell on standard input, and a motor record.

Run it with ``python softioc.py -d file.db [-d ...] [--acf file.acf] [--motor]``.  It is built on
the minimal IOC of ``epicscorelibs``.  Each line of standard input is one IOC shell command; the
line ``iocsh: done`` on standard error answers it.  End of input ends the IOC, so no IOC outlives
the test process that holds the other end of the pipe.
"""

import argparse
import faulthandler
import os
import sys

from epicscorelibs import ioc


def tell(text: str) -> None:
    """Write one line to standard error at once."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def main() -> None:
    """Load what the command line asks for, then obey standard input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-d", "--database", action="append", default=[])
    parser.add_argument("--acf", help="access security configuration file")
    parser.add_argument("--motor", action="store_true", help="know the record type 'motor'")
    options = parser.parse_args()
    faulthandler.enable()

    ioc.iocshRegisterCommon()
    if ioc.dbLoadDatabase(b"base.dbd", ioc.DEFAULT_DBD_PATH.encode(), None):
        raise SystemExit("base.dbd could not be loaded")
    if ioc.registerRecordDeviceDriver(ioc.pdbbase):
        raise SystemExit("record support could not be registered")
    if options.motor:
        import motor_record

        motor_record.register()
    for database in options.database:
        if ioc.dbLoadRecords(os.fsencode(database), b""):
            raise SystemExit(f"{database} could not be loaded")
    if options.acf:
        ioc.ioc(f'asSetFilename("{options.acf}")')
    if ioc.iocInit():
        raise SystemExit("iocInit failed")
    tell("IOC Running")
    for line in sys.stdin:
        ioc.ioc(line.rstrip("\n"))
        tell("iocsh: done")


if __name__ == "__main__":
    main()
