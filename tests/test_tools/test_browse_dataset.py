def test_writes_the_pictures_of_the_command(run_tool, tiny_config, tmp_path):
    done = run_tool('analysis_tools/browse_dataset.py', tiny_config, '--output-dir', tmp_path,
                    '--number', 1)
    assert done.returncode == 0, done.stdout[-4000:]
    assert [path.name for path in tmp_path.iterdir()] == ['0000_000.jpg']
