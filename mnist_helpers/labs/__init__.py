"""What lessons 6, 7 and 9 bring: measured runs, own digits, the error clinic, and one network in several processes."""
