"""The command ``instbox``: one module a subcommand, thin over the functions behind ``tools/``.

Modules here import nothing heavy when they are loaded, so that ``instbox --help`` answers at once;
what a command needs is imported when it runs.
"""
