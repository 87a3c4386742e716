"""What the three clients share: responses, exceptions, channels and subscriptions.

`cachannel.sync`, `cachannel.threading` and `cachannel.asyncio` are thin: how to wait, and on
which thread user code runs, is theirs; everything else is here.
"""
