"""AWS's own clients as they come: nothing of them is changed, each has an environment of its own."""
