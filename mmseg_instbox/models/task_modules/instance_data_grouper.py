import logging

from mmengine.logging import print_log
from mmengine.structures import InstanceData


class InstanceDataGrouper:
    """What the registered groupers add to those of ``mmseg_instbox.core``: results are MMEngine's
    ``InstanceData``, and warnings go to MMEngine's log."""
    result_type = InstanceData

    def _warn(self, text: str) -> None:
        print_log(text, 'current', logging.WARNING)
