"""What is kept: records, content files, life cycles, names, time."""
