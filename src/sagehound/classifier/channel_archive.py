"""Finding a feature channel: plain files, or the artefact of the job that made it. Imports no torch."""

import shutil
import tarfile
import zlib
from pathlib import Path

from sagehound.classifier.dataset import BadDataset
from sagehound.classifier.feature_channel import HEADER, FeatureChannel, check_belongs, read_header

ARCHIVE = "model.tar.gz"
_BROKEN = (tarfile.TarError, EOFError, OSError, zlib.error)


def is_feature_channel(folder: Path) -> bool:
    """Whether a channel holds features: their header, or one artefact with it. Raises BadDataset for a broken one."""
    return _plain(folder) is not None or _archive_with_header(folder) is not None


def open_feature_channel(folder: Path, work: Path, backbone: str) -> FeatureChannel:
    """Open a feature channel for a backbone; the artefact of an extraction job is unpacked into `work`.

    Raises BadDataset when it is none, damaged, or not this backbone's.
    """
    place = _plain(folder)
    if place is None:
        archive = _archive_with_header(folder)
        if archive is None:
            raise BadDataset(f"{folder} holds neither {HEADER} nor a {ARCHIVE} that does: run extract_features.py")
        place = work / "feature-channel"
        _unpack(archive, place)
    header = read_header(place / HEADER)
    check_belongs(header, folder, backbone)
    return FeatureChannel(place, header)


def _plain(folder: Path) -> Path | None:
    """The folder with the header: the channel itself, or the one folder `model` of an output prefix."""
    found = [place for place in (folder, folder / "model") if (place / HEADER).is_file()]
    return found[0] if found else None


def _archive_with_header(folder: Path) -> Path | None:
    """The one artefact in a channel, also below the folders of an output prefix (JOB/output/model.tar.gz)."""
    found = sorted(folder.rglob(ARCHIVE)) if folder.is_dir() else []
    if len(found) != 1:
        return None
    try:
        with tarfile.open(found[0]) as tar:
            # The header is written last, and an archive is in the order of the names: only a look at all of it tells.
            names = [name.removeprefix("./") for name in tar.getnames()]
    except _BROKEN as error:
        raise BadDataset(f"{found[0]} is damaged ({error}): run extract_features.py again") from error
    return found[0] if HEADER in names else None


def _unpack(archive: Path, folder: Path) -> None:
    """The files at the top of the archive: a feature channel has no others, and no name among them leaves `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                name, content = member.name.removeprefix("./"), tar.extractfile(member) if member.isfile() else None
                if content is not None and name == Path(name).name:
                    with (folder / name).open("wb") as file:
                        shutil.copyfileobj(content, file)
    except _BROKEN as error:
        raise BadDataset(f"{archive} is damaged ({error}): run extract_features.py again") from error
