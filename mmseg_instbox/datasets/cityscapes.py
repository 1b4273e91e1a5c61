from mmseg.datasets import CityscapesDataset
from mmseg.registry import DATASETS

from ..errors import InvalidInputError
from .inst_box_dataset import InstBoxDataset
from .instance_maps import VOID

# from Cityscapes' label ids (0 to 33) to its training categories; the other ids are void
LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
NUM_LABEL_IDS = 34
ID_DIVISOR = 1000


@DATASETS.register_module()
class CityscapesInstDataset(InstBoxDataset):
    """Cityscapes with instances: 19 categories, the last 8 of them things, no background.

    Reads ``*_gtFine_instanceIds.png`` as distributed: a value from 1000 on is ``label id * 1000 +
    number`` of an object, a smaller one the label id of stuff or of a group of objects. A
    group keeps its category and is void in the instance map.

    ``data_prefix`` has the folders ``img_path`` and ``seg_map_path``, below which the files lie in
    a folder a city; by default all images are read. The other arguments are those of
    ``InstBoxDataset``.
    """
    METAINFO = dict(
        **CityscapesDataset.METAINFO, thing_classes=CityscapesDataset.METAINFO['classes'][11:])

    def __init__(self,
                 ann_file: str = '',
                 data_prefix: dict = dict(
                     img_path='leftImg8bit/train', seg_map_path='gtFine/train'),
                 img_suffix: str = '_leftImg8bit.png',
                 seg_map_suffix: str = '_gtFine_instanceIds.png',
                 **kwargs) -> None:
        if 'inst_map_path' in data_prefix:
            raise InvalidInputError(f'data_prefix is {data_prefix}: leave out inst_map_path, one '
                                    'file of Cityscapes holds categories and objects.')
        if 'seg_map_path' in data_prefix:
            data_prefix = dict(data_prefix, inst_map_path=data_prefix['seg_map_path'])
        super().__init__(ann_file=ann_file, data_prefix=data_prefix, img_suffix=img_suffix,
                         seg_map_suffix=seg_map_suffix, **kwargs)

    def load_data_list(self) -> list[dict]:
        """List the samples, with what the values of their masks mean."""
        chosen = self.label_map or {index: index for index in range(len(LABEL_IDS))}
        categories = {number: chosen[index] for index, number in enumerate(LABEL_IDS)}
        meaning = dict(id_divisor=ID_DIVISOR, label_map={
            each: categories.get(each, VOID) for each in range(NUM_LABEL_IDS)})
        return [info | meaning for info in super().load_data_list()]
