"""Probabilities in, numbers out: pure, differentiable functions that describe the shape of each class."""

from shapewise.descriptors.boundary import edge_length, laplacian, length, potts_length
from shapewise.descriptors.convexity import convexity
from shapewise.descriptors.geometry import centroid, covariance, elongation, orientation, spread, volume
from shapewise.descriptors.higher import exponents, fourth_moments, third_moments
from shapewise.descriptors.invariants import hu_moments
from shapewise.descriptors.moments import central_moments, normalized_moments, raw_moments
from shapewise.descriptors.registry import Descriptor, get, names, register
from shapewise.descriptors.relations import contact, difference, ratio
from shapewise.descriptors.together import describe_together

__all__ = [
    "Descriptor",
    "central_moments",
    "centroid",
    "contact",
    "convexity",
    "covariance",
    "describe_together",
    "difference",
    "edge_length",
    "elongation",
    "exponents",
    "fourth_moments",
    "get",
    "hu_moments",
    "laplacian",
    "length",
    "names",
    "normalized_moments",
    "orientation",
    "potts_length",
    "ratio",
    "raw_moments",
    "register",
    "spread",
    "third_moments",
    "volume",
]
