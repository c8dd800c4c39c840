//! Files by their descriptors: the standard library takes more room for it. What is made here nobody else may read.

use super::sentence;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, fchmod, fstat, lstat};
use nix::sys::uio::pread;
use nix::unistd::{fsync, ftruncate, read, unlink};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// So much is read at a time.
const PIECE_BYTES: usize = 4096;

/// What a pipe holds.
const READ_BYTES: usize = 64 * 1024;

/// The mode of a file that nobody else may read.
const OWN: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR);

/// How often a file is opened that others rename as soon as it can be locked.
const LOCK_TRIES: usize = 10;

#[inline(never)]
fn opened(path: &Path, flags: OFlag) -> io::Result<OwnedFd> {
    let path = super::c_path(path)?;
    super::retry(|| open(path.as_c_str(), flags | OFlag::O_CLOEXEC | OFlag::O_LARGEFILE, OWN))
}

/// Opens a file to read it.
///
/// # Errors
/// Those of `open(2)`.
pub fn to_read(path: &Path) -> io::Result<OwnedFd> {
    opened(path, OFlag::O_RDONLY)
}

/// Opens a file to read it, and to write behind its end; makes one that is not there.
///
/// # Errors
/// Those of `open(2)`.
pub fn to_append(path: &Path) -> io::Result<OwnedFd> {
    opened(path, OFlag::O_RDWR | OFlag::O_APPEND | OFlag::O_CREAT)
}

/// A file that is nothing else, no folder, pipe or device.
pub struct Regular {
    /// Its descriptor.
    pub fd: OwnedFd,
    /// How long it is.
    pub length: u64,
    /// No other file has this pair.
    place: (libc::dev_t, libc::ino_t),
}

/// Opens what must be a file to read it, where a folder, a pipe or a device may be as well.
///
/// # Errors
/// Those of `open(2)`; a sentence where it is no file.
pub fn only_file(path: &Path) -> io::Result<Regular> {
    regular(path, OFlag::O_RDONLY)
}

/// Makes a file that no other process writes as long as the descriptor is held; one that was left there is removed.
/// Another process that writes it may be waited for. It may be renamed and removed meanwhile.
///
/// # Errors
/// Those of `open(2)`, `flock(2)` and `unlink(2)`; a sentence where there is something else than a file, or another
/// process writes it.
#[inline(never)]
pub fn to_write_alone(path: &Path, waits: bool) -> io::Result<OwnedFd> {
    for _ in 0..LOCK_TRIES {
        let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW;
        let made = regular(path, flags | OFlag::O_CREAT | OFlag::O_EXCL);
        let is_new = made.is_ok();
        let file = match made {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match regular(path, flags) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                left => left?,
            },
            made => made?,
        };
        match lock(file.fd.as_fd(), libc::LOCK_EX | if waits { 0 } else { libc::LOCK_NB }) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            outcome => outcome?,
        }
        // Between the two calls, who held the lock may have given the file its name. What is there now is another one,
        // or none.
        if lstat(path).is_ok_and(|there| (there.st_dev, there.st_ino) == file.place) {
            if is_new {
                return Ok(file.fd);
            }
            // It may have other names, which are not ours, and be open to others.
            remove(path)?;
        }
    }
    Err(sentence(io::ErrorKind::WouldBlock, format_args!("another process writes it")))
}

/// Waits until nobody writes a file that [`to_write_alone`] opened, where there is one.
pub fn wait_for_writer(path: &Path) {
    if let Ok(file) = regular(path, OFlag::O_RDONLY | OFlag::O_NOFOLLOW) {
        // A file system without locks has nobody to wait for.
        let _ = lock(file.fd.as_fd(), libc::LOCK_SH);
    }
}

/// Whether a file may be put in the place of what is there: another file, a link, or nothing.
///
/// # Errors
/// Those of `lstat(2)`; a sentence where it is something else.
pub fn can_replace(path: &Path) -> io::Result<()> {
    match lstat(path) {
        Ok(there) if there.st_mode & libc::S_IFMT == libc::S_IFLNK => Ok(()),
        Ok(there) => must_be_file(there.st_mode),
        Err(Errno::ENOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Opens a file, and nothing else. A pipe whose other end nobody has opened would keep open(2) waiting.
#[inline(never)]
fn regular(path: &Path, flags: OFlag) -> io::Result<Regular> {
    let fd = opened(path, flags | OFlag::O_NONBLOCK)?;
    let found = fstat(fd.as_fd())?;
    must_be_file(found.st_mode)?;
    Ok(Regular { fd, length: found.st_size as u64, place: (found.st_dev, found.st_ino) })
}

#[inline(never)]
fn must_be_file(mode: libc::mode_t) -> io::Result<()> {
    if mode & libc::S_IFMT == libc::S_IFREG {
        return Ok(());
    }
    Err(sentence(io::ErrorKind::InvalidInput, format_args!("it is no regular file")))
}

fn lock(file: BorrowedFd<'_>, how: i32) -> io::Result<()> {
    super::retry(|| {
        // SAFETY: flock(2) knows of nothing but the descriptor, which is open.
        Errno::result(unsafe { libc::flock(file.as_raw_fd(), how) })?;
        Ok(())
    })
}

/// Whether it is a socket.
pub fn is_socket(what: BorrowedFd<'_>) -> bool {
    fstat(what).is_ok_and(|found| found.st_mode & libc::S_IFMT == libc::S_IFSOCK)
}

/// Writes a file anew.
///
/// # Errors
/// Those of `open(2)` and `write(2)`.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = opened(path, OFlag::O_WRONLY | OFlag::O_TRUNC | OFlag::O_CREAT)?;
    write_all(file.as_fd(), bytes)
}

/// Removes a file.
///
/// # Errors
/// Those of `unlink(2)`.
pub fn remove(path: &Path) -> io::Result<()> {
    Ok(unlink(super::c_path(path)?.as_c_str())?)
}

/// Gives a file another name, in place of a file that has that name.
///
/// # Errors
/// Those of `rename(2)`.
pub fn rename(from: &str, to: &str) -> io::Result<()> {
    let names = [from, "\0", to, "\0"].concat();
    let (from, to) = names.split_at(from.len() + 1);
    // SAFETY: both names end with a zero.
    Errno::result(unsafe { libc::rename(from.as_ptr().cast(), to.as_ptr().cast()) })?;
    Ok(())
}

/// The first so many bytes of a file.
///
/// # Errors
/// Those of `open(2)` and `read(2)`.
pub fn read_at_most(path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    let file = to_read(path)?;
    let mut bytes = Vec::new();
    let mut piece = [0; PIECE_BYTES];
    loop {
        let wanted = PIECE_BYTES.min(bytes_max - bytes.len());
        let count = super::retry(|| read(&file, &mut piece[..wanted]))?;
        if count == 0 {
            return Ok(bytes);
        }
        bytes.try_reserve(count).map_err(|_| Errno::ENOMEM)?;
        bytes.extend_from_slice(&piece[..count]);
    }
}

/// All of a file that is text.
///
/// # Errors
/// Those of [`read_at_most`]; `InvalidData` where it is no UTF-8.
pub fn read_text(path: &str) -> io::Result<String> {
    let bytes = read_at_most(path.as_ref(), usize::MAX)?;
    String::from_utf8(bytes).map_err(|_| sentence(io::ErrorKind::InvalidData, format_args!("it is no UTF-8")))
}

/// Reads what there is, [`READ_BYTES`] at most, behind what `bytes` has; gives how much that was, 0 at the end.
///
/// # Errors
/// Those of `read(2)`.
pub fn read_more(from: BorrowedFd<'_>, bytes: &mut Vec<u8>) -> io::Result<usize> {
    let length = bytes.len();
    bytes.resize(length + READ_BYTES, 0);
    let count = super::retry(|| read(from, &mut bytes[length..]));
    bytes.truncate(length + *count.as_ref().unwrap_or(&0));
    count
}

/// Fills `bytes` with what comes; gives how much came before the end, which is all of it where the end did not come.
///
/// # Errors
/// Those of `read(2)`.
#[inline(never)]
pub fn fill(from: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        let count = super::retry(|| read(from, &mut bytes[filled..]))?;
        if count == 0 {
            break;
        }
        filled += count;
    }
    Ok(filled)
}

/// Fills `bytes` with what the file has from `at` on.
///
/// # Errors
/// Those of `pread(2)`; `UnexpectedEof` where the file ends before.
pub fn read_at(file: BorrowedFd<'_>, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = super::retry(|| pread(file, bytes, at as libc::off_t))?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes = &mut bytes[count..];
        at += count as u64;
    }
    Ok(())
}

/// Writes all of `bytes`.
///
/// # Errors
/// Those of `write(2)`.
#[inline(never)]
pub fn write_all(to: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let count = super::retry(|| nix::unistd::write(to, rest))?;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        rest = &rest[count..];
    }
    Ok(())
}

/// How long a file is; 0 for what is no file, such as a pipe.
///
/// # Errors
/// Those of `fstat(2)`.
pub fn length(file: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(fstat(file)?.st_size as u64)
}

/// Sees to it that nobody else may read a file of ours. What is no file, such as `/dev/null`, stays as it is.
///
/// # Errors
/// Those of `fstat(2)` and `fchmod(2)`.
pub fn close_to_others(file: BorrowedFd<'_>) -> io::Result<()> {
    let mode = fstat(file)?.st_mode;
    if mode & libc::S_IFMT == libc::S_IFREG && mode & 0o077 != 0 {
        fchmod(file, OWN)?;
    }
    Ok(())
}

/// Cuts a file to this length.
///
/// # Errors
/// Those of `ftruncate(2)`.
pub fn truncate(file: BorrowedFd<'_>, bytes: u64) -> io::Result<()> {
    super::retry(|| ftruncate(file, bytes as libc::off_t))
}

/// Has what was written between these two places be on its way to the disk, so that there is less to wait for in the end.
/// Where that cannot be, it is done in the end.
pub fn begin_sync(file: BorrowedFd<'_>, from: u64, to: u64) {
    let how = libc::SYNC_FILE_RANGE_WRITE;
    // SAFETY: sync_file_range(2) knows of nothing but the descriptor, which is open.
    unsafe { libc::sync_file_range(file.as_raw_fd(), from as _, (to - from) as _, how) };
}

/// Returns when what was written is on the disk.
///
/// # Errors
/// Those of `fsync(2)`.
pub fn sync(file: BorrowedFd<'_>) -> io::Result<()> {
    super::retry(|| fsync(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_is_asked_for_is_read() {
        for bytes_max in [0, 1, PIECE_BYTES, 3 * PIECE_BYTES + 1] {
            assert_eq!(read_at_most("/dev/zero".as_ref(), bytes_max).expect("zeros"), vec![0; bytes_max]);
        }
        let whole = std::fs::read("Cargo.lock").expect("the whole");
        assert_eq!(read_at_most("Cargo.lock".as_ref(), usize::MAX).expect("the same"), whole);
        assert_eq!(read_at_most("Cargo.lock".as_ref(), 5000).expect("its beginning"), whole[..5000]);
        assert_eq!(read_text("Cargo.lock").expect("text").into_bytes(), whole);
        assert_eq!(read_text("/no/such").unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_is_made_is_for_nobody_else_and_is_read_where_it_was_written() {
        use std::os::unix::fs::PermissionsExt;
        let path = std::env::temp_dir().join(format!("memento-files-{}", std::process::id()));
        let mode = || std::fs::metadata(&path).expect("the file").permissions().mode() & 0o777;
        write(&path, b"what was there before").expect("a file");
        assert_eq!(mode(), 0o600);
        write(&path, b"012").expect("the same file");
        let file = to_append(&path).expect("the same file");
        write_all(file.as_fd(), b"345").expect("behind its end");
        sync(file.as_fd()).expect("a disk");
        assert_eq!(length(file.as_fd()).expect("a length"), 6);
        let mut bytes = [0; 4];
        read_at(file.as_fd(), &mut bytes, 2).expect("the end");
        assert_eq!(&bytes, b"2345");
        let short = read_at(file.as_fd(), &mut bytes, 3).unwrap_err();
        assert_eq!(short.kind(), io::ErrorKind::UnexpectedEof);
        truncate(file.as_fd(), 2).expect("a shorter file");
        assert_eq!(read_at_most(&path, 9).expect("what is left"), b"01");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("our own file");
        close_to_others(file.as_fd()).expect("our own file");
        assert_eq!(mode(), 0o600);
        close_to_others(to_append("/dev/null".as_ref()).expect("it").as_fd()).expect("no file");
        remove(&path).expect("the file");
        assert!(!path.exists());
    }
}
