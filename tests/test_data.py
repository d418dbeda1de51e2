"""Files → tensors → loaders."""

import contextlib
import dataclasses
import gzip
import hashlib
import http.server
import socket
import struct
import threading
import time

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset
from torchvision import datasets

from mnist_helpers import data
from mnist_helpers.data import load_mnist, make_dataset, make_loader, split_train_valid, textbook_dataset
from mnist_helpers.training import set_seed

TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = data.MD5


# ---------------------------------------------------------------- small files in the published format


def idx(array):
    """The content of an IDX file of bytes."""
    return struct.pack(f">{1 + array.ndim}i", 2048 + array.ndim, *array.shape) + array.tobytes()


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.fixture(scope="session")
def arrays():
    """50 training and 20 test images of noise with their labels, under the names of the published files."""
    rng = np.random.default_rng(0)
    return {
        TRAIN_IMAGES: rng.integers(0, 256, (50, 28, 28), dtype=np.uint8),
        TRAIN_LABELS: rng.integers(0, 10, 50, dtype=np.uint8),
        TEST_IMAGES: rng.integers(0, 256, (20, 28, 28), dtype=np.uint8),
        TEST_LABELS: rng.integers(0, 10, 20, dtype=np.uint8),
    }


@pytest.fixture
def contents(arrays, monkeypatch):
    """The content of the four files; for the test, these are the published ones."""
    contents = {name: idx(array) for name, array in arrays.items()}
    monkeypatch.setattr(data, "MD5", {name: md5(content) for name, content in contents.items()})
    monkeypatch.delenv("MNIST_DATA_DIR", raising=False)
    return contents


def write(folder, contents, packed=False):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / (name + ".gz" * packed)).write_bytes(gzip.compress(content) if packed else content)
    return folder


@pytest.fixture
def folder(tmp_path, contents):
    return write(tmp_path / "mnist", contents)


@pytest.fixture
def quick_sample(sample, monkeypatch):
    """Let the fallback take the sample that is loaded already."""
    monkeypatch.setattr(data, "load_sample", lambda note: dataclasses.replace(sample, note=note))


@pytest.fixture
def data_dir(tmp_path, contents, monkeypatch):
    """The repository's data folder, which is not there yet."""
    monkeypatch.setattr(data, "DATA_DIR", tmp_path / "data")
    return tmp_path / "data"


def pixels_of(dataset):
    """The images as uint8 (n, 28, 28)."""
    return (dataset.tensors[0] * 255).round().byte().squeeze(1).numpy()


def complaint(folder, kind=ValueError):
    """The message with which load_mnist refuses `folder`."""
    with pytest.raises(kind) as caught:
        load_mnist(folder)
    return str(caught.value)


# ---------------------------------------------------------------- reading folders


@pytest.mark.parametrize("packed", [True, False], ids=["gz", "unpacked"])
@pytest.mark.parametrize("tree", [".", "MNIST/raw"])
def test_a_folder_is_read_packed_or_not_and_as_torchvisions_tree(tmp_path, contents, arrays, packed, tree):
    write(tmp_path / tree, contents, packed)
    mnist = load_mnist(tmp_path)
    assert np.array_equal(pixels_of(mnist.test), arrays[TEST_IMAGES])
    assert np.array_equal(mnist.test.tensors[1], arrays[TEST_LABELS])


def test_packed_and_unpacked_files_may_stand_side_by_side(folder, contents):
    (folder / TRAIN_LABELS).unlink()
    (folder / f"{TRAIN_LABELS}.gz").write_bytes(gzip.compress(contents[TRAIN_LABELS]))
    assert load_mnist(folder).source == "full"


def test_the_training_file_is_split_80_to_20_without_loss(folder, arrays):
    mnist = load_mnist(folder)
    assert (len(mnist.train), len(mnist.valid)) == (40, 10)
    got = sorted(image.tobytes() for part in (mnist.train, mnist.valid) for image in pixels_of(part))
    assert got == sorted(image.tobytes() for image in arrays[TRAIN_IMAGES])


def test_images_keep_their_labels_through_the_split(folder, arrays):
    label_of = {image.tobytes(): label for image, label in zip(arrays[TRAIN_IMAGES], arrays[TRAIN_LABELS])}
    mnist = load_mnist(folder)
    for part in (mnist.train, mnist.valid):
        assert [label_of[image.tobytes()] for image in pixels_of(part)] == part.tensors[1].tolist()


def test_the_folder_may_be_given_as_text(folder):
    assert load_mnist(str(folder)).source == "full"


def test_a_tilde_stands_for_the_home_folder(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setenv("USERPROFILE", str(folder.parent))
    assert load_mnist("~/mnist").source == "full"


def test_the_environment_variable_names_the_folder(folder, monkeypatch):
    monkeypatch.setenv("MNIST_DATA_DIR", str(folder))
    assert len(load_mnist().train) == 40


def test_an_explicit_folder_beats_the_environment_variable(folder, monkeypatch):
    monkeypatch.setenv("MNIST_DATA_DIR", str(folder / "not there"))
    assert load_mnist(folder).source == "full"


def test_the_environment_variable_may_ask_for_the_sample(quick_sample, monkeypatch):
    monkeypatch.setenv("MNIST_DATA_DIR", "sample")
    assert load_mnist().source == "sample"


def test_the_environment_variable_never_falls_back_to_the_sample(tmp_path, monkeypatch):
    monkeypatch.setenv("MNIST_DATA_DIR", str(tmp_path / "not there"))
    assert "MNIST_DATA_DIR" in complaint(None, FileNotFoundError)


# ---------------------------------------------------------------- refusing damaged folders


def test_a_missing_folder_is_named(tmp_path):
    message = complaint(tmp_path / "nowhere", FileNotFoundError)
    assert str(tmp_path / "nowhere") in message and "MNIST_DATA_DIR" in message


@pytest.mark.parametrize("name", data.MD5)
def test_a_missing_file_is_named_with_the_four_needed_ones(folder, name):
    (folder / name).unlink()
    message = complaint(folder, FileNotFoundError)
    assert f"neither {name} nor {name}.gz" in message and str(folder) in message
    assert all(needed in message for needed in data.MD5)


@pytest.mark.parametrize(
    "damage",
    [
        lambda packed: packed[:-20],
        lambda packed: packed[:10] + b"\xff" * 50 + packed[60:],
        lambda packed: packed[:-8] + bytes(4) + packed[-4:],
        lambda packed: b"<html>404 Not Found</html>",
        lambda packed: packed[:5],
    ],
    ids=["truncated", "garbled", "wrong checksum", "a web page", "only its start"],
)
def test_a_damaged_gz_file_is_named_with_what_to_do(folder, contents, damage):
    (folder / TEST_IMAGES).unlink()
    path = folder / f"{TEST_IMAGES}.gz"
    path.write_bytes(damage(gzip.compress(contents[TEST_IMAGES])))
    message = complaint(folder)
    assert str(path) in message and "damaged" in message and "get it again" in message


@pytest.mark.parametrize("length", [0, 4, 8, 16, 1000, -1])
@pytest.mark.parametrize("name", [TRAIN_IMAGES, TEST_LABELS])
def test_a_truncated_file_is_named_with_what_to_do(folder, contents, name, length):
    (folder / name).write_bytes(contents[name][: min(length, len(contents[name]) - 1)])
    message = complaint(folder)
    assert str(folder / name) in message and "truncated" in message and "Get it again" in message


@pytest.mark.parametrize("length", [1, 5, 15])
def test_a_file_cut_in_the_middle_of_a_header_number_is_named(folder, contents, length):
    (folder / TRAIN_IMAGES).write_bytes(contents[TRAIN_IMAGES][:length])
    message = complaint(folder)
    assert str(folder / TRAIN_IMAGES) in message and "truncated" in message


def test_a_file_that_is_too_long_is_refused(folder, contents):
    (folder / TRAIN_IMAGES).write_bytes(contents[TRAIN_IMAGES] + b"\0")
    message = complaint(folder)
    assert str(folder / TRAIN_IMAGES) in message and "(50, 28, 28)" in message


def test_a_wrong_magic_number_is_given_with_the_right_one(folder, contents):
    (folder / TEST_LABELS).write_bytes(struct.pack(">i", 1234) + contents[TEST_LABELS][4:])
    message = complaint(folder)
    assert str(folder / TEST_LABELS) in message and "1234" in message and "2049" in message


@pytest.mark.parametrize("images, labels", [(TRAIN_IMAGES, TRAIN_LABELS), (TEST_IMAGES, TEST_LABELS)])
def test_swapped_images_and_labels_are_called_swapped(folder, contents, images, labels):
    write(folder, {images: contents[labels], labels: contents[images]})
    message = complaint(folder)
    assert str(folder / images) in message and "swapped" in message


def test_swapped_training_and_test_labels_are_called_swapped(folder, contents):
    write(folder, {TRAIN_LABELS: contents[TEST_LABELS], TEST_LABELS: contents[TRAIN_LABELS]})
    message = complaint(folder)
    assert str(folder) in message and TRAIN_LABELS in message and "swapped" in message


def test_another_file_of_the_right_form_is_refused_with_both_checksums(folder, contents):
    other = contents[TRAIN_IMAGES][:-1] + bytes([contents[TRAIN_IMAGES][-1] ^ 1])
    (folder / TRAIN_IMAGES).write_bytes(other)
    message = complaint(folder)
    assert str(folder / TRAIN_IMAGES) in message
    assert md5(other) in message and md5(contents[TRAIN_IMAGES]) in message
    assert "Get it again" in message and "make_dataset" in message


def test_labels_above_9_are_refused(folder, contents):
    (folder / TEST_LABELS).write_bytes(idx(np.full(20, 11, dtype=np.uint8)))
    message = complaint(folder)
    assert str(folder) in message and "from 0 to 9" in message and "11" in message


# ---------------------------------------------------------------- downloading, from a server of the test's own


@pytest.fixture
def server(data_dir, contents, quick_sample, monkeypatch):
    """A download server on this machine in torchvision's place.

    `files` maps paths to what is sent; of the paths in `stalled` only the first half is, and then nothing happens.
    """
    files = {f"/{name}.gz": gzip.compress(content, mtime=0) for name, content in contents.items()}
    stalled, asked, end = set(), [], threading.Event()

    def do_get(request):
        asked.append(request.path)
        if request.path not in files:
            return request.send_error(404)
        content = files[request.path]
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        if request.path in stalled:
            request.wfile.write(content[: len(content) // 2])
            end.wait()
        else:
            request.wfile.write(content)

    handler = type("Handler", (http.server.BaseHTTPRequestHandler,), {"do_GET": do_get, "log_message": lambda *_: None})
    http_server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    http_server.files, http_server.stalled, http_server.asked = files, stalled, asked
    http_server.url = f"http://127.0.0.1:{http_server.server_port}/"
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(datasets.MNIST, "mirrors", [http_server.url])
    published = [(path[1:], md5(content)) for path, content in files.items()]
    monkeypatch.setattr(datasets.MNIST, "resources", published)
    yield http_server
    end.set()
    http_server.shutdown()
    http_server.server_close()
    thread.join()


@pytest.fixture
def closed_url(monkeypatch):
    """The address of a port at which nobody listens."""
    monkeypatch.setenv("no_proxy", "*")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"


@pytest.fixture
def silent_url(monkeypatch):
    """The address of a server that accepts a connection and never says a word."""
    monkeypatch.setenv("no_proxy", "*")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


@contextlib.contextmanager
def within(seconds):
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_download_leaves_the_four_files_and_nothing_else(server, data_dir):
    assert load_mnist().source == "full"
    assert names_in(data_dir) == ["MNIST"] and names_in(data_dir / "MNIST") == ["raw"]
    assert names_in(data_dir / "MNIST" / "raw") == sorted(data.MD5)


def test_a_download_gives_the_images_of_the_server(server, data_dir, arrays):
    assert np.array_equal(pixels_of(load_mnist().test), arrays[TEST_IMAGES])


def test_a_download_says_where_the_files_go(server, data_dir, capsys):
    load_mnist()
    assert str(data_dir) in capsys.readouterr().out


def test_what_was_downloaded_is_not_asked_for_again(server):
    load_mnist()
    asked = len(server.asked)
    assert load_mnist().source == "full"
    assert len(server.asked) == asked


def test_a_server_that_refuses_is_passed_over_for_the_next(server, closed_url, monkeypatch):
    monkeypatch.setattr(datasets.MNIST, "mirrors", [closed_url, server.url])
    assert load_mnist().source == "full"


def test_a_server_that_never_answers_is_passed_over_for_the_next(server, silent_url, monkeypatch):
    monkeypatch.setattr(data, "PROBE_SECONDS", 0.5)
    monkeypatch.setattr(datasets.MNIST, "mirrors", [silent_url, server.url])
    with within(seconds=5):
        assert load_mnist().source == "full"


def test_an_old_damaged_file_is_replaced_by_a_good_download(server, data_dir, contents):
    write(data_dir / "MNIST" / "raw", contents | {TRAIN_IMAGES: b"damaged"})
    assert load_mnist().source == "full"
    assert (data_dir / "MNIST" / "raw" / TRAIN_IMAGES).read_bytes() == contents[TRAIN_IMAGES]


@pytest.mark.parametrize("place", [".", "MNIST/raw"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_download_is_used_whatever_damaged_files_stand_beside_it(server, data_dir, place, suffix):
    write(data_dir / place, {TRAIN_IMAGES + suffix: b"damaged"})
    assert load_mnist().source == "full"
    asked = len(server.asked)
    assert load_mnist().source == "full"
    assert len(server.asked) == asked


@pytest.fixture(params=["corrupt", "not found", "cut short", "unlike the published"])
def broken_server(server, request, monkeypatch):
    """A server that answers, but does not have one of the files as published."""
    path = f"/{TEST_LABELS}.gz"
    if request.param == "not found":
        del server.files[path]
    elif request.param == "unlike the published":  # though torchvision takes it for good
        server.files[path] = gzip.compress(idx(np.zeros(20, np.uint8)))
        resources = datasets.MNIST.resources[:-1] + [(path[1:], md5(server.files[path]))]
        monkeypatch.setattr(datasets.MNIST, "resources", resources)
    else:
        server.files[path] = {"corrupt": b"no MNIST", "cut short": server.files[path][:-5]}[request.param]
    return server


def test_a_broken_download_falls_back_to_the_sample_and_says_why(broken_server):
    mnist = load_mnist()
    assert mnist.source == "sample"
    reason = mnist.note.partition("the full set could not be had: ")[2]
    assert len(reason) > 10 and "\n" not in reason


def test_a_broken_download_leaves_no_file(broken_server, data_dir):
    load_mnist()
    assert names_in(data_dir) == []


def test_a_broken_download_leaves_older_files_as_they_were(broken_server, data_dir, contents):
    older = contents | {TRAIN_IMAGES: b"damaged"}
    write(data_dir / "MNIST" / "raw", older)
    load_mnist()
    assert names_in(data_dir) == ["MNIST"]
    assert {path.name: path.read_bytes() for path in (data_dir / "MNIST" / "raw").iterdir()} == older


def test_a_download_that_stalls_is_given_up(server, data_dir, monkeypatch):
    server.stalled.add(f"/{TEST_IMAGES}.gz")
    monkeypatch.setattr(data, "STALL_SECONDS", 0.3)
    with within(seconds=5):
        assert load_mnist().source == "sample"
    assert names_in(data_dir) == []


def test_the_time_limit_of_a_download_does_not_outlast_it(server):
    before = socket.getdefaulttimeout()
    load_mnist()
    assert socket.getdefaulttimeout() == before


def test_a_download_that_breaks_off_between_two_chunks_falls_back_to_the_sample(server, data_dir, monkeypatch):
    def send_half(request):
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        request.wfile.write(b"a\r\n0123456789\r\n")

    monkeypatch.setattr(server.RequestHandlerClass, "do_GET", send_half)
    monkeypatch.setattr(server.RequestHandlerClass, "protocol_version", "HTTP/1.1")
    monkeypatch.setattr(server.RequestHandlerClass, "timeout", 0.3, raising=False)
    assert load_mnist().source == "sample"
    assert names_in(data_dir) == []


def test_a_server_that_speaks_no_http_is_passed_over_without_noise(server, monkeypatch):
    monkeypatch.setattr(server.RequestHandlerClass, "do_GET", lambda request: request.wfile.write(b"SSH-2.0\r\n"))
    failures = []
    monkeypatch.setattr(threading, "excepthook", failures.append)
    assert data.answering([server.url]) == []
    assert failures == []


def test_without_any_server_the_sample_comes_at_once_and_says_why(data_dir, closed_url, quick_sample, monkeypatch):
    monkeypatch.setattr(datasets.MNIST, "mirrors", [closed_url])
    with within(seconds=5):
        mnist = load_mnist()
    assert mnist.source == "sample" and "no download server can be reached" in mnist.note
    assert not data_dir.exists()


def test_a_data_folder_that_cannot_be_made_falls_back_to_the_sample(server, data_dir):
    data_dir.write_text("a file where the folder should be")
    assert load_mnist().source == "sample"


def test_a_server_that_never_answers_is_given_up(silent_url, monkeypatch):
    monkeypatch.setattr(data, "PROBE_SECONDS", 0.3)
    with within(seconds=3):
        assert data.answering([silent_url]) == []


def test_a_name_lookup_that_hangs_is_given_up(monkeypatch):
    end = threading.Event()

    def hang(*_, **__):
        end.wait(10)
        raise OSError("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(data, "PROBE_SECONDS", 0.3)
    with within(seconds=3):
        assert data.answering(["http://mnist.invalid/"]) == []
    end.set()


def test_servers_are_asked_side_by_side_and_kept_in_order(server, silent_url, closed_url, monkeypatch):
    monkeypatch.setattr(data, "PROBE_SECONDS", 1.5)
    urls = [silent_url, server.url + "b", closed_url, server.url + "a", silent_url, silent_url]
    with within(seconds=4):
        assert data.answering(urls) == [server.url + "b", server.url + "a"]


# ---------------------------------------------------------------- the sample and the full set


def test_the_sample_holds_each_digit_equally_often(sample):
    counts = [part.tensors[1].bincount(minlength=10).tolist() for part in (sample.train, sample.valid, sample.test)]
    assert counts == [[300] * 10, [100] * 10, [100] * 10]


def test_the_sample_holds_5000_different_images(sample):
    images = torch.cat([part.tensors[0] for part in (sample.train, sample.valid, sample.test)])
    assert len(images.flatten(1).unique(dim=0)) == 5000


def test_the_sample_is_not_sorted_by_digit(sample):
    for part in (sample.train, sample.valid, sample.test):
        assert len(part.tensors[1][:50].unique()) > 5


def test_the_sample_says_what_it_is(sample):
    assert sample.source == "sample"
    assert str(sample) == "MNIST sample: 3,000 training, 1,000 validation and 1,000 test images (asked for)"


@pytest.mark.parametrize("part", ["train", "valid", "test"])
def test_pixels_fill_the_range_0_to_1(sample, part):
    images = getattr(sample, part).tensors[0]
    assert (images.min(), images.max()) == (0, 1)


@pytest.mark.parametrize("part", ["train", "valid", "test"])
def test_images_and_labels_have_the_shapes_and_dtypes_that_the_network_takes(sample, part):
    images, labels = getattr(sample, part).tensors
    assert images.shape == (len(labels), 1, 28, 28) and images.dtype == torch.float32
    assert labels.shape == (len(images),) and labels.dtype == torch.int64


def test_full_mnist_has_its_published_sizes(full):
    assert full.source == "full"
    assert str(full) == "Full MNIST: 48,000 training, 12,000 validation and 10,000 test images"


def test_full_mnist_has_its_published_label_counts(full):
    training = full.train.tensors[1].bincount() + full.valid.tensors[1].bincount()
    assert training.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert full.test.tensors[1].bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_full_mnist_has_its_known_mean_pixel(full):
    total = sum(part.tensors[0].double().sum() for part in (full.train, full.valid))
    assert float(total / (60_000 * 784)) == pytest.approx(0.1307, abs=5e-5)


# ---------------------------------------------------------------- smaller training sets, other splits, fingerprints


def test_with_train_size_keeps_the_first_training_images(sample):
    cut = sample.with_train_size(7)
    assert all(torch.equal(part, whole[:7]) for part, whole in zip(cut.train.tensors, sample.train.tensors))


def test_with_train_size_keeps_validation_and_test_whole(sample):
    cut = sample.with_train_size(7)
    assert (cut.valid, cut.test) == (sample.valid, sample.test)


@pytest.mark.parametrize("size", [0, -1, 3001])
def test_with_train_size_refuses_sizes_that_cannot_be(sample, size):
    with pytest.raises(ValueError, match=rf"from 1 to 3000.*got {size}$"):
        sample.with_train_size(size)


def test_with_split_0_is_the_split_that_was_loaded(sample):
    assert sample.with_split(0) is sample


def rows_of(*datasets):
    """The bytes of each image with its label, sorted."""
    return sorted(image.numpy().tobytes() + bytes([label]) for dataset in datasets for image, label in dataset)


def test_another_split_keeps_all_images_with_their_labels_and_shares_none(sample):
    other = sample.with_split(1)
    assert rows_of(other.train, other.valid) == rows_of(sample.train, sample.valid)
    assert not set(rows_of(other.train)) & set(rows_of(other.valid))


def test_another_split_keeps_sizes_source_and_test_images(sample):
    other = sample.with_split(1)
    assert str(other) == str(sample) and other.test is sample.test


def test_each_seed_has_its_own_split(sample):
    first, again, second = (rows_of(sample.with_split(seed).valid) for seed in (1, 1, 2))
    assert first == again and first != second and first != rows_of(sample.valid)


def altered(mnist, part, tensor, change):
    """A copy of `mnist` in which one image or one label of one part is another."""
    tensors = [each.clone() for each in getattr(mnist, part).tensors]
    tensors[tensor][5] = change(tensors[tensor][5])
    return dataclasses.replace(mnist, **{part: TensorDataset(*tensors)})


def test_equal_data_have_equal_fingerprints(small):
    assert altered(small, "train", 0, lambda image: image).fingerprint() == small.fingerprint()


@pytest.mark.parametrize("part", ["train", "valid"])
@pytest.mark.parametrize(
    "tensor, change", [(0, lambda image: 1 - image), (1, lambda label: 9 - label)], ids=["image", "label"]
)
def test_one_other_image_or_label_changes_the_fingerprint(small, part, tensor, change):
    assert altered(small, part, tensor, change).fingerprint() != small.fingerprint()


def test_fewer_training_images_change_the_fingerprint(small):
    assert small.with_train_size(299).fingerprint() != small.fingerprint()


# ---------------------------------------------------------------- make_dataset


@pytest.mark.parametrize("shape", [(3, 28, 28), (3, 1, 28, 28)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("convert", [np.asarray, torch.as_tensor])
def test_make_dataset_takes_arrays_and_tensors_of_bytes_and_floats(shape, dtype, convert):
    images, labels = make_dataset(convert(np.ones(shape, dtype)), convert(np.array([0, 9, 5]))).tensors
    assert images.shape == (3, 1, 28, 28) and images.dtype == torch.float32
    assert labels.tolist() == [0, 9, 5] and labels.dtype == torch.int64


def test_make_dataset_scales_bytes_to_0_to_1():
    images = make_dataset(np.arange(784, dtype=np.uint8).reshape(1, 28, 28), [0]).tensors[0]
    assert images.flatten()[[0, 51, 255]].tolist() == pytest.approx([0, 0.2, 1])


def test_make_dataset_leaves_floats_as_they_are():
    pixels = torch.rand(2, 28, 28)
    assert torch.equal(make_dataset(pixels, [0, 1]).tensors[0], pixels.unsqueeze(1))


def test_make_dataset_copies_what_it_is_given():
    pixels, labels = torch.zeros(1, 1, 28, 28), torch.zeros(1, dtype=torch.long)
    dataset = make_dataset(pixels, labels)
    pixels += 1
    labels += 1
    assert [tensor.max().item() for tensor in dataset.tensors] == [0, 0]


GOOD_IMAGES, GOOD_LABELS = np.zeros((2, 28, 28), np.uint8), np.array([3, 4])


@pytest.mark.parametrize(
    "images, message",
    [
        (np.zeros((2, 28, 27), np.uint8), r"\(2, 28, 27\)"),
        (np.zeros((2, 3, 28, 28), np.uint8), r"\(2, 3, 28, 28\)"),
        (np.zeros((2, 784), np.uint8), r"\(2, 784\)"),
        (np.zeros((28, 28), np.uint8), r"\(28, 28\)"),
        (np.zeros((0, 28, 28), np.uint8), r"\(0, 28, 28\)"),
        (np.full((2, 28, 28), 1.5), r"float64 from 1\.5 to 1\.5"),
        (np.full((2, 28, 28), -0.5), r"float64 from -0\.5 to -0\.5"),
        (np.full((2, 28, 28), np.nan, np.float32), "float32 from nan to nan"),
        (np.full((2, 28, 28), np.inf, np.float32), "float32 from inf to inf"),
        (np.full((2, 28, 28), 255), "int64"),
        (np.zeros((2, 28, 28), bool), "bool"),
        (np.zeros((2, 28, 28), np.uint16), "uint16"),
        (np.zeros((2, 28, 28), complex), "complex"),
    ],
)
def test_make_dataset_refuses_wrong_images_with_what_they_are(images, message):
    with pytest.raises(ValueError, match=message):
        make_dataset(images, GOOD_LABELS)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.uint16])
def test_make_dataset_takes_labels_of_any_integer_type(dtype):
    assert make_dataset(GOOD_IMAGES, np.array([0, 9], dtype)).tensors[1].tolist() == [0, 9]


@pytest.mark.parametrize(
    "labels, message",
    [
        (np.array([1, 2, 3]), r"2 images and labels of shape \(3,\)"),
        (np.array([[1], [2]]), r"labels of shape \(2, 1\)"),
        (np.array(5), r"labels of shape \(\)"),
        (np.array([0, 10]), "int64.* 10"),
        (np.array([-1, 9]), "int64.*-1"),
        (np.array([1.0, 2.5]), "float64"),
        (np.array([1j, 2]), "complex128"),
        (np.array(["7", "2"]), "<U1"),
    ],
)
def test_make_dataset_refuses_wrong_labels_with_what_they_are(labels, message):
    with pytest.raises(ValueError, match=message):
        make_dataset(GOOD_IMAGES, labels)


def test_a_thousand_wrong_labels_do_not_all_stand_in_the_message():
    with pytest.raises(ValueError) as caught:
        make_dataset(np.zeros((1000, 28, 28), np.uint8), np.linspace(0, 9, 1000))
    assert len(str(caught.value)) < 300


# ---------------------------------------------------------------- split_train_valid


def numbered(size):
    """A dataset whose examples are their own numbers, twice."""
    return TensorDataset(torch.arange(size), torch.arange(size))


def test_the_split_is_disjoint_and_complete():
    train, valid = split_train_valid(numbered(1000))
    assert torch.cat([train.tensors[0], valid.tensors[0]]).sort().values.tolist() == list(range(1000))


def test_the_split_is_80_to_20():
    train, valid = split_train_valid(numbered(1000))
    assert (len(train), len(valid)) == (800, 200)


def test_the_split_keeps_images_and_labels_together():
    for part in split_train_valid(numbered(1000)):
        assert torch.equal(*part.tensors)


def test_the_split_does_not_depend_on_the_global_random_numbers():
    torch.manual_seed(1)
    first = split_train_valid(numbered(100))[1].tensors[0]
    torch.manual_seed(2)
    assert torch.equal(split_train_valid(numbered(100))[1].tensors[0], first)


def test_the_split_leaves_the_global_random_numbers_alone():
    before = torch.get_rng_state()
    split_train_valid(numbered(100))
    assert torch.equal(torch.get_rng_state(), before)


def test_another_seed_splits_otherwise():
    first, second = (split_train_valid(numbered(100), seed=seed)[1].tensors[0] for seed in (1, 2))
    assert not torch.equal(first, second)


def test_validation_images_come_from_the_whole_file():
    valid = split_train_valid(numbered(1000))[1].tensors[0]
    assert valid.min() < 100 and valid.max() >= 900 and 400 < valid.float().mean() < 600


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, 0.001])
def test_a_split_that_leaves_a_side_empty_is_refused(share):
    with pytest.raises(ValueError, match=f"got {share} of 100"):
        split_train_valid(numbered(100), valid_share=share)


# ---------------------------------------------------------------- make_loader

PLAIN = [(torch.full((1, 28, 28), number / 10), number) for number in range(10)]
TENSORS = TensorDataset(torch.stack([image for image, _ in PLAIN]), torch.arange(10))
BOTH = pytest.mark.parametrize("dataset", [PLAIN, TENSORS], ids=["plain", "tensors"])


def labels_of(loader):
    """The labels of each batch of one pass."""
    return [labels.tolist() for _, labels in loader]


@BOTH
def test_batches_come_in_order_and_the_last_is_ragged(dataset):
    assert labels_of(make_loader(dataset, 4)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


@BOTH
def test_a_batch_holds_its_images_beside_its_labels(dataset):
    for images, labels in make_loader(dataset, 4, shuffle=True):
        assert images.shape == (len(labels), 1, 28, 28)
        assert torch.equal(images, TENSORS.tensors[0][labels])


@BOTH
@pytest.mark.parametrize("batch_size, length", [(1, 10), (3, 4), (5, 2), (10, 1), (32, 1)])
def test_the_length_of_a_loader_is_its_number_of_batches(dataset, batch_size, length):
    loader = make_loader(dataset, batch_size)
    assert len(loader) == len(list(loader)) == length


@BOTH
def test_a_shuffled_pass_holds_each_example_once(dataset):
    assert sorted(sum(labels_of(make_loader(dataset, 4, shuffle=True)), [])) == list(range(10))


def two_passes(dataset, seed, generator=None, between=lambda: None):
    """The order of two passes of a loader made after set_seed(seed); something else may happen between them."""
    set_seed(seed)
    loader = make_loader(dataset, 4, shuffle=True, generator=generator)
    first = labels_of(loader)
    between()
    return first, labels_of(loader)


@BOTH
def test_set_seed_repeats_the_shuffling(dataset):
    assert two_passes(dataset, seed=5) == two_passes(dataset, seed=5)


@BOTH
def test_a_generator_of_its_own_frees_the_order_from_all_other_random_numbers(dataset):
    first, second = (torch.Generator().manual_seed(7) for _ in range(2))
    undisturbed = two_passes(dataset, 5, first)
    assert two_passes(dataset, 6, second, between=lambda: torch.rand(100)) == undisturbed


@BOTH
def test_making_a_loader_without_shuffling_draws_no_random_numbers(dataset):
    before = torch.get_rng_state()
    make_loader(dataset, 4)
    assert torch.equal(torch.get_rng_state(), before)


@BOTH
def test_each_pass_is_shuffled_anew(dataset):
    set_seed(0)
    loader = make_loader(dataset, 4, shuffle=True)
    passes = [labels_of(loader) for _ in range(5)]
    assert all(passes[0] != other for other in passes[1:])


@BOTH
def test_another_seed_shuffles_otherwise(dataset):
    assert two_passes(dataset, seed=0)[0] != two_passes(dataset, seed=1)[0]


@pytest.mark.parametrize(
    "dataset", [[], TensorDataset(torch.zeros(0, 1, 28, 28), torch.zeros(0))], ids=["plain", "tensors"]
)
def test_an_empty_dataset_is_refused(dataset):
    with pytest.raises(ValueError, match="empty"):
        make_loader(dataset)


@BOTH
@pytest.mark.parametrize("batch_size", [0, -1, 2.5])
def test_a_batch_size_that_cannot_be_is_refused(dataset, batch_size):
    with pytest.raises(ValueError, match=f"batch_size must be a whole number.*got {batch_size}"):
        make_loader(dataset, batch_size)


@BOTH
def test_a_numpy_integer_is_a_whole_number(dataset):
    assert len(make_loader(dataset, np.int64(4))) == 3


# ---------------------------------------------------------------- textbook_dataset


def test_the_textbook_dataset_holds_the_same_examples(sample):
    textbook = textbook_dataset(sample.valid)
    assert len(textbook) == len(sample.valid)
    for row in (0, 1, 999):
        image, label = textbook[row]
        assert torch.equal(image, sample.valid[row][0]) and label == sample.valid[row][1]


def test_the_textbook_dataset_is_torchvisions(small):
    assert isinstance(textbook_dataset(small.train), datasets.MNIST)


@pytest.mark.parametrize("train_size", [2.5, "3", True, 0, -1, 3001, None], ids=repr)
def test_a_train_size_that_cannot_be_is_refused(sample, train_size):
    with pytest.raises(ValueError, match="train_size must be a whole number from 1 to 3000, the training images"):
        sample.with_train_size(train_size)


def test_a_numpy_integer_is_a_whole_train_size(sample):
    assert len(sample.with_train_size(np.int64(7)).train) == 7


@pytest.mark.parametrize("seed", [0.5, "0", -1, False], ids=repr)
def test_a_seed_of_the_split_that_cannot_be_is_refused(sample, seed):
    with pytest.raises(ValueError, match="seed must be a whole number from 0 up"):
        sample.with_split(seed)


def test_reading_a_loader_leaves_the_global_random_numbers_alone(sample):
    torch.manual_seed(0)
    loaders = [make_loader(sample.valid, 100), make_loader(sample.valid, 100, shuffle=True)]
    before = torch.get_rng_state()
    for loader in loaders * 2:
        list(loader)
    assert torch.equal(torch.get_rng_state(), before)
