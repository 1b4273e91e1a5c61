import pytest


def test_writes_the_pictures_of_the_command(run_main, tiny_config, tmp_path):
    with pytest.raises(SystemExit, match='0'):
        run_main('analysis_tools/browse_dataset.py', tiny_config, '--output-dir', tmp_path,
                 '--number', 1)
    assert [path.name for path in tmp_path.iterdir()] == ['0000_000.jpg']
