"""How a shell starts with the environment of the local cloud: after the person's own start-up files, and with a prompt.

Those files may set AWS_PROFILE or a proxy of their own, so what leads to the cloud is said once more behind them.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from sagehound.cli.client_environment import ELSEWHERE, KEPT, ClientEnvironment
from sagehound.cli.client_files import Files

_BASH = """\
[ -f ~/.bashrc ] && . ~/.bashrc
for _sagehound_name in $(@ELSEWHERE@); do unset "$_sagehound_name"; done
unset _sagehound_name
@EXPORTS@
_sagehound_prompt() { case $PS1 in @PROMPT@*) ;; *) PS1=@PROMPT@$PS1 ;; esac; }
if [[ $(declare -p PROMPT_COMMAND 2>/dev/null) == "declare -a"* ]]; then
  PROMPT_COMMAND+=(_sagehound_prompt)
else
  PROMPT_COMMAND="${PROMPT_COMMAND:+$PROMPT_COMMAND$'\\n'}_sagehound_prompt"
fi
"""
_SH = """\
@OWN@
for _sagehound_name in $(@ELSEWHERE@); do unset "$_sagehound_name"; done
unset _sagehound_name
@EXPORTS@
PS1=@PROMPT@$PS1
"""
_ZSHENV = """\
_sagehound_ours=$ZDOTDIR
ZDOTDIR=@OWN@
[[ -f "$ZDOTDIR/.zshenv" ]] && . "$ZDOTDIR/.zshenv"
_sagehound_own=$ZDOTDIR
ZDOTDIR=$_sagehound_ours
"""
_ZSHRC = """\
ZDOTDIR=$_sagehound_own
[[ $HISTFILE == "$_sagehound_ours"/* ]] && HISTFILE="$ZDOTDIR/.zsh_history"
[[ -f "$ZDOTDIR/.zshrc" ]] && . "$ZDOTDIR/.zshrc"
for _sagehound_name in ${(f)"$(@ELSEWHERE@)"}; do unset "$_sagehound_name"; done
unset _sagehound_name _sagehound_own _sagehound_ours
[[ $ZDOTDIR == "$HOME" ]] && unset ZDOTDIR
@EXPORTS@
_sagehound_prompt() { [[ $PS1 == @PROMPT@* ]] || PS1=@PROMPT@$PS1 }
precmd_functions+=(_sagehound_prompt)
"""
_FISH = """\
for name in (sh -c @ELSEWHERE@); set --erase $name; end
@EXPORTS@
functions --copy fish_prompt _sagehound_own_prompt
function fish_prompt; echo -n @PROMPT@; _sagehound_own_prompt; end
"""
_NAMES = f"env | sed -n 's/=.*//p' | grep -E '{ELSEWHERE}' | grep -vxE '{'|'.join(sorted(KEPT))}'"
"""The exported names that lead elsewhere, one a line."""


def start_of(
    own: Mapping[str, str], data_dir: Path, found: ClientEnvironment, prompt: str
) -> tuple[list[str], dict[str, str]]:
    """The command line of the person's shell, and variables that it needs beside those of the cloud."""
    program = own.get("SHELL") or "/bin/sh"
    kind = Path(program).name
    files = Files(data_dir, "")
    exports = "\n".join(f"export {name}={shlex.quote(value)}" for name, value in found.variables.items())
    filled = {"@ELSEWHERE@": _NAMES, "@EXPORTS@": exports, "@PROMPT@": shlex.quote(prompt)}
    if kind == "bash":
        return [program, "--rcfile", str(files.of_content("shell", ".bash", _filled(_BASH, filled)))], {}
    if kind == "zsh":
        return [program], {"ZDOTDIR": str(_zsh(files, own, filled))}
    if kind == "fish":
        exports = "\n".join(f"set -gx {name} {_fish(value)}" for name, value in found.variables.items())
        filled = {"@EXPORTS@": exports, "@PROMPT@": _fish(prompt), "@ELSEWHERE@": _fish(_NAMES)}
        path = files.of_content("shell", ".fish", _filled(_FISH, filled))
        return [program, "--init-command", f"source {_fish(str(path))}"], {}
    # sh, dash, ksh: an interactive one reads the file that ENV names.
    before = own.get("ENV", "")
    filled["@OWN@"] = f"[ -f {shlex.quote(before)} ] && . {shlex.quote(before)}" if before else ""
    return [program], {"ENV": str(files.of_content("shell", ".sh", _filled(_SH, filled)))}


def _zsh(files: Files, own: Mapping[str, str], filled: Mapping[str, str]) -> Path:
    """A folder of start-up files in the place of the person's own, which they read first."""
    folder = own.get("ZDOTDIR") or own.get("HOME") or str(Path.home())
    given = {**filled, "@OWN@": shlex.quote(folder)}
    return files.folder_of_content("shell-zsh", {".zshenv": _filled(_ZSHENV, given), ".zshrc": _filled(_ZSHRC, given)})


def _filled(text: str, filled: Mapping[str, str]) -> str:
    for name, value in filled.items():
        text = text.replace(name, value)
    return text


def _fish(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
