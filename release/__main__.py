"""
The command: ``python -m release``, or ``make release`` and ``make tag``.
"""

import hashlib
from pathlib import Path

import click

from release import archives, changes
from release.repository import Repository

ROOT = Path(__file__).resolve().parents[1]

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=_CONTEXT)
def command() -> None:
    """Make a release; docs/guides/release.md has the steps."""


@command.command()
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
def branch(dry_run: bool) -> None:
    """Commit the next version on a new branch."""
    repository = Repository(ROOT)
    current = changes.version_in(ROOT)
    version = changes.next_version(current, changes.kinds_in(ROOT))
    name = f"release-{version}"
    if dry_run:
        click.echo(f"{current} -> {version}, on the branch {name}; the section in {changes.CHANGELOG}:\n")
        click.echo(changes.preview(ROOT, version))
    repository.require_clean()
    repository.require_new("branch", name)
    repository.require_new("tag", f"v{version}")
    if not dry_run:
        with repository.new_branch(name):
            changes.write_version(ROOT, version)
            changes.write_section(ROOT, version)
            repository.commit(f"Version {version}")
        click.echo(f"{current} -> {version}: committed on the branch {name}; look at it with: git show")


@command.command()
def build() -> None:
    """Build the wheel and the source distribution into dist/."""
    for path in archives.build(ROOT, ROOT / "dist"):
        click.echo(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(ROOT)}")


@command.command()
def tag() -> None:
    """Tag the version that is checked out."""
    repository = Repository(ROOT)
    repository.require_clean()
    version = changes.version_in(ROOT)
    section = changes.section_of(ROOT, version)
    # The section may have been improved since.
    repository.require_unchanged_since(changes.SOURCE, changes.LINE, but=changes.CHANGELOG)
    name = f"v{version}"
    repository.require_new("tag", name)
    repository.tag(name, section)
    click.echo(f"tagged {name}; push it with: git push origin {name}")


if __name__ == "__main__":
    command(prog_name="python -m release")
