"""The feed-forward 3D segmenter: a sparse U-Net and Mask3D's mask decoder, in plain PyTorch (extra `segmentation`).

coordinates -> kernel_maps -> convolution -> backends (the engine); sparse_tensor, layers -> res16unet (the backbone);
features, attention, positions, windows -> network (the mask decoder and the whole); checkpoint; segments ->
segment_graph -> joining (objects made of geometric segments) -> post_processing -> segmenter (what people call); fusion
with tracked objects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gcseg_ros.packages import require_packages

if TYPE_CHECKING:
    from gcseg_ros.segmentation.segmenter import Segmenter

__all__ = ["Segmenter", "require_torch"]


def require_torch() -> None:
    """Raises UserError where PyTorch is missing; call it before importing a module of this package."""
    require_packages("The 3D segmenter", ("torch",), "segmentation")


def __getattr__(name: str) -> object:
    if name == "Segmenter":
        require_torch()
        from gcseg_ros.segmentation.segmenter import Segmenter

        return Segmenter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
