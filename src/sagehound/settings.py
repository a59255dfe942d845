"""Every setting of the product, with its type, its default and its sentence, in one place.

One frozen dataclass per audience. The environment is read here and nowhere else (the entry points and
the SM_* variables inside a job excepted); everything below receives these objects as arguments.
"""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def setting(default: Any, sentence: str, *, choices: tuple[str, ...] = (), minimum: float | None = None) -> Any:
    """A dataclass field that carries its sentence and its limits; `sagehound init` writes the sentence out."""
    return field(default=default, metadata={"sentence": sentence, "choices": choices, "minimum": minimum})


def table(default: Mapping[str, Any], sentence: str) -> Any:
    """A dataclass field whose keys are the person's own: a TOML table of its own, given whole or not at all."""
    return field(default_factory=lambda: dict(default), metadata={"sentence": sentence, "choices": (), "minimum": None})


@dataclass(frozen=True)
class DataSettings:
    """What may come in as pictures, and how a folder without train/valid/test is split."""

    name: str = setting("", "Name of the data set in the bucket (data/NAME/); empty: the folder's or the archive's.")
    valid_share: float = setting(0.15, "Share of each class that becomes the validation split.", minimum=0.0)
    test_share: float = setting(0.15, "Share of each class that becomes the test split.", minimum=0.0)
    seed: int = setting(0, "Seed of the split: the same seed and pictures give the same split.", minimum=0)
    duplicates: str = setting(
        "drop",
        "The same picture in two splits: drop it from the split that is trained on, keep both, or refuse the data.",
        choices=("drop", "keep", "refuse"),
    )
    skip_unreadable: bool = setting(
        False, "Leave unreadable pictures out (they are named) instead of refusing the data."
    )
    max_picture_mb: float = setting(50.0, "A picture file larger than this is refused.", minimum=0.001)
    max_picture_megapixels: float = setting(150.0, "A picture with more pixels than this is refused.", minimum=0.001)
    max_archive_gb: float = setting(50.0, "A zip that unpacks to more than this is refused.", minimum=0.000001)
    max_archive_files: int = setting(2_000_000, "A zip with more members than this is refused.", minimum=1)
    max_archive_ratio: float = setting(
        100.0, "A zip that unpacks to more than this times its size is refused.", minimum=1
    )
    max_download_gb: float = setting(50.0, "A download larger than this is refused.", minimum=0.000001)


@dataclass(frozen=True)
class FeatureSettings:
    """The job that sends every picture through the frozen backbone once, for gear head."""

    instance_type: str = setting("ml.m5.large", "SageMaker instance type of the job that extracts features.")
    instance_count: int = setting(1, "Number of its instances.", minimum=1)
    views: int = setting(1, "Views of each training picture: 1 as it is served, more add flips and crops.", minimum=1)


@dataclass(frozen=True)
class TuneSettings:
    """One hyperparameter tuning job: trials of hpo.py, of which the best one's hyperparameters are taken."""

    strategy: str = setting("Bayesian", "How trials are chosen.", choices=("Bayesian", "Random", "Grid", "Hyperband"))
    max_jobs: int = setting(2, "Number of trials (Grid: as many as there are combinations).", minimum=1)
    max_parallel_jobs: int = setting(1, "Trials at the same time.", minimum=1)
    objective: str = setting("validation:loss", "Metric by which trials are compared, per picture.")
    objective_type: str = setting("Minimize", "Which way is better.", choices=("Minimize", "Maximize"))
    objective_regex: str = setting(
        "", "Regular expression whose group reads the objective from the log of a script of your own."
    )
    early_stopping: str = setting("Off", "Auto stops trials that fall behind the others.", choices=("Off", "Auto"))
    seed: int = setting(0, "Seed of the search: the same seed tries the same values.", minimum=0)
    warm_start: str = setting(
        "off", "previous: begin with what the project's last tuning found.", choices=("off", "previous")
    )
    instance_type: str = setting("ml.m5.large", "SageMaker instance type of each trial.")
    instance_count: int = setting(1, "Number of instances of each trial.", minimum=1)
    entry_point: str = setting("hpo.py", "Script of each trial: ours, or the path of your own.")
    source_dir: str = setting("", "Folder of your own code; entry_point is a path inside it. Empty: the one file.")
    ranges: dict[str, Any] = table(
        {
            "learning_rate": {"min": 0.001, "max": 0.1, "scaling": "Logarithmic"},
            "batch_size": [32, 64, 128, 256, 512],
        },
        "What is searched: NAME = {min = ..., max = ..., scaling = ...} (both whole: integer), or a list of values.",
    )


@dataclass(frozen=True)
class TrainSettings:
    """One training job in the SageMaker way: instances, container, and the entry point's hyperparameters."""

    instance_type: str = setting("ml.m5.large", "SageMaker instance type of the training job.")
    instance_count: int = setting(1, "Number of training instances.", minimum=1)
    volume_size_gb: int = setting(30, "Size of each instance's volume.", minimum=1)
    max_runtime_seconds: int = setting(86_400, "The job is stopped after this many seconds.", minimum=1)
    framework_version: str = setting("2.6.0", "Version of AWS's PyTorch container.")
    py_version: str = setting("py312", "Python of AWS's PyTorch container.")
    entry_point: str = setting("train_model.py", "Script that the job starts: ours, or the path of your own.")
    source_dir: str = setting("", "Folder of your own code; entry_point is a path inside it. Empty: the one file.")
    distribution: str = setting(
        "",
        "What joins several instances of a script of your own into one training; ours join by themselves.",
        choices=("", "torch_distributed", "mpi"),
    )
    learning_rate: float = setting(0.001, "Hyperparameter learning_rate: step size of the optimizer.", minimum=0.0)
    batch_size: int = setting(64, "Hyperparameter batch_size: pictures per optimizer step.", minimum=1)
    epochs: int = setting(
        0, "Hyperparameter epochs: passes over the training split; 0: the entry point's own number.", minimum=0
    )
    seed: int = setting(0, "Hyperparameter seed: of the weights and the order of the pictures.", minimum=0)
    backbone: str = setting("efficientnet_lite0", "Hyperparameter backbone: the pretrained network below the head.")
    gear: str = setting(
        "head",
        "Hyperparameter gear: train the head on frozen features, or the whole network.",
        choices=("head", "network"),
    )
    weight_decay: float = setting(0.01, "Hyperparameter weight_decay of the optimizer.", minimum=0.0)
    hyperparameters: dict[str, Any] = table(
        {}, "Further hyperparameters, NAME = VALUE; all of them for a script of your own."
    )


@dataclass(frozen=True)
class SpotSettings:
    """Managed spot training, for every training job and every trial: spare instances, that AWS may take back."""

    enabled: bool = setting(False, "Train on spot instances; `--spot` says so too. Checkpoints are kept.")
    max_wait_seconds: int = setting(
        0, "Seconds that a job may wait and run together; 0: as long again as train.max_runtime_seconds.", minimum=0
    )


@dataclass(frozen=True)
class AwsSettings:
    """Where jobs and endpoints stand in the account: network, keys of KMS, images. Empty: AWS's own defaults."""

    subnets: str = setting("", "Subnets of the jobs and the endpoint, with commas between; needs security_groups.")
    security_groups: str = setting("", "Their security groups, with commas between; needs subnets.")
    encrypt_traffic: bool = setting(False, "Encrypt what the instances of one job tell each other.")
    volume_kms_key: str = setting("", "Key (ARN or id) of the volumes of jobs and of the endpoint.")
    output_kms_key: str = setting("", "Key of what jobs write to the bucket.")
    bucket_kms_key: str = setting("", "Key of everything else in a bucket that is made here; empty: S3's own keys.")
    training_image: str = setting("", "URI of a training image of your own; empty: AWS's PyTorch one.")
    inference_image: str = setting("", "URI of an inference image of your own; empty: AWS's PyTorch one.")


@dataclass(frozen=True)
class DeploySettings:
    """The endpoint that answers."""

    endpoint_name: str = setting("", "Name of the endpoint; empty: PROJECT-endpoint.")
    instance_type: str = setting("ml.m5.large", "SageMaker instance type behind the endpoint.")
    instance_count: int = setting(1, "Number of instances behind the endpoint.", minimum=1)
    variant_name: str = setting("AllTraffic", "Name of the production variant.")
    program: str = setting("inference.py", "Handler module inside the artefact's code/ folder.")
    timeout_seconds: int = setting(900, "How long to wait for InService.", minimum=1)
    allowed_url_hosts: str = setting(
        "",
        'Hosts, or host:port, with commas between, that {"url": ...} may name although they have no public address; '
        "the local cloud's own S3 is added where it is the target.",
    )


@dataclass(frozen=True)
class InstanceSettings:
    """The EC2 instance that trains as a person would by hand, and ends itself."""

    instance_type: str = setting("t2.small", "EC2 instance type.")
    image: str = setting(
        "/aws/service/deeplearning/ami/x86_64/oss-nvidia-driver-gpu-pytorch-2.10-amazon-linux-2023/latest/ami-id",
        "Machine image: its id, a public parameter that names it, or the beginning of the name of one of Amazon's.",
    )
    archive: str = setting(
        "", "A zip that the instance fetches and unzips: s3://... or https://...; empty: the uploaded pictures."
    )
    key_name: str = setting("", "Key pair to log in with; empty: none. No port is open either way.")
    subnet_id: str = setting("", "Subnet of the instance; empty: one of the default VPC.")
    max_runtime_seconds: int = setting(14_400, "The work on it is ended after this many seconds.", minimum=60)


@dataclass(frozen=True)
class NotebookSettings:
    """The notebook instance, with the whole walk as a notebook in it."""

    instance_type: str = setting("ml.m5.xlarge", "SageMaker instance type of the notebook instance.")
    volume_size_gb: int = setting(5, "Size of the volume that it keeps.", minimum=5)
    session_seconds: int = setting(43_200, "How long a session lasts that a link opens.", minimum=1_800)


@dataclass(frozen=True)
class FunctionSettings:
    """The Lambda function in front of the endpoint."""

    name: str = setting("", "Name of the function; empty: PROJECT-function.")
    role_name: str = setting("", "IAM role that the function runs as, made when missing; empty: PROJECT-function.")
    source_dir: str = setting("", "Code of your own: a folder, a .py or a .zip. Empty: the packaged handler.")
    handler: str = setting("", "MODULE.FUNCTION that is called; empty: found in the code.")
    runtime: str = setting("python3.12", "Lambda runtime.")
    memory_size: int = setting(512, "Memory in MB.", minimum=128)
    timeout: int = setting(60, "Seconds after which the function is ended.", minimum=1)
    alias: str = setting("live", "Alias that callers name; it leads to the version published last.")
    provisioned_concurrency: int = setting(
        2, "Environments of the alias that are initialised before a call comes; 0: none.", minimum=0
    )


@dataclass(frozen=True)
class ScaleSettings:
    """What scales by itself: the instances behind the endpoint, the environments of the function kept ready."""

    min_capacity: int = setting(1, "Instances that the endpoint has at least.", minimum=1)
    max_capacity: int = setting(3, "Instances that it has at most.", minimum=1)
    target: float = setting(
        20.0, "Value of the metric that scaling keeps to; `sagehound scale --from-load` finds one.", minimum=0.0
    )
    metric: str = setting(
        "SageMakerVariantInvocationsPerInstance",
        "What is measured: requests per minute and instance, requests under way at once and instance, or per cent CPU.",
        choices=(
            "SageMakerVariantInvocationsPerInstance",
            "SageMakerVariantConcurrentRequestsPerModelHighResolution",
            "CPUUtilization",
        ),
    )
    scale_in_cooldown: int = setting(30, "Seconds between two steps to fewer instances.", minimum=0)
    scale_out_cooldown: int = setting(30, "Seconds in which a step to more instances counts as done.", minimum=0)
    safety: float = setting(0.7, "Share of an instance's measured capacity that --from-load takes.", minimum=0.01)
    function_min: int = setting(2, "Environments of the function's alias kept ready at least.", minimum=0)
    function_max: int = setting(4, "Environments kept ready at most.", minimum=1)
    function_target: float = setting(
        0.7, "Share of them that may be in use; above it more are made ready.", minimum=0.0
    )
    demo_speed: float = setting(
        30.0, "How fast the clock of a cloud runs that `sagehound run` has started, while it shows scaling.", minimum=1
    )


@dataclass(frozen=True)
class LoadSettings:
    """What `sagehound load` sends, unless its options say otherwise."""

    rate: float = setting(10.0, "Requests a second.", minimum=0.001)
    duration: float = setting(60.0, "Seconds of the load, its ramp included.", minimum=0.1)
    ramp: float = setting(0.0, "Seconds in which the rate grows from 0 to its full height.", minimum=0.0)
    arrivals: str = setting(
        "constant",
        "When requests are due: at equal distances, or at random as independent callers come.",
        choices=("constant", "poisson"),
    )
    seed: int = setting(0, "Seed of the random arrivals.", minimum=0)
    timeout: float = setting(60.0, "Seconds that a request waits for its answer.", minimum=0.1)
    max_in_flight: int = setting(
        1000, "Requests under way at once; more wait here, and their latency counts all the same.", minimum=1
    )
    pictures: int = setting(16, "Test pictures that are sent in turn where none is named.", minimum=1)
    p99: float = setting(500.0, "Milliseconds that --capacity holds the 99th percentile below.", minimum=0.1)
    step: float = setting(
        4.0, "Seconds of each step of --capacity; the last one, which verifies, lasts double at least.", minimum=1
    )
    max_rate: float = setting(
        1000.0, "--capacity tries no more requests a second: they cost money on AWS.", minimum=0.001
    )
    tolerance: float = setting(0.05, "--capacity ends when the rate is known to this share of itself.", minimum=0.005)


@dataclass(frozen=True)
class PipelineSettings:
    """pipeline.toml: one project from a folder of pictures to an answering endpoint."""

    project: str = setting("project5", "Name of the project: the prefix and the tag of everything that is made.")
    bucket: str = setting(
        "project5bucket98-{account}", "S3 bucket; {account} and {region} are filled in, since names are global on AWS."
    )
    region: str = setting("us-east-1", "AWS region.")
    profile: str = setting("", "Profile of the AWS configuration for --target aws; empty: the usual chain.")
    role_name: str = setting("sagehound-training", "IAM role that the jobs and the endpoint run as; made when missing.")
    run: str = setting("", "Name of this run, the tag sagehound:run of what it makes; empty: when it began.")
    upload_workers: int = setting(16, "Uploads at the same time.", minimum=1)
    invoke_pictures: int = setting(5, "Test pictures that `sagehound run` sends to the endpoint.", minimum=0)
    multi_instance_count: int = setting(
        5, "Instances of the second training of `sagehound run`; 0 or 1 leaves it out.", minimum=0
    )
    data: DataSettings = field(default_factory=DataSettings)
    features: FeatureSettings = field(default_factory=FeatureSettings)
    tune: TuneSettings = field(default_factory=TuneSettings)
    train: TrainSettings = field(default_factory=TrainSettings)
    spot: SpotSettings = field(default_factory=SpotSettings)
    aws: AwsSettings = field(default_factory=AwsSettings)
    deploy: DeploySettings = field(default_factory=DeploySettings)
    instance: InstanceSettings = field(default_factory=InstanceSettings)
    notebook: NotebookSettings = field(default_factory=NotebookSettings)
    function: FunctionSettings = field(default_factory=FunctionSettings)
    scale: ScaleSettings = field(default_factory=ScaleSettings)
    load: LoadSettings = field(default_factory=LoadSettings)


def cache_directory() -> Path:
    """Where downloads, unpacked archives and the decode cache lie: SAGEHOUND_CACHE_DIR, or the XDG cache."""
    named = os.environ.get("SAGEHOUND_CACHE_DIR")
    if named:
        return Path(named).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base).expanduser() if base else Path.home() / ".cache") / "sagehound"


def data_directory() -> Path:
    """The local cloud's data directory: SAGEHOUND_DATA_DIR, or ~/.sagehound."""
    named = os.environ.get("SAGEHOUND_DATA_DIR")
    return Path(named).expanduser() if named else Path.home() / ".sagehound"


def outward_proxies(bundle: Path) -> dict[str, str]:
    """The proxies through which this machine reaches others: HTTPS_PROXY, HTTP_PROXY, NO_PROXY as https, http, no.

    None where `bundle`, the cloud's own CAs, is what programs are told to trust: a cloud that was started among its own
    clients would be its own way out, perhaps under the port of its last run.
    """
    if os.environ.get("SSL_CERT_FILE") == str(bundle):
        return {}
    return urllib.request.getproxies_environment()


def trusted_bundles() -> tuple[Path, ...]:
    """Files of CAs that the person trusts beside the machine's own, by the variables that clients read."""
    names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
    return tuple(Path(os.environ[name]).expanduser() for name in names if os.environ.get(name))


def wget_start_up_file() -> Path:
    """The person's own start-up file of wget: WGETRC, or ~/.wgetrc."""
    named = os.environ.get("WGETRC")
    return Path(named).expanduser() if named else Path.home() / ".wgetrc"


@dataclass(frozen=True)
class LocalCloudSettings:
    """The AWS endpoint on this machine."""

    data_dir: Path = setting(Path("~/.sagehound"), "Records, objects, running jobs, root keys: one server's directory.")
    host: str = setting("127.0.0.1", "Address to listen on; anything but loopback needs allow_remote.")
    port: int = setting(4566, "TCP port; 0 takes a free one.", minimum=0)
    allow_remote: bool = setting(False, "Listen where other machines can reach it and try keys: say so on purpose.")
    region: str = setting("us-east-1", "Region of the cloud's own jobs and of clients that name none.")
    account_id: str = setting("123456789012", "The twelve digits of the one account.")
    speed: float = setting(1.0, "How much faster than real time the clock of jobs and alarms runs.", minimum=0.001)
    durable: bool = setting(False, "Flush every write to the disk: survives a power cut (kill -9 is survived anyway).")
    images: dict[str, str] = field(
        default_factory=dict,
        metadata={
            "sentence": "Which python runs an image: its URI, or a pattern such as 'pytorch-training:1.13*' -> python. "
            "AWS's PyTorch images that are not named run with this installation's own."
        },
    )
    quotas: dict[str, int] = field(
        default_factory=dict,
        metadata={"sentence": "Instance quotas, as 'ml.m5.large for training job usage' -> count; others: no limit."},
    )
    lambda_concurrency: int = setting(
        1000, "Invocations of functions at the same time, in a region; 100 of them cannot be reserved.", minimum=100
    )
    max_invocation_bytes: int = setting(6 * 1024 * 1024, "Largest body that InvokeEndpoint takes.", minimum=1)
    other_hosts: str = setting(
        "pass",
        "What the cloud's proxy does with hosts that are not AWS's: pass them on, or refuse them.",
        choices=("pass", "refuse"),
    )
    session_seconds: int = setting(
        3600, "How long keys last that clients of `sagehound exec` are given; they fetch new ones in time.", minimum=1
    )
