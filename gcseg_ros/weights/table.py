"""The weights that are known by name: where they are published, their size and their SHA-256.

CLIP is in open_clip's layout: ViT-B-32-quickgelu and ViT-L-14-336-quickgelu of OpenAI (the latter is OpenMask3D's), ViT-B-32
of LAION-2B. Mask3D was trained with labels of ScanNet, Segment3D without.

Sizes and sums are public facts, each found in at least two independent places, unless `sha256` is None: then nobody could
be found who had written it down, and the size, if that is known, is all that is checked.
"""

from __future__ import annotations

from dataclasses import dataclass

from gcseg_ros.errors import UserError, did_you_mean

SAM = "https://dl.fbaipublicfiles.com/segment_anything/"
SAM2 = "https://dl.fbaipublicfiles.com/segment_anything_2/092824/"
MOBILE_SAM = (
    "https://raw.githubusercontent.com/ChaoningZhang/MobileSAM/f706ad9c4eb7f219c00d9050e46328518ffb65d2/weights/"
)
HUGGING_FACE = "https://huggingface.co/"
MASK3D = "https://omnomnom.vision.rwth-aachen.de/data/mask3d/checkpoints/"


@dataclass(frozen=True)
class Weights:
    """One file of weights.

    name    what people type
    file    its name in the weights' folder
    size    bytes; None if not known
    sha256  hexadecimal; None if not confirmed
    what    what it is for
    """

    name: str
    file: str
    url: str
    size: int | None
    sha256: str | None
    licence: str
    what: str


TABLE: tuple[Weights, ...] = (
    Weights(
        "sam-vit-h",
        "sam_vit_h_4b8939.pth",
        SAM + "sam_vit_h_4b8939.pth",
        2564550879,
        "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
        "Apache-2.0",
        "SAM, the paper's",
    ),
    Weights(
        "sam-vit-l",
        "sam_vit_l_0b3195.pth",
        SAM + "sam_vit_l_0b3195.pth",
        1249524607,
        "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
        "Apache-2.0",
        "SAM, large",
    ),
    Weights(
        "sam-vit-b",
        "sam_vit_b_01ec64.pth",
        SAM + "sam_vit_b_01ec64.pth",
        375042383,
        "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        "Apache-2.0",
        "SAM, base",
    ),
    Weights(
        "mobile-sam",
        "mobile_sam.pt",
        MOBILE_SAM + "mobile_sam.pt",
        40728226,
        "6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
        "Apache-2.0",
        "MobileSAM, vit_t",
    ),
    Weights(
        "sam2.1-tiny",
        "sam2.1_hiera_tiny.pt",
        SAM2 + "sam2.1_hiera_tiny.pt",
        156008466,
        "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69",
        "Apache-2.0",
        "SAM 2.1, tiny",
    ),
    Weights(
        "sam2.1-small",
        "sam2.1_hiera_small.pt",
        SAM2 + "sam2.1_hiera_small.pt",
        184416285,
        "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38",
        "Apache-2.0",
        "SAM 2.1, small",
    ),
    Weights(
        "sam2.1-base-plus",
        "sam2.1_hiera_base_plus.pt",
        SAM2 + "sam2.1_hiera_base_plus.pt",
        323606802,
        "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5",
        "Apache-2.0",
        "SAM 2.1, base+",
    ),
    Weights(
        "sam2.1-large",
        "sam2.1_hiera_large.pt",
        SAM2 + "sam2.1_hiera_large.pt",
        898083611,
        "2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318",
        "Apache-2.0",
        "SAM 2.1, large",
    ),
    Weights(
        "edgetam",
        "edgetam.pt",
        "https://raw.githubusercontent.com/facebookresearch/EdgeTAM/main/checkpoints/edgetam.pt",
        None,
        None,
        "Apache-2.0",
        "a small SAM 2",
    ),
    Weights(
        "clip-vit-b-32",
        "clip_vit_b_32_openai.safetensors",
        HUGGING_FACE
        + "timm/vit_base_patch32_clip_224.openai/resolve/a6f597a30f7b82c51704746581f9a4e41421e878/open_clip_model.safetensors",
        605143284,
        "e6d1bd7789aa45192b3bf90570a789b478bae1b74ebcce7eddd908e83a2b7c31",
        "MIT",
        "CLIP of OpenAI",
    ),
    Weights(
        "clip-vit-b-32-laion2b",
        "clip_vit_b_32_laion2b.safetensors",
        HUGGING_FACE
        + "laion/CLIP-ViT-B-32-laion2B-s34B-b79K/resolve/1a25a446712ba5ee05982a381eed697ef9b435cf/open_clip_model.safetensors",
        605143316,
        "ac4f8c4b88af6d963118cbf40ad93176d092abbedfcb752601ae1866352656e6",
        "MIT",
        "CLIP of LAION",
    ),
    Weights(
        "clip-vit-l-14-336",
        "clip_vit_l_14_336_openai.safetensors",
        HUGGING_FACE
        + "timm/vit_large_patch14_clip_336.openai/resolve/81e38efc4637de5023b10e75a7f9bd1c6fa6b010/open_clip_model.safetensors",
        1711828444,
        "fbc415c3d0d7b79faed8f5ccfb740c32b7c4f5ffe7283b851f89c6231c01a8e0",
        "MIT",
        "CLIP of OpenAI",
    ),
    Weights(
        "mask3d-scannet200",
        "mask3d_scannet200_val.ckpt",
        MASK3D + "scannet200/scannet200_val.ckpt",
        None,
        None,
        "MIT",
        "3D, supervised",
    ),
    Weights(
        "mask3d-scannet",
        "mask3d_scannet_val.ckpt",
        MASK3D + "scannet/scannet_val.ckpt",
        None,
        None,
        "MIT",
        "3D, supervised",
    ),
    Weights(
        "segment3d",
        "segment3d.ckpt",
        "https://drive.usercontent.google.com/download?id=1Swq9d7rjV2Q1lTuXiKh1z0OZPt9V4sgO&export=download&confirm=t",
        475931578,
        None,
        "not stated",
        "3D, class-agnostic",
    ),
)


def named(name: str) -> Weights:
    """The entry of this name. Raises UserError."""
    for entry in TABLE:
        if entry.name == name:
            return entry
    names = [entry.name for entry in TABLE]
    hint = did_you_mean(name, names, f"known are {', '.join(names)}.")
    raise UserError(f"There are no weights {name!r}, neither by name nor as a file: {hint}")
