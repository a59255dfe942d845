"""Jobs of scripts that install packages while they run: into a python of each host's own, never the person's."""

from __future__ import annotations

import base64
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cloud.training import Workshop
from tests.cloud_process import CloudProcess
from tests.container.packages import wheel
from tests.waiting import wait_for

TELL = "import base64, json, os, subprocess, sys\ndef tell(value): print('RESULT', json.dumps(value), flush=True)\n"


@pytest.fixture(scope="module")
def shop(cloud: CloudProcess) -> Workshop:
    return Workshop(cloud)


def unpacking(folder: Path, *names: str) -> str:
    """A script's first lines, which put wheels into its working directory (the helper's archives hold texts only)."""
    lines = ""
    for name in names:
        content = base64.b64encode(wheel(folder, name).read_bytes()).decode()
        lines += f"open('{name}-1.0-py3-none-any.whl', 'wb').write(base64.b64decode('{content}'))\n"
    return TELL + lines


def test_each_host_installs_for_itself_and_it_goes_with_the_job(shop: Workshop, tmp_path: Path) -> None:
    script = unpacking(tmp_path, "sagehound_first", "sagehound_second") + (
        "name = 'sagehound_first' if os.environ['SM_CURRENT_HOST'] == 'algo-1' else 'sagehound_second'\n"
        "subprocess.check_call([sys.executable, '-m', 'pip', 'install', f'./{name}-1.0-py3-none-any.whl'])\n"
        "module = __import__(name)\n"
        "import importlib.util\n"
        "there = [importlib.util.find_spec(n) is not None for n in ('sagehound_first', 'sagehound_second')]\n"
        "tell([module.VALUE, there, sys.prefix])\n"
    )
    job = shop.run(script, count=2)
    name = job["TrainingJobName"]
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    first, second = shop.printed(name, "algo-1"), shop.printed(name, "algo-2")
    assert (first[:2], second[:2]) == ([42, [True, False]], [42, [False, True]])
    assert len({first[2], second[2]}) == 2
    wait_for(lambda: not Path(first[2]).exists() and not Path(second[2]).exists())
    assert importlib.util.find_spec("sagehound_first") is None


def test_a_command_of_the_shell_installs_into_the_jobs_own_too(shop: Workshop, tmp_path: Path) -> None:
    script = unpacking(tmp_path, "sagehound_shell") + (
        "assert os.system('pip install sagehound_shell-1.0-py3-none-any.whl') == 0\n"
        "import sagehound_shell\n"
        "tell([sagehound_shell.VALUE, sagehound_shell.__file__.startswith(sys.prefix)])\n"
    )
    job = shop.run(script)
    assert shop.printed(job["TrainingJobName"]) == [42, True]
    assert importlib.util.find_spec("sagehound_shell") is None


def test_requirements_are_shared_and_what_a_script_adds_is_not(shop: Workshop, tmp_path: Path) -> None:
    script = unpacking(tmp_path, "sagehound_added") + (
        "import importlib.util\n"
        "before = importlib.util.find_spec('sagehound_added') is not None\n"
        "assert os.system('pip install ./sagehound_added-1.0-py3-none-any.whl') == 0\n"
        "import inner, sagehound_added\n"
        "tell([before, inner.WORD, sagehound_added.VALUE, inner.__file__.startswith(sys.prefix)])\n"
    )
    files = {
        "pyproject.toml": BACKEND,
        "backend/own_backend.py": OWN_BACKEND,
        "own/inner/__init__.py": "WORD = 'kept'\n",
        "requirements.txt": ".\n",
    }
    for installations in (1, 0):  # the second job finds it done
        job = shop.run(script, files=files)
        assert job["TrainingJobStatus"] == "Completed", shop.lines(job["TrainingJobName"])
        assert shop.printed(job["TrainingJobName"]) == [False, "kept", 42, False]
        installed = [line for line in shop.lines(job["TrainingJobName"]) if line.startswith("Installing dependencies")]
        assert len(installed) == installations


BACKEND = '[build-system]\nrequires = []\nbuild-backend = "own_backend"\nbackend-path = ["backend"]\n'
OWN_BACKEND = """
import pathlib, zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "sagehound_inner-1.0-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(folder) / name, "w") as archive:
        archive.writestr("inner/__init__.py", pathlib.Path("own/inner/__init__.py").read_text())
        about = "sagehound_inner-1.0.dist-info"
        archive.writestr(about + "/METADATA", "Metadata-Version: 2.1\\nName: sagehound-inner\\nVersion: 1.0\\n")
        archive.writestr(about + "/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        archive.writestr(about + "/RECORD", "")
    return name
"""


def test_a_package_is_installed_before_its_module_runs(shop: Workshop) -> None:
    pytest.importorskip("setuptools")
    files = {
        "setup.py": 'from setuptools import setup\nsetup(name="dogs", version="3.2", package_dir={"": "src"}, '
        'packages=["dogs"], package_data={"dogs": ["names.txt"]})\n',
        "src/dogs/__init__.py": "",
        "src/dogs/train.py": TELL + "import importlib.metadata, importlib.resources as files\n"
        "names = files.files('dogs').joinpath('names.txt').read_text()\n"
        "tell([names, importlib.metadata.version('dogs'), sys.argv[1:]])",
        "src/dogs/names.txt": "beagle",
    }
    asked = {"sagemaker_program": '"dogs.train"', "epochs": "2"}
    job = shop.run("", files=files, hyperparameters=asked)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert shop.printed(job["TrainingJobName"]) == ["beagle", "3.2", ["--epochs", "2"]]


def test_a_shell_entry_point_finds_the_jobs_python_and_its_programs(shop: Workshop) -> None:
    script = (
        "#!/bin/sh\nset -e\npip --version\n"
        'exec python -c \'import json, sys; print("RESULT", json.dumps([sys.prefix, sys.argv[1:]]))\' "$@"\n'
    )
    job = shop.run("", files={"run.sh": script}, hyperparameters={"sagemaker_program": '"run.sh"', "note": '"a b"'})
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    prefix, arguments = shop.printed(job["TrainingJobName"])
    assert (prefix != sys.prefix, arguments) == (True, ["--note", "a b"])
    assert "algo-1" in prefix


def test_processes_of_torchrun_have_the_hosts_python(shop: Workshop) -> None:
    pytest.importorskip("torch")
    script = TELL + "tell([sys.prefix, os.environ['RANK']])\n"
    files = {"go.sh": "#!/bin/sh\nexec torchrun --nnodes 1 --nproc_per_node 1 train.py\n"}
    job = shop.run(script, files=files, hyperparameters={"sagemaker_program": '"go.sh"'})
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    prefix, rank = shop.printed(job["TrainingJobName"])
    assert (rank, "algo-1" in prefix) == ("0", True)


def test_settings_of_pip_that_the_server_has_reach_its_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel(tmp_path / "wheels", "sagehound_found")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "elsewhere"))
    cloud = CloudProcess(tmp_path / "data").start()
    try:
        shop = Workshop(cloud)
        for files in ({}, {"requirements.txt": "sagehound_found\n"}):
            script = TELL + "os.system('pip install sagehound_found')\nimport sagehound_found as f; tell(f.VALUE)\n"
            job = shop.run(script, files=files)
            assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
            assert shop.printed(job["TrainingJobName"]) == 42
        own = shop.run(TELL + "tell(os.environ['PIP_NO_INDEX'])\n", Environment={"PIP_NO_INDEX": "0"})
        assert shop.printed(own["TrainingJobName"]) == "0"
        assert not (tmp_path / "elsewhere").exists()
    finally:
        cloud.stop()


def test_an_image_of_the_settings_runs_with_its_own_python(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "old")], check=True)
    images = {"pytorch-training:1.13*": str(tmp_path / "old/bin/python"), "pytorch-training:1.12*": "/no/such/python"}
    cloud = CloudProcess(tmp_path / "data", "--images", json.dumps(images)).start()
    try:
        shop = Workshop(cloud)
        script = TELL + "import importlib.util\ntell([importlib.util.find_spec(n) is None for n in ('torch', 'pip')])\n"
        image = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:{}-cpu-py39"
        name = shop.run(script, algorithm={"TrainingImage": image.format("1.13.1")})["TrainingJobName"]
        assert shop.printed(name) == [True, False]
        here = f"{sys.version_info[0]}.{sys.version_info[1]}"
        said = f"The image asks for PyTorch 1.13.1 on Python 3.9; this job runs Python {here} without PyTorch."
        assert said in shop.lines(name)
        lost = shop.run(script, algorithm={"TrainingImage": image.format("1.12.0")})
        assert lost["TrainingJobStatus"] == "Failed"
        assert f"The image {image.format('1.12.0')} cannot be run: /no/such/python cannot be" in lost["FailureReason"]
    finally:
        cloud.stop()


def test_torchvision_is_there_in_every_process_and_what_it_lacks_is_said_once_a_host(shop: Workshop) -> None:
    pytest.importorskip("torch")
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    script = TELL + (
        "import torch\nfrom torchvision import datasets, models, transforms\n"
        "net = models.resnet18(weights=None)\ntell(os.environ['OMPI_COMM_WORLD_RANK'])\n"
    )
    asked = {"sagemaker_mpi_enabled": "true", "sagemaker_mpi_num_of_processes_per_host": "2"}
    job = shop.run(script, count=2, hyperparameters=asked)
    name = job["TrainingJobName"]
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    plain = subprocess.run([sys.executable, "-c", "import torchvision"], cwd="/", capture_output=True, check=False)
    for host in ("algo-1", "algo-2"):
        lines = shop.lines(name, host)
        assert len([line for line in lines if line.startswith("RESULT")]) == 2
        said = [line for line in lines if "torchvision's C++ operators were built for another PyTorch" in line]
        assert len(said) == (1 if plain.returncode else 0)
