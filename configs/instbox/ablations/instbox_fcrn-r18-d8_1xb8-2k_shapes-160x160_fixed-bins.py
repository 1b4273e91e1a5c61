_base_ = '../instbox_fcrn-r18-d8_1xb8-2k_shapes-160x160.py'
model = dict(grouper=dict(relative_bins=False, bin_size=16))
