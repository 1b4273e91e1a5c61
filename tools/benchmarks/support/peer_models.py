"""mmdet's models on our backbone and weights, trained and evaluated with our data samples."""
import copy
from typing import Any

import cv2
import numpy as np
import torch
from mmdet.registry import MODELS as DETECTORS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData, PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from support import common
from torch import Tensor, nn

from mmseg_instbox.datasets.instance_maps import VOID
from mmseg_instbox.engine import load_config

# README.md says why these settings
CHANNELS = 64  # of the FPN and of all heads
BACKBONE = dict(
    _delete_=True, type='mmseg.DilatedMobileNetV2', strides=(1, 2, 2, 2, 1, 2, 1),
    out_indices=(1, 2, 4, 6), norm_cfg=None, frozen_stages=3, act_cfg=dict(type='mmseg.LeanReLU6'))
NECK = dict(_delete_=True, type='FPN', out_channels=CHANNELS, norm_cfg=dict(type='BN'))
PROPOSALS = dict(nms_pre=500, max_per_img=200)
ROIS = dict(out_channels=CHANNELS, roi_layer=dict(sampling_ratio=2))
MASK_RCNN = dict(
    backbone=BACKBONE,
    neck=dict(in_channels=[24, 32, 96, 320], num_outs=5, **NECK),
    rpn_head=dict(in_channels=CHANNELS, feat_channels=CHANNELS,
                  anchor_generator=dict(scales=[4, 6])),
    roi_head=dict(
        bbox_roi_extractor=ROIS, mask_roi_extractor=ROIS,
        bbox_head=dict(in_channels=CHANNELS, fc_out_channels=4 * CHANNELS,
                       reg_class_agnostic=True),
        mask_head=dict(num_convs=3, in_channels=CHANNELS, conv_out_channels=CHANNELS,
                       class_agnostic=True, norm_cfg=dict(type='BN'))),
    train_cfg=dict(rpn_proposal=PROPOSALS, rcnn=dict(sampler=dict(num=96))),
    test_cfg=dict(rpn=PROPOSALS))
RTMDET_INS = dict(
    backbone=BACKBONE | dict(out_indices=(2, 4, 6)),
    neck=dict(in_channels=[32, 96, 320], num_outs=3, **NECK),
    bbox_head=dict(in_channels=CHANNELS, feat_channels=CHANNELS))
# name -> title, mmdet's config, and what is changed in its model
PEERS = {
    'mask-rcnn': ('Mask R-CNN, MobileNetV2-FPN', 'mask_rcnn/mask-rcnn_r50_fpn_1x_coco', MASK_RCNN),
    'rtmdet-ins': ('RTMDet-Ins, MobileNetV2-FPN', 'rtmdet/rtmdet-ins_m_8xb32-300e_coco',
                   RTMDET_INS),
}


def our_config() -> str:
    """The file of the config of which the peers take all but the network."""
    return str(common.ROOT / 'configs' / 'instbox' / f'{common.DEMO}.py')


def detector_config(name: str, num_classes: int) -> Any:
    """mmdet's config of a peer's detector with our backbone and so many categories."""
    _, file, changes = PEERS[name]
    model = common.plain(get_config(f'mmdet::{file}.py').model, num_classes=num_classes)
    del model['data_preprocessor']
    cfg = Config(dict(model=model))
    cfg.merge_from_dict(dict(model=copy.deepcopy(changes)))
    return cfg.model


def peer_config(name: str, weights: str | None = None, num_classes: int = 20) -> dict:
    """Config of a peer as a segmentor; its backbone starts from the weights, if given."""
    detector = detector_config(name, num_classes)
    if weights:
        detector.backbone.init_cfg = dict(
            type='Pretrained', checkpoint=weights, prefix='backbone.')
    preprocessor = load_config(our_config()).model.data_preprocessor
    return dict(type='PeerSegmentor', detector=detector,
                data_preprocessor=preprocessor | dict(size_divisor=32))


def build_detector(config: dict) -> BaseModel:
    """Builds a model of mmdet, which needs mmcv's compiled operators."""
    register_all_modules(init_default_scope=False)
    with DefaultScope.overwrite_default_scope('mmdet'):
        return DETECTORS.build(config)


@MODELS.register_module(force=True)
class PeerSegmentor(BaseModel):
    """One of mmdet's detectors that is trained and evaluated with our data samples.

    Void pixels carry no loss with us, so they are no negatives here either.

    Args:
        detector: Config of the detector, in mmdet's scope.
        data_preprocessor: As of our model.
    """

    def __init__(self, detector: dict, data_preprocessor: dict) -> None:
        super().__init__(data_preprocessor=data_preprocessor)
        self.detector = build_detector(detector)
        for module in self.detector.modules():
            if hasattr(module, 'roi_layers'):
                module.register_forward_pre_hook(with_contiguous_maps)
            for name in ('assigner', 'bbox_assigner'):
                if getattr(module, name, None) is not None:
                    setattr(module, name, VoidSparingAssigner(getattr(module, name)))
        self.to(memory_format=torch.channels_last)  # as the batches of our preprocessor

    def init_weights(self) -> None:
        """mmdet's, and mask logits near 0: mmdet's spread (1.4 for one shared mask) saturates."""
        super().init_weights()
        for name, module in self.detector.named_modules():
            if name.endswith('mask_head.conv_logits'):
                nn.init.normal_(module.weight, std=0.001)

    def forward(self, inputs: Tensor, data_samples: list[SegDataSample], mode: str = 'loss') -> Any:
        """Losses by name, or the data samples with ``pred_instances`` (``mode='predict'``)."""
        samples = [to_mmdet(sample, inputs.shape[-2:], mode == 'loss') for sample in data_samples]
        if mode == 'loss':
            return self.detector.loss(inputs, samples)
        for sample, found in zip(data_samples, self.detector.predict(inputs, samples), strict=True):
            sample.pred_instances = found.pred_instances
            # InstBoxMetric asks for a category map; the peers have none, its mean IoU is not used
            sample.pred_sem_seg = PixelData(
                data=torch.zeros(1, *sample.ori_shape, dtype=torch.long, device=inputs.device))
        return data_samples


def with_contiguous_maps(_: nn.Module, args: tuple) -> tuple:
    """Copies feature maps in channels_last: mmcv's RoIAlign reads each as if it were contiguous."""
    maps, *others = args
    return [each.contiguous() for each in maps], *others


class VoidSparingAssigner:
    """Another assigner, without its negatives whose centre is in void.

    mmdet's own ``ignore_iof_thr`` would drop positives too: a person on a void sofa.
    """

    def __init__(self, assigner: Any) -> None:
        self.assigner = assigner

    def assign(self, pred_instances: InstanceData, gt_instances: InstanceData,
               gt_instances_ignore: InstanceData | None = None, **kwargs: Any) -> Any:
        """The other's result; ``gt_instances_ignore.masks`` is the void map (1, H, W) bool."""
        result = self.assigner.assign(pred_instances, gt_instances, None, **kwargs)
        if gt_instances_ignore is not None and len(gt_instances_ignore):
            void, priors = gt_instances_ignore.masks[0], pred_instances.priors
            # RTMDet's priors are x, y and strides, others are boxes
            points = 'SoftLabel' in type(self.assigner).__name__
            centres = priors[:, :2] if points else (priors[:, :2] + priors[:, 2:]) / 2
            x, y = (centres[:, i].long().clamp(0, void.shape[1 - i] - 1) for i in (0, 1))
            result.gt_inds[(result.gt_inds == 0) & void[y, x]] = -1
        return result


def to_mmdet(sample: SegDataSample, shape: tuple[int, int], annotated: bool) -> Any:
    """mmdet's data sample for one of ours in a batch of that shape, (H, W).

    ``annotated`` samples have ``gt_inst_map`` and ``gt_instances``.
    """
    meta = {key: sample.get(key) for key in ('img_path', 'ori_shape', 'img_shape', 'scale_factor')}
    found = DetDataSample(
        metainfo=dict(meta, img_id=0, pad_shape=shape, batch_input_shape=shape))
    if annotated:
        inst_map, truth = sample.gt_inst_map.data[0], sample.gt_instances
        masks = (inst_map == truth.ids[:, None, None]).cpu().numpy().astype(np.uint8)
        found.gt_instances = InstanceData(
            labels=truth.labels, bboxes=truth.bboxes, masks=BitmapMasks(masks, *inst_map.shape))
        void = void_areas(inst_map)
        found.ignored_instances = InstanceData(
            bboxes=truth.bboxes.new_zeros(len(void), 4), masks=void)
    return found


def void_areas(inst_map: Tensor, width: int = 15) -> Tensor:
    """Void pixels (1, H, W) bool without the bands around objects; (0, H, W) if there are none."""
    void = (inst_map == VOID).cpu().numpy().astype(np.uint8)
    void = cv2.morphologyEx(void, cv2.MORPH_OPEN, np.ones((width, width), np.uint8))
    void = torch.from_numpy(void).to(inst_map.device) > 0
    return void[None] if void.any() else void[None][:0]
