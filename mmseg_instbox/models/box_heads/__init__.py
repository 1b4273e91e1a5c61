from .context_pixel_box_head import ContextPixelBoxHead
from .pixel_box_head import PixelBoxHead
