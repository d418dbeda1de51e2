"""Lightning's Trainer, with tensors in memory and whole batches, without logger, checkpoints and progress bar."""

import logging
import time
import warnings
from collections.abc import Iterator

import lightning
import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, SequentialSampler, TensorDataset

from ..task import LR, VALID_BATCH, WEIGHT_DECAY, Task
from .textbook import network


class Module(lightning.LightningModule):
    """The recipe. `rows` gets what `timed` gives: validation has two loaders, the second with the training images."""

    def __init__(self, width):
        super().__init__()
        self.layers, self.rows = network(width), []

    def configure_optimizers(self):
        return torch.optim.Adam(self.layers.parameters(), lr=LR, weight_decay=WEIGHT_DECAY)

    def training_step(self, batch, number):
        images, labels = batch
        return F.cross_entropy(self.layers(images), labels)

    def validation_step(self, batch, number, dataloader_idx):
        images, labels = batch
        logits = self.layers(images)
        self.log("loss", F.cross_entropy(logits, labels))
        self.log("accuracy", (logits.argmax(dim=1) == labels).float().mean())

    def on_train_epoch_start(self):
        self.started, self.marks = time.process_time(), [time.perf_counter()]

    def on_validation_epoch_start(self):
        self.marks.append(time.perf_counter())

    def on_validation_batch_start(self, batch, number, dataloader_idx=0):
        if dataloader_idx == 1 and number == 0:
            self.marks.append(time.perf_counter())

    def on_train_epoch_end(self):
        self.marks.append(time.perf_counter())
        seconds = dict(zip(("train", "valid", "curve"), np.diff(self.marks).tolist()))
        accuracy = self.trainer.callback_metrics["accuracy/dataloader_idx_0"].item()
        self.rows.append(seconds | {"cpu": time.process_time() - self.started, "accuracy": accuracy})


def loader(images, labels, batch, order):
    """A DataLoader that fetches each batch with one index operation."""
    dataset = TensorDataset(torch.from_numpy(images).unsqueeze(1) / 255, torch.from_numpy(labels))
    return DataLoader(dataset, sampler=BatchSampler(order(dataset), batch, drop_last=False), batch_size=None)


def epochs(task: Task) -> Iterator[dict[str, float]]:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")  # on workers for the loaders, and on the two of them
    images, labels, valid_images, valid_labels = task.arrays()
    train_loader = loader(images, labels, task.batch, RandomSampler)
    valid_loader = loader(valid_images, valid_labels, VALID_BATCH, SequentialSampler)
    curve_loader = loader(images, labels, VALID_BATCH, SequentialSampler)
    module = Module(task.width)
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = lightning.Trainer(max_epochs=task.epochs, accelerator="cpu", num_sanity_val_steps=0, **quiet)
    trainer.fit(module, train_loader, [valid_loader, curve_loader])
    return iter(module.rows)
