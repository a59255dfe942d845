"""The scripts that a training job starts: arguments, then one call."""
