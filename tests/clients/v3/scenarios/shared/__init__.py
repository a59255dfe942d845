"""What several scenarios need."""
