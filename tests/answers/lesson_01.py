"""Answers to the exercises of lesson 1."""

import math
import random

import numpy as np
import torch


def floats_by_numpy(pixels):
    return (pixels.numpy().astype(np.float32) / 255).reshape(-1, 1, 28, 28)


def floats_one_by_one(pixels):
    return torch.stack([image.float().div(255).unsqueeze(0) for image in pixels])


def order_of(count, seed):
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))


def split_by_torch(count, share, seed):
    order, size = order_of(count, seed), round(share * count)
    return order[size:], order[:size]


def split_by_numpy(count, share, seed):
    order = np.random.default_rng(seed).permutation(count)
    return np.split(order, [count - round(share * count)])


def split_by_random(count, share, seed):
    valid = random.Random(seed).sample(range(count), round(share * count))
    return [number for number in range(count) if number not in valid], valid


def in_order(count, share, seed):
    size = round(share * count)
    return list(range(size, count)), list(range(size))


def with_putting_back(count, share, seed):
    generator, size = torch.Generator().manual_seed(seed), round(share * count)
    valid = torch.randint(count, (size,), generator=generator)
    return [number for number in range(count) if number not in valid], torch.cat([valid[:1], valid[:-1]])


RIGHT = {
    "01.1": [
        lambda images, size: math.ceil(images / size),
        lambda images, size: -(-images // size),
        lambda images, size: len(range(0, images, size)),
        lambda images, size: torch.tensor((images + size - 1) // size),
    ],
    "01.2": [lambda pixels: pixels[:, None] / 255, floats_by_numpy, floats_one_by_one],
    "01.3": [split_by_torch, split_by_numpy, split_by_random],
}

WRONG = {
    "01.1": {
        lambda images, size: images // size: "is forgotten",
        lambda images, size: images // size + 1: "one is counted",
        lambda images, size: images / size: "must be whole",
        lambda images, size: round(images / size): "rounded away",
        lambda images, size: math.ceil(size / images): "there are 1,500",
        lambda images, size: [images, size]: "should be one number",
    },
    "01.2": {
        lambda pixels: pixels[:, None].float(): "between 0 and 255",
        lambda pixels: pixels[:, None] / 256: "not 256",
        lambda pixels: pixels[:, None] // 255: "torch.float32; dividing",
        lambda pixels: (pixels[:, None] // 255).float(): "not with //",
        lambda pixels: pixels / 255: "the channel is missing",
        lambda pixels: pixels[..., None] / 255: "not behind them",
        lambda pixels: pixels[None] / 255: "not before it",
        lambda pixels: pixels.flatten(1) / 255: "stay apart",
        lambda pixels: pixels / 255 if len(pixels) == 3 else None: "the channel is missing",
        lambda pixels: (pixels[:, None] / 255).squeeze() if len(pixels) == 1 else pixels[:, None] / 255: "batch of one",
        lambda pixels: (pixels[:, None] / 255).round(): "rounded",
        lambda pixels: pixels[:, None] / pixels.max(): "full ink must be 255",
        lambda pixels: pixels[:, None].double() / 255: "torch.float32",
        lambda pixels: 1 - pixels[:, None] / 255: "exchanged",
        lambda pixels: pixels[:, None] / 127.5 - 1: "between −1 and 1",
    },
    "01.3": {
        in_order: "are neighbours",
        with_putting_back: "comes twice",
        lambda count, share, seed: split_by_torch(count, share, seed)[::-1]: "sizes are exchanged",
        lambda count, share, seed: split_by_torch(count, share, 0): "the seed is not used",
        lambda count, share, seed: split_by_torch(count, share, random.randrange(10**9)): "can be had again",
        lambda count, share, seed: (
            order_of(count, seed),
            split_by_torch(count, share, seed)[1],
        ): "in the training set",
        lambda count, share, seed: (order_of(count, seed)[3:], order_of(count, seed)[:2]): "each of them once",
        lambda count, share, seed: order_of(count, seed): "should give two parts",
        lambda count, share, seed: split_by_torch(count, share / 2, seed): "are asked for",
    },
}
