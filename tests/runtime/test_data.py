"""The data folder: where it lies, who may enter, who holds it."""

import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SkipTest, TestCase

import oauthd
from oauthd.runtime.data import DataFolder, DataFolderError

SOURCE = str(Path(oauthd.__file__).parent.parent)
NOBODY = 65534

HOLDER = """
import sys
from oauthd.runtime.data import DataFolder
DataFolder(sys.argv[1]).lock()
print("locked", flush=True)
sys.stdin.read()
"""


def mode(path: Path) -> str:
    """The permission bits, to be compared with oct()."""
    return oct(stat.S_IMODE(path.stat().st_mode))


class Place(TestCase):
    """A folder to make data folders in."""

    def setUp(self) -> None:
        """Make it."""
        self.top = Path(tempfile.mkdtemp(prefix="oauthd-t-"))
        self.addCleanup(shutil.rmtree, self.top)
        self.data = DataFolder(self.top / "data")


class ChoiceTests(Place):
    """Which folder it is."""

    ENVIRONMENT = {"STATE_DIRECTORY": "/var/lib/oauthd:/var/lib/more", "XDG_DATA_HOME": "/xdg", "HOME": "/home/me"}

    def choose(self, setting: str | None = None, /, **environ: str) -> str:
        """The path chosen for this user."""
        return str(DataFolder.choose(setting, environ).path)

    def test_setting_first(self) -> None:
        """A setting goes before everything else."""
        self.assertEqual(self.choose("/srv/tokens", **self.ENVIRONMENT), "/srv/tokens")

    def test_state_directory(self) -> None:
        """The first folder that the service manager names goes before the user's."""
        self.assertEqual(self.choose(**self.ENVIRONMENT), "/var/lib/oauthd")

    def test_user_data_folder(self) -> None:
        """Else it is in the user's data folder, by default below the home."""
        self.assertEqual(self.choose(XDG_DATA_HOME="/xdg", HOME="/home/me"), "/xdg/oauthd")
        self.assertEqual(self.choose(HOME="/home/me"), "/home/me/.local/share/oauthd")

    def test_empty_is_unset(self) -> None:
        """Empty settings and variables, and a relative XDG_DATA_HOME, count as none."""
        chosen = self.choose("", STATE_DIRECTORY="", XDG_DATA_HOME="relative", HOME="/home/me")
        self.assertEqual(chosen, "/home/me/.local/share/oauthd")

    def test_without_home_variable(self) -> None:
        """Without HOME the password database tells the home."""
        home = pwd.getpwuid(os.geteuid()).pw_dir
        if not os.path.isdir(home):
            raise SkipTest("this user has no home")
        self.assertEqual(self.choose(), f"{home}/.local/share/oauthd")

    def test_other_user(self) -> None:
        """For a server that changes its user, the environment of the one who starts it does not count."""
        for entry in pwd.getpwall():
            if entry.pw_uid != os.geteuid() and os.path.isdir(entry.pw_dir):
                chosen = DataFolder.choose(None, {"HOME": "/home/me", "XDG_DATA_HOME": "/xdg"}, entry.pw_uid)
                home = pwd.getpwuid(entry.pw_uid).pw_dir
                self.assertEqual(str(chosen.path), os.path.join(home, ".local/share/oauthd"))

    def test_other_user_without_home(self) -> None:
        """A user that has no home needs a folder that is named."""
        self.assertRaises(DataFolderError, DataFolder.choose, None, {}, 2**31 - 7)

    def test_home_sign(self) -> None:
        """A tilde in the setting is the home."""
        self.patch(os, "environ", {"HOME": "/home/me"})
        self.assertEqual(self.choose("~/tokens"), "/home/me/tokens")

    def test_relative_path(self) -> None:
        """A relative path counts from where the server was started, wherever it goes later."""
        self.assertEqual(self.choose("tokens"), os.path.join(os.getcwd(), "tokens"))

    def test_choosing_makes_nothing(self) -> None:
        """The object exists before the server has become a daemon, and leaves no trace of that."""
        self.choose(str(self.top / "new"))
        self.assertEqual(list(self.top.iterdir()), [])


class PrepareTests(Place):
    """The folder is made and closed."""

    def test_new(self) -> None:
        """A new folder and those made on the way to it are for this user alone, whatever the umask."""
        data = DataFolder(self.top / "a" / "b")
        for umask in (0o777, 0):
            previous = os.umask(umask)
            try:
                data.prepare()
            finally:
                os.umask(previous)
            self.assertEqual([mode(data.path), mode(data.path.parent)], [oct(0o700)] * 2)
            shutil.rmtree(data.path.parent)

    def test_again(self) -> None:
        """Preparing a folder that is in use changes nothing in it."""
        self.data.prepare()
        self.data.write(self.data.master_key, b"key")
        self.data.prepare()
        self.assertEqual(self.data.master_key.read_bytes(), b"key")

    def test_open_folder_is_closed(self) -> None:
        """An empty folder, as an administrator or a service manager made it, is closed to others."""
        self.data.path.mkdir(0o755)
        self.data.prepare()
        self.assertEqual(mode(self.data.path), oct(0o700))

    def test_used_folder_is_closed(self) -> None:
        """One that an oauthd has used is ours, whatever else lies in it by now."""
        self.data.prepare()
        self.data.lock()
        self.data.unlock()
        (self.data.path / "notes.txt").touch()
        self.data.path.chmod(0o755)
        self.data.prepare()
        self.assertEqual(mode(self.data.path), oct(0o700))

    def test_files_that_were_there_first(self) -> None:
        """Files of ours put there beforehand, and those of twistd, do not make it somebody else's."""
        self.data.path.mkdir(0o755)
        for name in ("master.key", "twistd.pid", "twistd.log"):
            (self.data.path / name).touch()
        self.data.prepare()
        self.assertEqual(mode(self.data.path), oct(0o700))

    def test_folder_of_others(self) -> None:
        """A folder such as /tmp, open to all and full of other files, is refused and left as it is."""
        self.data.path.mkdir()
        self.data.path.chmod(0o1777)
        (self.data.path / "letter.txt").touch()
        error = self.assertRaises(DataFolderError, self.data.prepare)
        self.assertIn("letter.txt", str(error))
        self.assertEqual(mode(self.data.path), oct(0o1777))

    def test_private_folder_with_other_files(self) -> None:
        """Who keeps other files in a private folder may keep our data there too."""
        self.data.path.mkdir(0o700)
        (self.data.path / "letter.txt").touch()
        self.data.prepare()
        self.assertTrue((self.data.path / "letter.txt").exists())

    def test_not_a_folder(self) -> None:
        """A file in its place, or on the way, is an error that names the path."""
        self.data.path.touch()
        for path in (self.data.path, self.data.path / "below"):
            error = self.assertRaises(DataFolderError, DataFolder(path).prepare)
            self.assertIn(str(path), str(error))


class WriteTests(Place):
    """Files are written whole or not at all."""

    def setUp(self) -> None:
        """Prepare the folder."""
        super().setUp()
        self.data.prepare()

    def test_private(self) -> None:
        """A file is 0600 whatever the umask, and what it replaced was."""
        for umask in (0o777, 0):
            previous = os.umask(umask)
            try:
                self.data.write(self.data.admin_credentials, b"{}")
            finally:
                os.umask(previous)
            self.assertEqual(mode(self.data.admin_credentials), oct(0o600))
            self.data.admin_credentials.chmod(0o644)

    def test_replaces(self) -> None:
        """A second writing replaces the first and leaves nothing beside it."""
        self.data.write(self.data.server_address, b"first, and longer")
        self.data.write(self.data.server_address, b"second")
        self.assertEqual(self.data.server_address.read_bytes(), b"second")
        self.assertEqual(list(self.data.path.iterdir()), [self.data.server_address])

    def test_failure_keeps_the_old(self) -> None:
        """When it cannot be written, what was there is still there, and nothing is left lying about."""
        self.data.write(self.data.master_key, b"first")

        def full(handle: int) -> None:
            raise OSError(28, "No space left on device")

        self.patch(os, "fsync", full)
        self.assertRaises(OSError, self.data.write, self.data.master_key, b"second")
        self.assertEqual(self.data.master_key.read_bytes(), b"first")
        self.assertEqual(list(self.data.path.iterdir()), [self.data.master_key])

    def test_elsewhere(self) -> None:
        """A path outside the folder is a mistake in the program."""
        self.assertRaises(ValueError, self.data.write, self.top / "other", b"")


class LockTests(Place):
    """One server alone uses the folder."""

    def setUp(self) -> None:
        """Prepare the folder."""
        super().setUp()
        self.data.prepare()

    def holder(self) -> "subprocess.Popen[bytes]":
        """Another process that holds the folder."""
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(self.data.path)],
            cwd=SOURCE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        assert process.stdout is not None
        self.assertEqual(process.stdout.readline(), b"locked\n")
        return process

    def test_second_server(self) -> None:
        """A second server is refused with the folder and the process that holds it."""
        process = self.holder()
        error = self.assertRaises(DataFolderError, self.data.lock)
        self.assertIn(str(self.data.path), str(error))
        self.assertIn(f"process {process.pid})", str(error))

    def test_refusal_harms_nobody(self) -> None:
        """Being refused does not end the holder's lock, nor change who is named."""
        process = self.holder()
        for _ in range(2):
            error = self.assertRaises(DataFolderError, DataFolder(self.data.path).lock)
            self.assertIn(f"process {process.pid})", str(error))

    def test_killed_holder(self) -> None:
        """A lock ends with its process, even when that was killed."""
        process = self.holder()
        process.kill()
        process.wait()
        self.data.lock()
        self.assertRaises(DataFolderError, DataFolder(self.data.path).lock)
        self.data.unlock()

    def test_unlock(self) -> None:
        """After unlock another one may have it; locking twice and unlocking twice do no harm."""
        self.data.lock()
        self.data.lock()
        self.data.unlock()
        self.data.unlock()
        other = DataFolder(self.data.path)
        other.lock()
        self.assertRaises(DataFolderError, self.data.lock)
        other.unlock()

    def test_not_inherited(self) -> None:
        """A program started by the server does not hold the folder after it."""
        self.data.lock()
        child = subprocess.Popen(["sleep", "600"], close_fds=False)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        self.data.unlock()
        other = DataFolder(self.data.path)
        other.lock()
        other.unlock()

    def test_no_folder(self) -> None:
        """Locking a folder that was not prepared is an error that names it."""
        data = DataFolder(self.top / "none")
        self.assertIn(str(data.path), str(self.assertRaises(DataFolderError, data.lock)))


class OtherUserTests(Place):
    """Started as root for another user."""

    if os.geteuid() != 0:
        skip = "only root can change to another user"

    def setUp(self) -> None:
        """Let the other user come in."""
        super().setUp()
        self.top.chmod(0o755)

    def owners(self, path: Path) -> set[int]:
        """The users to whom a folder and all in it belong."""
        return {entry.lstat().st_uid for entry in (path, *path.rglob("*"))}

    def test_new_in_a_place_of_root(self) -> None:
        """A folder that only root can make there belongs to the user, who can reach it whatever the umask."""
        data = DataFolder(self.top / "a" / "b")
        self.addCleanup(os.umask, os.umask(0o077))
        data.prepare(NOBODY, NOBODY)
        self.assertEqual((data.path.stat().st_uid, data.path.stat().st_gid), (NOBODY, NOBODY))
        self.assertEqual(data.path.parent.stat().st_uid, 0)
        self.assertEqual([mode(data.path), mode(data.path.parent)], [oct(0o700), oct(0o755)])

    def test_new_in_a_place_of_the_user(self) -> None:
        """In the user's own place everything is made with the user's rights."""
        os.chown(self.top, NOBODY, NOBODY)
        DataFolder(self.top / "a" / "b").prepare(NOBODY)
        self.assertEqual(self.owners(self.top), {NOBODY})
        self.assertEqual(os.geteuid(), 0)

    def test_after_a_start_as_root(self) -> None:
        """Files of an earlier start as root go to the user."""
        self.data.prepare()
        self.data.lock()
        self.data.unlock()
        self.data.write(self.data.master_key, b"key")
        self.data.valkey.mkdir()
        (self.data.valkey / "valkey.log").touch()
        self.data.prepare(NOBODY, NOBODY)
        self.assertEqual(self.owners(self.data.path), {NOBODY})

    def test_links_are_not_followed(self) -> None:
        """What the folder only points to, or shares with another place, stays root's."""
        secret = self.top / "secret"
        secret.touch()
        self.data.prepare()
        self.data.lock()
        self.data.unlock()
        (self.data.path / "soft").symlink_to(secret)
        (self.data.path / "hard").hardlink_to(secret)
        self.data.prepare(NOBODY)
        self.assertEqual(secret.stat().st_uid, 0)
        self.assertEqual(self.data.path.stat().st_uid, NOBODY)

    def test_other_folder_of_root(self) -> None:
        """A private folder of root that no oauthd has used is not given away."""
        self.data.path.mkdir(0o700)
        (self.data.path / "letter.txt").touch()
        self.assertRaises(DataFolderError, self.data.prepare, NOBODY)
        self.assertEqual(self.owners(self.data.path), {0})

    def test_folder_of_a_third(self) -> None:
        """A folder of yet another user is refused."""
        self.data.path.mkdir(0o700)
        os.chown(self.data.path, 12345, -1)
        error = self.assertRaises(DataFolderError, self.data.prepare, NOBODY)
        self.assertIn("12345", str(error))

    def test_out_of_reach(self) -> None:
        """A folder behind one that the user cannot enter is refused as long as root can say so."""
        self.top.chmod(0o700)
        error = self.assertRaises(DataFolderError, self.data.prepare, NOBODY)
        self.assertIn("cannot be reached", str(error))
        self.assertEqual(os.geteuid(), 0)

    def test_second_start(self) -> None:
        """Preparing again for the same user changes nothing, and that user can lock it and root's lock is refused."""
        self.data.prepare(NOBODY)
        pid = os.fork()
        if pid == 0:
            os.setuid(NOBODY)
            try:
                self.data.prepare()
                self.data.lock()
                self.data.write(self.data.master_key, b"key")
            except BaseException:
                os._exit(1)
            os._exit(0)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        self.data.prepare(NOBODY)
        self.assertEqual(self.owners(self.data.path), {NOBODY})
        self.data.lock()
        self.data.unlock()

    def test_folder_of_a_user_without_change_of_user(self) -> None:
        """A user who is not root is refused the folder of another."""
        self.data.path.mkdir(0o755)
        pid = os.fork()
        if pid == 0:
            os.setuid(NOBODY)
            try:
                self.data.prepare()
            except DataFolderError:
                os._exit(0)
            os._exit(1)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        self.assertEqual(mode(self.data.path), oct(0o755))
