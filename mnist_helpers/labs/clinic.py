"""The error clinic: which images networks miss, what changes of an image they bear, and what a pixel does to an answer.

`python -m mnist_helpers.labs.clinic` trains the ten networks anew that come with the package.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from joblib import Parallel, delayed
from sklearn.metrics import confusion_matrix
from torch import nn
from torch.utils.data import Dataset
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as v2_functional
from tqdm import tqdm

from mnist_helpers.data import MNISTData, load_mnist
from mnist_helpers.files import ASSETS
from mnist_helpers.runs import Run, load_run, read_run, save_run, train_run
from mnist_helpers.training import device_of, eval_mode

NETWORKS = ASSETS / "ten_networks"  # a folder with a file for each seed
SEEDS = range(10)

# Test images whose label most of five people did not confirm, with what they said instead: the published votes of
# Northcutt, Athalye and Mueller (2021), Pervasive Label Errors in Test Sets Destabilize Machine Learning Benchmarks.
LABEL_DOUBTS = {
    947: "9 (5 of 5)",
    1621: "6 (3 of 5)",
    1901: "4 (3 of 5)",
    2130: "9 (2 of 5)",
    2462: "0 (4 of 5)",
    2597: "3 (4 of 5)",
    2654: "neither 6 nor 1 (3 of 5)",
    3520: "neither 6 nor 4 (3 of 5)",
    3558: "0 (4 of 5)",
    5937: "3 (3 of 5)",
    6651: "6 (5 of 5)",
    6783: "6 (3 of 5)",
    8527: "9 (2 of 5)",
    9679: "neither 6 nor 3 (3 of 5)",
    9729: "6 (3 of 5)",
}


# ---------------------------------------------------------------- ten networks


def ten_networks(data: MNISTData, folder: Path = NETWORKS) -> list[nn.Module]:
    """Ten networks, trained by the recipe with the seeds 0 to 9, each on the training images of its seed's split.

    Those of full MNIST come with the package; for other data they are trained now. Says which. Dropout is off.
    """
    paths = [folder / f"seed_{seed}.pt" for seed in SEEDS]
    if data.fingerprint() == read_run(paths[0])["data"]["fingerprint"]:
        print(f"Loaded {len(paths)} networks.")
        return [load_run(path, None, "cpu").model.eval() for path in paths]
    print(f"Training {len(paths)} networks now, as the stored ones belong to other data.")
    return [train_one(data, seed).model.eval() for seed in tqdm(SEEDS, unit=" networks", ncols=90)]


def train_one(data: MNISTData, seed: int) -> Run:
    """The recipe trained with this seed on the split of this seed; the test images are the same for all."""
    return train_run(data.with_split(seed), seed=seed, device="cpu", progress=False)


def confusion_counts(answers: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """How often each network called each true digit (second index) each digit (third index): (networks, 10, 10).

    `answers`: (networks, images). `labels`: (images,).
    """
    counts = [confusion_matrix(labels.cpu(), each.cpu(), labels=range(10)) for each in answers]
    return torch.from_numpy(np.stack(counts))


def ship(folder: Path = NETWORKS) -> None:
    """Train the ten networks on full MNIST, one on each core, and write the files that come with the package.

    The weights are kept as float16; the data named in the files is that before it was split by the seed.
    """
    data = load_mnist()
    if data.source != "full":
        raise SystemExit(f"the networks that come with the package saw full MNIST, but this is: {data}")
    for run in Parallel(n_jobs=-1)(delayed(train_one)(data, seed) for seed in tqdm(SEEDS)):
        run.model.half()
        save_run(folder / f"seed_{run.settings['seed']}.pt", run, data, split=str(run.settings["seed"]))


# ---------------------------------------------------------------- how sure?


def mc_dropout(model: nn.Module, images: torch.Tensor, passes: int = 100) -> torch.Tensor:
    """The probabilities of `passes` runs with dropout left on (Monte Carlo dropout): (passes, images, 10).

    Follows Gal and Ghahramani (2016), Dropout as a Bayesian Approximation. The model comes back as it was.
    """
    with eval_mode(model), torch.no_grad():  # eval_mode also brings the old mode back at the end
        for layer in model.modules():
            if isinstance(layer, nn.Dropout):
                layer.train()  # dropout on, all other layers as for answers
        return torch.stack([model(images).softmax(dim=1) for _ in range(passes)])


# ---------------------------------------------------------------- changed images


def change_images(
    images: torch.Tensor, right: float = 0, down: float = 0, angle: float = 0, scale: float = 1
) -> torch.Tensor:
    """Images (n, 1, 28, 28) shifted by pixels, turned clockwise by degrees, scaled; what comes into view is paper."""
    if not scale > 0:
        raise ValueError(f"scale must be above 0, got {scale}")
    return v2_functional.affine(
        images,
        angle=float(angle),
        translate=[float(right), float(down)],
        scale=float(scale),
        shear=[0.0, 0.0],
        interpolation=v2.InterpolationMode.BILINEAR,
    )


class Shifted(Dataset):
    """The images of `dataset`, each shifted anew by up to `pixels` in both directions whenever it is read."""

    def __init__(self, dataset: Dataset, pixels: int):
        self.dataset, self.transform = dataset, v2.RandomCrop(28, padding=pixels)

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image, label = self.dataset[index]
        return self.transform(image), label  # one image at a time: a batch would be shifted as a whole


# ---------------------------------------------------------------- what a pixel does


def input_gradient(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """How the loss of each image changes with each of its pixels, dropout off: (n, 1, 28, 28).

    Its absolute value is the saliency map of Simonyan, Vedaldi and Zisserman (2014), here of the loss.
    """
    images = images.to(device_of(model)).detach().requires_grad_()
    with eval_mode(model):
        loss = F.cross_entropy(model(images), labels.to(images.device), reduction="sum")
    (gradient,) = torch.autograd.grad(loss, images)
    return gradient


def adversarial_steps(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, steps: int = 20, size: float = 0.01
) -> torch.Tensor:
    """Change images (n, 1, 28, 28) step by step so that the loss of their labels grows: (steps + 1, n, 1, 28, 28).

    In each step every pixel moves by `size`, up or down as its gradient says, and stays in [0, 1]: the basic iterative
    method of Kurakin, Goodfellow and Bengio (2017), Adversarial Examples in the Physical World.
    """
    path = [images.to(device_of(model))]
    for _ in range(steps):
        direction = input_gradient(model, path[-1], labels).sign()
        path.append((path[-1] + size * direction).clamp(0, 1))
    return torch.stack(path).cpu()


if __name__ == "__main__":
    ship()
