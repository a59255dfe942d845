"""From what a person names to a checked data set, without copying a picture."""
