"""IOCs in Python."""
