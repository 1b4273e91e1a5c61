"""From what the network says about each cell of an image to its instances.

Functions on tensors, and the groupers made of them. They need torch and NumPy and nothing of
OpenMMLab, so that exported models run without it; the registered classes are in ``models``.
"""
