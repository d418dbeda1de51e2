"""What checks the user's input."""

import pytest

from mnist_helpers.checks import checked


def refuse_zero(number, by=1):
    if by == 0:
        raise ValueError("by must not be 0")


@checked(refuse_zero)
def divided(number, by=1):
    """The quotient."""
    return number / by


def test_a_checked_function_refuses_what_its_check_refuses_and_is_otherwise_itself():
    assert (divided(6), divided(6, 2), divided(number=6, by=3)) == (6, 3, 2)
    assert (divided.__name__, divided.__doc__) == ("divided", "The quotient.")
    with pytest.raises(ValueError, match="by must not be 0"):
        divided(6, by=0)
