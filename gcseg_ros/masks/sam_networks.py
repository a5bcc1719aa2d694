"""The networks behind automatic masks: pictures are encoded, then points in them are answered with three masks each.

`SamImages` drives the package segment-anything (and mobile_sam, which is built alike), `Sam2Images` the package sam2. The
architecture of a SAM checkpoint is read off the shapes of its parameters; that of SAM 2 needs one of its configurations.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from segment_anything.utils.transforms import ResizeLongestSide
from torch import Tensor, nn

from gcseg_ros.config import FoundationConfig, MasksConfig
from gcseg_ros.errors import UserError
from gcseg_ros.networks.parameters import fill, read_parameters
from gcseg_ros.networks.runtime import Runtime, shared
from gcseg_ros.networks.sam2 import load_sam2
from gcseg_ros.weights import locate

Picture = npt.NDArray[np.uint8]


class PromptedImages(Protocol):
    """Pictures of which points can be asked."""

    def encode(self, pictures: Sequence[Picture]) -> None:
        """Take these (H_i, W_i, 3) uint8 RGB pictures in the place of the former ones, in one batch."""

    def predict(self, index: int, points: npt.NDArray[np.float64]) -> tuple[Tensor, Tensor]:
        """Points (P, 2), x and y in pixels of picture `index` -> logits (P, 3, H, W) and predicted IoU (P, 3), float32."""
        ...


class SamImages:
    """With `segment_anything.modeling.Sam`, or mobile_sam's."""

    def __init__(self, network: Any) -> None:
        self.network = network
        self.transform = ResizeLongestSide(self.network.image_encoder.img_size)
        self.features = torch.empty(0)
        self.sizes: list[tuple[tuple[int, ...], tuple[int, ...]]] = []  # resized, and as it came

    def encode(self, pictures: Sequence[Picture]) -> None:
        inputs, self.sizes = [], []
        for picture in pictures:
            resized = torch.from_numpy(self.transform.apply_image(picture).copy()).to(self.network.device)
            self.sizes.append((tuple(resized.shape[:2]), picture.shape[:2]))
            inputs.append(self.network.preprocess(resized.permute(2, 0, 1).contiguous()))
        self.features = self.network.image_encoder(torch.stack(inputs))

    def predict(self, index: int, points: npt.NDArray[np.float64]) -> tuple[Tensor, Tensor]:
        network, (resized, size) = self.network, self.sizes[index]
        at = torch.as_tensor(self.transform.apply_coords(points, size), device=network.device)
        labels = torch.ones(len(points), 1, dtype=torch.int, device=network.device)
        sparse, dense = network.prompt_encoder(points=(at[:, None], labels), boxes=None, masks=None)
        logits, iou = network.mask_decoder(
            image_embeddings=self.features[index : index + 1],
            image_pe=network.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
        )
        return network.postprocess_masks(logits.float(), resized, size), iou.float()


class Sam2Images:
    """With `sam2.modeling.SAM2Base`."""

    def __init__(self, network: nn.Module) -> None:
        from sam2.sam2_image_predictor import SAM2ImagePredictor

        self.predictor: Any = SAM2ImagePredictor(network)
        size = self.predictor.model.image_size
        self.predictor._bb_feat_sizes = [(size // 4,) * 2, (size // 8,) * 2, (size // 16,) * 2]  # the package: of 1024

    def encode(self, pictures: Sequence[Picture]) -> None:
        self.predictor.set_image_batch([np.ascontiguousarray(picture) for picture in pictures])

    def predict(self, index: int, points: npt.NDArray[np.float64]) -> tuple[Tensor, Tensor]:
        at = torch.as_tensor(points, dtype=torch.float32, device=self.predictor.device)
        size = self.predictor._orig_hw[index]
        at = self.predictor._transforms.transform_coords(at, normalize=True, orig_hw=size)
        labels = torch.ones(len(points), 1, dtype=torch.int, device=at.device)
        logits, iou, _ = self.predictor._predict(
            at[:, None], labels, multimask_output=True, return_logits=True, img_idx=index
        )
        return logits.float(), iou.float()


def load_images(config: MasksConfig, foundation: FoundationConfig, runtime: Runtime) -> PromptedImages:
    """The networks of `masks: sam` or `masks: sam2`. Raises UserError."""
    weights, sam = config.sam_weights, config.sam
    if config.generator == "sam2":
        return Sam2Images(load_sam2(weights, sam.configuration, sam.overrides, foundation, runtime))
    file = locate(weights, foundation.weights_dir)
    return SamImages(shared(("sam", file.resolve(), runtime), lambda: load_sam(file, runtime)))


def load_sam(file: Path, runtime: Runtime) -> nn.Module:
    """A checkpoint of SAM or MobileSAM as a network, ready on the device. Raises UserError."""
    state = read_parameters(file, "SAM")
    try:
        network = _mobile_sam() if "image_encoder.layers.0.blocks.0.conv1.c.weight" in state else _sam_of_shapes(state)
    except (KeyError, ValueError, IndexError, ZeroDivisionError) as error:
        raise UserError(
            f"{file} is no checkpoint of SAM or MobileSAM ({type(error).__name__}: {error}): choose one of `gcseg weights list`, or "
            "masks.generator=sam2 for one of SAM 2."
        ) from None
    fill(network, state, file, "SAM")
    runtime.place(network, network.image_encoder, network.image_encoder.img_size)
    return network


def _sam_of_shapes(state: dict[str, Tensor]) -> Any:
    """SAM's architecture for these parameters, as segment_anything.build_sam makes it for its three sizes."""
    width, _, patch, _ = state["image_encoder.patch_embed.proj.weight"].shape
    grid = state["image_encoder.pos_embed"].shape[1]
    out = state["image_encoder.neck.0.weight"].shape[0]
    depth = 1 + max(int(name.split(".")[2]) for name in state if name.startswith("image_encoder.blocks."))
    # (2 * side - 1, width of a head)
    reach = [state[f"image_encoder.blocks.{i}.attn.rel_pos_h"].shape for i in range(depth)]
    everywhere = tuple(i for i in range(depth) if reach[i][0] == 2 * grid - 1)
    windows = {(rows + 1) // 2 for rows, _ in reach if rows != 2 * grid - 1}
    layers = {int(name.split(".")[3]) for name in state if name.startswith("mask_decoder.transformer.layers.")}
    encoder = ImageEncoderViT(
        img_size=grid * patch,
        patch_size=patch,
        embed_dim=width,
        depth=depth,
        num_heads=width // reach[0][1],
        mlp_ratio=state["image_encoder.blocks.0.mlp.lin1.weight"].shape[0] / width,
        out_chans=out,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        use_rel_pos=True,
        window_size=max(windows, default=0),
        global_attn_indexes=everywhere,
    )
    prompts = PromptEncoder(
        embed_dim=out,
        image_embedding_size=(grid, grid),
        input_image_size=(grid * patch, grid * patch),
        mask_in_chans=state["prompt_encoder.mask_downscaling.3.weight"].shape[0],
    )
    transformer = TwoWayTransformer(
        depth=len(layers),
        embedding_dim=out,
        num_heads=8,
        mlp_dim=state["mask_decoder.transformer.layers.0.mlp.lin1.weight"].shape[0],
    )
    decoder = MaskDecoder(
        transformer_dim=out,
        transformer=transformer,
        num_multimask_outputs=state["mask_decoder.mask_tokens.weight"].shape[0] - 1,
        iou_head_depth=3,
        iou_head_hidden_dim=state["mask_decoder.iou_prediction_head.layers.0.weight"].shape[0],
    )
    return Sam(encoder, prompts, decoder, [123.675, 116.28, 103.53], [58.395, 57.12, 57.375])


def _mobile_sam() -> Any:
    try:
        from mobile_sam import sam_model_registry
    except ImportError as error:
        raise UserError(
            f"These weights are MobileSAM's, which needs the package mobile_sam ({error}): pip install mobilesam-mirror timm."
        ) from None
    return sam_model_registry["vit_t"]()
