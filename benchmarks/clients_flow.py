"""The flow that benchmarks/clients.py measures: SageMaker's SDK v2 as its users write it, with the steps said aloud."""

# Runs in the client's own environment: nothing of ours is imported, nothing of the SDK is changed.
import sys
from pathlib import Path


def step(name: str) -> None:
    """Say which step begins."""
    print(f"STEP {name}", flush=True)


step("import")
import sagemaker  # noqa: E402
from sagemaker.deserializers import JSONDeserializer  # noqa: E402
from sagemaker.pytorch import PyTorch, PyTorchModel  # noqa: E402
from sagemaker.serializers import IdentitySerializer  # noqa: E402
from sagemaker.tuner import ContinuousParameter, HyperparameterTuner  # noqa: E402

code, pictures = Path(sys.argv[1]), Path(sys.argv[2])


def estimator() -> PyTorch:
    """One training as the write-up asks for it."""
    return PyTorch(
        entry_point="train.py",
        source_dir=str(code),
        role=role,
        instance_count=1,
        instance_type="ml.m5.large",
        framework_version="1.8",
        py_version="py36",
        hyperparameters={"batch-size": 32},
    )


step("upload")
session = sagemaker.Session()
role = sagemaker.get_execution_role()
data = session.upload_data(str(pictures), key_prefix="dogs")

step("fit")
trained = estimator()
trained.fit({"training": data})

step("tune")
tuner = HyperparameterTuner(
    estimator(),
    "Test Loss",
    {"lr": ContinuousParameter(0.001, 0.1)},
    [{"Name": "Test Loss", "Regex": "Testing Loss: ([0-9\\.]+)"}],
    max_jobs=2,
    max_parallel_jobs=1,
    objective_type="Minimize",
)
tuner.fit({"training": data})
tuner.best_estimator()

step("deploy")
model = PyTorchModel(
    model_data=trained.model_data,
    role=role,
    entry_point="inference.py",
    source_dir=str(code),
    framework_version="1.8",
    py_version="py36",
)
predictor = model.deploy(
    initial_instance_count=1,
    instance_type="ml.m5.large",
    serializer=IdentitySerializer("image/jpeg"),
    deserializer=JSONDeserializer(),
)

step("predict")
scores = predictor.predict(next(pictures.glob("test/*/*.jpg")).read_bytes())
assert len(scores[0]) == 133, scores

step("delete")
predictor.delete_model()
predictor.delete_endpoint()
step("end")
