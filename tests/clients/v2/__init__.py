"""SageMaker's Python SDK, version 2."""
