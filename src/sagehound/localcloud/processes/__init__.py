"""Programs of this machine: started, followed, stopped, adopted."""
