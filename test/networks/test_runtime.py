"""Where networks run: what a full memory is to the user. Real tiny modules; the GPU's own words are told, the CPU's memory is really too small."""

from contextlib import nullcontext

import pytest
import torch

from gcseg_ros.config import FoundationConfig
from gcseg_ros.errors import UserError
from gcseg_ros.networks.runtime import Portions, Runtime, memory_errors

CPU = Runtime.of(FoundationConfig(device="cpu"))
OF_THE_GPU = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
]


def raising(error):
    def work():
        raise error

    return work


@pytest.mark.parametrize("error", OF_THE_GPU)
def test_a_full_gpu_is_known_by_all_its_words(error):
    with (
        pytest.raises(UserError, match="The GPU's memory is too small for this: free some"),
        memory_errors("this", "free some"),
    ):
        raising(error)()
    with pytest.raises(UserError, match="also with half"):
        Portions("a setting").run(raising(error))


def test_other_errors_are_what_they_were():
    for run in (Portions("a setting").run, memory_errors("this", "free some")):
        with pytest.raises(RuntimeError, match="shapes differ"):
            run(raising(RuntimeError("shapes differ")))()


def test_weights_that_do_not_fit_are_one_sentence():
    network = torch.nn.Linear(2, 2)
    network._apply = lambda _: torch.empty(1 << 58)
    with pytest.raises(UserError, match=r"memory is too small for these weights: take smaller ones"):
        CPU.place(network, network, 2)


@pytest.mark.parametrize(("own", "precision"), [(True, torch.bfloat16), (False, torch.float32)])
def test_bfloat16_is_chosen_where_the_gpu_has_it(monkeypatch, own, precision):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "device", nullcontext)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or own)
    assert Runtime.of(FoundationConfig(device="cuda:1")).precision is precision
    assert Runtime.of(FoundationConfig(device="cuda:1", precision="bfloat16")).precision is torch.bfloat16
    assert Runtime.of(FoundationConfig(device="cpu")).precision is torch.float32
