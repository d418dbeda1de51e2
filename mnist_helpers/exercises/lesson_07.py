"""The exercises of lesson 7."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from scipy import ndimage
from torch import nn

from mnist_helpers.exercises.checking import Exercise, MistakeError, near, values
from mnist_helpers.exercises.comparing import pair, require
from mnist_helpers.labs.clinic import adversarial_steps, input_gradient

SPOILT = "the gradients that the model's parameters hold are changed: the next optimizer step would use them"


def not_inverted(photo: np.ndarray) -> dict[str, np.ndarray]:
    """What mistakes give for a photo of uint8."""
    pixels, wrapped = photo / 255, (1 - photo).astype(np.uint8)
    stretched = (pixels.max() - pixels) / (pixels.max() - pixels.min())
    return {
        "the pixels are scaled but not inverted: ink is still dark": pixels,
        "the pixels are inverted but not scaled to [0, 1]": 255 - photo,
        "255 − x inverts pixels from 0 to 255; these are divided already": 255 - pixels,
        "uint8 cannot hold negative numbers, 1 − 200 becomes 57. Divide first": wrapped,
        "uint8 cannot hold negative numbers, 1 − 200 becomes 57. Divide first, then invert": wrapped / 255,
        "only whole numbers are left": np.floor(1 - pixels),
        "the contrast is stretched, but not every photo has black and white": stretched,
    }


def inverted(answer: Callable) -> Iterator[str]:
    """Pixels from 0 to 255, dark on light, become numbers from 0 to 1, light on dark."""
    photos = {
        "three pixels": np.array([[0, 200, 255]], dtype=np.uint8),
        "a gray photo": np.array([[90, 180], [170, 100]], dtype=np.uint8),
        "a photo of 9 × 5 pixels": np.arange(45, dtype=np.uint8).reshape(9, 5) * 5,
    }
    for name, photo in photos.items():
        given, case = photo.copy(), f"the call with {name}"
        got = values(answer(given), photo.shape, case).numpy()
        if not np.array_equal(given, photo):
            raise MistakeError(f"{case}: the photo itself is changed; make a new array")
        require(got, 1 - photo / 255, case, not_inverted(photo))
        yield name


def some_images() -> dict[str, torch.Tensor]:
    """Small images (height, width) by name."""
    one, two, empty = torch.zeros(28, 28), torch.zeros(28, 28), torch.zeros(28, 28)
    one[4, 20], two[2, 3], two[10, 7] = 0.5, 0.75, 0.25
    wide = torch.rand(6, 11)
    return {"one pixel": one, "two pixels, one of them pale": two, "a gray image of 6 × 11": wide, "no ink": empty}


def center_of_mass(answer: Callable) -> Iterator[str]:
    """Row and column of the centre of mass."""
    for name, image in some_images().items():
        case, middle = f"the call with {name}", [(side - 1) / 2 for side in image.shape]
        right = list(map(float, ndimage.center_of_mass(image.numpy()))) if image.any() else middle
        got = pair(answer(image.clone()), case)
        if np.isnan(got).any():
            raise MistakeError(f"{case} gives nan, from 0 divided by 0; return the middle of the image there")
        mistakes: dict[str, object] = (
            of_inked(image, right) if image.any() else {"that is a corner, not the middle": [0, 0]}
        )
        mistakes |= {
            "half a pixel is added; here a pixel lies at its row and column": [each + 0.5 for each in right],
            "rows and columns are counted from 0, not from 1": [each + 1 for each in right],
        }
        require(got, right, case, mistakes)
        yield f"{name}: {right[0]:.2f}, {right[1]:.2f}"


def of_inked(image: torch.Tensor, right: list[float]) -> dict[str, object]:
    """What mistakes give for an image with ink."""
    return {
        "row and column are swapped": right[::-1],
        "every inked pixel counts the same here; a pale one must count less": image.nonzero().double().mean(dim=0),
        "that is the lightest pixel, not the centre": divmod(int(image.argmax()), image.shape[1]),
        "that is the middle of the image; where is the ink?": [(side - 1) / 2 for side in image.shape],
    }


SHIFTS = ((2, 3), (-3, 1), (0, -1), (0, 0), (28, 0), (2, -40))


def rolled(images: torch.Tensor, down: int, right: int) -> torch.Tensor:
    """Shifted by whole pixels, what leaves on one side comes in on the other."""
    return images.roll((down, right), dims=(2, 3))


def moved(images: torch.Tensor, down: int, right: int) -> torch.Tensor:
    """Shifted by whole pixels with zeros coming in."""
    by = (0, 0, down, right)
    return torch.from_numpy(ndimage.shift(images.numpy(), by, order=0, mode="constant"))


def shifted(answer: Callable) -> Iterator[str]:
    """Images shifted by whole pixels, with zeros coming in."""
    images = 0.1 + 0.9 * torch.rand(2, 1, 28, 28)
    for down, right in SHIFTS:
        case, given = f"the call with down={down}, right={right}", images.clone()
        got = values(answer(given, down, right), tuple(images.shape), case)
        mistakes = {
            "what leaves on one side comes in on the other, as with torch.roll": rolled(images, down, right),
            "rows and columns are swapped: down is along dim 2": moved(images, right, down),
            "the images move the other way": moved(images, -down, -right),
            "up and down are swapped": moved(images, -down, right),
            "left and right are swapped": moved(images, down, -right),
            "nothing has moved": images,
        }
        require(got, moved(images, down, right), case, mistakes)
        if not near(given, images):
            raise MistakeError(f"{case}: the images given to your function are changed; fill new ones")
        yield f"down {down}, right {right}"


def small_net() -> nn.Module:
    """A network for images of 28 × 28 pixels that has no dropout, and gradients of its own from before."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 12), nn.Tanh(), nn.Linear(12, 10))
    net(torch.rand(3, 1, 28, 28)).sum().backward()
    return net.eval()


def not_a_step(images: torch.Tensor, gradient: torch.Tensor, size: float) -> dict[str, torch.Tensor]:
    """What mistakes give for one step on these images."""
    change, mean = size * gradient.sign(), gradient / len(images)
    against = "the loss gets smaller: the step goes against the gradient, as in training"
    return {
        against: (images - change).clamp(0, 1),
        "pixels leave [0, 1]: clamp them": images + change,
        "the gradient itself is taken, not its sign": (images + size * gradient).clamp(0, 1),
        "the mean gradient is taken, not its sign": (images + size * mean).clamp(0, 1),
        "that is the change alone; add it to the images": change,
        "nothing has changed": images,
    }


def fast_gradient_sign(answer: Callable) -> Iterator[str]:
    """One step of the fast gradient sign method."""
    net = small_net()
    before = [each.grad.clone() for each in net.parameters() if each.grad is not None]
    for count, size in ((1, 0.1), (5, 0.02), (4, 0.3)):
        images, labels = torch.rand(count, 1, 28, 28), torch.randint(10, (count,))
        case, given = f"the call with {count} image{'s' * (count > 1)}, size {size}", images.clone()
        got = values(answer(net, given, labels.clone(), size), tuple(images.shape), case)
        gradient = input_gradient(net, images, labels)
        mistakes = not_a_step(images, gradient, size)
        require(got, adversarial_steps(net, images, labels, steps=1, size=size)[1], case, mistakes)
        if not near(given.detach(), images):
            raise MistakeError(f"{case}: the images given to your function are changed; make new ones")
        for parameter, old in zip(net.parameters(), before):
            if parameter.grad is None or not near(parameter.grad, old):
                raise MistakeError(f"{case}: right images, but {SPOILT}")
        yield f"{count} image{'s' * (count > 1)}, size {size}"


EXERCISES = {
    "07.1": Exercise(
        inverted,
        (
            "what must become of 255, white paper, and what of 0, black ink?",
            "divide first: then the numbers are floats from 0 to 1, and nothing can overflow",
            "on [0, 1], 1 − x turns dark into light",
        ),
    ),
    "07.2": Exercise(
        center_of_mass,
        (
            "a mean of row numbers in which each pixel counts as much as it has ink",
            "the ink of each row is image.sum(dim=1); multiply by the row numbers, add, and divide by all ink",
            "(rows * image.sum(dim=1)).sum() / image.sum() with rows = torch.arange(height); columns with dim=0",
        ),
    ),
    "07.3": Exercise(
        shifted,
        (
            "what comes in is 0. From where to where does the rest go, first for down = 1 alone?",
            "nn.functional.pad puts zeros around the images; from the larger ones cut 28 × 28 pixels again",
            "with 28 zeros on each side, the cut begins at row 28 - down; a shift beyond 28 leaves nothing",
        ),
    ),
    "07.4": Exercise(
        fast_gradient_sign,
        (
            "the loss should grow: in which direction does its gradient with respect to the *pixels* point?",
            "pixels = images.clone().requires_grad_() goes through the model; each moves by `size`, within [0, 1]",
            "torch.autograd.grad(loss, pixels) leaves the parameters alone; then .sign(), times size, .clamp(0, 1)",
        ),
    ),
}
