"""What the labs, lessons 6 and 7, bring: measured runs and comparing them, own digits, and the error clinic."""
