"""``python -m mmseg_instbox.cli``: the command ``instbox``, for torchrun and uninstalled copies."""
from .main import main

if __name__ == '__main__':
    main()
