"""The aws CLI, version 2."""
