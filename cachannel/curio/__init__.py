"""cachannel on curio."""
