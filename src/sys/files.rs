//! Files that are read once, from their beginning.

use super::sentence;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::read;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

/// So much is read at a time.
const PIECE_BYTES: usize = 4096;

/// Opens a file to read it.
///
/// # Errors
/// Those of `open(2)`.
pub fn to_read(path: &Path) -> io::Result<OwnedFd> {
    super::retry(|| open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()))
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
    String::from_utf8(bytes).map_err(|_| sentence(io::ErrorKind::InvalidData, "it is no UTF-8".into()))
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
}
