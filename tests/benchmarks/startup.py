"""What a notebook's kernel needs before and while it trains: seconds and memory, step by step, in new processes."""

import io
import statistics
import time

from .one import peak_memory

STEPS = {
    "import torch": "import torch",
    "import mnist_helpers": "import mnist_helpers",
    "MNIST as tensors": "data = mnist_helpers.load_mnist()",
    "import what draws": "from mnist_helpers import plot_digits, plot_history",
    "a first figure": "plot_digits(data.train[:30][0])[0, 0].figure.savefig(io.BytesIO())",
    "an epoch of the recipe": "run = mnist_helpers.train_run(data, epochs=1, progress=False)",
    "the confusion matrix": "mnist_helpers.plot_confusion_matrix(mnist_helpers.predict(run.model, data.test))",
}


def steps() -> dict[str, list[float]]:
    """For each step: seconds, seconds of the processor, and the most memory so far in MB."""
    found, names = {}, {"io": io}
    for name, code in STEPS.items():
        wall, cpu = time.perf_counter(), time.process_time()
        exec(code, names)
        found[name] = [time.perf_counter() - wall, time.process_time() - cpu, peak_memory()]
    return found


def startup(rounds: int) -> None:
    """Print the medians over new processes."""
    from .compare import child  # the processes that are measured do without it

    results = [child("startup", "") for _ in range(rounds)]
    print(f"{'':24}{'seconds':>9}{'CPU s':>8}{'peak MB so far':>16}   (medians of {rounds} processes)")
    for name in STEPS:
        wall, cpu, memory = (statistics.median(values) for values in zip(*(each[name] for each in results)))
        print(f"{name:24}{wall:9.2f}{cpu:8.2f}{memory:16.0f}")
