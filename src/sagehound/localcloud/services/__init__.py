"""The AWS services: a folder each, a resource a file, an operation a method with AWS's name."""
