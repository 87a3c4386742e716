"""Whole programs, one per package: import it, read one PV, print the import time and the value.

They are run as scripts and timed from outside, from the start of the interpreter to its end.
"""
