"""shutdown, poweroff, halt, reboot and systemctl of an instance: told to its first process through /run/initctl."""

from __future__ import annotations

import json
import os
import re
import sys
import time


def wanted(name: str, words: list[str]) -> dict[str, object]:
    """What the command line asks for; ValueError when it cannot be read."""
    if name == "systemctl":
        verbs = [word for word in words if not word.startswith("-")]
        if len(verbs) != 1 or verbs[0] not in ("poweroff", "halt", "reboot"):
            raise ValueError("this instance has no systemd: only poweroff, halt and reboot are possible")
        return {"do": "reboot" if verbs[0] == "reboot" else "poweroff", "in": 0}
    what = "reboot" if name == "reboot" else "poweroff"
    rest = []
    for word in words:
        if word in ("-r", "--reboot"):
            what = "reboot"
        elif word == "-c":
            return {"do": "cancel"}
        elif word in ("-h", "-P", "-H", "-p", "-f", "-n", "-w", "--poweroff", "--halt", "--force", "--no-wall", "-k"):
            if word == "-k":
                return {"do": "warn"}
        elif word.startswith("-"):
            raise ValueError(f"unrecognized option '{word}'")
        else:
            rest.append(word)
    if name != "shutdown":
        return {"do": what, "in": 0}
    return {"do": what, "in": seconds(rest[0] if rest else "+1"), "message": " ".join(rest[1:])}


def seconds(text: str) -> float:
    """`now`, `+5` (minutes), `23:30`."""
    if text == "now":
        return 0
    if re.fullmatch(r"\+?\d+", text):
        return int(text) * 60
    clock = re.fullmatch(r"(\d\d?):(\d\d)", text)
    if clock is None or int(clock[1]) > 23 or int(clock[2]) > 59:
        raise ValueError(f"Failed to parse time specification: {text}")
    now = time.localtime()
    until = (int(clock[1]) - now.tm_hour) * 3600 + (int(clock[2]) - now.tm_min) * 60 - now.tm_sec
    return until if until > 0 else until + 86_400


def main(name: str, words: list[str]) -> int:
    """One line into the pipe, which the first process reads."""
    try:
        line = json.dumps(wanted(name, words))
    except ValueError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    pipe = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "run", "initctl")
    try:
        descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        print(f"{name}: cannot reach the first process of this instance: {error.strerror}", file=sys.stderr)
        return 1
    os.write(descriptor, line.encode() + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
