"""AWS's protocols in both directions, signatures, and validation."""
