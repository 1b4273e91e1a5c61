"""Configs, checkpoints and exported models."""
import copy
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from mmseg_instbox.apis import InstBoxInferencer, load_model
from mmseg_instbox.engine import build_network, config_to_json, load_config

from . import require
from .images import picture
from .mutations import mutate_bytes, mutate_tree, pick

BASE = Path(__file__).resolve().parents[3] / 'configs/_base_/models/instbox_fcrn-r18-d8_narrow.py'
CLASSES = ('background', 'square', 'disc')
DATA_NAMES = dict(classes=CLASSES, thing_classes=CLASSES[1:],
                  palette=[[0, 0, 0], [255, 0, 0], [0, 0, 255]])


def tiny_config() -> dict:
    """A narrow network for three categories, and how it is tested."""
    cfg = Config.fromfile(BASE).to_dict()
    cfg['model']['decode_head']['num_classes'] = 3
    cfg['model']['backbone']['base_channels'] = 4
    for head in ('decode_head', 'box_head'):
        cfg['model'][head].update(in_channels=32, channels=16)
    pipeline = [dict(type='LoadInstImage'), dict(type='Resize', scale=(64, 64), keep_ratio=True),
                dict(type='LoadInstAnnotations'), dict(type='PackInstInputs')]
    return dict(default_scope='mmseg', model=cfg['model'], test_pipeline=pipeline,
                test_dataloader=dict(dataset=dict(type='InstBoxDataset',
                                                  metainfo=dict(classes=CLASSES),
                                                  pipeline=pipeline)))


class ConfigFile:
    """A config in Python."""

    def __init__(self, folder: Path) -> None:
        init_default_scope('mmseg')
        self.file, self.sound = folder / 'config.py', tiny_config()

    def write(self, rng: np.random.Generator) -> None:
        """Settings that are missing or odd; now and then a broken text."""
        tree = self.sound if rng.random() < 0.2 else mutate_tree(self.sound, rng)
        text = ''.join(f'{key} = {value!r}\n' for key, value in tree.items())
        data = text.encode()
        self.file.write_bytes(mutate_bytes(data, rng) if rng.random() < 0.2 else data)

    def read(self) -> None:
        """A network, or an error."""
        model = build_network(load_config(str(self.file)))
        require(isinstance(model, nn.Module), f'a {type(model).__name__}')


class Payload:
    """Pickles to the order to create a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple:
        return open, (str(self.file), 'w')


class Checkpoint:
    """A checkpoint that carries its config."""

    def __init__(self, folder: Path) -> None:
        init_default_scope('mmseg')
        self.file, self.made = folder / 'model.pth', folder / 'made'
        self.cfg = tiny_config()
        self.state = build_network(Config(copy.deepcopy(self.cfg))).state_dict()
        self.meta = dict(dataset_meta=DATA_NAMES, config_json=config_to_json(Config(self.cfg)))
        torch.save(dict(state_dict=self.state, meta=self.meta), self.file)
        self.sound = self.file.read_bytes()

    def write(self, rng: np.random.Generator) -> None:
        """Other bytes, other entries, another config in it, or code in it."""
        self.made.unlink(missing_ok=True)
        if rng.random() < 0.3:
            self.file.write_bytes(mutate_bytes(self.sound, rng))
            return
        content = dict(state_dict=dict(self.state), meta=dict(self.meta))
        kind = rng.random()
        if kind < 0.5:
            content['meta']['config_json'] = self._config(rng)
        elif kind < 0.7:
            content['state_dict'] = self._weights(rng)
        elif kind < 0.85:
            content['meta'] = mutate_tree(content['meta'], rng)
        elif kind < 0.92:
            content = pick(rng, (content['state_dict'], [content], dict(content, state_dict=[]),
                                 dict(content, meta='x'), torch.ones(3), {}))
        else:
            self._put(content, rng)
        torch.save(content, self.file, _use_new_zipfile_serialization=bool(rng.random() < 0.8))

    def _config(self, rng: np.random.Generator) -> str:
        tree = mutate_tree(json.loads(self.meta['config_json']), rng)
        text = json.dumps(tree)
        return mutate_bytes(text.encode(), rng).decode(errors='replace') \
            if rng.random() < 0.2 else text

    def _weights(self, rng: np.random.Generator) -> dict:
        state = dict(self.state)
        key = pick(rng, list(state))
        value: Any = pick(rng, (
            None, state[key][..., None], state[key].double() * float('nan'), 'x', state[key] > 0,
            torch.zeros(3, 3, dtype=torch.complex64), torch.zeros(2**16),
            state[key].float().to_sparse(), torch.empty(state[key].shape, device='meta')))
        state[pick(rng, (key, key, f'{key}x'))] = value
        if rng.random() < 0.3:
            del state[pick(rng, list(state))]
        return state

    def _put(self, content: dict, rng: np.random.Generator) -> None:
        """Code, somewhere."""
        payload = Payload(self.made)
        place = pick(rng, ('top', 'meta', 'state', 'bytes'))
        if place == 'top':
            content['optimizer'] = payload
        elif place == 'meta':
            content['meta']['hooks'] = [payload]
        elif place == 'state':
            content['state_dict']['x'] = payload
        else:
            content['meta']['config_json'] = pickle.dumps(payload)

    def read(self) -> None:
        """The model with the file's weights, or an error; no code is run."""
        try:
            model = load_model(self.file, device='cpu')
            inferencer = InstBoxInferencer(model, show_progress=False)
        finally:
            require(not self.made.exists(), 'code in the checkpoint was run')
        require(len(inferencer.dataset_meta['classes']) == model.num_classes, 'other names')
        state = torch.load(self.file, weights_only=True)
        state = state.get('state_dict', state)
        for key, value in model.state_dict().items():
            require(key not in state or torch.equal(value, state[key].to(value.dtype))
                    or bool(value.isnan().any()), f'{key} has other values than the file')


class Exported:
    """An exported model, its settings in it."""

    def __init__(self, folder: Path) -> None:
        from mmseg_instbox.deploy import ExportedModel, export_model
        init_default_scope('mmseg')
        self.file = folder / 'model.onnx'
        export_model(load_model(Checkpoint(folder).file, device='cpu'), self.file)
        self.sound = self.file.read_bytes()
        self.settings = json.loads(ExportedModel(self.file).settings.to_json())

    def write(self, rng: np.random.Generator) -> None:
        """Other bytes, or other settings beneath a valid checksum; now and then a sound file."""
        kind = rng.random()
        if kind < 0.4:
            self.file.write_bytes(mutate_bytes(self.sound, rng))
        else:
            settings = self.settings if kind < 0.5 else mutate_tree(self.settings, rng)
            self.file.write_bytes(self._with_checksum(json.dumps(settings)))

    def _with_checksum(self, settings: str) -> bytes:
        import onnx

        from mmseg_instbox.deploy.sessions import SETTINGS, add_checksum
        graph = onnx.load_from_string(self.sound)
        del graph.metadata_props[:]
        graph.metadata_props.add(key=SETTINGS, value=settings)
        return add_checksum(graph.SerializeToString(), '.onnx')

    def read(self) -> None:
        """Instances of the picture's size, or an error."""
        from mmseg_instbox.deploy import ExportedModel
        image = picture(48, 64)
        for found in ExportedModel(self.file).stream([image]):
            require(tuple(found.pred_instances.masks.shape[1:]) == image.shape[:2],
                    'masks of another size')
            require(bool((found.pred_sem_seg.data < len(CLASSES)).all()), 'unknown categories')
