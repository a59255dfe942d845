"""Decisions of alarms and scaling policies: pure functions without I/O and without a clock of their own."""
