"""The SM_* environment: what the toolkit's own code finds, found here."""

from __future__ import annotations

import json
from typing import Any

from sagehound.localcloud.container.environment import TrainingContainer, training_environment
from sagehound.localcloud.container.training import InstanceGroup, resource_config_file


def environment(**changes: Any) -> dict[str, str]:
    groups = [InstanceGroup("homogeneousCluster", "ml.m5.large", ("algo-1", "algo-2"))]
    given: dict[str, Any] = {
        "job_name": "dogs-1",
        "job_arn": "arn:aws:sagemaker:us-east-1:123456789012:training-job/dogs-1",
        "region": "us-east-1",
        "endpoint_url": "http://127.0.0.1:4566",
        "hyperparameters": {
            "batch_size": "32",
            "learning_rate": '"0.01"',
            "backbone": "resnet18",
            "sagemaker_program": '"hpo.py"',
            "sagemaker_submit_directory": '"s3://bucket/dogs/sourcedir.tar.gz"',
            "sagemaker_container_log_level": "20",
            "sagemaker_job_name": '"dogs-1"',
            "sagemaker_region": '"us-east-1"',
            "sagemaker_instance_type": '"ml.m5.large"',
        },
        "resource_config": resource_config_file(groups, "algo-2", "lo"),
        "input_data_config": {"training": {"TrainingInputMode": "File"}, "valid": {"TrainingInputMode": "FastFile"}},
        "num_cpus": 2,
        "num_gpus": 0,
        "threads": 1,
        "python_directory": "/venv/bin",
        "home": "/root",
        "credentials": {"AccessKeyId": "ASIA", "SecretAccessKey": "secret", "SessionToken": "token"},
    }
    return training_environment(TrainingContainer(**{**given, **changes}))


def test_nothing_of_the_server_leaks_in(monkeypatch: Any) -> None:
    monkeypatch.setenv("SAGEHOUND_SECRET", "leaked")
    found = environment()
    assert "SAGEHOUND_SECRET" not in found
    assert found["PATH"].startswith("/venv/bin:")
    assert found["HOME"] == "/root"
    assert found["PYTHONUNBUFFERED"] == "1"


def test_hyperparameters_of_both_sdk_majors() -> None:
    found = environment()
    assert found["SM_HP_BATCH_SIZE"] == "32"
    assert found["SM_HP_LEARNING_RATE"] == "0.01"
    assert found["SM_HP_BACKBONE"] == "resnet18"
    assert json.loads(found["SM_HPS"]) == {"batch_size": 32, "learning_rate": "0.01", "backbone": "resnet18"}
    assert json.loads(found["SM_USER_ARGS"]) == [
        "--backbone", "resnet18", "--batch_size", "32", "--learning_rate", "0.01",
    ]  # fmt: skip
    assert not [name for name in found if name.startswith("SM_HP_SAGEMAKER")]


def test_the_whole_list_of_the_toolkit_is_there() -> None:
    found = environment()
    names = """
        HOSTS CURRENT_HOST CURRENT_INSTANCE_TYPE CURRENT_INSTANCE_GROUP CURRENT_INSTANCE_GROUP_HOSTS INSTANCE_GROUPS
        INSTANCE_GROUPS_DICT DISTRIBUTION_INSTANCE_GROUPS IS_HETERO NETWORK_INTERFACE_NAME HPS USER_ENTRY_POINT
        USER_ARGS FRAMEWORK_PARAMS FRAMEWORK_MODULE MODULE_NAME MODULE_DIR RESOURCE_CONFIG INPUT_DATA_CONFIG CHANNELS
        MODEL_DIR OUTPUT_DIR OUTPUT_DATA_DIR OUTPUT_INTERMEDIATE_DIR INPUT_DIR INPUT_CONFIG_DIR LOG_LEVEL NUM_CPUS
        NUM_GPUS NUM_NEURONS TRAINING_ENV HOST_COUNT CURRENT_HOST_RANK MASTER_ADDR MASTER_PORT
    """
    assert [name for name in names.split() if f"SM_{name}" not in found] == []
    assert {"MASTER_ADDR", "MASTER_PORT", "CURRENT_HOST", "TRAINING_JOB_NAME", "TRAINING_JOB_ARN"} <= found.keys()


def test_values_that_scripts_read() -> None:
    found = environment()
    assert json.loads(found["SM_HOSTS"]) == ["algo-1", "algo-2"]
    assert found["SM_CURRENT_HOST"] == "algo-2"
    assert found["SM_CURRENT_HOST_RANK"] == "1"
    assert found["MASTER_ADDR"] == "algo-1"
    assert json.loads(found["SM_CHANNELS"]) == ["training", "valid"]
    assert found["SM_CHANNEL_TRAINING"] == "/opt/ml/input/data/training"
    assert found["SM_MODEL_DIR"] == "/opt/ml/model"
    assert found["SM_OUTPUT_DATA_DIR"] == "/opt/ml/output/data"
    assert found["SM_MODULE_NAME"] == "hpo"
    assert found["SM_USER_ENTRY_POINT"] == "hpo.py"
    assert found["SM_MODULE_DIR"] == "s3://bucket/dogs/sourcedir.tar.gz"
    assert found["SM_NUM_GPUS"] == "0"
    assert found["SM_LOG_LEVEL"] == "20"
    assert json.loads(found["SM_FRAMEWORK_PARAMS"]) == {"sagemaker_instance_type": "ml.m5.large"}
    assert json.loads(found["SM_INSTANCE_GROUPS_DICT"])["homogeneousCluster"]["hosts"] == ["algo-1", "algo-2"]


def test_training_env_tells_which_host_leads() -> None:
    told = json.loads(environment()["SM_TRAINING_ENV"])
    assert told["is_master"] is False
    assert told["master_hostname"] == "algo-1"
    assert told["hyperparameters"]["batch_size"] == 32
    assert told["channel_input_dirs"] == {
        "training": "/opt/ml/input/data/training",
        "valid": "/opt/ml/input/data/valid",
    }


def test_clients_inside_the_job_find_this_cloud_as_the_role() -> None:
    found = environment()
    assert found["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert (found["AWS_ACCESS_KEY_ID"], found["AWS_SESSION_TOKEN"]) == ("ASIA", "token")
    assert found["AWS_REGION"] == found["AWS_DEFAULT_REGION"] == "us-east-1"


def test_the_jobs_own_environment_wins() -> None:
    assert environment(user={"OMP_NUM_THREADS": "7", "MINE": "x"})["OMP_NUM_THREADS"] == "7"


def test_a_proxy_of_the_callers_is_the_only_one() -> None:
    client = {"HTTPS_PROXY": "http://cloud", "https_proxy": "http://cloud", "HTTP_PROXY": "x", "http_proxy": "x"}
    found = environment(client=client, user={"HTTPS_PROXY": "http://mine", "no_proxy": "mine"})
    assert (found["HTTPS_PROXY"], found["http_proxy"], found["no_proxy"]) == ("http://mine", "x", "mine")
    assert "https_proxy" not in found


def test_a_variable_in_small_letters_takes_nothing_away() -> None:
    found = environment(user={"home": "mine", "path": "x"})
    assert (found["home"], found["HOME"], found["PATH"].split(":")[0]) == ("mine", "/root", "/venv/bin")
