"""Functions really run: one process of AWS's own runtime client for each concurrent invocation."""
