"""torchvision's dataset with ToTensor, DataLoader, Adam: as in most tutorials, in PyTorch's default settings."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from ..task import DROPOUT, LR, VALID_BATCH, WEIGHT_DECAY, Task, timed


def network(width: int) -> nn.Sequential:
    """The recipe's network; `width` units in the first hidden layer, half as many in the second."""
    # fmt: off
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, width), nn.ReLU(), nn.Dropout(DROPOUT),
        nn.Linear(width, width // 2), nn.ReLU(), nn.Dropout(DROPOUT),
        nn.Linear(width // 2, 10),
    )
    # fmt: on


def dataset(images, labels) -> datasets.MNIST:
    """torchvision's dataset with these images; its `__init__` would look for the files of MNIST."""
    made = object.__new__(datasets.MNIST)
    made.data, made.targets = torch.from_numpy(images), torch.from_numpy(labels)
    made.transform, made.target_transform = transforms.ToTensor(), None
    return made


def epochs(task: Task) -> Iterator[dict[str, float]]:
    images, labels, valid_images, valid_labels = task.arrays()
    train_loader = DataLoader(dataset(images, labels), batch_size=task.batch, shuffle=True)
    valid_loader = DataLoader(dataset(valid_images, valid_labels), batch_size=VALID_BATCH)
    model = network(task.width)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR, weight_decay=WEIGHT_DECAY)

    def train():
        model.train()
        for images, labels in train_loader:
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    def measure(loader):
        model.eval()
        loss = correct = 0
        with torch.no_grad():
            for images, labels in loader:
                logits = model(images)
                loss += F.cross_entropy(logits, labels, reduction="sum").item()
                correct += (logits.argmax(dim=1) == labels).sum().item()
        return correct / len(loader.dataset)

    return timed(task, train, lambda: measure(valid_loader), lambda: measure(train_loader))
