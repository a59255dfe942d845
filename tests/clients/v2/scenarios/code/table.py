"""A handler in plain Python: numbers times the factor that lies in the model."""

import json
import os


def model_fn(model_dir):
    """The factor."""
    with open(os.path.join(model_dir, "factor.txt")) as file:
        return float(file.read())


def input_fn(body, content_type):
    """A list of numbers from JSON, or from bytes of any other type."""
    return json.loads(body) if content_type == "application/json" else list(bytes(body))


def predict_fn(numbers, factor):
    """Each number times the factor."""
    return [number * factor for number in numbers]


def output_fn(prediction, accept):
    """JSON."""
    return json.dumps(prediction), "application/json"
