"""The write-up's notebook, executed."""
