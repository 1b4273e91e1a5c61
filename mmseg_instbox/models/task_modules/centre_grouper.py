from mmseg.registry import TASK_UTILS

from mmseg_instbox.core import centre_grouper

from .instance_data_grouper import InstanceDataGrouper


@TASK_UTILS.register_module()
class CentreGrouper(InstanceDataGrouper, centre_grouper.CentreGrouper):
    __doc__ = centre_grouper.CentreGrouper.__doc__
