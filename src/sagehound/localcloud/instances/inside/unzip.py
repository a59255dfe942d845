"""unzip for an instance of a machine that has none: `unzip [-q] [-o|-n] [-l] FILE [MEMBER...] [-d FOLDER]`."""

from __future__ import annotations

import os
import sys
import zipfile


def main(words: list[str]) -> int:
    """Extract, with the permissions that the archive has."""
    quiet = overwrite = keep = only_list = False
    folder, names = ".", []
    rest = iter(words)
    for word in rest:
        if word == "-d":
            folder = next(rest, ".")
        elif word.startswith("-"):
            quiet, overwrite = quiet or "q" in word, overwrite or "o" in word
            keep, only_list = keep or "n" in word, only_list or "l" in word
        else:
            names.append(word)
    if not names:
        print("Usage: unzip [-qonl] file[.zip] [member...] [-d folder]", file=sys.stderr)
        return 10
    path = names[0] if os.path.exists(names[0]) else f"{names[0]}.zip"
    try:
        with zipfile.ZipFile(path) as archive:
            print(f"Archive:  {path}")
            members = [m for m in archive.infolist() if len(names) == 1 or m.filename in names[1:]]
            for member in members:
                target = os.path.join(folder, member.filename)
                if only_list:
                    print(f"{member.file_size:>9}  {member.filename}")
                elif os.path.isfile(target) and not overwrite:
                    if not keep:
                        print(f"replace {target}? [n]: not replaced (use -o)", file=sys.stderr)
                else:
                    extract(archive, member, folder, quiet)
    except (OSError, zipfile.BadZipFile) as error:
        print(f"unzip:  cannot find or open {path}, or it is no zip file: {error}", file=sys.stderr)
        return 9
    return 0


def extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: str, quiet: bool) -> None:
    """One member, never outside the folder."""
    made = archive.extract(member, folder)
    mode = (member.external_attr >> 16) & 0o777
    if mode and not member.is_dir():
        os.chmod(made, mode)
    if not quiet:
        print(f"{'   creating' if member.is_dir() else '  inflating'}: {os.path.relpath(made)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
