"""
The command that prints a shell's completion script.
"""

import click
from click.shell_completion import get_completion_class

import twisted_registry.cli.shells  # noqa: F401  # registers the scripts with click
from twisted_registry.cli.output import print_line

_HELP = """Print a script that lets a shell complete commands, options, the ids of models and, after an @, aliases.

\b
To install it:
  bash  twisted-registry completion bash > ~/.local/share/bash-completion/completions/twisted-registry
  zsh   twisted-registry completion zsh > ~/.zfunc/_twisted-registry
        (with 'fpath+=~/.zfunc' before 'compinit' in ~/.zshrc)
  fish  twisted-registry completion fish > ~/.config/fish/completions/twisted-registry.fish

The ids come from the registry at --server or TWISTED_REGISTRY_SERVER. If it does not answer within three seconds, no
ids are completed. Ids that a shell would split or expand are left out.

\b
Example:
  eval "$(twisted-registry completion bash)"
"""


@click.command(help=_HELP)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """
    Run the command.
    """
    script = get_completion_class(shell)
    assert script is not None, "click knows these three"
    root = context.find_root()
    print_line(script(root.command, {}, "twisted-registry", "_TWISTED_REGISTRY_COMPLETE").source())
