from mmseg.registry import TASK_UTILS

from mmseg_instbox.core import pixel_box_grouper

from .instance_data_grouper import InstanceDataGrouper


@TASK_UTILS.register_module()
class PixelBoxGrouper(InstanceDataGrouper, pixel_box_grouper.PixelBoxGrouper):
    __doc__ = pixel_box_grouper.PixelBoxGrouper.__doc__
