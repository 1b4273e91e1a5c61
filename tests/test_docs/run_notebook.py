"""Runs the code cells of a notebook in an IPython shell: FOLDER to run in, NOTEBOOK."""
import json
import os
import sys
from pathlib import Path

from IPython.core.interactiveshell import InteractiveShell

folder, notebook = sys.argv[1:]
os.chdir(folder)
shell = InteractiveShell.instance()
for cell in json.loads(Path(notebook).read_text())['cells']:
    if cell['cell_type'] == 'code':
        shell.run_cell(''.join(cell['source'])).raise_error()
