"""The training loop on Lightning Fabric: the same on a laptop's processor and on several GPUs under torchrun."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

from gcseg_ros.errors import UserError, quoted
from gcseg_ros.files import atomic_path, sole_writer
from gcseg_ros.networks.parameters import write_parameters
from gcseg_ros.networks.runtime import device_of
from gcseg_ros.packages import extra
from gcseg_ros.segmentation import checkpoint
from gcseg_ros.segmentation.network import Mask3D
from gcseg_ros.segmentation.sparse_tensor import SparseTensor
from gcseg_ros.weights.store import sha256
from offline_training.labelling.samples import UNKNOWN, Entry, SampleFolder
from offline_training.segmenter.examples import Batch, Examples, batched
from offline_training.segmenter.losses import segmenter_loss
from offline_training.segmenter.matcher import Weights
from offline_training.segmenter.settings import Training
from offline_training.segmenter.validation import Cloud, average_precision_of

STATE, NETWORK, METRICS = "state.pt", "segmenter.pt", "metrics.jsonl"
FORMAT = "gcseg_ros training state 2"
MOST_LOST = 10  # steps in a row without a finite gradient
FREE = "queries", "keys"  # of a network: what its parameters mean does not depend on these


class Objective(nn.Module):
    """The network together with its loss, so that a step is one forward pass: forward(batch) -> the parts of the loss."""

    def __init__(self, network: Mask3D, settings: Training) -> None:
        super().__init__()
        self.network, self.settings = network, settings.objective
        self.mixed = settings.precision == "bf16-mixed"

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        x, rows = SparseTensor.of_points(batch["coordinates"], batch["features"])
        positions = torch.zeros(len(x.level), 3, device=rows.device).index_copy_(0, rows, batch["positions"])
        labels = torch.full((len(x.level),), UNKNOWN, device=rows.device).index_copy_(0, rows, batch["labels"])
        # Fabric's own mixed precision would round the inputs too: positions to 2 cm at 4 m.
        with torch.autocast(rows.device.type, torch.bfloat16, enabled=self.mixed):
            predictions = self.network(x, positions)
        o = self.settings
        weights = Weights(o.objectness, o.mask, o.dice, o.no_object)
        scenes = [labels[a:b] for a, b in pairwise(x.level.scene_ends)]
        return segmenter_loss(predictions, scenes, weights, o.points, by_anchors=o.assignment == "anchors")


def train(
    settings: Training,
    samples: Sequence[tuple[SampleFolder, Entry]],
    output: Path,
    start: Path | None = None,
    resume: bool = False,
    validation: Sequence[Cloud] = (),
    accelerator: str = "auto",
    devices: int | str = "auto",
    workers: int = 0,
    progress: Callable[[int, int, str], None] = lambda step, of, text: None,
    interrupted: Callable[[], bool] = lambda: False,
) -> Path:
    """Train, and write to `output`: state.pt (to go on from), segmenter.pt (the network so far, float16), metrics.jsonl, TensorBoard's events.

    start       a checkpoint whose parameters are the first ones; its network must be that of the settings, see `load_parameters`
    resume      go on from output/state.pt; the result is the same, bit for bit, as without the interruption. `start` may be left out then
    validation  clouds whose average precision is measured
    progress    called after each step with steps done, steps in all, and a short text
    interrupted asked after each step; once true the state is saved and KeyboardInterrupt raised
    Returns the network's file. Raises UserError, also where another process trains in `output`; where the training diverges, what was
    saved before stays.
    """
    fabric = launched(settings, accelerator, devices)
    with sole_writer(output) if fabric.is_global_zero else nullcontext():
        run = Run(fabric, settings, samples, output, start, resume)
        done, total = run.step, run.total
        writer = event_writer(output, done) if fabric.is_global_zero else None
        if done >= total:
            run.save()  # of a training that is done, what is gone again
        try:
            for batch in batches(Examples(samples, settings), settings, done, total, fabric, workers):
                recent = run.take_step(batch)
                if run.step % settings.validate_every == 0 or run.step == total:
                    recent |= run.validate(validation)
                if writer is not None:
                    for name, value in recent.items():
                        writer.add_scalar(name, value, run.step)
                stop = asked_anywhere(fabric, interrupted())
                if stop or run.step % settings.save_every == 0 or run.step == total:
                    run.save()
                progress(run.step, total, f"loss {recent['loss/total']:.2f}")
                if stop and run.step < total:
                    raise KeyboardInterrupt
        except UserError:  # a sample that cannot be read costs no steps
            if run.step > done and not run.lost:
                run.save()
            raise
        finally:
            if writer is not None:
                writer.close()
        fabric.barrier()
    return output / NETWORK


class Run:
    """A training, in a folder that no other process writes to.

    step   steps done
    total  steps in all
    lost   of the last steps in a row, how many had no finite gradient
    """

    def __init__(
        self,
        fabric: Any,
        settings: Training,
        samples: Sequence[tuple[SampleFolder, Entry]],
        output: Path,
        start: Path | None,
        resume: bool,
    ) -> None:
        """start, resume: as for `train`. Raises UserError."""
        self.total, self.lost = settings.total_steps(len(samples)), 0
        self._fabric, self._settings, self._samples, self._output = fabric, settings, samples, output
        torch.manual_seed(settings.seed)
        self._network = network = Mask3D(settings.network)
        network.backbone.final.requires_grad_(False)
        if start is not None and not resume:
            load_parameters(network, start)
        network.to(fabric.device)  # before the optimizer: what it restores goes where its parameters are
        trained = [p for p in network.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=settings.rate, weight_decay=settings.weight_decay)
        # A warm-up of exactly one step makes OneCycleLR divide by zero.
        warm_up = settings.warm_up * (1.5 if settings.warm_up * self.total == 1 else 1)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, settings.rate, total_steps=self.total, pct_start=warm_up
        )
        self._average = AveragedModel(network, avg_fn=running_mean(settings.average_steps), use_buffers=True)
        self._kept: Mask3D = self._average.module  # type: ignore[assignment]
        self._parts = {
            "network": network,
            "average": self._average,
            "optimizer": optimizer,
            "schedule": self._schedule,
        }
        began = None if start is None else origin(start)
        self.step, self._began = (
            restore(output / STATE, settings, samples, began, self._parts) if resume else (0, began)
        )
        self._metrics = read_metrics(output / METRICS, self.step) if resume else []
        self._objective, self._optimizer = fabric.setup(Objective(network, settings), optimizer)
        self._average.to(fabric.device)

    def take_step(self, batch: Batch) -> dict[str, float]:
        """What is to be told of it: the parts of the loss, the rate, and the gradient's norm. Raises UserError where the training diverges."""
        settings = self._settings
        # Everything random in a step follows from its number: there is no state of generators to keep.
        torch.manual_seed(hash_of(settings.seed, self.step, self._fabric.global_rank))
        self._network.train()
        losses = self._objective(batch)
        self._optimizer.zero_grad(set_to_none=True)
        self._fabric.backward(losses["total"])
        norm = self._fabric.clip_gradients(
            self._objective, self._optimizer, max_norm=settings.clip, error_if_nonfinite=False
        )
        rate = self._schedule.get_last_lr()[0]
        self.lost = 0 if torch.isfinite(norm) else self.lost + 1
        if self.lost == MOST_LOST:
            raise UserError(
                f"The training has diverged: {self.lost} steps in a row had no finite gradient (the last of them {self.step + 1}). Begin anew "
                f"in another folder with a lower rate (now {settings.rate:g}); {self._output} stays as last saved."
            )
        if not self.lost:
            self._optimizer.step()
        self._schedule.step()
        self._average.update_parameters(self._network)
        self.step += 1
        recent = {f"loss/{name}": float(value.detach()) for name, value in losses.items()}
        recent |= {"rate": float(rate), "gradient norm": float(norm)}
        self._metrics.append({"step": self.step, **{name: round(value, 6) for name, value in recent.items()}})
        return recent

    def validate(self, clouds: Sequence[Cloud]) -> dict[str, float]:
        """The average precision of the network so far, on the first device; none without clouds."""
        scores: dict[str, float] = {}
        if self._fabric.is_global_zero and clouds:
            scores = average_precision_of(self._kept, clouds, self._settings)
            self._metrics[-1] |= {name: round(value, 4) for name, value in scores.items()}
        self._fabric.barrier()
        return scores

    def save(self) -> None:
        """The files of `train`."""
        if not self._fabric.is_global_zero:
            return
        settings = self._settings
        write_metrics(self._output / METRICS, self._metrics)
        self._kept.config = replace(settings.network, queries=settings.evaluation_queries)
        checkpoint.save(
            self._kept,
            self._output / NETWORK,
            post_processing=settings.evaluation.model_dump(),
            stage=settings.stage,
            steps=self.step,
            settings=settings.model_dump_json(),
        )
        # last: what it says is done is there
        write_state(self._output / STATE, self.step, settings, self._samples, self._began, self._parts)


def rank() -> int:
    """Of this process among those of torchrun; 0 without."""
    return int(os.environ["RANK"]) if "TORCHELASTIC_RUN_ID" in os.environ else 0


def launched(settings: Training, accelerator: str, devices: int | str) -> Any:
    """Fabric, ready. Under torchrun each process is one device; else all of this machine's, or as many as asked for. Raises UserError."""
    from lightning.fabric import Fabric
    from lightning.fabric.plugins.environments import TorchElasticEnvironment

    accelerator = device_of(accelerator, "--accelerator").type  # Lightning's own "auto" is also what a Mac has
    if TorchElasticEnvironment.detect():
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = max(1, int(os.environ["WORLD_SIZE"]) // devices)
    else:
        nodes = 1
        if accelerator == "cpu" and devices == "auto":
            devices = 1
    try:
        fabric = Fabric(accelerator=accelerator, devices=devices, num_nodes=nodes)
    except Exception as error:  # Lightning has no common type for what is not there
        raise UserError(
            f"Training cannot run on {devices} of {accelerator!r} here ({quoted(error, 200)}): choose --accelerator cpu, or auto."
        ) from None
    fabric.launch()
    if settings.batch % fabric.world_size:
        raise UserError(
            f"The setting batch = {settings.batch} must be a multiple of the number of devices: there are {fabric.world_size}."
        )
    return fabric


def running_mean(steps: int) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """How AveragedModel averages: exponentially over about `steps`, over fewer in the beginning; 0: not at all."""

    def average(mean: Tensor, value: Tensor, count: Tensor | int) -> Tensor:
        share = max(10 / (10 + int(count)), 1 / steps) if steps else 1.0
        return mean + (value - mean) * share if share < 1 else value

    return average


def asked_anywhere(fabric: Any, asked: bool) -> bool:
    """Whether one of the processes was asked to stop: they all stop after the same step."""
    if fabric.world_size == 1:
        return asked
    return bool(fabric.all_reduce(torch.tensor(float(asked), device=fabric.device), reduce_op="max") > 0)


def batches(
    examples: Examples, settings: Training, done: int, total: int, fabric: Any, workers: int
) -> Iterator[Batch]:
    """This device's part of the batch of every step from `done` on."""
    part = settings.batch // fabric.world_size
    first = part * fabric.global_rank
    numbers = [[step * settings.batch + first + i for i in range(part)] for step in range(done, total)]
    loader = DataLoader(
        examples, batch_sampler=numbers, collate_fn=batched, num_workers=workers, persistent_workers=workers > 0
    )
    try:
        for batch in loader:
            yield fabric.to_device(batch)
    except UserError as error:  # from a worker it comes with a traceback in its text
        raise UserError(str(error).rsplit("UserError: ", 1)[-1].strip()) from None
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise UserError(
            "A process that prepares examples has died (is memory short?): go on with --resume and fewer --workers."
        ) from None


def hash_of(*numbers: int) -> int:
    """One number below 2^63 that depends on all."""
    result = 0
    for number in numbers:
        result = (result * 1_000_003 + number + 1) % (2**63 - 1)
    return result


def load_parameters(network: Mask3D, file: Path) -> None:
    """The parameters of a checkpoint into a network of the same configuration, but for what may change (FREE). Raises UserError."""
    other = checkpoint.load(file).network
    theirs, ours = asdict(other.config), asdict(network.config)
    different = [name for name in ours if name not in FREE and theirs[name] != ours[name]]
    if different:
        what = ", ".join(f"network.{name} = {theirs[name]} instead of {ours[name]}" for name in different)
        raise UserError(
            f"{file} is another network than that of the settings: it has {what}; give its settings (--config, --set)."
        )
    network.load_state_dict(other.state_dict())


def origin(file: Path) -> str:
    """A digest of a network's file. Raises UserError where there is none."""
    try:
        return sha256(file)[:16]
    except OSError as error:
        raise UserError(
            f"The network {file} to begin with (--from) cannot be read: {error.strerror or error}."
        ) from None


def write_state(
    file: Path,
    step: int,
    settings: Training,
    samples: Sequence[tuple[SampleFolder, Entry]],
    began: str | None,
    parts: dict[str, Any],
) -> None:
    """began: the `origin` of its first parameters; parts: by name, what has a state_dict."""
    content = {
        "format": FORMAT,
        "step": step,
        "settings": settings.model_dump_json(),
        "samples": names_of(samples),
        "from": began,
        **{name: part.state_dict() for name, part in parts.items()},
    }
    write_parameters(content, file)


def restore(
    file: Path,
    settings: Training,
    samples: Sequence[tuple[SampleFolder, Entry]],
    began: str | None,
    parts: dict[str, Any],
) -> tuple[int, str | None]:
    """Steps done, and the `origin` of the first parameters. Raises UserError if there is no such file, it is broken, or it belongs to other
    settings or samples, or began with another network than `began` (None: any)."""
    check_state(file)
    unreadable = UserError(
        f"The state {file} cannot be read, it is damaged or of another version: delete it, or give a new folder."
    )
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        before, names, step = json.loads(state["settings"]), state["samples"], int(state["step"])
        if state["format"] != FORMAT or step < 0:
            raise unreadable
    except Exception:  # torch has no common type for broken files, and its advice is not for whoever trains
        raise unreadable from None
    now = json.loads(settings.model_dump_json())
    different = sorted(name for name in now.keys() | before.keys() if now.get(name) != before.get(name))
    if different or names != names_of(samples):
        what = ", ".join(different) or "samples"
        raise UserError(f"The state {file} was trained with other {what}: give the same, or a new folder.")
    began_before = state.get("from", began)
    if began not in (None, began_before):
        raise UserError(
            f"The state {file} began with another network than that of --from: give the same, leave --from out, or give a new folder."
        )
    try:
        for name, part in parts.items():
            part.load_state_dict(state[name])
    except Exception:  # each part has its own types for what does not fit it
        raise unreadable from None
    return step, began_before


def check_state(file: Path) -> None:
    """Raises UserError if there is no such file."""
    if not file.is_file():
        raise UserError(f"There is no state {file} to go on from: start without --resume.")


def names_of(samples: Sequence[tuple[SampleFolder, Entry]]) -> list[str]:
    """Which samples of which labelling: those of another are others, whatever their files are called."""
    return [f"{folder.digest} {entry.file}" for folder, entry in samples]


def event_writer(output: Path, done: int) -> Any:
    """TensorBoard's; what an interrupted run wrote beyond the step it is resumed from is dropped."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UserError(f"Curves need tensorboard, which is not installed: {extra('train')}.") from None
    return SummaryWriter(output, purge_step=done + 1 if done else None)


def read_metrics(file: Path, until: int) -> list[dict[str, float]]:
    """The rows of the steps done, none where the file is missing. Raises UserError if it is damaged."""
    if not file.is_file():
        return []
    try:
        rows = [json.loads(line) for line in file.read_text().splitlines() if line]
        return [row for row in rows if row["step"] <= until]
    except (ValueError, TypeError, KeyError):
        raise UserError(
            f"{file} is damaged: expected a JSON object with its step on each line. Mend or delete it; the curves then begin anew, the "
            "training goes on."
        ) from None


def write_metrics(file: Path, rows: list[dict[str, float]]) -> None:
    with atomic_path(file) as temporary:
        temporary.write_text("".join(json.dumps(row) + "\n" for row in rows))
