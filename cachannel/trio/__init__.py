"""cachannel on trio."""
