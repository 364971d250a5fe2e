"""`completion`: the script that a shell reads once, and the answers that it asks for later."""

from __future__ import annotations

from ocipy.errors import OcipyError, UsageError
from ocipy.shell_words import complete
from ocipy.state import store
from ocipy.sys.fd import print_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.request import Request

# $1 is what stands at the beginning of the command line, which may be a path. bash takes "=" for a
# word of its own, and replaces only what is behind it.
_BASH = """\
# bash completion of ocipy: eval "$(ocipy completion bash)"
_ocipy() {
    local IFS=$'\\n' answer current=${COMP_WORDS[COMP_CWORD]} line
    [ "$current" = = ] && current=
    mapfile -t answer < <("$1" completion words "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    COMPREPLY=()
    case ${answer[0]} in
    files)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        ;;
    directories)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -d -- "$current")
        ;;
    *)
        for line in "${answer[@]:1}"; do
            line=${line%%$'\\t'*}
            case ${COMP_WORDS[COMP_CWORD]}${COMP_WORDS[COMP_CWORD - 1]} in
            *=) line=${line#*=} ;;
            esac
            COMPREPLY+=("$line")
        done
        ;;
    esac
}
complete -F _ocipy ocipy
"""

_ZSH = """\
#compdef ocipy
# zsh completion of ocipy: eval "$(ocipy completion zsh)", after compinit
_ocipy() {
    local -a answer found shown
    local line
    answer=("${(@f)$("${(Q)words[1]}" completion words "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    case $answer[1] in
    files) [[ $PREFIX = --*=* ]] && compset -P '*='; _files ;;
    directories) [[ $PREFIX = --*=* ]] && compset -P '*='; _files -/ ;;
    *)
        for line in "${(@)answer[2,-1]}"; do
            [[ -n $line ]] || continue
            found+=("${line%%$'\\t'*}")
            shown+=("${line/$'\\t'/  -- }")
        done
        compadd -l -d shown -a found
        ;;
    esac
}
compdef _ocipy ocipy
"""

_FISH = """\
# fish completion of ocipy: ocipy completion fish > ~/.config/fish/completions/ocipy.fish
function __ocipy_complete
    set -l before (commandline -opc)
    set -l current (commandline -ct | string collect --allow-empty)
    set -l answer ($before[1] completion words $before[2..-1] $current 2>/dev/null)
    switch "$answer[1]"
        case files
            __fish_complete_path (string replace -r -- '^--[^=]*=' '' $current)
        case directories
            __fish_complete_directories (string replace -r -- '^--[^=]*=' '' $current)
        case '*'
            printf '%s\\n' $answer[2..-1]
    end
end
complete -c ocipy -f -a '(__ocipy_complete)'
"""
_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def run(request: Request) -> int:
    """Print a script, or after `words` what the words that follow could be completed to.

    An answer is a line with its kind, then a line for each word: word, tab, meaning.
    """
    shell, *words = request.args
    if shell == "words":
        answer = complete(words, _ids)
        lines = [answer.kind, *(f"{w}\t{text}" if text else w for w, text in answer.words)]
        print_text("".join(f"{line}\n" for line in lines))
        return 0
    if shell not in _SCRIPTS or words:
        raise UsageError(f"no completion for {' '.join(request.args)!r}", hint="bash, zsh or fish")
    print_text(_SCRIPTS[shell])
    return 0


def _ids(root: str) -> list[str]:
    """Return the containers of a state root; none where it cannot be read: nobody sees errors."""
    try:
        return store.list_ids(store.root_path(root))
    except OcipyError:
        return []
