"""Which command a host runs, and what is written below its /opt/ml."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from sagehound.localcloud.container import training
from sagehound.localcloud.container.training import CodeError, Launch

LAUNCH = Launch("/venv/bin/python", "algo-2", ("algo-1", "algo-2"), 1)


def code(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def test_a_python_script_is_started_itself(tmp_path: Path) -> None:
    told = {"sagemaker_program": "train.py", "epochs": 3, "flag": True, "sizes": {"b": 2, "a": 1}, "x": None}
    assert training.script_command(told, code(tmp_path, "train.py"), LAUNCH) == [
        "/venv/bin/python", "train.py", "--epochs", "3", "--flag", "True", "--sizes", "a=1,b=2", "-x", "",
    ]  # fmt: skip


def test_a_shell_script_gets_quoted_arguments(tmp_path: Path) -> None:
    told = {"sagemaker_program": "train.sh", "note": "a b"}
    command = training.script_command(told, code(tmp_path, "train.sh"), LAUNCH)
    assert command == ["/bin/sh", "-c", "./train.sh --note 'a b'"]


def test_a_package_is_started_as_a_module(tmp_path: Path) -> None:
    command = training.script_command({"sagemaker_program": "dogs.py"}, code(tmp_path, "setup.py"), LAUNCH)
    assert command == ["/venv/bin/python", "-m", "dogs"]


def test_distribution_puts_torchrun_around_the_script(tmp_path: Path) -> None:
    told = {"sagemaker_program": "train.py", "sagemaker_torch_distributed_enabled": True, "epochs": 1}
    assert training.script_command(told, code(tmp_path, "train.py"), LAUNCH)[1:] == [
        "-m", "torch.distributed.run", "--nnodes", "2", "--nproc_per_node", "1", "--master_addr", "algo-1",
        "--master_port", "7777", "--node_rank", "1", "train.py", "--epochs", "1",
    ]  # fmt: skip


def test_a_missing_entry_point_is_named_with_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(CodeError, match=r"train\.py is not in the code archive \(other\.py\)"):
        training.script_command({"sagemaker_program": "train.py"}, code(tmp_path, "other.py"), LAUNCH)


@pytest.mark.parametrize(
    ("arguments", "variables", "named"),
    [
        (["a\0b"], {}, "zero byte"),
        ([], {"SM_HP_NOTE": "\ud800"}, "zero byte or half a surrogate"),
        ([], {"SM_HP_A=B": "1"}, r"'SM_HP_A=B': rename the hyperparameter"),
    ],
)
def test_what_no_program_can_be_given_is_named(arguments: list[str], variables: dict[str, str], named: str) -> None:
    with pytest.raises(CodeError, match=named):
        training.check_texts(arguments, variables)


def test_a_value_that_is_too_deep_for_json_is_a_text() -> None:
    assert training.decode_hyperparameter("[" * 2500) == "[" * 2500


def test_weights_that_are_a_link_are_found_from_the_job(tmp_path: Path) -> None:
    (tmp_path / "cache/hub/checkpoints").mkdir(parents=True)
    (tmp_path / "elsewhere.pth").write_text("weights")
    (tmp_path / "cache/hub/checkpoints/net.pth").symlink_to("../../../elsewhere.pth")
    assert training.link_weights(tmp_path / "cache", tmp_path / "ml")
    assert (tmp_path / "ml" / training.TORCH_HOME / "hub/checkpoints/net.pth").read_text() == "weights"


def test_no_program_is_said() -> None:
    with pytest.raises(CodeError, match="sagemaker_program"):
        training.script_command({}, Path(), LAUNCH)


def test_hosts_are_numbered_across_instance_groups() -> None:
    groups = training.instance_groups(
        {
            "InstanceGroups": [
                {"InstanceGroupName": "cpu", "InstanceType": "ml.c5.xlarge", "InstanceCount": 2},
                {"InstanceGroupName": "gpu", "InstanceType": "ml.g5.xlarge", "InstanceCount": 1},
            ]
        }
    )
    assert [group.hosts for group in groups] == [("algo-1", "algo-2"), ("algo-3",)]
    told = training.resource_config_file(groups, "algo-3", "lo")
    assert (told["current_group_name"], told["current_instance_type"]) == ("gpu", "ml.g5.xlarge")
    assert told["hosts"] == ["algo-1", "algo-2", "algo-3"]


def test_the_configuration_files(tmp_path: Path) -> None:
    channels = [
        {"ChannelName": "train", "ContentType": "image/jpeg", "DataSource": {"S3DataSource": {}}},
        {"ChannelName": "valid", "InputMode": "FastFile", "DataSource": {"S3DataSource": {}}},
    ]
    told = training.input_data_config_file(channels, "File")
    assert told["train"] == {
        "ContentType": "image/jpeg",
        "TrainingInputMode": "File",
        "S3DistributionType": "FullyReplicated",
        "RecordWrapperType": "None",
    }
    assert told["valid"]["TrainingInputMode"] == "FastFile"
    training.lay_out(tmp_path, {"inputdataconfig.json": told})
    assert json.loads((tmp_path / "input/config/inputdataconfig.json").read_text()) == told
    assert (tmp_path / "model").is_dir()
    assert (tmp_path / "output/data").is_dir()


def test_code_cannot_be_unpacked_outside_its_folder(tmp_path: Path) -> None:
    archive = tmp_path / "sourcedir.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo("../outside.py")
        member.size = 3
        tar.addfile(member, io.BytesIO(b"bad"))
    with pytest.raises(CodeError, match="cannot be unpacked"):
        training.unpack_code(archive, code(tmp_path / "code"))
    assert not (tmp_path / "outside.py").exists()


def test_what_is_no_archive_is_said(tmp_path: Path) -> None:
    (tmp_path / "sourcedir.tar.gz").write_bytes(b"hello")
    with pytest.raises(CodeError, match="cannot be unpacked"):
        training.unpack_code(tmp_path / "sourcedir.tar.gz", tmp_path)


@pytest.mark.parametrize("place", [0.05, 0.3, 0.6, 0.9])
def test_damaged_code_is_not_run(tmp_path: Path, place: float) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo("train.py")
        content = b"".join(b"%d" % (number * 7919 % 1013) for number in range(200_000))
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    damaged = bytearray(packed.getvalue())
    first = int(len(damaged) * place)
    damaged[first : first + 300] = bytes(byte ^ 0x55 for byte in damaged[first : first + 300])
    archive = tmp_path / "sourcedir.tar.gz"
    archive.write_bytes(damaged)
    with pytest.raises(CodeError, match="cannot be unpacked"):
        training.unpack_code(archive, tmp_path / "code")
