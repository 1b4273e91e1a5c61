"""The command ``instbox``: one module for each subcommand, and ``support`` for what they share.

Modules here import no large package when they are loaded, so that ``instbox --help`` answers at
once; what a command needs is imported when it runs.
"""
