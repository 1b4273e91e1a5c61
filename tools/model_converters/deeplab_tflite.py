"""Convert the published DeepLabV3 with MobileNetV2 from TensorFlow Lite to weights for mmseg.

FILE is test_data/deeplabv3_mnv2_pascal_quant.tflite of the public repository google-coral/edgetpu
(Apache-2.0), which its authors trained on COCO and VOC 2012 and quantised to 8 bits. OUT is a
weights-only checkpoint with mmseg's names; the configs instbox_deeplabv3-mobilenet-v2-d16 start
from it (load_from). Needs one more package: pip install tflite
"""
import argparse
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from mmseg.models.backbones import MobileNetV2
from torch import Tensor, nn

from mmseg_instbox.cli.main import user_errors
from mmseg_instbox.errors import InvalidInputError, MissingPackageError
from mmseg_instbox.utils import replacing
from mmseg_instbox.utils.foreign_errors import convert_errors


def expected_convolutions() -> dict[str, tuple[int, ...]]:
    """Returns mmseg's name and the weight shape of each convolution, in the order of the graph."""
    backbone = {f'backbone.{name.removesuffix(".conv")}': tuple(module.weight.shape)
                for name, module in MobileNetV2().named_modules() if isinstance(module, nn.Conv2d)}
    return backbone | {
        'decode_head.image_pool.1': (256, 320, 1, 1),
        'decode_head.aspp_modules.0': (256, 320, 1, 1),
        'decode_head.bottleneck': (256, 512, 1, 1),
        'decode_head.conv_seg': (21, 256, 1, 1),
    }


def read_convolutions(content: bytes, tflite: ModuleType) -> list[tuple[Tensor, Tensor]]:
    """Dequantises weights ``(O, I, kH, kW)`` and biases ``(O,)``, in the order of the graph.

    Raises any exception if the content is broken or not quantised to uint8.
    """
    model = tflite.Model.GetRootAs(content)
    graph = model.Subgraphs(0)
    dtypes = {tflite.TensorType.UINT8: np.uint8, tflite.TensorType.INT32: np.int32}
    found = {}  # by the index of the tensor that a convolution gives
    for operator in map(graph.Operators, range(graph.OperatorsLength())):
        code = model.OperatorCodes(operator.OpcodeIndex())
        kind = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        result, (first, *others) = operator.Outputs(0), operator.InputsAsNumpy().tolist()
        if kind in (tflite.BuiltinOperator.CONV_2D, tflite.BuiltinOperator.DEPTHWISE_CONV_2D):
            weight, bias = (dequantise(model, graph.Tensors(i), dtypes) for i in others)
            # (O, kH, kW, I), or depthwise (1, kH, kW, O)
            order = (0, 3, 1, 2) if kind == tflite.BuiltinOperator.CONV_2D else (3, 0, 1, 2)
            found[result] = weight.permute(order).contiguous(), bias
        elif kind == tflite.BuiltinOperator.RESIZE_BILINEAR and first in found:
            # TensorFlow Lite copies the integers when it resizes, whatever the scales say. That
            # multiplies the pooled image features, whose scale is another than that of their
            # resized copy, by 2.8343; the convolution before the ReLU takes the factor.
            factor = quantisation(graph.Tensors(result))[0] / quantisation(graph.Tensors(first))[0]
            found[first] = tuple(factor * each for each in found[first])
    return list(found.values())


def quantisation(tensor) -> tuple[float, int]:
    """Returns scale and zero point of a ``tflite.Tensor``, the same for all channels."""
    given = tensor.Quantization()
    return given.ScaleAsNumpy().item(), given.ZeroPointAsNumpy().item()


def dequantise(model, tensor, dtypes: dict[int, type]) -> Tensor:
    """Returns the float32 values of a ``tflite.Tensor`` of a ``tflite.Model``."""
    values = model.Buffers(tensor.Buffer()).DataAsNumpy().view(dtypes[tensor.Type()])
    scale, zero_point = quantisation(tensor)
    real = (values.astype(np.float64) - zero_point) * scale
    return torch.from_numpy(real.astype(np.float32).reshape(tensor.ShapeAsNumpy()))


def module_state(name: str, weight: Tensor, bias: Tensor) -> dict[str, Tensor]:
    """Returns the state of mmseg's module for a convolution of the file.

    The file has batch normalisation folded into the convolutions. mmseg's modules, but for the
    last, have it, so it comes back as one that only adds the bias: mean 0, variance 1 less eps,
    weight 1.
    """
    if name.endswith('conv_seg'):
        return {f'{name}.weight': weight, f'{name}.bias': bias}
    norm = nn.BatchNorm2d(len(bias))
    norm.bias.data = bias
    norm.running_var -= norm.eps
    return {f'{name}.conv.weight': weight} | {
        f'{name}.bn.{key}': value for key, value in norm.state_dict().items()}


def convert(file: Path) -> dict:
    """Converts a published file to a checkpoint, ``state_dict`` in float32 and an empty ``meta``.

    Raises InvalidInputError if it is not the expected network.
    """
    with convert_errors('Reading TensorFlow Lite files needs another package: pip install tflite',
                        ImportError, to=MissingPackageError):
        import tflite
    content = file.read_bytes()
    wrong = f'{file} is not the published deeplabv3_mnv2_pascal_quant.tflite'
    if not tflite.Model.ModelBufferHasIdentifier(content, 0):
        raise InvalidInputError(f'{wrong}: it is no TensorFlow Lite model.')
    with convert_errors(f'{wrong}: it cannot be read as a model quantised to uint8'):
        convolutions = read_convolutions(content, tflite)
    shapes = expected_convolutions()
    if [tuple(weight.shape) for weight, _ in convolutions] != [*shapes.values()]:
        raise InvalidInputError(f'{wrong}: its {len(convolutions)} convolutions are not the '
                                f'{len(shapes)} of that network.')
    state = {}
    for name, (weight, bias) in zip(shapes, convolutions, strict=True):
        state |= module_state(name, weight, bias)
    return dict(state_dict=state, meta={})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('file', type=Path, metavar='FILE', help='published .tflite file')
    parser.add_argument('out', type=Path, metavar='OUT', help='checkpoint to write')
    args = parser.parse_args()
    with user_errors():
        checkpoint = convert(args.file)
        with replacing(args.out) as temporary, temporary.open('wb') as file:
            torch.save(checkpoint, file)
    print(f'{args.out}: {args.out.stat().st_size / 1e6:.2f} MB')


if __name__ == '__main__':
    main()
