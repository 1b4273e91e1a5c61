import mmcv
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmseg.registry import TRANSFORMS

from mmseg_instbox.errors import InvalidInputError
from mmseg_instbox.utils.foreign_errors import reason
from mmseg_instbox.utils.image_header import DEEP_MODES, check_tiff_size, open_image

from .mask_file import read_bytes


@TRANSFORMS.register_module()
class LoadInstImage(LoadImageFromFile):
    """Load an image and refuse a missing, unreadable or truncated one.

    Extends mmcv's ``LoadImageFromFile``. It decodes with pillow, because OpenCV fills the missing
    part of a truncated file with grey and says nothing.

    Required keys: ``img_path``. Added keys: ``img`` (H, W, 3) BGR, ``img_shape`` and ``ori_shape``,
    both (H, W).

    Args:
        to_float32: Whether to convert the image from uint8 to float32.
        color_type: Flag of ``mmcv.imfrombytes``.
        imdecode_backend: 'pillow', or 'tifffile' for TIFF images.
        backend_args: Arguments of mmengine's file backend.

    Raises:
        ValueError: If a decoding backend is asked for that accepts truncated files.
    """

    def __init__(self,
                 to_float32: bool = False,
                 color_type: str = 'color',
                 imdecode_backend: str = 'pillow',
                 *,
                 backend_args: dict | None = None) -> None:
        if imdecode_backend not in ('pillow', 'tifffile'):
            raise InvalidInputError(f"LoadInstImage got imdecode_backend='{imdecode_backend}', "
                                    'which may decode a truncated image without an error; use '
                                    "'pillow' or 'tifffile'.")
        super().__init__(
            to_float32=to_float32,
            color_type=color_type,
            imdecode_backend=imdecode_backend,
            backend_args=backend_args)

    def transform(self, results: dict) -> dict:
        """Load the image named by ``results['img_path']``.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If the image does not decode to its end or has too many pixels, see
                :mod:`mmseg_instbox.utils.limits`.
        """
        path = results['img_path']
        img = self._decode(read_bytes(path, 'image', self.backend_args), path)
        results['img'] = img.astype(np.float32) if self.to_float32 else img
        results['img_shape'] = img.shape[:2]
        results['ori_shape'] = img.shape[:2]
        return results

    def _decode(self, content: bytes, path: str) -> np.ndarray:
        if self.imdecode_backend == 'tifffile':
            check_tiff_size(content, path)
        elif open_image(content, path).mode in DEEP_MODES:
            raise InvalidInputError(f'{path}: a grey image of more than 8 bits a pixel, which '
                                    'pillow would cut off at 255. Scale its values to 0 to 255, or '
                                    "use imdecode_backend='tifffile'.")
        try:
            return mmcv.imfrombytes(content, flag=self.color_type, backend=self.imdecode_backend)
        except Exception as error:  # pillow raises many types on a broken file
            raise InvalidInputError(f'{path}: the image is broken or truncated ({reason(error)}). '
                                    "Replace it, or leave it out with on_error='skip' of the data "
                                    'set.') from error
