"""
Completion scripts for bash and fish that differ from click's.
"""

import os

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    add_completion_class,
    split_arg_string,
)

_CURSOR = "|"

_BASH = r"""
%(complete_func)s() {
    local response type value
    response=$(env COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_PART="$2" \
        %(complete_var)s=bash_complete $1)
    while IFS=, read -r type value; do
        case $type in
            dir) COMPREPLY=(); compopt -o dirnames ;;
            file) COMPREPLY=(); compopt -o default ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done <<< "$response"
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class Bash(BashComplete):
    """
    Completion in bash, which splits words at ``:``, ``=`` and ``@``, and completes the last part: the second argument.
    """

    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        """
        Return the words before the cursor's word, and that word up to the cursor.
        """
        _, *before, last = split_arg_string(os.environ["COMP_LINE"] + _CURSOR)
        return before, last.removesuffix(_CURSOR)

    def format_completion(self, item: "CompletionItem") -> str:
        """
        Return the text with which bash replaces its part of the word.
        """
        word, part = self.get_completion_args()[1], os.environ["COMP_PART"]
        kept = word.removesuffix(part) if word.endswith(part) else ""
        return f"{item.type},{str(item.value).removeprefix(kept)}"


class Fish(FishComplete):
    """
    Completion in fish, with help texts that contain commas.
    """

    source_template = FishComplete.source_template.replace('string split ","', 'string split --max 1 ","')


for _each in (Bash, Fish):
    add_completion_class(_each)
