from mmseg.registry import TASK_UTILS

from mmseg_instbox.core import box_nms_grouper

from .instance_data_grouper import InstanceDataGrouper


@TASK_UTILS.register_module()
class BoxNMSGrouper(InstanceDataGrouper, box_nms_grouper.BoxNMSGrouper):
    __doc__ = box_nms_grouper.BoxNMSGrouper.__doc__
