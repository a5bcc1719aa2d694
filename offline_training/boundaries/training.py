"""The training loop."""

from __future__ import annotations

import csv
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

from gcseg_ros.consoles import errors, print_line, progress
from gcseg_ros.errors import UserError
from gcseg_ros.files import atomic_path
from gcseg_ros.masks.boundary_network import BoundaryMaps, features
from gcseg_ros.networks.parameters import write_parameters
from gcseg_ros.recordings.synthetic.styles import HELD_OUT_STYLES, TRAINING_STYLES
from offline_training.boundaries.appearance import principal_components
from offline_training.boundaries.calibration import calibrate
from offline_training.boundaries.evaluation import evaluate
from offline_training.boundaries.export import export
from offline_training.boundaries.loss import PARTS, boundary_loss
from offline_training.boundaries.network import BoundaryUNet, gathered
from offline_training.boundaries.views import Examples, LabelledView, ViewCache

WARMUP_STEPS = 200
AVERAGED_STEPS = 500
CALIBRATION_VIEWS = 40
APPEARANCE_VIEWS = 200
SHOWN_EVERY = 10  # steps; to look at the loss is to wait for the device


@dataclass(frozen=True)
class Settings:
    """All that the result depends on, besides the generator."""

    steps: int
    batch: int = 8
    rate: float = 2e-3
    seed: int = 0
    pool: int = 8000
    fresh: float = 0.3


def train(
    settings: Settings,
    output: Path,
    cache: Path,
    resume: bool,
    workers: int,
    validate_every: int,
    held_out: int,
    device: torch.device,
) -> Path:
    """Train, and write to `output`: checkpoint.pt, curves.csv, curves.png, boundary.onnx (its path is returned).

    cache           folder for generated views
    resume          go on from output/checkpoint.pt; the result is the same as without the interruption
    workers         processes that generate views and prepare examples: what the speed depends on where the device is a GPU
    validate_every  steps; held_out views of styles that are never trained on are measured
    """
    output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    network = BoundaryUNet().to(device, memory_format=torch.channels_last)
    average = AveragedModel(network, multi_avg_fn=running_mean, use_buffers=True)
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.rate, weight_decay=1e-3, fused=True)
    checkpoint, curves = output / "checkpoint.pt", output / "curves.csv"
    if not resume and checkpoint.exists():
        raise UserError(f"{output} holds a training already: go on with it (--resume), or give a new folder.")
    start = restore(checkpoint, settings, network, average, optimizer) if resume else 0
    known = ViewCache(cache, TRAINING_STYLES)
    aside = ViewCache(cache, HELD_OUT_STYLES)
    examples = Examples(known, settings.seed, settings.pool, settings.fresh)
    loader = DataLoader(
        examples,
        batch_size=settings.batch,
        sampler=range(start * settings.batch, settings.steps * settings.batch),
        num_workers=workers,
        persistent_workers=workers > 0,
        prefetch_factor=4 if workers else None,
        pin_memory=device.type == "cuda",
        worker_init_fn=one_thread,
    )
    rows = read_curves(curves, start) if resume else []
    nothing = torch.zeros((), device=device)
    sums = dict.fromkeys((*PARTS, "total"), nothing)
    since, began = 0, time.perf_counter()
    with progress("training", settings.steps) as advance:
        advance(start)
        for step, batch in enumerate(loader, start + 1):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, settings)
            network.train()
            batch = {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}
            with torch.autocast(device.type, torch.bfloat16):
                maps, affinities = network(batch["features"].to(memory_format=torch.channels_last))
            losses = boundary_loss(maps, affinities, batch)
            optimizer.zero_grad(set_to_none=True)
            losses["total"].backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            average.update_parameters(network)
            since += 1
            for part, value in losses.items():
                sums[part] = sums[part] + value.detach()
            if step % SHOWN_EVERY == 0:
                advance(step, text=f"loss {float(sums['total']) / since:.3f}")
            if step % validate_every == 0 or step == settings.steps:
                figures = evaluate(predictor(average.module), (aside(number) for number in range(held_out)))
                rows.append(
                    {
                        "step": step,
                        "seconds": round(time.perf_counter() - began, 1),
                        **{f"loss_{part}": round(float(total) / since, 5) for part, total in sums.items()},
                        **{name: round(value, 4) for name, value in figures.items()},
                    }
                )
                sums, since = dict.fromkeys(sums, nothing), 0
                print_line(" ".join(f"{name} {value}" for name, value in rows[-1].items()), to=errors)
                write_curves(curves, rows)
                save(checkpoint, step, settings, network, average, optimizer)
    return finish(average.module, known, settings, output)


def finish(network: BoundaryUNet, known: ViewCache, settings: Settings, output: Path) -> Path:
    """Calibrate on training styles' views beyond the pool, find the components of appearance in some of the pool's, and export."""
    network.cpu().eval()
    beyond = range(settings.pool, settings.pool + CALIBRATION_VIEWS)
    scale, bias = calibrate((logits(network, view)[0][0], view.instance) for view in map(known, beyond))
    some = range(0, settings.pool, max(1, settings.pool // APPEARANCE_VIEWS))
    mean, components = principal_components((knowledge(network, view), view.instance) for view in map(known, some))
    file = output / "boundary.onnx"
    export(network, scale, bias, mean, components, file)
    return file


def running_mean(average: list[torch.Tensor], values: list[torch.Tensor], count: torch.Tensor | int) -> None:
    """Exponential mean of the weights over about AVERAGED_STEPS, fewer in the beginning. In place."""
    share = max(10 / (10 + int(count)), 1 / AVERAGED_STEPS)
    if average[0].is_floating_point():
        torch._foreach_lerp_(average, values, share)
    else:
        torch._foreach_copy_(average, values)


def learning_rate(step: int, settings: Settings) -> float:
    """Linear warm-up, then half a cosine to 1 % at the last step."""
    warm = min(1.0, step / WARMUP_STEPS)
    return settings.rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / settings.steps))))


def inputs_of(network: BoundaryUNet, view: LabelledView) -> torch.Tensor:
    """A whole view whose sides are multiples of 16."""
    inputs = torch.from_numpy(features(view.colour, view.depth_m, view.intrinsics, view.up))[None]
    return inputs.to(network.maps.weight.device, memory_format=torch.channels_last)


def logits(network: BoundaryUNet, view: LabelledView) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a view: maps (2, H, W), affinities (K, H/2, W/2)."""
    with torch.inference_mode():
        maps, affinities = network(inputs_of(network, view))
    return maps[0].cpu().numpy(), affinities[0].cpu().numpy()


def knowledge(network: BoundaryUNet, view: LabelledView) -> np.ndarray:
    """(C, H/4, W/4) What the network knows of a view."""
    with torch.inference_mode():
        return gathered(network.known(inputs_of(network, view)))[0].cpu().numpy()


def predictor(network: BoundaryUNet):  # type: ignore[no-untyped-def]
    """The network as `evaluate` wants it."""
    network.eval()

    def predict(view: LabelledView) -> BoundaryMaps:
        maps, affinities = (torch.from_numpy(x).sigmoid().numpy() for x in logits(network, view))
        return BoundaryMaps(maps[0], affinities, maps[1])

    return predict


def one_thread(_: int) -> None:
    """Workers share the cores with the training."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def save(
    path: Path,
    step: int,
    settings: Settings,
    network: BoundaryUNet,
    average: AveragedModel,
    optimizer: torch.optim.Optimizer,
) -> None:
    """Write a checkpoint; the old one stays until the new one is complete. Raises UserError."""
    content = {
        "step": step,
        "settings": asdict(settings),
        "network": network.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    write_parameters(content, path)


def restore(
    path: Path,
    settings: Settings,
    network: BoundaryUNet,
    average: AveragedModel,
    optimizer: torch.optim.Optimizer,
) -> int:
    """Load a checkpoint; returns the steps done. Raises UserError if there is none or it belongs to other settings."""
    if not path.is_file():
        raise UserError(f"There is no checkpoint at {path} to resume from: start without --resume.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        step, found = int(state["step"]), state["settings"]
    except Exception:  # torch has no common type for broken files, and its advice is not for whoever trains
        raise UserError(
            f"The checkpoint {path} cannot be read, it is damaged or of another version: delete it, or give a new folder."
        ) from None
    if found != asdict(settings):
        raise UserError(
            f"The checkpoint {path} was trained with {found}: resume with these settings, or give a new folder."
        )
    return step


def read_curves(path: Path, until: int) -> list[dict[str, object]]:
    """Rows of curves.csv up to a step."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return [dict(row) for row in csv.DictReader(file) if int(row["step"]) <= until]


def write_curves(path: Path, rows: list[dict[str, object]]) -> None:
    """Losses and held-out figures by step, as CSV and as a picture beside it."""
    with atomic_path(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    draw_curves(path.with_suffix(".png"), rows)


def draw_curves(path: Path, rows: list[dict[str, object]]) -> None:
    """All figures that lie in 0..1 over the steps."""
    width, height = 720, 360
    picture = np.full((height, width, 3), 255, np.uint8)
    steps = np.array([float(str(row["step"])) for row in rows])
    names = ["loss_boundary", "loss_affinities", "f1", "f2", "iou", "achievable"]
    for i, name in enumerate(names):
        colour = tuple(int(c) for c in cv2.applyColorMap(np.uint8([[40 * i]]), cv2.COLORMAP_TURBO)[0, 0])
        values = np.clip([float(str(row[name])) for row in rows], 0, 1)
        points = np.stack([20 + steps / steps.max() * (width - 180), height - 20 - values * (height - 40)], 1)
        cv2.polylines(picture, [points.astype(np.int32)], False, colour, 2, cv2.LINE_AA)
        label = f"{name} {values[-1]:.3f}"
        cv2.putText(picture, label, (width - 155, 30 + 22 * i), cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1, cv2.LINE_AA)
    cv2.imwrite(str(path), picture)
