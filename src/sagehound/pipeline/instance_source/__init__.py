"""What runs on an EC2 instance that trains: its user data, and a small program that moves files from and to S3."""
