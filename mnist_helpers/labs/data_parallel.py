"""One network trained by several processes together, each with its share of every batch (data parallel).

    torchrun --standalone --nproc-per-node=2 -m mnist_helpers.labs.data_parallel runs/together.pt

trains the recipe with two processes on this machine; more processes and machines are torchrun's business, see
https://docs.pytorch.org/docs/stable/elastic/run.html. Stopped or killed, the same command goes on from the last epoch
that is in the file. `--help` lists all options.
"""

import argparse
import os
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import BatchSampler, DataLoader, DistributedSampler, TensorDataset

from mnist_helpers.checks import checked
from mnist_helpers.data import MNISTData, load_mnist
from mnist_helpers.files import complete_file
from mnist_helpers.labs.networks import NETWORKS
from mnist_helpers.quick import quick_settings
from mnist_helpers.training import make_optimizer, set_seed, train_epoch


def join() -> torch.device:
    """Meet the other processes that torchrun started; returns this one's device.

    Each process gets a GPU of its own (and they speak by nccl) where there are enough, else all work on the processor
    (by gloo). torchrun tells each process who it is by environment variables.
    """
    local_rank, processes_here = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    own_gpu = torch.cuda.device_count() >= processes_here
    device = torch.device("cuda", local_rank) if own_gpu else torch.device("cpu")
    if own_gpu:
        torch.cuda.set_device(device)
    store, rank, processes = next(dist.rendezvous("env://"))
    # Addresses from before a restart stay in the store: without a prefix they are sometimes taken for the new ones.
    store = dist.PrefixStore(f"attempt {os.environ['TORCHELASTIC_RESTART_COUNT']}", store)
    dist.init_process_group("nccl" if own_gpu else "gloo", store=store, rank=rank, world_size=processes)
    return device


def check_share(dataset: TensorDataset, batch_size: int, seed: int) -> None:
    """Raise ValueError when a batch cannot be split into equal shares."""
    if batch_size < 1 or batch_size % dist.get_world_size():
        raise ValueError(
            f"batch_size must be a multiple of the number of processes, {dist.get_world_size()}, got {batch_size}: "
            "the mean of the shares' gradients is that of the batch only when all shares are equal"
        )


@checked(check_share)
def shared_batches(dataset: TensorDataset, batch_size: int, seed: int) -> tuple[DistributedSampler, DataLoader]:
    """This process's share of each batch of `batch_size` images, in a loader; and the sampler that gives the shares.

    In each epoch all processes draw the same order and each takes every k-th image of it. When k, their number, does
    not divide the number of images, some images are taken twice. Raises ValueError when k does not divide `batch_size`.
    """
    sampler = DistributedSampler(dataset, seed=seed)  # type: ignore[var-annotated]  # every k-th image of an order
    share = batch_size // dist.get_world_size()
    batches = BatchSampler(sampler, share, drop_last=False)
    return sampler, DataLoader(dataset, sampler=batches, batch_size=None)  # one index operation a batch


def train_together(
    data: MNISTData,
    path: Path,
    device: torch.device,
    *,
    network: str = "MNISTNet",
    dropout: float = 0.2,
    epochs: int = 10,
    batch_size: int = 32,
    seed: int = 0,
) -> nn.Module:
    """Train one network in all processes together; returns this process's copy of it.

    After each epoch process 0 writes `path`; with such a file there, training goes on from its last epoch.
    With the same seed and dropout 0 the weights depend on the number of processes only by rounding.
    """
    set_seed(seed)  # the same initial weights everywhere
    model = DistributedDataParallel(NETWORKS[network](dropout).to(device))
    optimizer = make_optimizer(model)
    sampler, loader = shared_batches(data.train, batch_size, seed)
    for epoch in range(restore(path, model, optimizer), epochs):
        sampler.set_epoch(epoch)  # a new order, the same everywhere
        torch.manual_seed(hash((seed, epoch, dist.get_rank())))  # each process drops other units
        started = time.perf_counter()
        running = train_epoch(model, loader, optimizer)  # backward() averages the gradients
        report(epoch + 1, running.loss, time.perf_counter() - started)
        if dist.get_rank() == 0:  # one process saves for all
            save(path, model, optimizer, epoch + 1)
    return model.module


def report(epoch: int, loss: float, seconds: float) -> None:
    """Print what this process has done, on a line of its own; with its id, by which it can be killed."""
    text = f"process {dist.get_rank()} (id {os.getpid()}): epoch {epoch}, running loss {loss:.4f}, {seconds:.2f} s\n"
    print(text, end="", flush=True)  # one call, so that lines of two processes do not mix


def save(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, epoch: int) -> None:
    """Write all that is needed to go on after `epoch`: complete, or the older file stays as it was."""
    content = {"epoch": epoch, "weights": model.state_dict(), "optimizer": optimizer.state_dict()}
    with complete_file(path) as file:
        torch.save(content, file)


def restore(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Put model and optimizer where `save` left them; returns how many epochs are done, 0 when there is no file.

    Raises ValueError when the file's weights are those of another network.
    """
    if not path.exists():
        return 0
    content = torch.load(path, map_location="cpu", weights_only=True)
    try:
        model.load_state_dict(content["weights"])
    except RuntimeError as error:
        raise ValueError(f"{path} holds another network. Name another file, or delete this one") from error
    optimizer.load_state_dict(content["optimizer"])
    print(f"process {dist.get_rank()}: goes on after epoch {content['epoch']}\n", end="", flush=True)
    return content["epoch"]


def command_line() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = argparse.ArgumentParser(
        prog="torchrun --standalone --nproc-per-node=N -m mnist_helpers.labs.data_parallel",
        description="Train one network with N processes together.",
    )
    parser.add_argument("path", type=Path, help="the file for weights and optimizer, written after each epoch")
    parser.add_argument("--data", help="the folder with the MNIST files, as load_mnist takes it")
    parser.add_argument("--train-size", type=int, help="train on the first so many images only")
    parser.add_argument("--network", choices=NETWORKS, default="MNISTNet")
    parser.add_argument("--dropout", type=float, default=0.2, help="%(default)s")
    parser.add_argument("--epochs", type=int, default=10, help="%(default)s")
    parser.add_argument("--batch-size", type=int, default=32, help="of all processes together; %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="%(default)s")
    return parser


def main() -> None:
    """What each process does."""
    settings = vars(command_line().parse_args())
    data = load_mnist(settings.pop("data"))
    train_size = settings.pop("train_size")
    device = join()
    with quick_settings():
        train_together(data.with_train_size(train_size) if train_size else data, device=device, **settings)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
