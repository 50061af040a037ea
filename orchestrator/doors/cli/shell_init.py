"""What a shell needs so that `bg deploy` works at a prompt although every shell has a builtin `bg`.

`eval "$(bgctl shell-init bash)"` defines a function `bg`: called with one of our verbs first it
runs `bgctl`, with anything else (nothing, `%1`, `1`, `--help` …) the builtin, so job control
stays what it was. A job that is named like a verb is still reached as `%deploy`.
"""

from __future__ import annotations

SHELLS = ("bash", "zsh", "fish")

BASH = """\
# bgctl: `bg` with one of its verbs runs bgctl; anything else is the builtin of this shell.
unalias bg 2>/dev/null || :
function bg {{
    case "${{1-}}" in
        {either}) command bgctl "$@" ;;
        *) builtin bg "$@" ;;
    esac
}}
complete -A job -W '{verbs}' bg 2>/dev/null || :
"""

ZSH = """\
# bgctl: `bg` with one of its verbs runs bgctl; anything else is the builtin of this shell.
unalias bg 2>/dev/null || :
function bg {{
    case "${{1-}}" in
        ({either}) command bgctl "$@" ;;
        (*) builtin bg "$@" ;;
    esac
}}
function _bgctl_bg {{
    (( CURRENT == 2 )) && compadd -- {verbs}
    _jobs_bg
}}
if (( $+functions[compdef] )); then compdef _bgctl_bg bg; fi
"""

FISH = """\
# bgctl: `bg` with one of its verbs runs bgctl; anything else is the builtin of this shell.
function bg --description 'Background jobs, and bgctl' --wraps bgctl
    switch "$argv[1]"
        case {verbs}
            command bgctl $argv
        case '*'
            builtin bg $argv
    end
end
complete --command bg --condition __fish_is_first_token --arguments '{verbs}'
"""


def script(shell: str, verbs: tuple[str, ...]) -> str:
    """The text to evaluate, for one of `SHELLS` (else `KeyError`). `verbs`: our commands."""
    text = {"bash": BASH, "zsh": ZSH, "fish": FISH}[shell]
    return text.format(either="|".join(verbs), verbs=" ".join(verbs))
