"""What lets `fit` take less time and changes none of its steps: settings of PyTorch, a shorter way to the batches."""

import dataclasses
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice

import torch
from torch.utils.data import BatchSampler, DataLoader, TensorDataset, default_convert

CPU = torch.device("cpu")


def flushes_denormals() -> bool:
    """Whether this thread counts numbers below about 1e-38 (denormals) as zero."""
    return (torch.tensor([1e-38]) * 0.1).item() == 0


@contextmanager
def quick_settings(threads: int = 1) -> Iterator[None]:
    """Within a `with` block: two settings of PyTorch that make small networks train faster; after it the old ones.

    One thread: the layers are so small that more threads gain little, and they wait for each other when another
    program needs a core. Denormals count as zero: weight decay drives the weights of pixels that are never inked
    below 1e-38, where processors are very slow. `python -m tests.benchmarks` measures both.
    """
    threads_before, flushed_before = torch.get_num_threads(), flushes_denormals()
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads_before)
        torch.set_flush_denormal(flushed_before)


@dataclasses.dataclass(frozen=True)
class WholeBatches:
    """The batches of a loader that `make_loader` made, `join` of them at a time, on `device`.

    DataLoader does the same and more, which takes longer than a small network's arithmetic. All images go to the device
    at once: MNIST fits into any GPU, and a copy for each batch takes longer.
    """

    loader: DataLoader
    join: int = 1
    device: torch.device = CPU

    @property
    def generator(self) -> torch.Generator:
        """What the order of the batches is drawn from."""
        return self.loader.generator

    def __iter__(self) -> Iterator[tuple[torch.Tensor, ...]]:
        iter(self.loader)  # draws a number from the generator, as each pass of a DataLoader does
        tensors = [tensor.to(self.device) for tensor in self.loader.dataset.tensors]  # type: ignore[attr-defined]
        batches = iter(self.loader.sampler)
        while rows := list(chain.from_iterable(islice(batches, self.join))):
            where = torch.tensor(rows, device=self.device)
            yield tuple(tensor.index_select(0, where) for tensor in tensors)


def whole_batches(loader: Iterable, size: int = 1, device: torch.device = CPU) -> Iterable:
    """The batches of `loader` on `device`, or several of them as one, up to `size` examples.

    A loader that `make_loader` did not make from a TensorDataset comes back as it is.
    """
    if (
        type(loader) is DataLoader
        and type(loader.dataset) is TensorDataset
        and type(loader.sampler) is BatchSampler
        and (loader.batch_size, loader.num_workers, loader.collate_fn) == (None, 0, default_convert)
    ):
        return WholeBatches(loader, max(1, size // loader.sampler.batch_size), device)
    return loader
