"""The shorter way to the batches of a loader: the same batches, and what is drawn for them."""

import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader, SubsetRandomSampler, TensorDataset

from mnist_helpers import make_loader
from mnist_helpers.data import textbook_dataset
from mnist_helpers.quick import WholeBatches, whole_batches

TEN = TensorDataset(torch.arange(10.0).reshape(10, 1), torch.arange(10))


def seeded_loader(batch_size, shuffle=True):
    return make_loader(TEN, batch_size, shuffle, generator=torch.Generator().manual_seed(3))


def assert_same_batches(batches, expected):
    assert [[tensor.tolist() for tensor in batch] for batch in batches] == [
        [tensor.tolist() for tensor in batch] for batch in expected
    ]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("batch_size", [1, 3, 5, 20])
def test_the_batches_and_the_random_numbers_are_those_of_the_loader(batch_size, shuffle):
    mine, loader = seeded_loader(batch_size, shuffle), seeded_loader(batch_size, shuffle)
    state = torch.get_rng_state()
    for _ in range(3):
        assert_same_batches(whole_batches(mine), loader)
        assert torch.equal(mine.generator.get_state(), loader.generator.get_state())
        assert_same_batches([next(iter(whole_batches(mine)))], [next(iter(loader))])  # a pass that is broken off
        assert torch.equal(mine.generator.get_state(), loader.generator.get_state())
    assert type(whole_batches(mine)) is WholeBatches and torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("size, lengths", [(1, [3, 3, 3, 1]), (6, [6, 4]), (8, [6, 4]), (1024, [10])])
def test_several_batches_come_as_one_with_the_examples_in_the_same_order(size, lengths):
    joined = list(whole_batches(seeded_loader(3), size))
    assert [len(labels) for _, labels in joined] == lengths
    expected = torch.cat([labels for _, labels in seeded_loader(3)])
    assert torch.equal(torch.cat([labels for _, labels in joined]), expected)
    assert torch.equal(torch.cat([images for images, _ in joined]).flatten(), expected.float())


def test_the_batches_are_on_the_device_that_is_asked_for():
    here, elsewhere = [
        next(iter(whole_batches(seeded_loader(3), device=torch.device(name)))) for name in ("cpu", "meta")
    ]
    assert [tensor.device.type for tensor in (*here, *elsewhere)] == ["cpu"] * 2 + ["meta"] * 2
    assert [tensor.shape for tensor in here] == [tensor.shape for tensor in elsewhere]


def test_a_sampler_that_takes_some_examples_is_followed():
    batches = BatchSampler(SubsetRandomSampler([1, 4, 7]), batch_size=2, drop_last=False)
    (joined,) = whole_batches(DataLoader(TEN, sampler=batches, batch_size=None), 1024)
    assert sorted(joined[1].tolist()) == [1, 4, 7]


def test_every_other_loader_comes_back_as_it_is(small):
    class Doubled(TensorDataset):
        def __getitem__(self, index):
            return super().__getitem__(index) * 2

    batches = BatchSampler(range(10), batch_size=2, drop_last=False)
    for loader in (
        DataLoader(TEN, batch_size=2),
        DataLoader(TEN, sampler=batches, batch_size=None, collate_fn=list),
        DataLoader(TEN, sampler=batches, batch_size=None, num_workers=1),
        make_loader(Doubled(*TEN.tensors), 2),
        make_loader(textbook_dataset(small.train), 2),
        list(seeded_loader(2)),
        iter([]),
    ):
        assert whole_batches(loader, 1024) is loader
