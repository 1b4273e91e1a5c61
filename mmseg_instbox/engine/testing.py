"""Evaluates a checkpoint: prepares the config, with what the command line asks for, and runs it."""
import os
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.logging import print_log

from ..errors import InvalidInputError
from ..utils import write_json
from ..visualization.utils import check_display
from .checkpoints import read_checkpoint
from .model_loading import load_weights
from .run_config import adapt_to_cpu, read_run_config, start_runner
from .start_weights import check_weights


def testing_config(config: str, checkpoint: str, *, out: str | None = None, tta: bool = False,
                   show: bool = False, show_dir: str | None = None, wait_time: float = 2,
                   allow_pickle: bool = False, **settings) -> Config:
    """The config of an evaluation.

    Args:
        config: A config file, or a name in the model index.
        checkpoint: The weights.
        out: Directory for a dump of the category probabilities and boxes, which
            ``tools/analysis_tools`` read.
        tta: Augment each image: see :func:`use_tta`.
        show: Open a window for each prediction.
        show_dir: Directory for drawings of the predictions.
        wait_time: Seconds that a window stays.
        allow_pickle: Trust the checkpoint: see :func:`check_weights`.
        **settings: ``work_dir``, ``cfg_options`` and ``launcher`` of :func:`read_run_config`.

    Raises:
        MissingFileError: The config or the checkpoint is missing.
        InvalidInputError: The settings cannot be met.
    """
    cfg = read_run_config(config, **settings)
    cfg.load_from = checkpoint
    cfg.resume = False
    check_weights(cfg, allow_pickle)
    if show:
        check_display()
    if show_dir or show:
        draw_predictions(cfg, show_dir, show, wait_time)
    if out is not None:
        dump_boxes(cfg, out)
    if tta:
        use_tta(cfg)
    adapt_to_cpu(cfg)
    return cfg


def draw_predictions(cfg: Config, show_dir: str | None, show: bool, wait_time: float) -> None:
    """Turn on the drawing of predictions while testing, if the config has the hook for it."""
    hook = cfg.get('default_hooks', {}).get('visualization')
    if hook is None:
        raise InvalidInputError('--show and --show-dir need a hook in the config: default_hooks = '
                                "dict(visualization=dict(type='SegVisualizationHook'), ...).")
    hook.update(draw=True, show=show, wait_time=wait_time)
    if show_dir:
        backend = dict(type='LocalVisBackend', img_save_dir=os.path.abspath(show_dir))
        others = [b for b in cfg.visualizer.get('vis_backends') or [] if b.type != backend['type']]
        cfg.visualizer.vis_backends = [*others, backend]


def dump_boxes(cfg: Config, out_dir: str) -> None:
    """Let a test also dump the category probabilities and boxes of each image to a directory."""
    if Path(out_dir).is_file():
        raise InvalidInputError(f'--out {out_dir} is a file: give a directory for the dump.')
    cfg.model.test_cfg = {'mode': 'whole', **(cfg.model.get('test_cfg') or {}), 'keep_boxes': True}
    metrics = cfg.test_evaluator
    cfg.test_evaluator = [
        *([metrics] if isinstance(metrics, dict) else metrics),
        dict(type='DumpPixelBoxes', out_dir=out_dir, config=str(cfg.filename),
             checkpoint=str(cfg.load_from))]


def use_tta(cfg: Config) -> None:
    """Test with several views of each image, as mmseg's ``tools/test.py --tta`` does.

    ``cfg.tta_model`` and ``cfg.tta_pipeline`` are used. A config without the former gets
    ``InstBoxTTAModel``, one without the latter :func:`mirrored_pipeline` of its test pipeline.
    """
    dataset = cfg.test_dataloader.dataset
    if 'pipeline' not in dataset:
        raise InvalidInputError('--tta replaces the pipeline of test_dataloader.dataset, but its '
                                f'{dataset.get("type")} has none: test the data sets that it wraps '
                                'one by one.')
    pipeline = cfg.get('tta_pipeline')
    if pipeline is None:
        pipeline = mirrored_pipeline(dataset.pipeline)
        print_log('--tta: the config has no tta_pipeline; each image of its test pipeline and its '
                  'mirror image are taken.', 'current')
    dataset.pipeline = pipeline
    cfg.model = dict(cfg.get('tta_model') or dict(type='InstBoxTTAModel'), module=cfg.model)


def mirrored_pipeline(pipeline: list[dict]) -> list[dict]:
    """A plain test pipeline with ``TestTimeAug``: every image as it is and mirrored.

    There is one scale: on photographs in VOC's layout mirroring improved the instances, more scales
    improved the categories only. Annotations that are loaded before the image is resized would be
    resized and mirrored with it, which InvalidInputError says.
    """
    types = [transform['type'] for transform in pipeline]
    loader = next((i for i, name in enumerate(types) if 'Annotations' in name), len(types) - 1)
    after = types.index('Resize') + 1 if 'Resize' in types else loader
    if after > loader:
        raise InvalidInputError('the test pipeline loads annotations before it resizes the image; '
                                '--tta needs them after, at original size: move Resize up, or give '
                                'a tta_pipeline in the config.')
    flips = [dict(type='RandomFlip', prob=prob, direction='horizontal') for prob in (0., 1.)]
    augmentation = dict(type='TestTimeAug', transforms=[flips, *([t] for t in pipeline[after:])])
    return [*pipeline[:after], augmentation]


def run_testing(cfg: Config, allow_pickle: bool = False) -> dict[str, float]:
    """Evaluate with a config of :func:`testing_config`, which documents ``allow_pickle``.

    Returns:
        dict: The metrics, which are also in ``metrics.json`` of the work directory.

    Raises:
        InvalidInputError: The checkpoint is of another architecture; MMEngine would only warn, and
            evaluate random weights.
    """
    runner = start_runner(cfg)
    model = runner.model
    while hasattr(model, 'module'):  # of several processes, or of test-time augmentation
        model = model.module
    load_weights(model, read_checkpoint(cfg.load_from, allow_pickle), cfg.load_from)
    metrics = runner.test()
    if is_main_process():
        path = write_json(metrics, Path(runner.work_dir) / 'metrics.json')
        print_log(f'The metrics are in {path}', 'current')
    return metrics
