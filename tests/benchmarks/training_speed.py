"""Seconds per epoch of the recipe: the textbook way against `fit`, side by side in one run.

Usage: python tests/benchmarks/training_speed.py [--rounds N] [--busy]

Each way runs in a process of its own, in turns. All train an epoch and then measure loss and accuracy on the training
and the validation images. "train" is the training part alone. Two more ways take back one of the two settings each
that `fit` makes for its own time (one thread, no denormals). With --busy another program keeps one core at work.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

EPOCHS = 3


def textbook() -> list[dict]:
    """torchvision's dataset with ToTensor, DataLoader, Adam: as in most tutorials, in PyTorch's default settings."""
    import torch
    import torch.nn.functional as F
    from torch.utils.data import DataLoader

    from mnist_helpers import MNISTNet, load_mnist
    from mnist_helpers.data import textbook_dataset

    data = load_mnist()
    train_loader = DataLoader(textbook_dataset(data.train), batch_size=32, shuffle=True)
    valid_loader = DataLoader(textbook_dataset(data.valid), batch_size=32)
    model = MNISTNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001, weight_decay=1e-4)

    def measure(loader):
        model.eval()
        loss = correct = 0
        with torch.no_grad():
            for images, labels in loader:
                logits = model(images)
                loss += F.cross_entropy(logits, labels, reduction="sum").item()
                correct += (logits.argmax(dim=1) == labels).sum().item()
        return loss / len(loader.dataset), correct / len(loader.dataset)

    rows = []
    for _ in range(EPOCHS):
        started = time.perf_counter()
        model.train()
        for images, labels in train_loader:
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        trained = time.perf_counter()
        measure(train_loader)
        accuracy = measure(valid_loader)[1]
        rows.append({"train": trained - started, "epoch": time.perf_counter() - started, "accuracy": accuracy})
    return rows


def helpers(all_threads: bool = False, denormals: bool = False) -> list[dict]:
    """`train_epoch` alone, then `fit`: tensors in memory, whole batches, fused Adam."""
    import torch

    from mnist_helpers import MNISTNet, fit, load_mnist, make_loader, train_epoch
    from mnist_helpers.training import make_optimizer, quick_settings

    threads = torch.get_num_threads() if all_threads else 1
    if denormals:
        torch.set_flush_denormal = lambda flush: None
    data = load_mnist()
    model = MNISTNet()
    optimizer = make_optimizer(model)
    train_loader = make_loader(data.train, batch_size=32, shuffle=True)
    valid_loader = make_loader(data.valid, batch_size=1024)
    history = fit(model, optimizer, train_loader, valid_loader, epochs=EPOCHS, progress=False, threads=threads)
    rows = []
    for seconds, accuracy in zip(history.seconds, history.valid_accuracy):
        started = time.perf_counter()
        with quick_settings(threads):
            train_epoch(model, train_loader, optimizer)
        rows.append({"train": time.perf_counter() - started, "epoch": seconds, "accuracy": accuracy})
    return rows


WAYS = {
    "textbook": textbook,
    "helpers": helpers,
    "helpers, all threads": lambda: helpers(all_threads=True),
    "helpers, with denormals": lambda: helpers(denormals=True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--busy", action="store_true", help="keep one core at work with something else")
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(WAYS[options.one]()))
        return
    rows = {name: [] for name in WAYS}
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if options.busy else None
    for _ in range(options.rounds):
        for name in WAYS:
            print(f"{name} …", file=sys.stderr, flush=True)
            done = subprocess.run([sys.executable, __file__, "--one", name], check=True, capture_output=True, text=True)
            rows[name] += json.loads(done.stdout.splitlines()[-1])
    if other:
        other.kill()
    medians = {
        name: {key: statistics.median(row[key] for row in rows[name]) for key in ("train", "epoch")} for name in WAYS
    }
    for name, seconds in medians.items():
        accuracy = statistics.mean(row["accuracy"] for row in rows[name])
        print(
            f"{name:25} train {seconds['train']:6.2f} s   whole epoch {seconds['epoch']:6.2f} s   "
            f"(medians of {len(rows[name])} epochs, mean validation accuracy {accuracy:.2%})"
        )
    for key in ("train", "epoch"):
        print(f"textbook / helpers, {key}: {medians['textbook'][key] / medians['helpers'][key]:.1f}")


if __name__ == "__main__":
    main()
