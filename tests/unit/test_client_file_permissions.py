"""
Tests of the permissions of the files that a client writes, and of files that it cannot replace.
"""

import asyncio
import errno
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.test_client_files import ROOT, program
from twisted_registry.client._transfer import files, permissions
from twisted_registry.client._transfer.files import replaced_whole

NOBODY = 65534


class PermissionTests(SynchronousTestCase):
    """
    The permissions of a file that was replaced.
    """

    def setUp(self) -> None:
        """
        Make a folder.
        """
        self.path = Path(self.mktemp()).absolute()
        self.path.mkdir()
        self.path = self.path / "model"

    def replaced(self) -> os.stat_result:
        """
        Replace the file, with and without a temporary name, and return its status.
        """

        async def writing() -> None:
            async with replaced_whole(self.path) as file:
                file.write(b"after")

        asyncio.run(writing())
        before = self.path.stat()
        self.patch(files, "_UNNAMED", 0)
        asyncio.run(writing())
        after = self.path.stat()
        self.assertEqual((after.st_mode, after.st_uid, after.st_gid), (before.st_mode, before.st_uid, before.st_gid))
        return after

    def test_new(self) -> None:
        """
        A new file has the mode that the umask leaves.
        """
        for mask, mode in ((0o022, 0o644), (0o077, 0o600), (0o002, 0o664)):
            self.addCleanup(os.umask, os.umask(mask))
            self.path.unlink(missing_ok=True)
            self.assertEqual(stat.S_IMODE(self.replaced().st_mode), mode)

    def test_mode_is_kept(self) -> None:
        """
        A replaced file keeps its mode, whatever the umask is.
        """
        self.addCleanup(os.umask, os.umask(0o077))
        for mode in (0o600, 0o644, 0o755, 0o666, 0o440):
            self.path.touch()
            self.path.chmod(mode)
            self.assertEqual(stat.S_IMODE(self.replaced().st_mode), mode)

    def test_owner_is_kept(self) -> None:
        """
        A replaced file keeps its owner, and the bits that depend on the owner.
        """
        if os.geteuid() != 0:
            self.skipTest("only root can give files to others")
        self.path.touch()
        os.chown(self.path, NOBODY, NOBODY)
        self.path.chmod(0o4750)
        status = self.replaced()
        self.assertEqual((status.st_uid, status.st_gid), (NOBODY, NOBODY))
        self.assertEqual(stat.S_IMODE(status.st_mode), 0o4750)

    def test_owner_that_cannot_be_kept(self) -> None:
        """
        If a file cannot keep its owner, its new group gets only the permissions that all others had.
        """
        self.path.touch()
        self.path.chmod(0o4764)
        kept = permissions.Permissions.of(self.path)

        def refuse(*given: int) -> None:
            raise PermissionError

        self.patch(os, "fchown", refuse)
        self.patch(permissions.Permissions, "of", lambda path: permissions.Permissions(NOBODY, NOBODY, 0o4764, None))
        self.assertIsNotNone(kept)
        self.assertEqual(stat.S_IMODE(self.replaced().st_mode), 0o744)

    def test_access_list(self) -> None:
        """
        A replaced file keeps its access control list.
        """
        # rw- for its owner and for nobody, nothing for its group and all others.
        entries = ((0x01, 6, -1), (0x02, 6, NOBODY), (0x04, 0, -1), (0x10, 6, -1), (0x20, 0, -1))
        access_list = b"\2\0\0\0" + b"".join(
            number.to_bytes(2, "little") + may.to_bytes(2, "little") + who.to_bytes(4, "little", signed=who < 0)
            for number, may, who in entries
        )
        self.path.touch()
        try:
            os.setxattr(self.path, "system.posix_acl_access", access_list)
        except OSError:
            self.skipTest("this file system has no access control lists")
        self.replaced()
        self.assertEqual(os.getxattr(self.path, "system.posix_acl_access"), access_list)

    def test_nobody_reads_early(self) -> None:
        """
        The replacement of a private file is private from the beginning.
        """
        self.path.touch()
        self.path.chmod(0o600)
        self.patch(files, "_UNNAMED", 0)

        async def mode() -> int:
            async with replaced_whole(self.path) as file:
                return os.fstat(file.fileno()).st_mode

        self.assertEqual(stat.S_IMODE(asyncio.run(mode())), 0o600)


class UnprivilegedTests(SynchronousTestCase):
    """
    A user without privileges.
    """

    def setUp(self) -> None:
        """
        Make a folder that all users can reach.
        """
        if os.geteuid() != 0:
            self.skipTest("only root can become another user")
        # Other users may not reach this test's own folder.
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.folder.chmod(0o777)
        self.path = self.folder / "model"
        self.path.write_bytes(b"before")

    def refusal(self, path: Path) -> OSError:
        """
        Check as the user nobody whether a file can be replaced, and return the reason against it.
        """
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
        try:
            # access(2) asks for the real user, which the process stays.
            self.patch(os, "access", lambda path, mode: bool(os.stat(path).st_mode & stat.S_IWOTH))
            with self.assertRaises(PermissionError) as caught:
                files.check_replaceable(path)
        finally:
            os.seteuid(0)
            os.setegid(0)
        error: OSError = caught.exception
        return error

    def test_folder(self) -> None:
        """
        In a folder that the user cannot write, files can neither be replaced nor created.
        """
        self.folder.chmod(0o755)
        for path in (self.path, self.folder / "new"):
            error = self.refusal(path)
            self.assertEqual((error.errno, error.filename), (errno.EACCES, str(path)))
            self.assertIn("choose another path", str(error))

    def test_sticky_folder(self) -> None:
        """
        In a folder such as /tmp, a user cannot replace the file of another user.
        """
        self.folder.chmod(0o1777)
        error = self.refusal(self.path)
        self.assertEqual((error.errno, error.filename), (errno.EPERM, str(self.path)))


class MountTests(SynchronousTestCase):
    """
    A file that is a mount point, as in a container.
    """

    def setUp(self) -> None:
        """
        Make two folders.
        """
        self.folder = Path(self.mktemp()).absolute()
        for name in ("there", "here"):
            (self.folder / name).mkdir(parents=True)
            (self.folder / name / "model").write_bytes(name.encode())

    def mounted(self, mounted: str, *command: str) -> "subprocess.CompletedProcess[str]":
        """
        Run a command while a file or folder of one is mounted over that of the other.
        """
        both = self.folder / "there" / mounted, self.folder / "here" / mounted
        return self.unshared('mount --bind "$1" "$2" && shift 2 && exec "$@"', *map(str, both), *command)

    def unshared(self, script: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """
        Run a script that may mount file systems.
        """
        command: Sequence[str] = ["unshare", "--mount", "--map-root-user"]
        try:
            subprocess.run([*command, "true"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            self.skipTest("nothing can be mounted here")
        return subprocess.run(
            [*command, "sh", "-c", script, "sh", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )

    def test_file(self) -> None:
        """
        A file that is a mount point is refused before anything is written, and both files stay as they are.
        """
        done = self.mounted("model", *program(self.folder / "here" / "model", True))
        self.assertEqual(done.stdout, "")
        self.assertRegex(done.stderr, r"OSError: \[Errno 16\] it is a mount point.*mount its folder instead.*model'\n$")
        self.assertEqual([(self.folder / name / "model").read_text() for name in ("here", "there")], ["here", "there"])

    def test_folder(self) -> None:
        """
        A file in a folder that is a mount point is like any other.
        """
        done = self.mounted("", *program(self.folder / "here" / "model", True))
        self.assertEqual((done.returncode, done.stdout), (0, "written\n"), done.stderr)
        self.assertEqual([(self.folder / name / "model").read_text() for name in ("here", "there")], ["here", "after"])

    def test_link_to_a_folder(self) -> None:
        """
        So is a file in a folder on another mount that a link leads to.
        """
        (self.folder / "link").symlink_to("here")
        done = self.mounted("", *program(self.folder / "link" / "model", True))
        self.assertEqual((done.returncode, done.stdout), (0, "written\n"), done.stderr)
        self.assertEqual([(self.folder / name / "model").read_text() for name in ("here", "there")], ["here", "after"])

    def test_link(self) -> None:
        """
        A link to a mount point is replaced, and the mount point is not.
        """
        (self.folder / "link").symlink_to("here/model")
        done = self.mounted("model", *program(self.folder / "link", True))
        self.assertEqual((done.returncode, done.stdout), (0, "written\n"), done.stderr)
        self.assertEqual((self.folder / "link").read_text(), "after")
        self.assertFalse((self.folder / "link").is_symlink())
