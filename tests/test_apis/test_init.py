def test_an_import_says_nothing_about_parts_that_nobody_needs(run_fresh):
    done = run_fresh('from mmseg_instbox.apis import InstBoxInferencer, train_on_data')
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')
