"""Answers to the exercises: for each, some that are right, and wrong ones with a part of what the check says of them."""
