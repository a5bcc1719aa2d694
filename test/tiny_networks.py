"""SAM and SAM 2 of their packages' own parts, tiny and with seeded random weights."""

import torch

TINY_SAM2 = (
    "image_encoder.trunk.embed_dim=16 image_encoder.trunk.stages=[1,1,2,1] image_encoder.trunk.global_att_blocks=[3] "
    "image_encoder.neck.backbone_channel_list=[128,64,32,16] memory_attention.num_layers=2 "
    "memory_encoder.fuser.layer.layer_scale_init_value=0.1 image_size=128"
)
CONFIGURATION = "configs/sam2.1/sam2.1_hiera_t.yaml"


def tiny_sam(seed=0):
    """A SAM of the package's own parts, with random weights that answer with masks of many sizes."""
    torch.manual_seed(seed)
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    width, size = 32, 128
    encoder = ImageEncoderViT(
        img_size=size, patch_size=16, embed_dim=16, depth=2, num_heads=2, out_chans=width, use_rel_pos=True,
        window_size=3, global_attn_indexes=(1,), norm_layer=lambda n: torch.nn.LayerNorm(n, eps=1e-6),
    )  # fmt: skip
    prompts = PromptEncoder(width, (size // 16,) * 2, (size, size), 16)
    transformer = TwoWayTransformer(depth=2, embedding_dim=width, num_heads=8, mlp_dim=64)
    decoder = MaskDecoder(transformer_dim=width, transformer=transformer, iou_head_depth=3, iou_head_hidden_dim=16)
    network = Sam(encoder, prompts, decoder, [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "output_hypernetworks" in name or "upscaling" in name:
                parameter.mul_(3)
        network.mask_decoder.iou_prediction_head.layers[-1].bias.fill_(0.3)
    return network


def tiny_sam2(seed=1):
    """SAM 2.1 with every switch of the published configuration. The past is made to matter: random weights barely react to
    memory, and equality would say little."""
    from gcseg_ros.networks.sam2 import build_sam2

    torch.manual_seed(seed)
    network = build_sam2(CONFIGURATION, tuple(TINY_SAM2.split())).eval()
    gains = {"cross_attn_image.q_proj": 4, "cross_attn_image.k_proj": 4, "cross_attn_image.v_proj": 2}
    gains |= {"cross_attn_image.out_proj": 2, "output_hypernetworks": 3}
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.dim() > 1:
                parameter.mul_(next((gain for part, gain in gains.items() if part in name), 1))
        network.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.fill_(0.5)  # objects are present
    return network


def answering_nearby(network, decoder, prompt_encoder):
    """Masks around the point that was asked for, in three sizes: untrained ones mostly cover everything or nothing.

    Pixels and points have the same position code; its correlation falls with their distance.
    """

    def add_bumps(module, arguments, keywords, output):
        at = keywords["sparse_prompt_embeddings"][:, 0] - prompt_encoder.point_embeddings[1].weight
        near = torch.einsum("pc,chw->phw", at, keywords["image_pe"][0]) * 2 / at.shape[1]
        near = torch.nn.functional.interpolate(near[:, None], output[0].shape[-2:], mode="bilinear")
        level = torch.tensor([0.35, 0.55, 0.75])[None, :, None, None]
        wobble = output[0] / output[0].std()
        return (8 * (near - level) + 0.7 * wobble, *output[1:])

    decoder.register_forward_hook(add_bumps, with_kwargs=True)
    return network
