"""The ways of training that are compared: a module each, whose function `epochs(task)` yields what `timed` does."""

import importlib.util

PEERS = {  # what the tables call it: its module, and the packages it needs
    "textbook loop": ("textbook", ("torch", "torchvision")),
    "Lightning": ("lightning_module", ("lightning",)),
    "scikit-learn": ("scikit_learn", ("sklearn",)),
    "Keras on JAX": ("keras_on_jax", ("keras", "jax")),
    "fit": ("helpers", ()),
    "floor": ("floor", ("torch",)),
}
VARIANTS = {  # of fit, with one of its settings taken back: for a look, not in the table unless asked for
    "fit, all threads": ("helpers_all_threads", ()),
    "fit, with denormals": ("helpers_with_denormals", ()),
    "fit, DataLoader": ("helpers_dataloader", ()),
    "fit, small batches": ("helpers_small_batches", ()),
    "fit, plain Adam": ("helpers_plain_adam", ()),
}


def missing(name: str) -> list[str]:
    """The packages that this way needs and that are not installed."""
    return [package for package in (PEERS | VARIANTS)[name][1] if importlib.util.find_spec(package) is None]
