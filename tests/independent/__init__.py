"""The pipeline against AWS endpoints that none of us wrote."""
