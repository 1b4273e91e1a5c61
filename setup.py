"""Installs mmseg_instbox.

As in every OpenMMLab package, a wheel carries configs and tools in ``mmseg_instbox/.mim``; an
editable install links them there. Benchmarks stay in the repository.
"""
import shutil
from pathlib import Path
from runpy import run_path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
CARRIED = ('configs', 'demo', 'tools', 'model-index.yml')
LEFT_OUT = ('__pycache__', 'benchmarks')


class BuildWithMim(build_py):
    """Builds the package together with its ``.mim`` directory."""

    def run(self) -> None:
        super().run()
        place = ROOT if self.editable_mode else Path(self.build_lib)
        carry(place / 'mmseg_instbox' / '.mim', self.editable_mode)


def carry(target: Path, link: bool) -> None:
    """Makes a directory of relative links to what the package carries, or of copies."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in CARRIED:
        source = ROOT / name
        if link:
            (target / name).symlink_to(Path('..', '..', name))
        elif source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns(*LEFT_OUT))
        else:
            shutil.copy2(source, target / name)


setup(
    name='mmseg_instbox',
    version=run_path(str(ROOT / 'mmseg_instbox' / 'version.py'))['__version__'],
    description='Instance segmentation from pixel boxes, for MMSegmentation',
    long_description=(ROOT / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE'],
    keywords='computer vision, instance segmentation, semantic segmentation',
    packages=find_packages(include=['mmseg_instbox', 'mmseg_instbox.*']),
    package_data={'mmseg_instbox.web': ['*.html', '*.css', '*.js']},
    cmdclass=dict(build_py=BuildWithMim),
    python_requires='>=3.10',
    install_requires=[
        'click>=8.2',
        'fsspec>=2024.1',
        'numpy>=2.0.1',
        'onedl-mmcv>=2.3.6',
        'onedl-mmdetection>=3.5.1',
        'onedl-mmengine>=0.10.12',
        'onedl-mmsegmentation>=1.4.2',
        'opencv-python>=4.10',
        'pillow>=11.3',
        'prettytable>=3',
        'pyarrow>=17',
        'pycocotools>=2.0.8',
        'pyyaml>=6',
        'rich>=14.3',
        'scipy>=1.13',
        'torch>=2.5',
        'wrapt>=1.15',
    ],
    extras_require=dict(
        demo=['gradio>=6.31,<7', 'starlette>=1.6'],
        dev=[
            'import-linter>=2.5', 'playwright>=1.40', 'pytest>=8', 'pytest-xdist>=3', 'ruff>=0.6',
            'tensorboard>=2.15'
        ],
        export=['onnx>=1.16', 'onnxruntime>=1.18', 'openvino>=2024.4'],
        ray=['ray[data]>=2.51,<2.64'],
        report=['jinja2>=3'],  # tools/analysis_tools/error_report.py
        supervision=['supervision>=0.25'],
        tflite=['tflite>=2.18'],
    ),
    entry_points=dict(console_scripts=['instbox = mmseg_instbox.cli.main:main']),
    zip_safe=False,
)
