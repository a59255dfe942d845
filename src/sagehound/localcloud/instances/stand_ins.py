"""The small programs that an instance has beside its machine's own: shutdown, activate, conda, and what is missing."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
INSIDE = Path(__file__).with_name("inside")
OURS = {
    "shutdown": "shutdown", "poweroff": "shutdown", "halt": "shutdown", "reboot": "shutdown", "sudo": "sudo",
}  # fmt: skip
"""Programs that take the place of the machine's, which would act on the machine."""
POWER = ("shutdown", "poweroff", "halt", "reboot")
MISSING = ("unzip", "wget")
"""Programs that take the place of those that a machine lacks."""
TEXTS = ("activate", "conda", "cloud-init", "ec2-metadata")


@dataclass(frozen=True, slots=True)
class Inside:
    """Where things are, as the instance sees them."""

    opt: str
    """/opt; where there is no private root, the folder of the disk that stands for it."""
    python: str = sys.executable

    @property
    def folder(self) -> str:
        """First on the PATH."""
        return f"{self.opt}/sagehound/bin"


def put(disk: Path, inside: Inside) -> list[str]:
    """Write them all, anew at each boot. What to say of those that stand in for a missing program."""
    folder = disk / "opt/sagehound"
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("bin", "lib"):
        (folder / name).mkdir(parents=True)
    missing = [name for name in MISSING if shutil.which(name, path=SYSTEM_PATH) is None]
    for name, module in OURS.items() | {name: name for name in missing}.items():
        shutil.copyfile(INSIDE / f"{module}.py", folder / "lib" / f"{module}.py")
        named = f" {name}" if module == "shutdown" else ""
        lib = f"{inside.opt}/sagehound/lib/{module}.py"
        _program(folder / "bin" / name, f"#!/bin/sh\nexec '{inside.python}' -I '{lib}'{named} \"$@\"\n")
    for name in TEXTS:
        _program(folder / "bin" / name, _filled(INSIDE / name, inside))
    (folder / "bin/ec2metadata").symlink_to("ec2-metadata")
    _aws(folder / "bin/aws", inside)
    _put_pytorch(disk, inside)
    return [
        f"this machine has no {name}: a small one stands in for it (apt-get or dnf installs the real one)"
        for name in missing
    ]


def _put_pytorch(disk: Path, inside: Inside) -> None:
    """/opt/pytorch and /opt/conda as Deep Learning AMIs have them, unless this machine's Python itself lies there."""
    for path, source in (("pytorch/bin/activate", "activate"), ("conda/etc/profile.d/conda.sh", "conda.sh")):
        target = disk / "opt" / path
        if Path(sys.base_prefix).is_relative_to(f"/opt/{path.split('/')[0]}"):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        text = _filled(INSIDE / source, inside)
        if source == "activate":
            # That of a virtual environment takes no name: `source` hands on the arguments of the script around it.
            text = text.replace("${1:-base}", "pytorch")
        target.write_text(text)
    folder = disk / "opt/pytorch/bin"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("python", "python3"):
        _program(folder / name, f"#!/bin/sh\nexec '{inside.python}' \"$@\"\n")
    for name in ("pip", "pip3"):
        _program(folder / name, f"#!/bin/sh\nexec '{inside.python}' -m pip \"$@\"\n")


def _aws(path: Path, inside: Inside) -> None:
    """The aws command line of the Python that has it; a machine that has its own keeps that."""
    beside = Path(sys.executable).with_name("aws")
    if beside.exists():
        _program(path, f"#!/bin/sh\nexec '{inside.python}' '{beside}' \"$@\"\n")
    elif not Path("/usr/local/bin/aws").exists() and not Path("/usr/bin/aws").exists():
        _program(path, "#!/bin/sh\necho 'aws: not installed on this machine: pip install awscli' >&2\nexit 127\n")


def _filled(source: Path, inside: Inside) -> str:
    text = source.read_text().replace("@OPT@", inside.opt).replace("@PYTHON@", inside.python)
    folder = str(Path(inside.python).parent)
    # That of the system is on the PATH anyway, behind the programs that take the place of the machine's.
    return text.replace("@PYTHON_PATH@", "" if folder in SYSTEM_PATH.split(":") else f":{folder}")


def _program(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(0o755)
