"""Image crops and texts -> vectors of one space: the interface, and CLIP through open_clip."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from gcseg_ros.errors import UserError, did_you_mean, quoted
from gcseg_ros.packages import require_packages
from gcseg_ros.weights import TABLE, locate
from gcseg_ros.weights.store import sha256

if TYPE_CHECKING:
    import torch

Vectors = npt.NDArray[np.float32]

DEFAULT_MODEL = "clip-vit-b-32-laion2b"
ARCHITECTURES = {
    "clip-vit-b-32": "ViT-B-32-quickgelu",
    "clip-vit-b-32-laion2b": "ViT-B-32",
    "clip-vit-l-14-336": "ViT-L-14-336-quickgelu",
}
"""Names of `gcseg weights` -> open_clip's architecture."""
SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
LOCAL = "local-dir:"
"""Open_clip's sign for a folder."""
PREPARATION = "mean", "std", "interpolation", "resize_mode"
MULTILINGUAL = re.compile(r"xlm|mt5|nllb|siglip2|i18n|multilingual", re.IGNORECASE)


class Encoder(Protocol):
    """What retrieval needs of CLIP.

    name          tells models apart; features that are kept belong to it
    multilingual  whether texts may be in other scripts than Latin
    """

    @property
    def name(self) -> str: ...

    @property
    def multilingual(self) -> bool: ...

    def images(self, crops: Sequence[npt.NDArray[np.uint8]]) -> Vectors:
        """B crops, each (h, w, 3) uint8 RGB of any size -> (B, D) float32 of unit length."""

    def texts(self, texts: Sequence[str]) -> Vectors:
        """T texts -> (T, D) float32 of unit length."""

    def cuts(self, text: str) -> bool:
        """Whether the text is longer than the model reads: its end is left out."""


class OpenClip:
    """A model of open_clip (Ilharco et al., 2021; CLIP: Radford et al., ICML 2021) in evaluation mode."""

    def __init__(
        self,
        name: str,
        model: torch.nn.Module,
        preprocess: Any,
        tokenize: Any,
        device: torch.device | str,
        multilingual: bool = False,
    ) -> None:
        """preprocess: PIL image -> (3, S, S) tensor; tokenize: list of texts, and L where it is not the model's own -> (T, L) tensor."""
        self.name = name
        self.multilingual = multilingual
        with _full_memory():
            self._model = model.to(device).eval()
        self._preprocess = preprocess
        self._tokenize = tokenize
        self._device = device

    @classmethod
    def load(
        cls, model: str | Path = DEFAULT_MODEL, weights: str | Path | None = None, device: str | None = None
    ) -> OpenClip:
        """model: a CLIP of `gcseg weights list`; a folder with open_clip_config.json and weights; or one of open_clip's
        architectures, with the file `weights`. device: "cpu", "cuda", "cuda:1"; default: a GPU where there is one.

        Weights are not fetched here, and nothing pickled is run. Raises UserError if the package or the weights are missing or do not fit.
        """
        require_packages("A query", ("open_clip", "torch"), "retrieval")
        source, file, name = resolve(model, weights)
        import open_clip

        from gcseg_ros.networks.runtime import device_of

        where = device_of(device or "auto")
        if file is not None and source not in open_clip.list_models():
            hint = did_you_mean(source, open_clip.list_models(), "see open_clip.list_models().")
            raise UserError(f"open_clip has no architecture {source!r}: {hint}")
        preparation = {} if file is None else published_preparation(source)
        if preparation:
            name = f"{name}-{hashlib.sha256(repr(preparation).encode()).hexdigest()[:4]}"
        try:
            network, preprocess = open_clip.create_model_from_pretrained(
                source, None if file is None else str(file), weights_only=True, **preparation
            )
            tokenize = open_clip.get_tokenizer(source)
        except Exception as error:  # whatever a file that is no such model makes of open_clip's loading
            reason = "it is damaged, or holds more than weights" if isinstance(error, UnpicklingError) else str(error)
            raise UserError(
                f"{file or model} cannot be loaded as {source.removeprefix(LOCAL)} ({quoted(reason, 300)}): give weights "
                "that belong to the architecture."
            ) from None
        return cls(name, network, preprocess, tokenize, where, bool(MULTILINGUAL.search(name)))

    def images(self, crops: Sequence[npt.NDArray[np.uint8]]) -> Vectors:
        """B crops, each (h, w, 3) uint8 RGB of any size -> (B, D) float32 of unit length."""
        import torch
        from PIL import Image

        batch = torch.stack([self._preprocess(Image.fromarray(crop)) for crop in crops])
        with _full_memory(), torch.inference_mode():
            return _units(self._model.encode_image(batch.to(self._device)))  # type: ignore[operator]

    def texts(self, texts: Sequence[str]) -> Vectors:
        """T texts -> (T, D) float32 of unit length."""
        import torch

        with _full_memory(), torch.inference_mode():
            return _units(self._model.encode_text(self._tokenize(list(texts)).to(self._device)))  # type: ignore[operator]

    def cuts(self, text: str) -> bool:
        """Whether the text is longer than the model reads: its end is left out."""
        read = self._tokenize([text])
        longer = self._tokenize([text], read.shape[1] + 1)
        return bool((longer[:, :-1] != read).any())  # the last token of a cut text is the sign of the end


def resolve(model: str | Path, weights: str | Path | None = None) -> tuple[str, Path | None, str]:
    """What `OpenClip.load` was given -> open_clip's model name, the file of weights (None: in the folder), and our name.

    Raises UserError.
    """
    model = str(model)
    if model in ARCHITECTURES:
        file = locate(model if weights is None else weights)
        return ARCHITECTURES[model], file, model if weights is None else _marked(model, file)
    if Path(model).is_dir():
        if weights is not None:
            raise UserError(f"The folder {model} brings its own weights: leave out {weights}, or name an architecture.")
        if not (Path(model) / "open_clip_config.json").is_file():
            raise UserError(f"The folder {model} has no open_clip_config.json: expected a model as open_clip saves it.")
        files = sorted(file for suffix in SUFFIXES if suffix != ".pt" for file in Path(model).glob(f"*{suffix}"))
        if not files:
            raise UserError(
                f"The folder {model} has no weights: put open_clip_model.safetensors beside its configuration."
            )
        return f"{LOCAL}{model}", None, _marked(Path(model).resolve().name, files[0])
    known = ", ".join(entry.name for entry in TABLE if entry.name in ARCHITECTURES)
    if weights is None:
        raise UserError(
            f"There is no CLIP model {model!r}: give {known}, a folder as open_clip saves it, or one of open_clip's architectures "
            "with a file of weights."
        )
    file = locate(weights)
    if file.suffix.lower() not in SUFFIXES:
        raise UserError(f"{file} is no file of weights: expected one of {', '.join(SUFFIXES)}.")
    return model, file, _marked(model, file)


def published_preparation(architecture: str) -> dict[str, Any]:
    """How pictures are prepared for the weights that are published of an architecture, as arguments of open_clip's, where that is not
    what open_clip does of itself. A file of weights does not say it. Raises UserError where they differ in it."""
    from open_clip import get_pretrained_cfg, list_pretrained_tags_by_model
    from open_clip.transform import PreprocessCfg

    default = asdict(PreprocessCfg())
    published = [get_pretrained_cfg(architecture, tag) for tag in list_pretrained_tags_by_model(architecture)]
    ways = [
        {f"image_{name}": said[name] for name in PREPARATION if said.get(name) not in (None, default[name])}
        for said in published
    ]
    if any(way != ways[0] for way in ways):
        raise UserError(
            f"Weights of {architecture} differ in how pictures are prepared for them, and a file of weights does not say it: give a "
            "folder as open_clip saves it, whose open_clip_config.json has it as preprocess_cfg."
        )
    return ways[0] if ways else {}


def _marked(name: str, file: Path) -> str:
    """The name with a few digits that tell the file of weights from others; takes a second for each GB."""
    return f"{name}-{sha256(file)[:8]}"


def _full_memory() -> AbstractContextManager[None]:
    """Full memory within it is a UserError."""
    from gcseg_ros.networks.runtime import memory_errors

    return memory_errors("this CLIP", "take a smaller one, or the device cpu")


def _units(vectors: torch.Tensor) -> Vectors:
    vectors = vectors.float()
    return (vectors / vectors.norm(dim=-1, keepdim=True).clamp_min(1e-12)).cpu().numpy()
