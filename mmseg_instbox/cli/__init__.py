"""The command ``instbox``: one module for each subcommand, and ``scripts`` for ``tools/``.

Modules here import no large package when they are loaded, so that ``instbox --help`` answers at
once; what a command needs is imported when it runs.
"""
