"""The aws CLI."""
