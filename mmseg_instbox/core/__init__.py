"""From the network's output for each cell of an image to its instances.

Functions on tensors, and the groupers made of them. They need torch and NumPy and nothing of
OpenMMLab, so that exported models run without it; the segmentors are in ``models``. Importing this
package alone imports neither.
"""
VOID = 255  # label of pixels without ground truth, in category and instance maps
