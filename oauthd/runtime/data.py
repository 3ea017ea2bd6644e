"""The data folder: where it lies, whose it is, and that one server alone uses it.

The place follows the XDG Base Directory specification and systemd's ``STATE_DIRECTORY`` (systemd.exec(5)). Refused: a
folder of somebody else, a folder that is open to others and full of files that are not ours (it would be closed to
them), a folder that another running server holds. What the files mean is left to those who write them. Everything here
touches the disk at once and is meant for the start and the end of a server; elsewhere call it in a thread.

With ``twistd --uid`` the order is: `DataFolder.prepare` as root, change of user, `DataFolder.lock` as that user.
"""

import errno
import fcntl
import os
import pwd
import stat
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

from twisted.logger import Logger
from twisted.python.util import runAsEffectiveUser

_LOCK = "oauthd.lock"
_OURS = frozenset({_LOCK, "master.key", "admin-credentials.json", "server.json", "valkey", "lost+found"})

log = Logger()


class DataFolderError(Exception):
    """The data folder cannot be used; the text names the folder and says what to do."""


class DataFolder:
    """One data folder. Making the object touches nothing.

    :param path: the folder; a relative one counts from the folder that is current now, since a daemon changes it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(os.path.abspath(path))
        self._lock: int | None = None

    @classmethod
    def choose(cls, setting: str | None, environ: Mapping[str, str], uid: int | None = None) -> Self:
        """The folder of this installation: the setting, else ``STATE_DIRECTORY``, else the user's data folder.

        :param setting: the path that a setting or flag names, None or empty when there is none.
        :param environ: the environment of the process.
        :param uid: the user the server will run as, None for the one who starts it.
        :raises DataFolderError: nothing was named and that user has no home.
        """
        if setting:
            return cls(os.path.expanduser(setting))
        # systemd joins several state directories with colons; the first is the service's main one.
        for folder in environ.get("STATE_DIRECTORY", "").split(":"):
            if folder:
                return cls(folder)
        if uid is not None and uid != os.geteuid():
            # The environment is that of the user who starts the server and says nothing about this one.
            return cls(os.path.join(_home(uid), ".local", "share", "oauthd"))
        shared = environ.get("XDG_DATA_HOME", "")
        if not os.path.isabs(shared):  # XDG Base Directory specification, "Basics": a relative path counts as unset
            shared = os.path.join(environ.get("HOME") or _home(os.geteuid()), ".local", "share")
        return cls(os.path.join(shared, "oauthd"))

    def __repr__(self) -> str:
        return f"DataFolder({str(self.path)!r})"

    @property
    def master_key(self) -> Path:
        """The file that holds the master key."""
        return self.path / "master.key"

    @property
    def admin_credentials(self) -> Path:
        """The file that tells the first administrator's credentials."""
        return self.path / "admin-credentials.json"

    @property
    def server_address(self) -> Path:
        """The file that tells the command line where the running server listens."""
        return self.path / "server.json"

    @property
    def valkey(self) -> Path:
        """The folder of the embedded Valkey."""
        return self.path / "valkey"

    def prepare(self, uid: int | None = None, gid: int | None = None) -> None:
        """Make the folder where it is missing, close it to others (0700) and give it to the user who will run in it.

        :param uid: the user the server changes to later; counts only when called as root. None: no change.
        :param gid: that user's group; None leaves the group of files as it is.
        :raises DataFolderError: it cannot be made, belongs to somebody else or must not be closed.
        """
        try:
            if uid and os.geteuid() == 0:
                self._prepare_for(uid, gid)
            else:
                self._make(0o700)
                self._close()
                owner = self.path.stat().st_uid
                if owner != os.geteuid():  # root may, and a container's root often must; its files are root's then
                    log.warn("the data folder {path} belongs to user {owner}", path=str(self.path), owner=owner)
        except OSError as problem:
            raise DataFolderError(f"data folder {self.path}: {problem.strerror or problem}") from problem

    def lock(self) -> None:
        """Hold the folder until `unlock` or the end of the process, however it ends.

        flock rather than a pid file: the kernel ends it with the process, and an old pid can be somebody else's by now.

        :raises DataFolderError: another server holds it (named by its pid) or the file cannot be locked.
        """
        if self._lock is not None:
            return
        try:
            handle = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as problem:
            raise DataFolderError(f"data folder {self.path}: {problem.strerror}") from problem
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            holder = os.pread(handle, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(handle)
            if problem.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise DataFolderError(f"data folder {self.path} cannot be locked: {problem.strerror}") from problem
            raise DataFolderError(f"data folder {self.path} is in use by another oauthd (process {holder})") from None
        self._lock = handle
        # The pid is only told to whoever is refused; on a full disk the lock holds without it.
        with suppress(OSError):
            os.ftruncate(handle, 0)
            os.pwrite(handle, b"%d\n" % os.getpid(), 0)

    def unlock(self) -> None:
        """Let go of the folder. The lock file stays: removing it would let two servers lock two files of one name."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def write(self, file: Path, content: bytes) -> None:
        """Put a file into the folder, 0600, whole or not at all, and on the disk before this returns.

        :param file: its path, one of this object's properties or another path below the folder.
        :param content: everything it shall hold.
        :raises OSError: it could not be written; what was there before is still there.
        """
        file.relative_to(self.path)  # ValueError: a file elsewhere is a mistake in the program
        handle, temporary = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                os.fchmod(handle, 0o600)  # as mkstemp made it, but for an umask that takes even from the owner
                stream.write(content)
                stream.flush()
                os.fsync(handle)
            os.replace(temporary, file)
        except BaseException:
            os.unlink(temporary)
            raise
        _flush_folder(file.parent)

    def _prepare_for(self, uid: int, gid: int | None) -> None:
        """Prepare as root for another user, with that user's own rights wherever they suffice."""

        def as_user(function: Callable[[], object]) -> None:
            # In a place of the user, root would follow whatever links the user put there.
            runAsEffectiveUser(uid, gid if gid is not None else _group(uid), function)  # type: ignore[no-untyped-call]

        try:
            as_user(lambda: self._make(0o700))
        except PermissionError:
            self._make(0o755)
        if self.path.stat().st_uid == uid:
            as_user(self._close)
        else:
            self._close()
            self._hand_over(uid, gid)
        try:
            as_user(lambda: os.listdir(self.path))
        except PermissionError:
            raise DataFolderError(f"data folder {self.path} cannot be reached by user {uid}") from None

    def _make(self, parents: int) -> None:
        """Make the folder (0700) and the folders above it that are missing, whatever the umask."""
        missing = [folder for folder in reversed(self.path.parents) if not folder.exists()]
        for folder, mode in [*((folder, parents) for folder in missing), (self.path, 0o700)]:
            with suppress(FileExistsError):
                folder.mkdir(mode)
                folder.chmod(mode)

    def _close(self) -> None:
        """Take others' rights away, unless the folder is plainly not ours, as /tmp."""
        found = self.path.stat()
        if not stat.S_ISDIR(found.st_mode):
            raise DataFolderError(f"data folder {self.path} is not a folder")
        if os.geteuid() not in (0, found.st_uid):
            raise DataFolderError(f"data folder {self.path} belongs to user {found.st_uid}: start oauthd as that user")
        mode = stat.S_IMODE(found.st_mode)
        if mode & 0o077 and (foreign := self._foreign()):
            raise DataFolderError(
                f"data folder {self.path} is open to others and holds other files (as {foreign}): "
                "name an empty folder, or close this one (mode 0700) if it is meant"
            )
        if mode != 0o700:
            self.path.chmod(0o700)

    def _foreign(self) -> str | None:
        """The name of something in a folder that no oauthd has used yet and that was not made for one."""
        names = set(os.listdir(self.path))
        # twistd writes its pid and log files where it is started, which may be here.
        foreign = sorted(name for name in names - _OURS if not name.startswith("twistd."))
        return foreign[0] if foreign and _LOCK not in names else None

    def _hand_over(self, uid: int, gid: int | None) -> None:
        """Give root's folder and all in it to the user, so that a start after one as root finds its files."""
        top = os.path.realpath(self.path)
        owner = os.stat(top).st_uid
        if owner != 0:
            raise DataFolderError(f"data folder {self.path} belongs to user {owner}, not to {uid}")
        if foreign := self._foreign():
            raise DataFolderError(f"data folder {self.path} is root's and holds other files (as {foreign})")
        group = -1 if gid is None else gid
        # Nobody but root can come in here (0700 by now), still links out of the folder are left alone: a file with a
        # second name could be anybody's. The top goes last, so that a start that was cut short is done again.
        for _, folders, files, place in os.fwalk(top, follow_symlinks=False):
            for name in (*folders, *files):
                entry = os.stat(name, dir_fd=place, follow_symlinks=False)
                if stat.S_ISDIR(entry.st_mode) or entry.st_nlink == 1:
                    os.chown(name, uid, group, dir_fd=place, follow_symlinks=False)
        os.chown(top, uid, group)


def _home(uid: int) -> str:
    """The home of a user, by the password database."""
    with suppress(KeyError):
        home = pwd.getpwuid(uid).pw_dir
        if os.path.isdir(home):
            return home
    raise DataFolderError(f"user {uid} has no home: name a data folder")


def _group(uid: int) -> int:
    """The first group of a user; root's own for a user that the password database does not know."""
    with suppress(KeyError):
        return pwd.getpwuid(uid).pw_gid
    return os.getegid()


def _flush_folder(folder: Path) -> None:
    """Bring the names of a folder to the disk: a rename alone is not there after a crash."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
