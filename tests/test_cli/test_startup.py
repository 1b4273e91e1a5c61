"""What a command hides while it runs."""
import warnings

from mmseg_instbox.cli.startup import load_package


def test_warnings_about_exif_data_are_hidden():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        load_package('errors')
        for module in ('PIL.TiffImagePlugin', 'my_data'):
            warnings.warn_explicit(f'of {module}', UserWarning, 'a.py', 1, module)
    assert [str(each.message) for each in caught] == ['of my_data']
