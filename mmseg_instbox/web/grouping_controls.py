"""The sliders of the page: options of the model's grouper that can be changed."""
from typing import Any, NamedTuple


class Control(NamedTuple):
    """A slider: ``name`` of the grouper's option, its words for the user, range and default."""
    name: str
    label: str
    info: str
    minimum: float
    maximum: float
    step: float
    default: float


_KNOWN = (
    ('min_gain', 'Evidence an object needs', 'Higher: fewer, surer objects. Lower: small and '
     'hidden ones, too.', 0, 0.6, 0.01),
    ('merge_iou', 'Merge boxes above overlap', 'Candidates whose boxes overlap more than this are '
     'one object.', 0.1, 1, 0.05),
    ('bin_size', 'Voting bin', 'How far apart votes for one object may fall, in sizes of its box.',
     0.05, 1, 0.05),
    ('num_smooth', 'Smoothing rounds', 'How often the boxes of neighbouring pixels are averaged.',
     0, 5, 1),
    ('num_refine', 'Refinements', 'How often boxes are refined and pixels assigned again.',
     0, 5, 1),
    ('sigma', 'Blur of the votes', 'In cells of the feature grid.', 0.5, 6, 0.5),
    ('box_iou_thr', 'Overlap of one object', 'Pixels whose boxes overlap more than this belong '
     'together.', 0.1, 0.95, 0.05),
    ('region_iou_thr', 'Overlap of regions', 'Of regions that overlap more than this the surer '
     'one stays.', 0.1, 0.95, 0.05),
)


def grouping_controls(grouper: object) -> list[Control]:
    """The sliders for a grouper: those of its options that are known here, with its own values as
    defaults; a range is widened where the default lies outside."""
    return [
        Control(name, label, info, min(low, value), max(high, value), step, value)
        for name, label, info, low, high, step in _KNOWN
        if (value := getattr(grouper, name, None)) is not None
    ]


def grouping_options(controls: list[Control], values: tuple[float, ...]) -> dict[str, Any]:
    """Options of the grouper from the sliders' values, whole numbers where the step is one."""
    return {control.name: int(value) if control.step == 1 else float(value)
            for control, value in zip(controls, values, strict=True)}
