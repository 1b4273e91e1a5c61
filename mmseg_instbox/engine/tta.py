"""Adds test-time augmentation to a config."""
from mmengine.config import Config
from mmengine.logging import print_log

from ..errors import InvalidInputError


def use_tta(cfg: Config) -> None:
    """Test with several views of each image, as mmseg's ``tools/test.py --tta`` does.

    ``cfg.tta_model`` and ``cfg.tta_pipeline`` are used. A config without the former gets
    ``InstBoxTTAModel``, one without the latter :func:`augmented_pipeline` of its test pipeline.

    Raises:
        InvalidInputError: The test data set has no pipeline of its own, or the pipeline does not
            allow it.
    """
    dataset = cfg.test_dataloader.dataset
    if 'pipeline' not in dataset:
        raise InvalidInputError('--tta replaces the pipeline of test_dataloader.dataset, but its '
                                f'{dataset.get("type")} has none: test the data sets that it wraps '
                                'one by one.')
    pipeline = cfg.get('tta_pipeline')
    if pipeline is None:
        pipeline = augmented_pipeline(dataset.pipeline)
        print_log('--tta: the config has no tta_pipeline; each image of its test pipeline and its '
                  'mirror image are taken.', 'current')
    dataset.pipeline = pipeline
    cfg.model = dict(cfg.get('tta_model') or dict(type='InstBoxTTAModel'), module=cfg.model)


def augmented_pipeline(pipeline: list[dict], ratios: tuple[float, ...] = (1.0, )) -> list[dict]:
    """A test pipeline that gives every image at each scale as it is and mirrored.

    By default there is one scale: on photographs in VOC's layout mirroring improved the instances,
    more scales improved the categories only.

    Args:
        pipeline: A plain test pipeline, annotations loaded after resizing.
        ratios: What the scale of its ``Resize`` is multiplied by; without ``Resize``, the image's.

    Returns:
        list[dict]: The pipeline with ``TestTimeAug``, ``2 * len(ratios)`` views.

    Raises:
        InvalidInputError: Annotations are loaded before the image is resized, so that they would be
            resized and mirrored with it.
    """
    types = [transform['type'] for transform in pipeline]
    loader = next((i for i, name in enumerate(types) if 'Annotations' in name), len(types) - 1)
    if 'Resize' in types:
        position = types.index('Resize')
        resize, after = pipeline[position], pipeline[position + 1:]
    else:
        position, after = loader, pipeline[loader:]
        resize = dict(type='Resize', scale_factor=1.0, keep_ratio=True)
    if position > loader:
        raise InvalidInputError('the test pipeline loads annotations before it resizes the image; '
                                '--tta needs them after, at original size: move Resize up, or give '
                                'a tta_pipeline in the config.')
    scales = [_scaled(resize, ratio) for ratio in ratios]
    flips = [dict(type='RandomFlip', prob=prob, direction='horizontal') for prob in (0., 1.)]
    augmentation = dict(type='TestTimeAug', transforms=[scales, flips, *([t] for t in after)])
    return [*pipeline[:position], augmentation]


def _scaled(resize: dict, ratio: float) -> dict:
    """A ``Resize`` to ``ratio`` times the scale."""
    if resize.get('scale') is not None:
        scale = resize['scale']
        scale = (scale, scale) if isinstance(scale, int) else scale
        return dict(resize, scale=tuple(round(side * ratio) for side in scale))
    factor = resize['scale_factor']
    factor = factor * ratio if isinstance(factor, int | float) else tuple(
        part * ratio for part in factor)
    return dict(resize, scale_factor=factor)
