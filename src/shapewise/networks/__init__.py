"""Networks: ENet, a residual U-Net, and the door to any of MONAI's; importing this needs PyTorch alone."""

from __future__ import annotations

from shapewise.networks.enet import ENet
from shapewise.networks.registry import build_network, names
from shapewise.networks.residual_unet import ResidualUNet

__all__ = ["ENet", "ResidualUNet", "build_network", "names"]
