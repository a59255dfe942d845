"""The SageMaker container contract: what a job and a model server find around them."""
