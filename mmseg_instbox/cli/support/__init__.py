"""What the commands, and the scripts in ``tools/``, have in common."""
