"""How fast the sliders answer: a redraw of each panel, and live training without a page.

Usage: python tests/benchmarks/widget_speed.py     (full MNIST where MNIST_DATA_DIR names it, else the sample)
"""

import asyncio
import itertools
import statistics
import time

import torch

from mnist_helpers import load_mnist, predict, train_run
from mnist_helpers.labs.ledger import last_epochs, load_ledger, select
from mnist_helpers.widgets.clinic import change_explorer, doubt_meter, flip_explorer
from mnist_helpers.widgets.images import digit_browser, prediction_explorer
from mnist_helpers.widgets.ledger import guess, ledger_explorer
from mnist_helpers.widgets.network import curve_reader, dropout_microscope
from mnist_helpers.widgets.pad import drawing_pad
from mnist_helpers.widgets.training import training_lab


def redraws(data):
    """Milliseconds from a changed value to the finished picture: median and largest of 20."""
    run = train_run(data.with_train_size(1000), epochs=5, progress=False)
    weights = [torch.randn(128, 784) for _ in run.history.epoch_numbers]
    ledger = load_ledger()
    losses = select(last_epochs(ledger))["valid_loss"]
    panels = {
        "digit_browser": (digit_browser(data.train), "row"),
        "dropout_microscope": (dropout_microscope(run.model, data.valid), "rate"),
        "curve_reader": (curve_reader(run.history, weights), "epoch"),
        "prediction_explorer": (prediction_explorer(predict(run.model, data.test)), "threshold"),
        "guess": (guess("What is the recipe's validation loss?", losses, 0, 1), "guess"),
        "explorer, dropout": (ledger_explorer(ledger, data), "dropout"),
        "explorer, images": (ledger_explorer(ledger, data), "train_size"),
        "drawing_pad": (drawing_pad(run.model), "example"),
        "doubt_meter": (doubt_meter(run.model, {"a test image": data.test[0][0]}), "rate"),
        "change_explorer": (change_explorer(run.model, data.test), "angle"),
        "flip_explorer": (flip_explorer(run.model, data.test), "steps"),
    }
    for name, (panel, control) in panels.items():
        slider, times = panel.controls[control], []
        ends = slider.options[:: len(slider.options) - 1] if hasattr(slider, "options") else (slider.min, slider.max)
        for end in itertools.islice(itertools.cycle(ends), 20):
            value = end[1] if isinstance(end, tuple) else end
            started = time.perf_counter()
            slider.value = value
            times.append(1000 * (time.perf_counter() - started))
        print(f"{name:20} {statistics.median(times):4.0f} ms, largest {max(times):4.0f} ms")


async def live_training(data):
    """The first point, the redraws in a second, the time to give up a run, and the whole run."""
    lab, pictures = training_lab(data), []
    lab.picture.observe(lambda change: pictures.append(time.perf_counter()), "value")
    size = max(size for _, size in lab.controls["train_size"].options if size <= 5000)
    lab.controls["train_size"].value = size
    pictures.clear()
    started = time.perf_counter()
    await lab.train(dropout=0.2)
    gaps = [later - earlier for earlier, later in itertools.pairwise(pictures[1:])]
    print(
        f"{size:,} images, 10 epochs: {time.perf_counter() - started:.1f} s, {len(gaps) / sum(gaps):.1f} redraws/s, "
        f"longest pause {max(gaps):.2f} s"
    )
    pictures.clear()
    started = time.perf_counter()
    lab.start()
    while len(pictures) < 1:
        await asyncio.sleep(0.005)
    print(f"first point after {pictures[0] - started:.2f} s")
    cancelling = []
    for rate in (0.3, 0.4, 0.5, 0.6, 0.7):
        await asyncio.sleep(0.5)
        task, started = lab.task, time.perf_counter()
        lab.controls["dropout"].value = rate
        while not task.done():
            await asyncio.sleep(0)
        cancelling.append(time.perf_counter() - started)
    lab.stop()
    print(f"a moved slider ends the run within {max(cancelling):.3f} s (largest of {len(cancelling)})")


if __name__ == "__main__":
    mnist = load_mnist()
    print(mnist)
    redraws(mnist)
    asyncio.run(live_training(mnist))
