"""The two files of the vault on disk, and who may read them.

`master.keyring` and `host.key` are 0600 in a folder of 0700 and belong to the user of this process. A key file that
lies beside the database protects against a leaked *database* only: whoever can copy the folder has both. Binding the
host key to the machine takes systemd credentials (systemd.exec(5), LoadCredentialEncrypted=).
"""

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from clawdbox.errors import StartRefused, Unavailable

KEYRING = "master.keyring"
HOST_KEY = "host.key"
NEXT_HOST_KEY = "host.key.next"
CREDENTIAL = "clawdbox-host-key"


def prepare_folder(folder: Path) -> None:
    """Make the data folder, or take an empty one over, as 0700; then check it. A folder in use is never changed."""
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        pass
    except OSError as error:
        raise _no_folder(folder, error) from None
    if folder.is_dir() and folder.stat().st_uid == os.geteuid() and not any(folder.iterdir()):
        folder.chmod(0o700)
    with opened_folder(folder):
        pass


@contextlib.contextmanager
def opened_folder(folder: Path) -> Iterator[int]:
    """A descriptor of the folder after checking it, so that what is then opened in it is in that very folder."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _no_folder(folder, error) from None
    try:
        _check_folder(os.fstat(fd), folder)
        yield fd
    finally:
        os.close(fd)


def read_private(folder_fd: int, folder: Path, name: str, limit: int) -> bytes | None:
    """The file's first `limit` + 1 bytes, or None when there is none."""
    return _read(folder_fd, folder / name, limit, _check_file)


def write_private(folder_fd: int, name: str, content: bytes) -> None:
    """All or nothing, and still there after a power cut: temporary file, fsync, rename, fsync of the folder."""
    try:
        _write(folder_fd, name, content)
    except OSError as error:
        raise Unavailable(
            "keyring_unwritable",
            f"{name} cannot be written: {error.strerror}. The old file, if any, is as it was.",
        ) from None


def _write(folder_fd: int, name: str, content: bytes) -> None:
    temporary = f".{name}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=folder_fd)  # left by a write that was cut off
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(temporary, flags, 0o600, dir_fd=folder_fd)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=folder_fd)
        raise
    os.fsync(folder_fd)


def rename_private(folder_fd: int, name: str, to: str) -> None:
    """Raises FileNotFoundError. Still so after a power cut."""
    os.rename(name, to, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
    os.fsync(folder_fd)


def remove_private(folder_fd: int, name: str) -> None:
    """One that is not there is as good as removed."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder_fd)
        os.fsync(folder_fd)


def credential_path(environ: Mapping[str, str]) -> Path | None:
    """The host key that systemd hands over, when it does (systemd.exec(5), $CREDENTIALS_DIRECTORY)."""
    folder = environ.get("CREDENTIALS_DIRECTORY")
    path = Path(folder, CREDENTIAL) if folder else None
    return path if path is not None and os.path.lexists(path) else None


def has_credential(environ: Mapping[str, str] = os.environ) -> bool:
    return credential_path(environ) is not None


def read_credential(path: Path, limit: int) -> bytes | None:
    return _read(None, path, limit, _check_credential)


def _read(
    folder_fd: int | None, path: Path, limit: int, check: Callable[[os.stat_result, Path], None]
) -> bytes | None:
    name = path if folder_fd is None else path.name
    try:
        # O_NONBLOCK: opening a planted FIFO must not wait for its writer.
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder_fd)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, error) from None
    try:
        check(os.fstat(fd), path)
        with os.fdopen(fd, "rb", closefd=False) as file:
            return file.read(limit + 1)
    except OSError as error:
        raise _unreadable(path, error) from None
    finally:
        os.close(fd)


def _unreadable(path: Path, error: OSError) -> StartRefused:
    if error.errno == errno.ELOOP:
        return StartRefused(
            "keyring_symlink", f"{path} is a symbolic link. Put the file itself there.", path=str(path)
        )
    return StartRefused("keyring_permissions", f"{path} cannot be read: {error.strerror}.", path=str(path))


def _no_folder(folder: Path, error: OSError) -> StartRefused:
    message = f"The data folder {folder} cannot be used: {error.strerror}. Name another with --data-dir."
    return StartRefused("keyring_directory", message, path=str(folder))


def _check_folder(info: os.stat_result, folder: Path) -> None:
    _check_owner(info, folder)
    if info.st_mode & 0o077:
        raise StartRefused(
            "keyring_directory_permissions",
            f"Others may enter the data folder {folder} (mode {stat.S_IMODE(info.st_mode):04o}). "
            f"Close it: chmod 700 '{folder}'",
            path=str(folder),
        )


def _check_file(info: os.stat_result, path: Path) -> None:
    _check_regular(info, path)
    _check_owner(info, path)
    if info.st_mode & 0o077:
        raise StartRefused(
            "keyring_permissions",
            f"Others may read or write {path} (mode {stat.S_IMODE(info.st_mode):04o}). Close it: chmod 600 '{path}'",
            path=str(path),
        )


def _check_credential(info: os.stat_result, path: Path) -> None:
    """systemd itself owns these (0400, or 0440 with an access list), so only "everyone" is refused."""
    _check_regular(info, path)
    if info.st_mode & 0o007:
        raise StartRefused("keyring_permissions", f"Everyone may read the credential {path}.", path=str(path))


def _check_regular(info: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(info.st_mode):
        raise StartRefused("keyring_not_a_file", f"{path} is not a regular file.", path=str(path))


def _check_owner(info: os.stat_result, path: Path) -> None:
    if info.st_uid != os.geteuid():
        raise StartRefused(
            "keyring_owner",
            f"{path} belongs to user id {info.st_uid}, but the box runs as {os.geteuid()}. Start it as that user.",
            path=str(path),
        )
