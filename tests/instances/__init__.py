"""Instances: real processes in roots of their own."""
