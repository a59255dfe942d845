"""wget for an instance of a machine that has none: `wget [-q] [-nv] [-nc] [-O FILE] [-P FOLDER] URL...`."""

from __future__ import annotations

import os
import shutil
import sys
import urllib.error
import urllib.parse
import urllib.request


def main(words: list[str]) -> int:
    """Fetch each address into a file; 8 when a server refuses, 4 when it is not reached, as wget ends."""
    quiet = keep = False
    output, folder, addresses = "", ".", []
    rest = iter([one for word in words for one in split(word)])
    for word in rest:
        if word in ("-O", "--output-document"):
            output = next(rest, "")
        elif word in ("-P", "--directory-prefix"):
            folder = next(rest, ".")
        elif word in ("-q", "--quiet", "-nv", "--no-verbose", "-nc", "--no-clobber"):
            quiet, keep = quiet or "q" in word, keep or word in ("-nc", "--no-clobber")
        elif word.startswith("-"):
            print(f"wget: this small wget has no option '{word}'", file=sys.stderr)
            return 2
        else:
            addresses.append(word)
    if not addresses:
        print("wget: missing URL", file=sys.stderr)
        return 1
    return max(fetch(address, output, folder, quiet, keep) for address in addresses)


def split(word: str) -> list[str]:
    """`-qO-` as `-q -O -`; options that are not such a chain as they are."""
    if word.startswith("--output-document="):
        return ["-O", word.partition("=")[2]]
    if not word.startswith("-") or word.startswith("--") or word in ("-", "-nv", "-nc"):
        return [word]
    found = []
    for place, letter in enumerate(word[1:], 1):
        found.append(f"-{letter}")
        if letter in "OP":
            return found + ([word[place + 1 :]] if word[place + 1 :] else [])
    return found


def fetch(address: str, output: str, folder: str, quiet: bool, keep: bool) -> int:
    """One address into its file; the partial file of a failure goes."""
    address = address if "://" in address else f"http://{address}"
    name = os.path.basename(urllib.parse.urlsplit(address).path) or "index.html"
    target = output or os.path.join(folder, name)
    if keep and os.path.exists(target):
        print(f"File '{target}' already there; not retrieving.", file=sys.stderr)
        return 0
    os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:
            if target == "-":
                shutil.copyfileobj(answer, sys.stdout.buffer)
                return 0
            with open(f"{target}.part", "wb") as file:
                shutil.copyfileobj(answer, file)
        os.replace(f"{target}.part", target)
    except urllib.error.HTTPError as error:
        print(f"ERROR {error.code}: {error.reason}.", file=sys.stderr)
        return 8
    except (urllib.error.URLError, OSError) as error:
        print(f"wget: {address}: {getattr(error, 'reason', error)}", file=sys.stderr)
        return 4
    if not quiet:
        print(f"'{target}' saved [{os.path.getsize(target)}]", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
