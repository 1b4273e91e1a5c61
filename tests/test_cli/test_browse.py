def test_writes_the_pictures_asked_for(succeed, tiny_config, tmp_path):
    result = succeed('browse', tiny_config, '--out', tmp_path / 'out', '--number', 2)
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == [
        '0000_000.jpg', '0001_001.jpg']
    assert f'2 drawings are in {tmp_path / "out"}' in result.output


def test_split_seed_and_settings_count(succeed, tiny_config, tmp_path):
    succeed('browse', tiny_config, '--out', tmp_path, '--split', 'val', '--seed', 3, '--number', 1,
            '--cfg-options', 'val_dataloader.dataset.ann_file=ImageSets/Segmentation/train.txt')
    assert [path.name for path in tmp_path.iterdir()] == ['0000_000.jpg']


def test_mistakes_end_with_a_sentence(fails, tiny_config, tmp_path):
    assert '--out DIR' in fails('browse', tiny_config, exit_code=2)
    fails('browse', tiny_config, '--out', tmp_path, '--number', 0, exit_code=2)
    fails('browse', tiny_config, '--out', tmp_path, '--split', 'dev', exit_code=2)
    assert 'missing.py' in fails('browse', tmp_path / 'missing.py', '--out', tmp_path)
    sentence = fails('browse', tiny_config, '--out', tmp_path, '--cfg-options',
                     'train_dataloader.dataset.data_root=/nowhere')
    assert '/nowhere' in sentence and 'no such folder' in sentence


def test_help_has_examples(succeed):
    text = succeed('browse', '--help').output
    assert 'instbox browse my_config.py --out samples' in text and '[default:' in text
