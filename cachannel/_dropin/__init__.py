"""The submodules of the import name ``CaChannel``.

``CaChannel`` is a single file at the top level of the installation, since a folder of that name
would be the folder ``cachannel`` on file systems that ignore case. That file looks for its
submodules here, so that ``import CaChannel.util`` and ``python -m CaChannel.util`` find them as
they find those of any package.
"""
