"""What completes our verbs and their options, for bash, zsh and fish.

The scripts are made once and hold every word: pressing the tabulator starts no program. They are
made from the verbs themselves, so they cannot know others.
"""

from __future__ import annotations

from collections.abc import Mapping

Options = Mapping[str, Mapping[str, str]]  # by verb: option -> what it does

BASH = """\
_bgctl() {{
    local verb=${{COMP_WORDS[1]}} words
    if (( COMP_CWORD == 1 )); then words='{verbs}'; else
        case "$verb" in
{cases}
            *) words='' ;;
        esac
    fi
    COMPREPLY=( $(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}") )
}}
complete -o default -F _bgctl bgctl
"""

ZSH = """\
_bgctl() {{
    if (( CURRENT == 2 )); then compadd -- {verbs}; return; fi
    case "$words[2]" in
{cases}
    esac
    _files
}}
if (( $+functions[compdef] )); then compdef _bgctl bgctl; fi
"""


def script(shell: str, options: Options) -> str:
    """The text to evaluate in `bash`, `zsh` or `fish` (else `KeyError`)."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](options)


def _bash(options: Options) -> str:
    cases = (f"            {verb}) words='{' '.join(names)}' ;;" for verb, names in options.items())
    return BASH.format(verbs=" ".join(options), cases="\n".join(cases))


def _zsh(options: Options) -> str:
    cases = (f"        ({verb}) compadd -- {' '.join(names)} ;;" for verb, names in options.items())
    return ZSH.format(verbs=" ".join(options), cases="\n".join(cases))


def _fish(options: Options) -> str:
    lines = [f"complete -c bgctl -f -n __fish_use_subcommand -a '{' '.join(options)}'"]
    for verb, names in options.items():
        seen = f"complete -c bgctl -n '__fish_seen_subcommand_from {verb}'"
        lines += [f"{seen} {_fish_name(name)} -d {_quoted(does)}" for name, does in names.items()]
    return "\n".join(lines) + "\n"


def _fish_name(option: str) -> str:
    return f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
