"""The groupers of ``core`` in MMSegmentation's registry, and their results and log in MMEngine's
form."""
import logging

from mmengine.logging import print_log
from mmengine.structures import InstanceData
from mmseg.registry import TASK_UTILS

from ...core.groupers import GROUPERS
from ...core.instances import Instances


class MMEngineHandler(logging.Handler):
    """Passes log records on to MMEngine's logger, which writes a run's log file."""

    def emit(self, record: logging.LogRecord) -> None:
        """Logs the message of a record."""
        print_log(record.getMessage(), 'current', record.levelno)


def to_instance_data(found: Instances | InstanceData) -> InstanceData:
    """What a grouper found, as mmseg's and mmdet's tools read it; ``InstanceData`` stays."""
    if isinstance(found, InstanceData):
        return found
    return InstanceData(metainfo=found.metainfo, **found.fields)


for _grouper in GROUPERS.values():
    TASK_UTILS.register_module(module=_grouper)
logging.getLogger('mmseg_instbox.core').addHandler(MMEngineHandler())
