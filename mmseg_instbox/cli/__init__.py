"""The command ``instbox``, and what the scripts in ``tools/`` share.

Modules of commands import no large package when they are loaded, so that ``instbox --help`` answers
at once; what a command needs is imported when it runs.
"""
