"""The rooms behind `cachannel.ca`: constants, texts, handles, synchronous groups."""
