"""Answers to the exercises of lesson 7."""

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from mnist_helpers.labs.clinic import adversarial_steps, input_gradient


def inverted_in_a_loop(photo):
    return [[1 - int(pixel) / 255 for pixel in row] for row in photo]


def inverts_in_place(photo):
    np.subtract(255, photo, out=photo)
    return photo / 255


def weighted(image):
    if image.sum() == 0:
        return (image.shape[0] - 1) / 2, (image.shape[1] - 1) / 2
    rows, columns = torch.arange(image.shape[0]), torch.arange(image.shape[1])
    return (rows * image.sum(dim=1)).sum() / image.sum(), (columns * image.sum(dim=0)).sum() / image.sum()


def in_two_loops(image):
    total = row_sum = column_sum = 0.0
    height, width = image.shape
    for row in range(height):
        for column in range(width):
            ink = image[row, column].item() or 1e-12
            total, row_sum, column_sum = total + ink, row_sum + ink * row, column_sum + ink * column
    return row_sum / total, column_sum / total


def of_scipy(image):
    image = image.numpy()
    return ndimage.center_of_mass(image if image.any() else np.ones_like(image))


def unguarded(image):
    rows, columns = torch.meshgrid(*[torch.arange(side) for side in image.shape], indexing="ij")
    return (rows * image).sum() / image.sum(), (columns * image).sum() / image.sum()


def padded(images, down, right):
    around = F.pad(images, (60, 60, 60, 60))
    return around[:, :, 60 - down : 88 - down, 60 - right : 88 - right]


def with_slices(images, down, right):
    new = torch.zeros_like(images)
    for row in range(28):
        for column in range(28):
            if 0 <= row - down < 28 and 0 <= column - right < 28:
                new[:, :, row, column] = images[:, :, row - down, column - right]
    return new


def rolled_and_cleared(images, down, right):
    new = images.roll((down, right), dims=(2, 3))
    new[:, :, : max(down, 0)], new[:, :, 28 + min(down, 0) :] = 0, 0
    new[..., : max(right, 0)], new[..., max(28 + min(right, 0), 0) :] = 0, 0
    return new


def moves_in_place(images, down, right):
    return images.copy_(padded(images.clone(), down, right))


def with_grad(model, images, labels, size):
    images = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(model(images), labels), images)
    return (images + size * gradient.sign()).clamp(0, 1).detach()


def with_backward(model, images, labels, size):
    kept = [parameter.grad for parameter in model.parameters()]
    for parameter in model.parameters():
        parameter.grad = None
    images = images.clone().requires_grad_()
    F.cross_entropy(model(images), labels, reduction="sum").backward()
    for parameter, old in zip(model.parameters(), kept):
        parameter.grad = old
    return (images + torch.where(images.grad > 0, size, -size)).clip(0, 1)


def of_package(model, images, labels, size):
    return adversarial_steps(model, images, labels, 1, size)[-1].numpy()


def backward_only(model, images, labels, size):
    images = images.clone().requires_grad_()
    F.cross_entropy(model(images), labels).backward()
    return (images + size * images.grad.sign()).clamp(0, 1)


def clears_gradients(model, *given):
    result = backward_only(model, *given)
    model.zero_grad()
    return result


def in_place(model, images, labels, size):
    return images.copy_(with_grad(model, images, labels, size))


RIGHT = {
    "07.1": [
        lambda photo: 1 - photo / 255,
        lambda photo: (255 - photo) / 255,
        lambda photo: torch.from_numpy(255 - photo).float() / 255,
        inverted_in_a_loop,
    ],
    "07.2": [weighted, in_two_loops, of_scipy],
    "07.3": [padded, with_slices, rolled_and_cleared],
    "07.4": [with_grad, with_backward, of_package],
}

WRONG = {
    "07.1": {
        lambda photo: photo / 255: "not inverted",
        lambda photo: 255 - photo: "not scaled",
        lambda photo: 255 - photo / 255: "divided already",
        lambda photo: (1 - photo) / 255: "Divide first, then invert",
        lambda photo: (255 - photo) // 255: "whole numbers",
        lambda photo: (photo.max() - photo) / (photo.max() - photo.min()): "stretched",
        inverts_in_place: "itself is changed",
    },
    "07.2": {
        lambda image: weighted(image)[::-1]: "swapped",
        lambda image: image.nonzero().float().mean(dim=0): "a pale one must count less",
        lambda image: divmod(int(image.argmax()), image.shape[1]): "lightest pixel",
        lambda image: [each + 1 for each in weighted(image)]: "counted from 0",
        unguarded: "0 divided by 0",
        lambda image: weighted(image) if image.any() else (0, 0): "a corner",
        lambda image: weighted(image) if image.any() else (14, 14): "half a pixel",
        lambda image: weighted(image)[0]: "two numbers",
    },
    "07.3": {
        lambda images, down, right: images.roll((down, right), dims=(2, 3)): "torch.roll",
        lambda images, down, right: padded(images, right, down): "rows and columns are swapped",
        lambda images, down, right: padded(images, -down, -right): "the other way",
        lambda images, down, right: padded(images, down, -right): "left and right",
        lambda images, down, right: images: "nothing has moved",
        lambda images, down, right: padded(images, down, right)[:, 0]: "the shape",
        lambda images, down, right: padded(images, down, right) if down >= 0 else images: "is right",
        moves_in_place: "given to your function are changed",
    },
    "07.4": {
        lambda model, images, labels, size: with_grad(model, images, labels, -size): "loss gets smaller",
        lambda model, images, labels, size: images + size * input_gradient(model, images, labels).sign(): "clamp",
        lambda *given: (given[1] + given[3] * input_gradient(*given[:3])).clamp(0, 1): "not its sign",
        lambda *given: given[3] * input_gradient(*given[:3]).sign(): "change alone",
        backward_only: "are changed: the next optimizer step",
        clears_gradients: "are changed: the next optimizer step",
        in_place: "given to your function are changed",
    },
}
