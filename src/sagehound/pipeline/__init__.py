"""The steps from a folder of pictures to an answering endpoint, against the AWS API."""
