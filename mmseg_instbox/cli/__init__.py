"""The command ``instbox``: one module per subcommand, thin over the functions behind ``tools/``.

Modules import only click at the top, so that ``instbox --help`` starts fast; functions import what
a command needs when it runs.
"""
