"""Measurements of speed and memory. `python -m tests.benchmarks --help` lists them."""
