"""What networks have in common: where they run, how much at once, and what a full memory is.

Needs PyTorch; whoever imports this module has called `require_packages` first.
"""

from __future__ import annotations

import logging
import re
import weakref
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import nn

from gcseg_ros.config import FoundationConfig
from gcseg_ros.errors import UserError, quoted

logger = logging.getLogger(__name__)
T = TypeVar("T")
FULL_GPU = re.compile(r"out of memory|STATUS_ALLOC_FAILED")
"""In what torch says where the GPU's memory is full and its own allocator does not know it."""
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def device_of(name: str, setting: str = "device") -> torch.device:
    """The device of this name; auto: a GPU where there is one. Raises UserError if it is not there.

    setting  what the user calls it, for the error
    """
    there = torch.cuda.is_available()
    name = ("cuda" if there else "cpu") if name == "auto" else name
    device: torch.device | None = None
    with suppress(RuntimeError):
        device = torch.device(name)
    if device is None or device.type not in ("cpu", "cuda"):
        raise UserError(f"{setting} must be auto, cpu, cuda or cuda:N; found {name!r}.")
    if device.type == "cuda" and not there:
        raise UserError(
            f"{setting} is {name}, but PyTorch finds no GPU here: install a driver and a PyTorch built for it, or choose "
            f"{setting}=cpu."
        )
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"There is no GPU {name}: this machine has {torch.cuda.device_count()}, counted from cuda:0.")
    return device


def computes_bfloat16(device: torch.device) -> bool:
    """Whether it is a GPU with bfloat16 of its own: older ones emulate it, slower than float32."""
    if device.type != "cuda":
        return False
    with torch.cuda.device(device):
        return torch.cuda.is_bf16_supported(including_emulation=False)


@dataclass(frozen=True)
class Runtime:
    """Where networks run and in which precision."""

    device: torch.device
    precision: torch.dtype
    compile: bool

    @classmethod
    def of(cls, config: FoundationConfig) -> Runtime:
        """Raises UserError if the device that is asked for is not there."""
        device = device_of(config.device, "foundation.device")
        precision = config.precision
        if precision == "auto":
            precision = "bfloat16" if computes_bfloat16(device) else "float32"
        return cls(device, PRECISIONS[precision], config.compile)

    @property
    def on_gpu(self) -> bool:
        return self.device.type != "cpu"

    def autocast(self) -> AbstractContextManager:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision is torch.bfloat16)

    def place(self, network: nn.Module, encoder: nn.Module, side: int) -> None:
        """Move a network to the device, for inference; compile its image encoder, which takes pictures of this `side`,
        if that is asked for and can be done here. Raises UserError where the memory is too small."""
        with memory_errors("these weights", "take smaller ones, or choose foundation.device=cpu"):
            network.to(self.device).eval().requires_grad_(False)
        if not self.compile:
            return
        try:  # compiled at the first picture, which a map would be lost with
            compiled = torch.compile(encoder.forward)
            with torch.inference_mode(), self.autocast():
                compiled(torch.zeros(1, 3, side, side, device=self.device))
        except Exception as error:  # of the compilers, which are not torch's
            logger.warning(
                "The image encoder cannot be compiled here (%s): going on without foundation.compile.",
                quoted(error),
            )
        else:
            encoder.forward = compiled  # type: ignore[method-assign]


class Portions:
    """How much of what could go through a network at once does. Halved, once, when the GPU's memory is full.

    settings  what the user can lower, for the error
    """

    def __init__(self, settings: str) -> None:
        self.settings = settings
        self.share = 1.0

    def of(self, most: int) -> int:
        return max(1, int(most * self.share))

    def run(self, work: Callable[[], T]) -> T:
        """`work()`, which asks `of` for its sizes and may be begun anew. Raises UserError when memory is full again."""
        try:
            return work()
        except RuntimeError as error:
            if not of_full_gpu(error):
                raise
            reason = str(error).split(". ")[0]
        if self.share < 1:
            raise UserError(
                f"The GPU's memory is full also with half as much at once ({reason}): lower {self.settings}, take smaller "
                "weights, or choose foundation.device=cpu."
            )
        self.share = 0.5
        logger.warning("The GPU's memory is full (%s): going on with half of %s.", reason, self.settings)
        torch.cuda.empty_cache()
        return self.run(work)


def of_full_gpu(error: BaseException) -> bool:
    """Whether this error says that the GPU's memory is full."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and FULL_GPU.search(str(error)) is not None
    )


@contextmanager
def memory_errors(what: str, remedy: str) -> Iterator[None]:
    """Full memory within it, of the GPU or not, is a UserError: it is too small for `what`, and the `remedy`."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        full_gpu = of_full_gpu(error)
        # torch has no type for memory that is not the GPU's
        if not (full_gpu or isinstance(error, MemoryError) or "allocate memory" in str(error)):
            raise
        where = "GPU's memory" if full_gpu else "memory"
        raise UserError(f"The {where} is too small for {what}: {remedy}.") from None


_loaded: weakref.WeakValueDictionary[Hashable, nn.Module] = weakref.WeakValueDictionary()


def shared(key: tuple[Any, ...], build: Callable[[], nn.Module]) -> nn.Module:
    """The network that was built with this key, as long as anybody uses it; else a new one."""
    network = _loaded.get(key)
    if network is None:
        network = _loaded[key] = build()
    return network
