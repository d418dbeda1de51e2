"""What lessons 6 to 9 bring: runs, own digits, the error clinic, broken trainings, one network in several processes."""
