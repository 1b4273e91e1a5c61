"""Networks train on files in the true format of a data set, with the configs as they are."""
import numpy as np
import pytest
import torch
from coco_pictures import annotation, rectangle, write
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image

from mmseg_instbox.datasets.coco import COCO_THINGS
from mmseg_instbox.engine import adapt_to_cpu


@pytest.fixture(scope='module')
def coco_root(tmp_path_factory):
    """Four images in COCO's layout, with all 80 names."""
    root = tmp_path_factory.mktemp('coco')
    ids = dict(person=1, car=3, couch=63)
    table = dict(
        images=[dict(id=i, file_name=f'{i}.jpg', width=60, height=40) for i in range(1, 5)],
        categories=[dict(id=ids.get(name, 100 + i), name=name)
                    for i, name in enumerate(COCO_THINGS)],
        annotations=[annotation(10 * i + j, i, number, [rectangle(18 * j, 5, 18 * j + 18, 30)])
                     for i in range(1, 5) for j, number in enumerate((1, 3, 63))])
    write(root, table)
    for split in ('train2017', 'val2017'):
        (root / split).symlink_to('images')
        (root / 'annotations' / f'instances_{split}.json').symlink_to('instances.json')
    return root


@pytest.fixture(scope='module')
def cityscapes_root(tmp_path_factory):
    """Two images a split as Cityscapes distributes them."""
    root = tmp_path_factory.mktemp('cityscapes')
    mask = np.full((40, 60), 7, np.uint16)
    mask[5:30, 5:20], mask[5:30, 20:40], mask[5:30, 40:50] = 24000, 26000, 26001
    for split in ('train', 'val'):
        for folder, suffix in (('leftImg8bit', 'leftImg8bit'), ('gtFine', 'gtFine_instanceIds')):
            (root / folder / split / 'ulm').mkdir(parents=True)
            content = mask if folder == 'gtFine' else np.stack([mask % 251] * 3, -1).astype('u1')
            for i in range(2):
                Image.fromarray(content).save(
                    root / folder / split / 'ulm' / f'ulm_{i:06d}_000000_{suffix}.png')
    return root


def shrink(cfg, root, work_dir):
    """A narrow network on small crops for two iterations; everything else stays."""
    cfg.model.backbone.update(
        depth=18, base_channels=8, stem_channels=8, init_cfg=None)
    for head in (cfg.model.decode_head, cfg.model.get('box_head', {})):
        head.update(in_channels=64, channels=8)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset.data_root = str(root)
        for step in loader.dataset.pipeline:
            step.update({key: value for key, value in dict(scale=(96, 64), crop_size=(64, 64)
                                                           ).items() if key in step})
    for metric in (each for part in (cfg.val_evaluator, cfg.test_evaluator)
                   for each in ([part] if isinstance(part, dict) else part)):
        if 'ann_file' in metric:
            metric.ann_file = str(root / 'annotations' / 'instances_val2017.json')
    cfg.train_cfg.update(max_iters=2, val_interval=9)
    cfg.work_dir, cfg.log_level, cfg.launcher = str(work_dir), 'ERROR', 'none'
    cfg.experiment_name = work_dir.name
    adapt_to_cpu(cfg)
    return cfg


@pytest.mark.parametrize('config, figures', [
    ('instbox/instbox_fcrn-r50-d8_8xb2-160k_coco-512x512', {'mIoU', 'APr_0.5', 'AP', 'AP_l'}),
    ('instbox/instbox_fcrn-r50-d8_8xb2-80k_coco-as-voc-500x500', {'mIoU', 'APr_0.5', 'AP'}),
    ('instbox/instbox_fcrn-r50-d8_8xb1-80k_cityscapes-512x1024', {'mIoU', 'APr_vol'}),
    ('fcrn/fcrn-r50-d8_8xb2-160k_coco-512x512', {'mIoU', 'aAcc'}),
    ('fcrn/fcrn-r50-d8_8xb1-80k_cityscapes-512x1024', {'mIoU', 'aAcc'}),
])
def test_configs_train_and_validate_on_files_in_the_true_format(
        repo, coco_root, cityscapes_root, tmp_path, config, figures):
    root = coco_root if 'coco' in config else cityscapes_root
    cfg = shrink(Config.fromfile(repo / 'configs' / f'{config}.py'), root, tmp_path)
    runner = Runner.from_cfg(cfg)
    before = [parameter.clone() for parameter in runner.model.parameters()]
    runner.train()
    after = list(runner.model.parameters())
    assert runner.iter == 2 and all(parameter.isfinite().all() for parameter in after)
    assert any(not torch.equal(*both) for both in zip(before, after, strict=True))
    assert figures <= set(runner.val())
