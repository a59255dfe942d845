"""What a training job is told: hyperparameters on the command line, folders in SM_* variables. Imports no torch."""

import argparse
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

GEARS = ("head", "network")
CHECKPOINTS = Path("/opt/ml/checkpoints")
MOST_VIEWS = 64
T = TypeVar("T")


@dataclass(frozen=True)
class Hyperparameters:
    """What the result depends on, beside the data."""

    learning_rate: float = 1e-3
    batch_size: int = 64
    epochs: int = 12
    weight_decay: float = 1e-2
    seed: int = 0
    backbone: str = "efficientnet_lite0"
    gear: str = "head"
    """head: a linear head on features of the frozen backbone. network: then the whole network."""
    head_epochs: int = 12
    """Epochs of the head alone before the whole network is trained; only gear network uses it."""
    views: int = 0
    """Views of each training picture (as served, mirrored, cropped): so many are extracted, 0 meaning 1; a training on
    a feature channel draws among the first so many, 0 meaning all that the channel has."""

    def identity(self) -> str:
        """A hash that is equal exactly for equal hyperparameters."""
        return hashlib.blake2b(json.dumps(asdict(self), sort_keys=True).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class Arguments:
    """Hyperparameters and folders of one job."""

    hyperparameters: Hyperparameters
    training: str | None
    model_dir: Path
    output_dir: Path | None
    checkpoint_dir: Path | None


def _unquoted(text: str) -> str:
    """A tuner sends categorical values JSON-quoted: '"64"' means 64."""
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return str(json.loads(text))
    return text


def _number(convert: Callable[[str], T], accept: Callable[[T], bool], wanted: str) -> Callable[[str], T]:
    def parse(text: str) -> T:
        try:
            value = convert(_unquoted(text))
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text} is not {wanted}") from None
        if not accept(value):
            raise argparse.ArgumentTypeError(f"{text} is not {wanted}")
        return value

    return parse


def _integer(text: str) -> int:
    """64, and 64.0 as some clients write whole numbers."""
    value = float(text)
    if not value.is_integer():
        raise ValueError(text)
    return int(value)


def _gear(text: str) -> str:
    if _unquoted(text) not in GEARS:
        raise argparse.ArgumentTypeError(f"{text} is neither {' nor '.join(GEARS)}")
    return _unquoted(text)


def _parser(description: str, defaults: Hyperparameters) -> argparse.ArgumentParser:
    rate = _number(float, lambda v: 0 < v < 100, "a number above 0")
    decay = _number(float, lambda v: 0 <= v < 100, "a number of at least 0")
    count = _number(_integer, lambda v: v >= 1, "a whole number of at least 1")
    seed = _number(_integer, lambda v: 0 <= v < 2**63, "a whole number of at least 0")
    views = _number(_integer, lambda v: 0 <= v <= MOST_VIEWS, f"a whole number of at most {MOST_VIEWS}")
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    add = parser.add_argument
    add("--learning_rate", "--learning-rate", "--lr", type=rate, default=defaults.learning_rate)
    add("--batch_size", "--batch-size", type=count, default=defaults.batch_size, help="pictures a step, over all hosts")
    add("--epochs", type=count, default=None, help=f"{defaults.epochs}; 3 for gear network")
    add("--weight_decay", "--weight-decay", type=decay, default=defaults.weight_decay)
    add("--seed", type=seed, default=defaults.seed)
    add("--backbone", type=_unquoted, default=defaults.backbone)
    add("--gear", type=_gear, default=defaults.gear, help="head (default) or network")
    add(
        "--head_epochs",
        "--head-epochs",
        type=count,
        default=defaults.head_epochs,
        help="gear network: first the head",
    )
    add("--views", type=views, default=defaults.views, help="of each training picture; 0: 1, or all of a channel")
    add("--training", default=None, help="folder with train/, valid/ and test/ (default: the channels)")
    add("--model_dir", "--model-dir", default=None, help="where the artefact goes (SM_MODEL_DIR, else ./model)")
    add("--output_dir", "--output-dir", default=None, help="where metrics.json goes too (SM_OUTPUT_DATA_DIR)")
    add("--checkpoint_dir", "--checkpoint-dir", default=None, help=f"{CHECKPOINTS} where that exists")
    return parser


def parse_arguments(description: str, argv: Sequence[str], environ: Mapping[str, str]) -> Arguments:
    """Read the command line and the SM_* variables; argparse ends the process where they are wrong.

    Names that the service itself adds (`_tuning_objective_metric`, `sagemaker_*`) are left out.
    """
    parser = _parser(description, Hyperparameters())
    known, rest = parser.parse_known_args(list(argv))
    ours = [name for name in rest if name.startswith("-") and not name.lstrip("-").startswith(("_", "sagemaker_"))]
    if ours:
        parser.error(f"unknown argument {ours[0]}: the hyperparameters are in --help")
    checkpoint_dir = known.checkpoint_dir or environ.get("SM_CHECKPOINT_DIR")
    output_dir = known.output_dir or environ.get("SM_OUTPUT_DATA_DIR")
    return Arguments(
        Hyperparameters(
            learning_rate=known.learning_rate,
            batch_size=known.batch_size,
            epochs=known.epochs or (3 if known.gear == "network" else Hyperparameters.epochs),
            weight_decay=known.weight_decay,
            seed=known.seed,
            backbone=known.backbone,
            gear=known.gear,
            head_epochs=known.head_epochs,
            views=known.views,
        ),
        known.training,
        Path(known.model_dir or environ.get("SM_MODEL_DIR") or "model"),
        Path(output_dir) if output_dir else None,
        Path(checkpoint_dir) if checkpoint_dir else (CHECKPOINTS if CHECKPOINTS.is_dir() else None),
    )
