"""Python values from DBR data and DBR data from Python values, for the CaChannel family.

`decode` reads what libca delivered, `encode` makes what libca sends. Neither calls libca.
"""
