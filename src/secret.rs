//! Passwords and other secrets, which are never words of a command line: everybody on the box would see them there (ps).

use crate::sys::program::variable;
use crate::sys::{files, reason};
use std::ffi::OsString;
use std::path::Path;

/// The bytes that are read of a file whose first line is wanted: one that is longer is a mistake.
const FILE_BYTES_MAX: usize = 64 * 1024;

/// The first line of the file that option `name` gives.
///
/// # Errors
/// A sentence that names option and file.
#[inline(never)]
pub fn first_line(name: &str, path: &str) -> Result<Vec<u8>, String> {
    let failed = |why: &str| Err(format!("--{name}: {path}: {why}"));
    let text = match files::read_at_most(Path::new(path), FILE_BYTES_MAX) {
        Ok(text) => text,
        Err(error) => return failed(&reason(&error)),
    };
    let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match line.len() {
        0 => failed("its first line is empty"),
        FILE_BYTES_MAX => failed("its first line is longer than 64 KiB"),
        _ => Ok(line.to_vec()),
    }
}

/// The first line of the password file, where one is given; else what the environment says (`MEMENTO_PASSWORD`).
///
/// # Errors
/// As [`first_line`].
pub fn password(path: Option<&str>) -> Result<Option<Vec<u8>>, String> {
    match path {
        Some(path) => first_line("password-file", path).map(Some),
        None => Ok(variable(c"MEMENTO_PASSWORD").map(OsString::into_encoded_bytes).filter(|word| !word.is_empty())),
    }
}
