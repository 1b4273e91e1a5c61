"""The command ``instbox``, and ``scripts``: what the scripts in ``tools/`` share.

Modules here import no large package when they are loaded, so that ``instbox --help`` answers at
once; what a command needs is imported when it runs.
"""
