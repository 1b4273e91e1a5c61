"""The commands of the pages on training, configs, evaluation and drawings run, on tiny images."""
import re
import runpy
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from mmengine.logging import MMLogger

from mmseg_instbox.cli.main import cli

DOCS = Path(__file__).resolve().parents[2] / 'docs'
PAGES = ('training', 'configs', 'evaluation', 'visualization')
CHECKPOINT = 'work_dirs/my_config/iter_2.pth'
WORDS = {'CONFIG': 'my_config.py', 'CHECKPOINT': CHECKPOINT,
         'work_dirs/my_config/iter_2000.pth': CHECKPOINT,
         'train_cfg.max_iters=500': 'train_cfg.max_iters=2'}


def commands(page: str) -> list[str]:
    """The commands of a page for this machine alone, without comments."""
    blocks = re.findall(r'```bash\n(.*?)```', (DOCS / f'{page}.md').read_text(), re.S)
    lines = [line.split('  #')[0].strip() for block in blocks
             for line in block.replace('\\\n', ' ').splitlines()]
    return [line for line in lines if line.startswith(('python tools/', 'instbox '))
            and 'calibrate.py' not in line]  # needs a model that finds something


def run(words: list[str]) -> None:
    """Run ``instbox`` or a program of ``tools/`` in this process."""
    program, *arguments = words[1:] if words[0] == 'python' else words
    if program.startswith('tools/analysis_tools/'):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, 'argv', [program, *arguments, '--workers', '1'])
            runpy.run_path(str(DOCS.parent / program), run_name='__main__')
        return
    if program != 'instbox':
        arguments.insert(0, Path(program).stem)
    result = CliRunner().invoke(cli, arguments, obj=True)
    assert result.exit_code == 0, f'{words}\n{result.output[-3000:]}'


def test_each_command_runs(tiny_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('my_config.py').write_text(
        f"_base_ = '{tiny_config}'\n"
        "test_evaluator = [dict(type='InstBoxMetric'), dict(type='InstCocoMetric')]\n")
    MMLogger.get_current_instance()  # its handler shall outlive the streams of a single command
    found = [command for page in PAGES for command in commands(page)]
    assert len(found) >= 10
    for command in found:
        run([WORDS.get(word, word) for word in shlex.split(command)])
        if '--show-dir drawings' in command:
            shutil.rmtree('drawings')  # of this command alone
    for written in ('errors/index.html', 'work_dirs/coco.segm.json', 'samples'):
        assert Path(written).exists()
