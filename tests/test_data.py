"""Files → tensors → loaders."""

import contextlib
import dataclasses
import gzip
import hashlib
import http.server
import re
import socket
import struct
import threading
import time

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset
from torchvision import datasets

from faults import POSIX, ended, no_rights, no_room, open_folder, started
from mnist_helpers import data
from mnist_helpers.data import load_mnist, make_dataset, make_loader, split_train_valid, textbook_dataset
from mnist_helpers.training import set_seed
from panels import EMPTY, random_states

TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = data.MD5


def idx(array):
    """The content of an IDX file of bytes."""
    return struct.pack(f">{1 + array.ndim}i", 2048 + array.ndim, *array.shape) + array.tobytes()


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.fixture(scope="session")
def arrays():
    """50 training and 20 test images of noise with their labels, under the names of the published files."""
    rng = np.random.default_rng(0)
    shapes = dict(zip(data.MD5, [(50, 28, 28), 50, (20, 28, 28), 20]))
    return {name: rng.integers(0, 10 if "labels" in name else 256, shapes[name], dtype=np.uint8) for name in shapes}


@pytest.fixture
def contents(arrays, monkeypatch):
    """The content of the four files; for the test, these are the published ones."""
    contents = {name: idx(array) for name, array in arrays.items()}
    monkeypatch.setattr(data, "MD5", {name: md5(content) for name, content in contents.items()})
    monkeypatch.delenv("MNIST_DATA_DIR", raising=False)
    return contents


def write(folder, contents, packed=()):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / (name + ".gz" * (name in packed))).write_bytes(gzip.compress(content) if name in packed else content)
    return folder


@pytest.fixture
def folder(tmp_path, contents):
    return write(tmp_path / "mnist", contents)


@pytest.fixture
def quick_sample(sample, monkeypatch):
    """Let the fallback take the sample that is loaded already."""
    monkeypatch.setattr(data, "load_sample", lambda note: dataclasses.replace(sample, note=note))


def pixels_of(dataset):
    """The images as uint8 (n, 28, 28)."""
    return (dataset.tensors[0] * 255).round().byte().squeeze(1).numpy()


def rows_of(*datasets):
    """The bytes of each image with its label, sorted."""
    rows = [zip(pixels_of(dataset), dataset.tensors[1].tolist()) for dataset in datasets]
    return sorted((image.tobytes(), label) for part in rows for image, label in part)


def complaint(folder, kind=ValueError):
    """The message with which load_mnist refuses `folder`."""
    with pytest.raises(kind) as caught:
        load_mnist(folder)
    return str(caught.value)


@pytest.mark.parametrize("packed", [data.MD5, [TRAIN_LABELS], []], ids=["gz", "mixed", "unpacked"])
@pytest.mark.parametrize("tree", [".", "MNIST/raw"])
def test_a_folder_is_read_packed_or_not_and_split_without_loss(tmp_path, contents, arrays, packed, tree):
    write(tmp_path / tree, contents, packed)
    mnist = load_mnist(tmp_path)
    assert np.array_equal(pixels_of(mnist.test), arrays[TEST_IMAGES])
    assert np.array_equal(mnist.test.tensors[1], arrays[TEST_LABELS])
    assert (mnist.source, len(mnist.train), len(mnist.valid)) == ("full", 40, 10)
    published = zip(arrays[TRAIN_IMAGES], arrays[TRAIN_LABELS].tolist())
    assert rows_of(mnist.train, mnist.valid) == sorted((image.tobytes(), label) for image, label in published)


def test_the_folder_may_be_given_or_named_by_the_environment_variable(folder, quick_sample, monkeypatch):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(folder.parent))
    assert load_mnist(str(folder)).source == load_mnist("~/mnist").source == "full"
    for named, source in {str(folder): "full", "~/mnist": "full", "sample": "sample"}.items():
        monkeypatch.setenv("MNIST_DATA_DIR", named)
        assert load_mnist().source == source and load_mnist(folder).source == "full"


def test_a_missing_folder_is_named_and_the_sample_does_not_stand_in_for_it(tmp_path, monkeypatch):
    monkeypatch.setenv("MNIST_DATA_DIR", str(tmp_path / "variable"))
    for given, missing in {None: "variable", tmp_path / "given": "given"}.items():
        message = complaint(given, FileNotFoundError)
        assert str(tmp_path / missing) in message and "MNIST_DATA_DIR" in message


@pytest.mark.parametrize("name", data.MD5)
def test_a_missing_file_is_named_with_the_four_needed_ones(folder, name):
    (folder / name).unlink()
    message = complaint(folder, FileNotFoundError)
    assert f"neither {name} nor {name}.gz" in message and str(folder) in message
    assert all(needed in message for needed in data.MD5)


def test_a_damaged_gz_file_is_named_with_what_to_do(folder, contents):
    (folder / TEST_IMAGES).unlink()
    path, packed = folder / f"{TEST_IMAGES}.gz", gzip.compress(contents[TEST_IMAGES])
    garbled, wrong_checksum = packed[:10] + b"\xff" * 50 + packed[60:], packed[:-8] + bytes(4) + packed[-4:]
    for damaged in (packed[:-20], packed[:5], garbled, wrong_checksum, b"<html>404 Not Found</html>"):
        path.write_bytes(damaged)
        message = complaint(folder)
        assert str(path) in message and "damaged" in message and "get it again" in message


@pytest.mark.parametrize("packed", [(), data.MD5], ids=["unpacked", "gz"])
def test_another_content_is_refused_with_both_checksums_and_what_to_do(tmp_path, contents, packed):
    good, page = contents[TRAIN_IMAGES], b"<html>404 Not Found</html>"
    other_bit, other_mark = good[:-1] + bytes([good[-1] ^ 1]), struct.pack(">i", 1234) + good[4:]
    for other in (b"", good[:5], good[:-1], good + b"\0", other_bit, other_mark, page):
        write(tmp_path, contents | {TRAIN_IMAGES: other}, packed)
        message = complaint(tmp_path)
        for part in (tmp_path / TRAIN_IMAGES, md5(other), md5(good), "get it again", "make_dataset"):
            assert str(part) in message


@pytest.mark.parametrize(
    "one, other", [(TRAIN_IMAGES, TRAIN_LABELS), (TEST_IMAGES, TEST_LABELS), (TRAIN_LABELS, TEST_LABELS)]
)
def test_swapped_files_are_called_swapped(folder, contents, one, other):
    write(folder, {one: contents[other], other: contents[one]})
    message = complaint(folder)
    assert str(folder / one) in message and f"it is {other}" in message and "swapped" in message


TROUBLES = {"page": b"<html>Please log in</html>", "zeros": gzip.compress(idx(np.zeros(20, np.uint8)))}
TROUBLES |= dict.fromkeys(["no HTTP", "cut", "half", "stall", "reset", "chunk"], b"")
TROUBLES |= dict.fromkeys((403, 404, 500), b"")


def answer(request, content, trouble):
    """Send the content, or what goes wrong in that way of TROUBLES."""
    if trouble == "no HTTP":
        request.wfile.write(b"SSH-2.0\r\n")
        return
    if isinstance(trouble, int) or not content:
        request.send_error(trouble or 404)
        return
    if trouble == "together":
        request.server.together.wait(10)
    content = TROUBLES.get(trouble) or (content[:-5] if trouble == "cut" else content)
    request.send_response(200)
    headers = {"Transfer-Encoding": "chunked"} if trouble == "chunk" else {"Content-Length": str(len(content))}
    for header in headers.items():
        request.send_header(*header)
    request.end_headers()
    half = content[: len(content) // 2] if trouble in ("half", "stall", "reset") else content
    request.wfile.write(b"a\r\n0123456789\r\n" if trouble == "chunk" else half)
    if trouble == "stall":
        request.server.end.wait(10)
    if trouble == "reset":
        request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.rfile.close()
        request.connection.close()


@pytest.fixture
def data_dir(tmp_path, monkeypatch):
    """The repository's data folder, which is not there yet."""
    monkeypatch.setattr(data, "DATA_DIR", tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def server(data_dir, contents, quick_sample, monkeypatch):
    """A download server on this machine in torchvision's place; `troubles` maps paths to what goes wrong there."""
    files = {f"/{name}.gz": gzip.compress(content, mtime=0) for name, content in contents.items()}
    asked, troubles = [], {}

    def do_get(request):
        asked.append(request.path)
        answer(request, files.get(request.path), troubles.get(request.path))

    handler = type("Handler", (http.server.BaseHTTPRequestHandler,), {"do_GET": do_get, "log_message": lambda *_: None})
    http_server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    http_server.end, http_server.asked, http_server.troubles = threading.Event(), asked, troubles
    http_server.together = threading.Barrier(2)
    http_server.url = f"http://127.0.0.1:{http_server.server_port}/"
    thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(datasets.MNIST, "mirrors", [http_server.url])
    monkeypatch.setattr(datasets.MNIST, "resources", [(path[1:], md5(content)) for path, content in files.items()])
    yield http_server
    http_server.end.set()
    http_server.shutdown()
    http_server.server_close()
    thread.join()


@pytest.fixture
def dead_urls():
    """Two addresses: of a port at which nobody listens, and of a server that accepts and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as closed, socket.create_server(("127.0.0.1", 0)) as silent:
        urls = [f"http://127.0.0.1:{listener.getsockname()[1]}/" for listener in (closed, silent)]
        closed.close()
        yield urls


@contextlib.contextmanager
def within(seconds):
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


def files_in(folder):
    """{path below the folder: content} of all files, and of folders without any."""
    paths = [path for path in folder.rglob("*") if path.is_file() or not any(path.iterdir())]
    return {path.relative_to(folder).as_posix(): path.is_file() and path.read_bytes() for path in paths}


@pytest.mark.parametrize(
    "damaged", ["", *(f"{place}{TRAIN_IMAGES}{suffix}" for place in ("", "MNIST/raw/") for suffix in ("", ".gz"))]
)
def test_a_download_gets_the_four_files_once_whatever_damaged_one_is_there(
    server, dead_urls, data_dir, contents, capsys, monkeypatch, damaged
):
    monkeypatch.setattr(datasets.MNIST, "mirrors", [dead_urls[0], server.url])
    older = {damaged: b"damaged"} if damaged else {}
    for name, content in older.items():
        write((data_dir / name).parent, {name.rpartition("/")[2]: content})
    mnist = load_mnist()
    assert mnist.source == "full" and idx(pixels_of(mnist.test)) == contents[TEST_IMAGES]
    assert files_in(data_dir) == older | {f"MNIST/raw/{name}": content for name, content in contents.items()}
    assert str(data_dir) in capsys.readouterr().out
    asked = len(server.asked)
    assert load_mnist().source == "full" and len(server.asked) == asked


@pytest.mark.parametrize("older", [False, True], ids=["no files", "older files"])
@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_broken_download_gives_the_sample_and_changes_no_file(
    server, data_dir, contents, monkeypatch, trouble, older
):
    server.troubles[f"/{TEST_LABELS}.gz"] = trouble
    if trouble == "zeros":  # unlike the published file, though torchvision takes it for good
        resources = [*datasets.MNIST.resources[:-1], (f"{TEST_LABELS}.gz", md5(TROUBLES["zeros"]))]
        monkeypatch.setattr(datasets.MNIST, "resources", resources)
    monkeypatch.setattr(data, "STALL_SECONDS", 0.3)
    write(data_dir / "MNIST" / "raw", contents | {TRAIN_IMAGES: b"damaged"} if older else {})
    before, patience = files_in(data_dir), socket.getdefaulttimeout()
    with within(seconds=5):
        mnist = load_mnist()
    assert mnist.source == "sample" and re.fullmatch("the full set could not be had: .{7,}", mnist.note)
    assert files_in(data_dir) == before and socket.getdefaulttimeout() == patience


@POSIX
@pytest.mark.parametrize("fault", [no_room, no_rights])
def test_on_a_full_disk_or_in_a_read_only_folder_the_sample_comes_and_no_file_changes(
    server, contents, monkeypatch, fault
):
    with open_folder() as folder:
        monkeypatch.setattr(data, "DATA_DIR", folder)
        raw = write(folder / "MNIST" / "raw", contents | {TRAIN_IMAGES: b"damaged"})
        before = files_in(folder)
        for place in (raw, folder):
            place.chmod(0o555 if fault is no_rights else 0o755)
        words = fault(lambda: str(load_mnist()))
        assert words.startswith("MNIST sample") and re.search("Permission denied|too large", words)
        assert files_in(folder) == before


@POSIX
def test_two_kernels_download_into_one_folder_at_once(server, data_dir, contents):
    server.troubles |= {f"/{name}.gz": "together" for name in contents}  # each waits for the other
    kernels = [started(lambda: load_mnist().source) for _ in range(2)]
    assert [ended(*kernel) for kernel in kernels] == ["full", "full"]
    assert files_in(data_dir) == {f"MNIST/raw/{name}": content for name, content in contents.items()}


def test_without_a_server_or_a_place_for_the_files_the_sample_comes_at_once(server, dead_urls, data_dir, monkeypatch):
    monkeypatch.setattr(datasets.MNIST, "mirrors", dead_urls[:1])
    with within(seconds=5):
        assert "no download server can be reached" in load_mnist().note
    assert not data_dir.exists()
    monkeypatch.setattr(datasets.MNIST, "mirrors", [server.url])
    data_dir.write_text("a file where the folder should be")
    assert load_mnist().source == "sample"


def test_servers_are_asked_side_by_side_in_order_and_no_hanging_one_takes_long(server, dead_urls, monkeypatch):
    def look_up(host, *more, **options):
        if host == "mnist.invalid":
            server.end.wait(10)
            raise OSError("no such name")
        return known(host, *more, **options)

    assert data.PROBE_SECONDS + data.STALL_SECONDS < 15
    failures, known = [], socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(threading, "excepthook", failures.append)
    monkeypatch.setattr(data, "PROBE_SECONDS", 1)
    server.troubles["/ssh"] = "no HTTP"
    good = [server.url + "b", server.url + "a"]
    with within(seconds=2.5):
        assert data.answering([*dead_urls, *["http://mnist.invalid/"] * 2, server.url + "ssh", *good]) == good
    assert failures == []


def test_the_sample_holds_5000_different_images_each_digit_equally_often_and_mixed(sample):
    parts = (sample.train, sample.valid, sample.test)
    assert [part.tensors[1].bincount().tolist() for part in parts] == [[300] * 10, [100] * 10, [100] * 10]
    assert all(len(part.tensors[1][:50].unique()) > 5 for part in parts)
    assert len(torch.cat([part.tensors[0] for part in parts]).flatten(1).unique(dim=0)) == 5000
    for images, labels in (part.tensors for part in parts):
        assert images.shape == (len(labels), 1, 28, 28) and images.dtype == torch.float32
        assert (images.min(), images.max()) == (0, 1) and labels.dtype == torch.int64
    assert sample.source == "sample"
    assert str(sample) == "MNIST sample: 3,000 training, 1,000 validation and 1,000 test images (asked for)"


def test_full_mnist_has_its_published_sizes_label_counts_and_mean_pixel(full):
    assert full.source == "full"
    assert str(full) == "Full MNIST: 48,000 training, 12,000 validation and 10,000 test images"
    training = full.train.tensors[1].bincount() + full.valid.tensors[1].bincount()
    assert training.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert full.test.tensors[1].bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    total = sum(part.tensors[0].sum(dtype=torch.double) for part in (full.train, full.valid))
    assert float(total / (60_000 * 784)) == pytest.approx(0.1307, abs=5e-5)


def test_with_train_size_keeps_the_first_training_images_and_all_others(sample):
    cut = sample.with_train_size(np.int64(7))
    assert all(torch.equal(part, whole[:7]) for part, whole in zip(cut.train.tensors, sample.train.tensors))
    assert (cut.valid, cut.test) == (sample.valid, sample.test)


def test_each_seed_splits_otherwise_without_loss_and_0_as_it_was_loaded(sample):
    first, again, second = (sample.with_split(seed) for seed in (1, 1, 2))
    assert rows_of(first.train, first.valid) == rows_of(sample.train, sample.valid)
    assert not set(rows_of(first.train)) & set(rows_of(first.valid))
    assert rows_of(first.valid) == rows_of(again.valid) not in (rows_of(second.valid), rows_of(sample.valid))
    assert str(first) == str(sample) and first.test is sample.test and sample.with_split(0) is sample


@pytest.mark.parametrize("number", [2.5, "3", True, -1, 3001, None], ids=repr)
def test_a_train_size_or_seed_that_cannot_be_is_refused(sample, number):
    with pytest.raises(ValueError, match=f"train_size must be a whole number from 1 to 3000.*got {number!r}"):
        sample.with_train_size(number)
    if number != 3001:
        with pytest.raises(ValueError, match=f"seed must be a whole number from 0 up, got {number!r}"):
            sample.with_split(number)


def test_the_fingerprint_is_that_of_the_training_and_validation_data(small):
    def altered(part, changed, change):
        tensors = [tensor.clone() for tensor in getattr(small, part).tensors]
        tensors[changed][5] = change(tensors[changed][5])
        return dataclasses.replace(small, **{part: TensorDataset(*tensors)}).fingerprint()

    assert altered("train", 0, lambda image: image) == small.fingerprint() != small.with_train_size(299).fingerprint()
    for part in ("train", "valid"):
        assert altered(part, 0, lambda image: 1 - image) != small.fingerprint()
        assert altered(part, 1, lambda label: 9 - label) != small.fingerprint()


@pytest.mark.parametrize("shape", [(3, 28, 28), (3, 1, 28, 28)])
@pytest.mark.parametrize(
    "dtype, integer", [(np.uint8, np.uint8), (np.float16, np.int8), (np.float32, np.int32), (np.float64, np.int64)]
)
@pytest.mark.parametrize("convert", [np.asarray, torch.as_tensor])
def test_make_dataset_takes_arrays_and_tensors_of_bytes_and_floats(shape, dtype, integer, convert):
    images, labels = make_dataset(convert(np.ones(shape, dtype)), convert(np.array([0, 9, 5], integer))).tensors
    assert images.shape == (3, 1, 28, 28) and images.dtype == torch.float32
    assert images.max() == pytest.approx(1 / 255 if dtype == np.uint8 else 1)
    assert labels.tolist() == [0, 9, 5] and labels.dtype == torch.int64


def test_make_dataset_copies_each_pixel():
    pixels, labels = torch.rand(2, 28, 28), torch.zeros(2, dtype=torch.long)
    dataset, before = make_dataset(pixels, labels), pixels.clone()
    pixels += 1
    labels += 1
    assert torch.equal(dataset.tensors[0], before.unsqueeze(1)) and dataset.tensors[1].max() == 0
    images = make_dataset(np.arange(784, dtype=np.uint8).reshape(1, 28, 28), [0]).tensors[0]
    assert images.flatten()[[0, 51, 255]].tolist() == pytest.approx([0, 0.2, 1])


IMAGES, LABELS = np.zeros((2, 28, 28), np.uint8), np.array([3, 4])


@pytest.mark.parametrize(
    "images, labels, message",
    [
        (np.zeros((2, 28, 27), np.uint8), LABELS, r"\(2, 28, 27\)"),
        (np.zeros((2, 3, 28, 28), np.uint8), LABELS, r"\(2, 3, 28, 28\)"),
        (np.zeros((28, 28), np.uint8), LABELS, r"\(28, 28\)"),
        (np.zeros((0, 28, 28), np.uint8), LABELS, r"\(0, 28, 28\)"),
        (np.full((2, 28, 28), 1.5), LABELS, r"float64 from 1\.5 to 1\.5"),
        (np.full((2, 28, 28), -0.5), LABELS, r"float64 from -0\.5 to -0\.5"),
        (np.full((2, 28, 28), np.nan, np.float32), LABELS, "float32 from nan to nan"),
        (np.full((2, 28, 28), 255), LABELS, "int64"),
        (np.zeros((2, 28, 28), bool), LABELS, "bool"),
        (IMAGES, np.array([1, 2, 3]), r"2 images and labels of shape \(3,\)"),
        (IMAGES, np.array([[1], [2]]), r"labels of shape \(2, 1\)"),
        (IMAGES, np.array(5), r"labels of shape \(\)"),
        (IMAGES, np.array([0, 10]), "int64.* 10"),
        (IMAGES, np.array([-1, 9]), "int64.*-1"),
        (IMAGES, np.array([1.0, 2.5]), "float64"),
        (IMAGES, np.array(["7", "2"]), "<U1"),
        (np.zeros((999, 28, 28), np.uint8), np.linspace(0, 9, 999), "float64$"),
    ],
)
def test_make_dataset_refuses_wrong_images_and_labels_in_short_with_what_they_are(images, labels, message):
    with pytest.raises(ValueError, match=message) as caught:
        make_dataset(images, labels)
    assert len(str(caught.value)) < 300


NUMBERS = TensorDataset(torch.arange(1000), torch.arange(1000))


def test_the_split_takes_a_fifth_from_the_whole_file_and_loses_nothing():
    train, valid = split_train_valid(NUMBERS)
    numbers = valid.tensors[0]
    assert (len(train), len(valid)) == (800, 200)
    assert torch.cat([train.tensors[0], numbers]).sort().values.tolist() == list(range(1000))
    assert torch.equal(*train.tensors) and torch.equal(*valid.tensors)
    assert numbers.min() < 100 and numbers.max() >= 900 and 400 < numbers.float().mean() < 600


def test_the_split_depends_on_its_seed_only_draws_no_global_random_numbers_and_leaves_no_side_empty():
    first, second, third = (split_train_valid(NUMBERS, seed=seed)[1].tensors[0] for seed in (1, 1, 2))
    torch.manual_seed(1)
    before = random_states()
    assert torch.equal(split_train_valid(NUMBERS, seed=1)[1].tensors[0], first) and random_states() == before
    assert torch.equal(first, second) and not torch.equal(first, third)
    for share in (0, 1, -0.1, 1.5, 0.0001):
        with pytest.raises(ValueError, match=f"must leave images on both sides, got {share} of 1000"):
            split_train_valid(NUMBERS, valid_share=share)


PLAIN = [(torch.full((1, 28, 28), number / 10), number) for number in range(10)]
TENSORS = TensorDataset(torch.stack([image for image, _ in PLAIN]), torch.arange(10))
BOTH = pytest.mark.parametrize("dataset", [PLAIN, TENSORS], ids=["plain", "tensors"])


def labels_of(loader):
    return [labels.tolist() for _, labels in loader]


@BOTH
def test_batches_come_in_order_and_the_last_is_ragged(dataset):
    assert labels_of(make_loader(dataset, 4)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    for batch_size, length in {1: 10, 3: 4, 5: 2, 10: 1, 32: 1}.items():
        loader = make_loader(dataset, batch_size)
        assert len(loader) == len(list(loader)) == length


@BOTH
def test_each_shuffled_pass_has_an_order_of_its_own_and_each_image_once_beside_its_label(dataset):
    set_seed(0)
    loader, orders = make_loader(dataset, 4, shuffle=True), []
    for _ in range(5):
        batches = list(loader)
        assert all(images.shape == (len(labels), 1, 28, 28) for images, labels in batches)
        assert all(torch.equal(images, TENSORS.tensors[0][labels]) for images, labels in batches)
        orders.append(tuple(torch.cat([labels for _, labels in batches]).tolist()))
    assert len(set(orders)) == 5 and all(sorted(order) == list(range(10)) for order in orders)


@BOTH
def test_a_seed_repeats_the_shuffling_and_nothing_else_changes_it(dataset):
    def two_passes(seed, generator=None, between=lambda: None):
        set_seed(seed)
        loader = make_loader(dataset, 4, shuffle=True, generator=generator)
        first = labels_of(loader)
        between()
        return first, labels_of(loader)

    assert two_passes(5) == two_passes(5, between=lambda: torch.rand(100))
    assert two_passes(5)[0] != two_passes(6)[0]
    first, second = (torch.Generator().manual_seed(7) for _ in range(2))
    assert two_passes(5, first) == two_passes(6, second, between=lambda: torch.rand(100))


@BOTH
def test_reading_a_loader_leaves_the_global_random_numbers_alone_and_so_does_making_an_unshuffled_one(dataset):
    shuffled, before = make_loader(dataset, 4, shuffle=True), random_states()
    for loader in [make_loader(dataset, 4), shuffled] * 2:
        list(loader)
    assert random_states() == before


@BOTH
@pytest.mark.parametrize("batch_size", [0, -1, 2.5, True])
def test_an_empty_dataset_or_a_batch_size_that_cannot_be_is_refused(dataset, batch_size):
    with pytest.raises(ValueError, match=f"batch_size.*{batch_size}"):
        make_loader(dataset, batch_size)
    with pytest.raises(ValueError, match="empty"):
        make_loader([] if dataset is PLAIN else EMPTY)


def test_the_textbook_dataset_is_torchvisions_with_the_same_examples(sample):
    textbook = textbook_dataset(sample.valid)
    assert isinstance(textbook, datasets.MNIST) and len(textbook) == len(sample.valid)
    for row in (0, 1, 999):
        image, label = textbook[row]
        assert torch.equal(image, sample.valid[row][0]) and label == sample.valid[row][1]
