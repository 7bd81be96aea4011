"""
The command: ``python -m release``, or ``make release`` and ``make tag``.
"""

import hashlib
from pathlib import Path

import click
from packaging.version import Version

from release import _archives, _notes, _source
from release._git import Repository
from release._refusal import Refused
from release._version import next_version

ROOT = Path(__file__).resolve().parents[1]

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=_CONTEXT)
def command() -> None:
    """Make a release; docs/guides/release.md tells the steps."""


@command.command()
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
def branch(dry_run: bool) -> None:
    """Write the next version, on a branch of its own."""
    repository = Repository(ROOT)
    current = _source.version_in(ROOT)
    version = next_version(current, _notes.kinds_in(ROOT))
    name = f"release-{version}"
    if dry_run:
        click.echo(f"{current} -> {version}, on the branch {name}; {_notes.CHANGELOG} would say:\n")
        click.echo(_notes.draft(ROOT, version))
    repository.require_clean()
    repository.require_new("branch", name)
    repository.require_new("tag", f"v{version}")
    if not dry_run:
        _write(repository, name, version)
        click.echo(f"{current} -> {version}: committed on the branch {name}; look at it with: git show")


def _write(repository: Repository, name: str, version: Version) -> None:
    with repository.new_branch(name):
        _source.write_version(ROOT, version)
        _notes.gather(ROOT, version)
        repository.commit(f"Version {version}")


@command.command()
def build() -> None:
    """Build the wheel and the source distribution into dist/."""
    for path in _archives.build(ROOT, ROOT / "dist"):
        click.echo(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(ROOT)}")


@command.command()
def tag() -> None:
    """Tag the version that is checked out."""
    repository = Repository(ROOT)
    repository.require_clean()
    version = _source.version_in(ROOT)
    section = _agreed_section(version)
    _require_its_commit(repository, version)
    name = f"v{version}"
    repository.require_new("tag", name)
    repository.tag(name, section)
    click.echo(f"tagged {name}; push it with: git push origin {name}")


def _agreed_section(version: Version) -> str:
    """
    Give a version's section of the changelog.

    Raises:
        Refused: where the package, the changelog and the fragments do not agree.
    """
    if version.is_devrelease:
        raise Refused(f"{version} is not released yet: make release comes first")
    if _notes.kinds_in(ROOT):
        raise Refused(f"there are fragments in {_notes.NEWS}/, which {version} does not have: is this its commit?")
    newest, section = _notes.newest_section(ROOT)
    if newest != str(version):
        raise Refused(f"{_source.SOURCE} says {version}, but {_notes.CHANGELOG} begins with {newest}")
    return section


def _require_its_commit(repository: Repository, version: Version) -> None:
    """
    See that what is checked out is what the version was given to.  Its section may have been put in better words since.

    Raises:
        Refused: where it is not.
    """
    made = repository.last_change(_source.SOURCE, _source.LINE)
    if repository.differs(made, but=_notes.CHANGELOG):
        raise Refused(f"there have been changes since {version} was made: check out its commit, {made}, and tag that")


if __name__ == "__main__":
    command(prog_name="python -m release")
