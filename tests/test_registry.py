def test_names_are_known_to_a_process_that_has_imported_nothing_else(run_fresh):
    code = ('from mmseg_instbox.registry import registered_names; assert '
            '{"BN", "MobileNetV2", "InstBoxSegmentor"} <= registered_names()["mmseg_instbox"]')
    done = run_fresh(code)
    assert done.returncode == 0, done.stderr
