"""The `cachannel` command; needs the extra ``cli``."""
