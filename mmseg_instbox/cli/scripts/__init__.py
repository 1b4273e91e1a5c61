"""What the scripts in ``tools/`` share with each other and with the commands."""
