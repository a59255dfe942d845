"""SageMaker's Python SDK, version 3."""
