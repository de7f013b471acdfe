"""Train segmentation networks from a few numbers per object instead of a mask for every pixel."""

__version__ = "0.1.0"
