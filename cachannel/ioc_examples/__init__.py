"""IOCs to run and to read: ``python -m cachannel.ioc_examples.simple --list-pvs``."""
