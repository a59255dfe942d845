"""The small programs that an instance has beside its machine's own: shutdown, activate, conda, and what is missing."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from sagehound.localcloud import container
from sagehound.localcloud.instances import paths
from sagehound.localcloud.instances.root import POWER_COMMANDS

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
INSIDE = Path(__file__).with_name("inside")
TORCHVISION = Path(container.__file__).with_name("torchvision_shim.py")
"""Lets scripts import it beside a PyTorch for which it was not built, as in jobs."""
OURS = {**dict.fromkeys(POWER_COMMANDS, "shutdown"), "sudo": "sudo"}
"""Programs that take the place of the machine's, which would act on the machine."""
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
    top = str(disk)
    folder = paths.new_folder(top, "/opt/sagehound")
    for name in ("bin", "lib"):
        os.mkdir(f"{folder}/{name}")
    missing = [name for name in MISSING if shutil.which(name, path=SYSTEM_PATH) is None]
    for name, module in OURS.items() | {name: name for name in missing}.items():
        shutil.copyfile(INSIDE / f"{module}.py", f"{folder}/lib/{module}.py")
        named = f" {name}" if module == "shutdown" else ""
        lib = f"{inside.opt}/sagehound/lib/{module}.py"
        _program(top, name, f"#!/bin/sh\nexec '{inside.python}' -I '{lib}'{named} \"$@\"\n")
    for name in TEXTS:
        _program(top, name, _filled(INSIDE / name, inside))
    os.symlink("ec2-metadata", f"{folder}/bin/ec2metadata")
    _aws(top, inside)
    _put_conda(top, inside)
    _put_pytorch(top, inside)
    return [
        f"this machine has no {name}: a small one stands in for it (apt-get or dnf installs the real one)"
        for name in missing
    ]


def _put_conda(disk: str, inside: Inside) -> None:
    if not _lies_below("/opt/conda"):
        paths.write(disk, "/opt/conda/etc/profile.d/conda.sh", _filled(INSIDE / "conda.sh", inside))


def _put_pytorch(disk: str, inside: Inside) -> None:
    """/opt/pytorch as Deep Learning AMIs have it, a virtual environment, unless this machine's own Python lies there.

    It is the instance's own: what pip installs goes into it, before what this machine's Python has, which stays as it
    is even where there is no private root.
    """
    if _lies_below("/opt/pytorch"):
        return
    base = Path(getattr(sys, "_base_executable", sys.executable))
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    config = f"home = {base.parent}\ninclude-system-site-packages = true\nversion = {platform.python_version()}\n"
    paths.write(disk, "/opt/pytorch/pyvenv.cfg", config)
    for name in ("python", "python3", f"python{version}"):
        paths.link(disk, f"/opt/pytorch/bin/{name}", str(base))
    for name in ("pip", "pip3", f"pip{version}"):
        text = f"#!/bin/sh\nexec '{inside.opt}/pytorch/bin/python3' -m pip \"$@\"\n"
        paths.write(disk, f"/opt/pytorch/bin/{name}", text, 0o755)
    below = dict.fromkeys((sysconfig.get_path("purelib"), sysconfig.get_path("platlib")))
    library = f"/opt/pytorch/lib/python{version}/site-packages"
    # As a folder of packages, so that the .pth files in it count too.
    added = "".join(f"import site; site.addsitedir({path!r})\n" for path in below)
    paths.write(disk, f"{library}/machine.pth", f"{added}import {TORCHVISION.stem}\n")
    paths.write(disk, f"{library}/{TORCHVISION.name}", TORCHVISION.read_text())
    # That of a virtual environment takes no name: `source` hands on the arguments of the script around it.
    activate = _filled(INSIDE / "activate", inside).replace("${1:-base}", "pytorch")
    paths.write(disk, "/opt/pytorch/bin/activate", activate)


def _lies_below(folder: str) -> bool:
    """Whether the Python of this machine does."""
    return any(Path(prefix).is_relative_to(folder) for prefix in (sys.prefix, sys.base_prefix))


def _aws(disk: str, inside: Inside) -> None:
    """The aws command line of the Python that has it; a machine that has its own keeps that."""
    beside = Path(sys.executable).with_name("aws")
    if beside.exists():
        _program(disk, "aws", f"#!/bin/sh\nexec '{inside.python}' '{beside}' \"$@\"\n")
    elif not Path("/usr/local/bin/aws").exists() and not Path("/usr/bin/aws").exists():
        text = "#!/bin/sh\necho 'aws: not installed on this machine: pip install awscli' >&2\nexit 127\n"
        _program(disk, "aws", text)


def _filled(source: Path, inside: Inside) -> str:
    text = source.read_text().replace("@OPT@", inside.opt).replace("@PYTHON@", inside.python)
    folder = str(Path(inside.python).parent)
    # That of the system is on the PATH anyway, behind the programs that take the place of the machine's.
    return text.replace("@PYTHON_PATH@", "" if folder in SYSTEM_PATH.split(":") else f":{folder}")


def _program(disk: str, name: str, text: str) -> None:
    paths.write(disk, f"/opt/sagehound/bin/{name}", text, 0o755)
