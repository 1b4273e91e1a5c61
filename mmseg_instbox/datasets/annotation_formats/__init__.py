"""Annotated images in the formats of annotation tools, read without MMSegmentation."""
from .annotated_images import AnnotatedImages, Problem
from .reading import read_annotations
