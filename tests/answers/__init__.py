"""Answers to the exercises: right ones, and wrong ones with a part of what the check says of them."""
