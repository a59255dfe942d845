"""sudo for an instance, whose users are all sudoers: `sudo [-EHi] [-u USER] [NAME=VALUE...] COMMAND...`."""

from __future__ import annotations

import os
import pwd
import re
import sys

VALUED = "ugpCD"
LONG_VALUED = ("--user", "--group", "--prompt", "--chdir", "--close-from")


def main(words: list[str]) -> int:
    """Become the user, where that is possible here, and run the command."""
    user, login, given, rest = "root", False, dict[str, str](), list(words)
    while rest and (rest[0].startswith("-") or re.match(r"\w+=", rest[0])):
        word = rest.pop(0)
        if word == "--":
            break
        if word.startswith("--"):
            option, equals, value = word.partition("=")
            if option in LONG_VALUED and not equals:
                value = rest.pop(0) if rest else ""
            user = value if option == "--user" else user
            login = login or option == "--login"
        elif word.startswith("-"):
            letters, option, value = split(word)
            if option and not value:
                value = rest.pop(0) if rest else ""
            user = value if option == "u" else user
            login = login or "i" in letters
        else:
            name, _, value = word.partition("=")
            given[name] = value
    try:
        found = pwd.getpwnam(user)
    except KeyError:
        print(f"sudo: unknown user {user}", file=sys.stderr)
        return 1
    env = {**os.environ, **given, "USER": user, "LOGNAME": user, "SUDO_USER": os.environ.get("USER", "root")}
    if user != "root" or login:
        env["HOME"] = found.pw_dir
    become(found)
    if login:
        os.chdir(found.pw_dir)
    command = rest or [found.pw_shell]
    if login:
        command = [found.pw_shell, "-l", *(["-c", " ".join(map(escaped, rest))] if rest else [])]
    try:
        os.execvpe(command[0], command, env)
    except OSError as error:
        print(f"sudo: {command[0]}: {error.strerror}", file=sys.stderr)
        return 1


def escaped(word: str) -> str:
    """A word for the login shell as sudo hands it on: itself, but for variables, which the shell fills in."""
    return re.sub(r"([^\w$-])", r"\\\1", word)


def split(word: str) -> tuple[str, str, str]:
    """Short options written as one, `-Hu`: those without a value, the one with a value, and that, if it is there."""
    for place, letter in enumerate(word):
        if letter in VALUED:
            return word[1:place], letter, word[place + 1 :]
    return word[1:], "", ""


def become(user: pwd.struct_passwd) -> None:
    """Take the user's number; where this machine maps only one number into the instance, everyone has it."""
    if user.pw_uid == os.geteuid():
        return
    try:
        os.initgroups(user.pw_name, user.pw_gid)
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
    except OSError as error:
        print(f"sudo: runs as this user, not as {user.pw_name}: {error.strerror}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
