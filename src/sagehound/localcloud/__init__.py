"""An AWS endpoint on one machine that really executes what it is asked."""
