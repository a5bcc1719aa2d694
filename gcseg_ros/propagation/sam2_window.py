"""A window of SAM 2's propagation, one picture at a time: the package's own result to the bit, in bounded memory.

The package wants the whole video before it starts and keeps all it has computed. Here the same networks are asked for one
frame after the other, and per object only what the next frame can look at is kept: `num_maskmem` maps of memory and
`max_obj_ptrs_in_encoder` pointers (Ravi et al. 2024, Sec. 4). Of `SAM2Base` four methods are used: forward_image,
_prepare_backbone_features, track_step and _encode_new_memory.

A frame depends on nothing after it. Two ways in which the package lets the future in are closed: a later prompt cannot change
earlier frames, because a window has one prompted frame; and the time code of pointers, which the package scales by the
video's length, is that of a long video (`length`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from gcseg_ros.errors import UserError
from gcseg_ros.networks.runtime import Portions, Runtime
from gcseg_ros.state import Saved

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LONG = 1 << 30
OBJECTS_ON_GPU = 16
"""Objects propagated at once on a GPU; on a CPU one at a time is as fast, and is what the package does."""


@dataclass(frozen=True)
class Tracks:
    """Masks of objects in one frame.

    logits  (N, H, W) float32; the mask is where they are positive
    scores  (N,) not positive: the object is not in the frame
    """

    ids: list[int]
    logits: Tensor
    scores: list[float]


class Group:
    """Objects that go through the network together, and their memory in the package's form, objects along the first axis."""

    def __init__(self, ids: list[int], memory: dict[str, dict[int, dict[str, Any]]]) -> None:
        self.ids, self.memory = ids, memory

    def part(self, rows: Sequence[int]) -> Group:
        """The group of some of its objects."""

        def picked(entry: dict[str, Any]) -> dict[str, Any]:
            features = entry["maskmem_features"]
            codes = entry["maskmem_pos_enc"]
            return {
                "maskmem_features": None if features is None else features[rows],
                "maskmem_pos_enc": None if codes is None else [code[: len(rows)] for code in codes],  # rows are equal
                "obj_ptr": entry["obj_ptr"][rows],
            }

        memory = {kind: {t: picked(e) for t, e in frames.items()} for kind, frames in self.memory.items()}
        return Group([self.ids[row] for row in rows], memory)


class Sam2Window:
    """Objects prompted with their masks in one frame and followed through the next ones.

    objects_per_batch  0: 1 on a CPU, 16 on a GPU. With 1 the result is the package's to the bit; with more it differs by the
                       rounding of larger products.
    length             what the network is told of the video's length; give it to reproduce the package on a short folder
    """

    def __init__(self, network: Any, runtime: Runtime, objects_per_batch: int = 0, length: int = LONG) -> None:
        """Raises UserError where the network's configuration does not allow it."""
        if network.non_overlap_masks_for_mem_enc:
            raise UserError(
                "SAM 2 cannot be propagated with non_overlap_masks_for_mem_enc=true, because objects would depend on who shares their "
                "batch: leave it out of propagation.sam2.overrides and the configuration."
            )
        self.network, self.runtime, self.length = network, runtime, length
        self.portions = Portions("propagation.sam2.objects_per_batch")
        self.most = objects_per_batch or (OBJECTS_ON_GPU if runtime.on_gpu else 1)
        if getattr(network, "spatial_perceiver", None) is not None:
            self.most = 1  # EdgeTAM's own code takes one object at a time
        self.groups: list[Group] = []
        self.index = 0  # of the frame within the window; 0 is the prompted one
        self.encoding: Any = None  # features, position codes and sizes of the latest picture
        self._code: list[Tensor] = []  # position code of a map of memory: one copy for all

    @property
    def ids(self) -> list[int]:
        return [id for group in self.groups for id in group.ids]

    @torch.inference_mode()
    def encode(self, picture: npt.NDArray[np.uint8]) -> None:
        """Take (H, W, 3) uint8 RGB as the present frame."""
        pixels = preprocessed(picture, self.network.image_size)

        def features() -> Any:
            with self.runtime.autocast():
                encoded = self.network.forward_image(pixels.to(self.runtime.device))
                return self.network._prepare_backbone_features(encoded)[1:]

        self.encoding = self.portions.run(features)

    @torch.inference_mode()
    def prompt(self, ids: Sequence[int], masks: npt.NDArray[np.bool_]) -> None:
        """Forget all objects and start a window with these: (N, h, w) bool masks in the present frame."""
        self.forget()
        self.groups = self.portions.run(lambda: self._prompted(list(ids), torch.from_numpy(masks)))

    def forget(self) -> None:
        """Follow nothing any more."""
        self.groups, self.index = [], 0

    @torch.inference_mode()
    def track(self, shape: tuple[int, int]) -> list[Tracks]:
        """The objects in the present frame, which comes after the last one; logits at (h, w)."""
        followed = self.portions.run(lambda: [self._followed(group, shape) for group in self._divided()])
        self.index += 1
        self.groups = [group for group, _, _ in followed]
        for group, entry, _ in followed:
            group.memory["non_cond_frame_outputs"][self.index] = entry
            self._prune(group.memory["non_cond_frame_outputs"])
        return [tracks for _, _, tracks in followed]

    def give_up(self, ids: set[int]) -> None:
        """Objects that cost nothing from now on."""
        kept = ((g, [row for row, id in enumerate(g.ids) if id not in ids]) for g in self.groups)
        self.groups = [g if len(rows) == len(g.ids) else g.part(rows) for g, rows in kept if rows]

    def tensors(self) -> tuple[int, int]:
        """How many tensors are held between frames, and their bytes; views count once."""
        entries = [e for g in self.groups for frames in g.memory.values() for e in frames.values()]
        values = [v for e in entries for v in e.values() if v is not None]
        storages = [t.untyped_storage() for v in values for t in (v if isinstance(v, list) else [v])]
        sizes = {storage.data_ptr(): storage.nbytes() for storage in storages}
        return len(sizes), sum(sizes.values())

    def state(self) -> dict[str, Any]:
        """What the next frame looks at; nothing where no object is followed, and for EdgeTAM. Maps are bfloat16, as bits."""
        if not self.groups or self._code[0].ndim != 4:
            return {}
        entries = [{**g.memory["non_cond_frame_outputs"], **g.memory["cond_frame_outputs"]} for g in self.groups]
        frames = sorted(entries[0])  # the same in all groups; 0 is the prompt
        mapped = [t for t in frames if entries[0][t]["maskmem_features"] is not None]
        # put together on the CPU: the GPU may be full
        maps = torch.stack([torch.cat([e[t]["maskmem_features"].cpu() for e in entries]) for t in mapped])
        pointers = torch.stack([torch.cat([e[t]["obj_ptr"].cpu() for e in entries]) for t in frames])
        return {
            "network": fingerprint(self.network),
            "index": self.index,
            "ids": np.array(self.ids, np.int32),
            "frames": np.array(frames, np.int64),
            "mapped": np.array(mapped, np.int64),
            "maps": maps.view(torch.int16).numpy(),
            "pointers": pointers.float().numpy(),
            "code": self._code[0].float().cpu().numpy(),
        }

    def restore(self, saved: Saved) -> None:
        """Take over the `state` of a window; follow nothing where it was of another network. Raises UserError."""
        self.groups, self.encoding = [], None
        if "network" not in saved or saved.text("network") != fingerprint(self.network):
            return
        device, network = self.runtime.device, self.network
        self.index = saved.number("index")
        ids = saved.array("ids", np.int32, (None,), 1, saved.objects)
        frames = saved.array("frames", np.int64, (None,), 0, self.index).tolist()
        mapped = saved.array("mapped", np.int64, (None,), 0, self.index).tolist()
        if 0 not in mapped or not set(mapped) <= set(frames):
            raise saved.wrong("mapped", "some of `frames`, and 0", str(mapped))
        side, width = network.image_size // network.backbone_stride, network.mem_dim
        code = torch.from_numpy(saved.array("code", np.float32, (1, width, side, side))).to(device)
        bits = saved.array("maps", np.int16, (len(mapped), len(ids), width, side, side))
        maps = torch.from_numpy(bits).view(torch.bfloat16).to(device)
        shape = len(frames), len(ids), network.hidden_dim
        pointers = torch.from_numpy(saved.array("pointers", np.float32, shape)).to(device)
        self._code = [code]
        entries = {
            t: {
                "maskmem_features": maps[mapped.index(t)] if t in mapped else None,
                "maskmem_pos_enc": [code.expand(len(ids), *code.shape[1:])] if t in mapped else None,
                "obj_ptr": pointers[i],
            }
            for i, t in enumerate(frames)
        }
        memory = {"cond_frame_outputs": {0: entries.pop(0)}, "non_cond_frame_outputs": entries}
        self.groups = [Group(ids.tolist(), memory)]  # divided before the next frame

    def _divided(self) -> list[Group]:
        """The groups, none larger than what may go through the network at once."""
        at_once, groups = self.portions.of(self.most), []
        for group in self.groups:
            if len(group.ids) <= at_once:
                groups.append(group)
                continue
            rows = range(len(group.ids))
            groups += [group.part(rows[start : start + at_once]) for start in range(0, len(rows), at_once)]
        return groups

    def _followed(self, group: Group, shape: tuple[int, int]) -> tuple[Group, dict[str, Any], Tracks]:
        """A group, what is to be remembered of it in the frame after the last one, and its masks there. The network's
        answer, with masks of its own size, is not kept; the group is as it was."""
        result = self._step(len(group.ids), group.memory, None, True, self.index + 1)
        entry = self._entry(result, result["maskmem_features"], result["maskmem_pos_enc"])
        return group, entry, self._tracks(group.ids, result, shape)

    def _step(self, count: int, memory: Any, masks: Tensor | None, remember: bool, index: int) -> Any:
        features, codes, sizes = self._encoding_of(count)
        with self.runtime.autocast():
            return self.network.track_step(
                frame_idx=index,
                is_init_cond_frame=masks is not None,
                current_vision_feats=features,
                current_vision_pos_embeds=codes,
                feat_sizes=sizes,
                point_inputs=None,
                mask_inputs=masks,
                output_dict=memory,
                num_frames=self.length,
                run_mem_encoder=remember,
            )

    def _prompted(self, ids: list[int], masks: Tensor) -> list[Group]:
        """What the package's add_new_mask and propagate_in_video_preflight do."""
        network, size = self.network, (self.network.image_size,) * 2
        at_once, groups = self.portions.of(self.most), []
        for start in range(0, len(ids), at_once):
            given = masks[start : start + at_once, None].to(self.runtime.device, torch.float32)
            if given.shape[-2:] != size:
                given = interpolate(given, size, mode="bilinear", align_corners=False, antialias=True)
                given = (given >= 0.5).float()
            memory: dict[str, dict[int, Any]] = {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}}
            result = self._step(len(given), memory, given, False, 0)
            # the memory of a prompt is made from the mask at a quarter of the size; track_step's own would be another one
            high = interpolate(result["pred_masks"].float(), size, mode="bilinear", align_corners=False)
            features, _, sizes = self._encoding_of(len(given))
            with self.runtime.autocast():
                remembered, codes = network._encode_new_memory(
                    current_vision_feats=features,
                    feat_sizes=sizes,
                    pred_masks_high_res=high,
                    object_score_logits=result["object_score_logits"],
                    is_mask_from_pts=True,
                )
            memory["cond_frame_outputs"][0] = self._entry(result, remembered, codes)
            groups.append(Group(ids[start : start + at_once], memory))
        return groups

    def _encoding_of(self, count: int) -> tuple[list[Tensor], list[Tensor], Any]:
        """The present picture as seen by so many objects: views of one encoding."""
        features, codes, sizes = self.encoding
        return [x.expand(-1, count, -1) for x in features], [x.expand(-1, count, -1) for x in codes], sizes

    def _entry(self, result: Any, features: Tensor, codes: list[Tensor]) -> dict[str, Any]:
        if [code.shape[1:] for code in self._code] != [code.shape[1:] for code in codes]:
            self._code = [code[:1].clone() for code in codes]
        return {
            "maskmem_features": features.to(torch.bfloat16),  # as the package keeps it: part of the result
            "maskmem_pos_enc": [code.expand(len(features), *code.shape[1:]) for code in self._code],
            "obj_ptr": result["obj_ptr"],
        }

    def _prune(self, frames: dict[int, dict[str, Any]]) -> None:
        """Drop what no later frame of the window looks at (_prepare_memory_conditioned_features)."""
        network, coming = self.network, self.index + 1
        oldest_map = coming - 1 - max(network.num_maskmem - 2, 0) * network.memory_temporal_stride_for_eval
        oldest_pointer = coming - (network.max_obj_ptrs_in_encoder - 1)
        for t in list(frames):
            if t < oldest_map:
                frames[t]["maskmem_features"] = frames[t]["maskmem_pos_enc"] = None
            if t < min(oldest_pointer, oldest_map):
                del frames[t]

    def _tracks(self, ids: list[int], result: Any, shape: tuple[int, int]) -> Tracks:
        logits = interpolate(result["pred_masks"].float(), shape, mode="bilinear", align_corners=False)[:, 0]
        return Tracks(ids, logits, result["object_score_logits"][:, 0].tolist())


def fingerprint(network: Any) -> str:
    """Tells networks with other weights, or for pictures of another size, apart: hexadecimal, of a few values of every
    parameter."""
    digest = hashlib.sha256(str(network.image_size).encode())
    for name, value in network.state_dict().items():
        digest.update(f"{name} {tuple(value.shape)}".encode())
        digest.update(value.flatten()[:16].float().cpu().numpy().tobytes())
    return digest.hexdigest()


def preprocessed(picture: npt.NDArray[np.uint8], size: int) -> Tensor:
    """(H, W, 3) uint8 RGB -> (1, 3, size, size) float32, as sam2.utils.misc reads a video's frames, to the bit."""
    pixels = np.asarray(Image.fromarray(picture).resize((size, size))) / 255.0
    tensor = torch.from_numpy(pixels).permute(2, 0, 1).float()[None]
    return (tensor - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
