"""
How shells ask for completions, where that is not as click has it.
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
    Bash takes words apart at ``:``, ``=`` and ``@``, and completes the last part alone: it is the second argument.
    """

    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        """
        Give the words before the one at the cursor, and that one as far as it goes.
        """
        _, *before, last = split_arg_string(os.environ["COMP_LINE"] + _CURSOR)
        return before, last.removesuffix(_CURSOR)

    def format_completion(self, item: "CompletionItem") -> str:
        """
        Give what bash shall put for its part of the word.
        """
        word, part = self.get_completion_args()[1], os.environ["COMP_PART"]
        kept = word.removesuffix(part) if word.endswith(part) else ""
        return f"{item.type},{str(item.value).removeprefix(kept)}"


class Fish(FishComplete):
    """
    What stands behind a comma belongs to the help as well.
    """

    source_template = FishComplete.source_template.replace('string split ","', 'string split --max 1 ","')


for _each in (Bash, Fish):
    add_completion_class(_each)
