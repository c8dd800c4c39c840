//! The process that writes a snapshot's file, or reads it. The server starts it, by `sys/spawn.rs`, for one file, and
//! talks to it on its standard input, a stream socket; it has nothing of the server's and may wait for the disk.
//! [`super::blocks`] tells what chunks are.
//!
//! Called with the words `write FILE` it takes chunks, and says in lines of text how it goes:
//!
//! | line | when |
//! | --- | --- |
//! | `begun` | the new file is open, and no other process writes one |
//! | `done BYTES` | the file is whole, on the disk and in its place, so many bytes long; nothing else follows |
//! | `failed TEXT` | anything else; FILE is what it was, and nothing else follows |
//!
//! With `write-last FILE` it waits for another process that writes one, instead of failing.
//!
//! It may fail before it has taken all; what it said can still be received when nothing can be sent to it any more. When
//! the server ends before the last chunk, it leaves no trace.
//!
//! Called with the words `read FILE` it says a chunk of eight bytes, the file's length (0: there is none), and then what
//! the file's blocks say. What goes wrong is a chunk whose length is [`LAST_WORDS`] and whose bytes, up to the end of the
//! stream, are a sentence; one about what the file says begins with its name in quotation marks.
//!
//! # Nothing is lost
//!
//! What is written is a new file beside FILE, `FILE.tmp`, that takes its name when all of it is on the disk: whatever
//! happens, FILE is the old one or the new one, and whole. Where FILE is a symbolic link, the link is replaced, as
//! rename(2) does: beside what it leads to there may be no room for a new file, nor the right to make one.
//!
//! A lock on the new file (flock(2)) keeps two processes from writing it. The kernel gives it back however the process
//! ends; what is left of the file then is written over by the next one. It lets a server that begins while its
//! predecessor's last snapshot is still being written wait for it.

use super::blocks;
use crate::sys::stdio::{INPUT, complain};
use crate::sys::{files, reason, spawn};
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The name that the program is called by to become this process.
pub const NAME: &CStr = c"memento-snapshot";

/// As the length of a chunk: a sentence follows, and the end.
pub const LAST_WORDS: u32 = u32::MAX;

/// Why it came to nothing, in a sentence for the server; an empty one where that has gone.
pub(super) type Failure = String;

#[inline(never)]
pub(super) fn cannot(what: &str, path: &str, error: io::Error) -> Failure {
    ["cannot ", what, " '", path, "': ", &reason(&error)].concat()
}

/// The process, from the words behind its name to its exit status: 0, 1 for a failure, 2 where no server called it.
#[inline(never)]
pub fn main(words: &[String]) -> i32 {
    spawn::show_name(NAME);
    let server = INPUT.as_fd();
    let (begin, outcome, end): (&[u8], _, &[u8]) = match words {
        [task, path] if task.starts_with("write") && files::is_socket(server) => {
            (b"failed ", write(server, path, task == "write-last"), b"\n")
        }
        [task, path] if task == "read" && files::is_socket(server) => {
            (&LAST_WORDS.to_le_bytes(), read(server, path), b"")
        }
        _ => {
            complain("memento-snapshot", "a server starts this by itself, and nobody else can");
            return 2;
        }
    };
    let Err(why) = outcome else { return 0 };
    if !why.is_empty() {
        for part in [begin, why.as_bytes(), end] {
            // Who has gone does not hear it.
            let _ = say(server, part);
        }
    }
    1
}

/// Sends something to the server, or whoever is there.
pub(super) fn say(to: BorrowedFd<'_>, bytes: &[u8]) -> Result<(), Failure> {
    files::write_all(to, bytes).map_err(|_| Failure::new())
}

/// The folder that a file is in.
fn folder(path: &str) -> &str {
    match path.rfind('/') {
        Some(at) => &path[..=at],
        None => ".",
    }
}

/// Opens the folder that a file is in.
fn open_folder(path: &str) -> Result<OwnedFd, Failure> {
    let folder = folder(path);
    files::to_read(folder.as_ref()).map_err(|error| cannot("open", folder, error))
}

/// What a new file is called until it is whole.
fn unfinished(path: &str) -> String {
    [path, ".tmp"].concat()
}

#[inline(never)]
fn write(server: BorrowedFd<'_>, path: &str, waits: bool) -> Result<(), Failure> {
    let folder_fd = open_folder(path)?;
    files::can_replace(path.as_ref()).map_err(|error| cannot("replace", path, error))?;
    let new = unfinished(path);
    let file = files::to_write_alone(new.as_ref(), waits).map_err(|error| cannot("open", &new, error))?;
    let Some(file) = file else { return Err(["another process writes '", &new, "'"].concat()) };
    let bytes = put_in_place(server, file.as_fd(), &new, path).inspect_err(|_| {
        // It is still ours, by its lock. One that cannot be removed is written over next time.
        let _ = files::remove(new.as_ref());
    })?;
    // The new name, too, is to be on the disk. Some file systems do that by themselves, and know no such call.
    match files::sync(folder_fd.as_fd()) {
        Err(error) if error.kind() != io::ErrorKind::InvalidInput => return Err(cannot("sync", folder(path), error)),
        _ => {}
    }
    say(server, ["done ", &bytes.to_string(), "\n"].concat().as_bytes())
}

/// Writes what the server says to the new file, and gives it its name; gives its length.
fn put_in_place(server: BorrowedFd<'_>, file: BorrowedFd<'_>, new: &str, path: &str) -> Result<u64, Failure> {
    say(server, b"begun\n")?;
    let bytes = blocks::write(server, file, new)?;
    files::sync(file).map_err(|error| cannot("write", new, error))?;
    files::rename(new, path).map_err(|error| cannot("replace", path, error))?;
    Ok(bytes)
}

#[inline(never)]
fn read(server: BorrowedFd<'_>, path: &str) -> Result<(), Failure> {
    // A folder that is not there is a mistake, or a disk that is missing; a file that is not there is none that was
    // written yet.
    drop(open_folder(path)?);
    files::wait_for_writer(unfinished(path).as_ref());
    let (file, length) = match files::only_file(path.as_ref()) {
        Ok((file, length)) => (Some(file), length),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (None, 0),
        Err(error) => return Err(cannot("open", path, error)),
    };
    say(server, &8_u32.to_le_bytes())?;
    say(server, &length.to_le_bytes())?;
    match file {
        Some(file) => blocks::read(file.as_fd(), path, server),
        None => say(server, &[0; 4]),
    }
}
