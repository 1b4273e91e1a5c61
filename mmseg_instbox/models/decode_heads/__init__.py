from .fcrn_head import FCRNHead
from .refined_aspp_head import RefinedASPPHead
