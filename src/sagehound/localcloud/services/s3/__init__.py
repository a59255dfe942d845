"""S3: buckets and objects on this machine's disk."""
