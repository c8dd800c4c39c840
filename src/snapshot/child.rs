//! The process that writes a snapshot's file, or reads it. The server starts it, by `sys/spawn.rs`, for one file, and
//! talks to it on its standard input, a stream socket; it has nothing of the server's and may wait for the disk.
//! [`super::blocks`] tells what chunks are.
//!
//! Called with the words `write FILE` it takes chunks, and says in lines of text how it goes; with `write-last FILE` it waits
//! for another process that writes the file instead of giving up:
//!
//! | line | when |
//! | --- | --- |
//! | `begun` | the new file is open, and no other process writes one |
//! | `done BYTES` | the file is whole, on the disk and in its place, so many bytes long; nothing else follows |
//! | `failed TEXT` | anything else; nothing else follows. FILE is what it was, other than where its folder cannot be synced |
//!
//! It may fail before it has taken all; what it said can still be received when nothing can be sent to it any more. When
//! the server ends before the last chunk, or says what is no chunk, it leaves no trace.
//!
//! Called with the words `read FILE` it says a chunk of eight bytes, the file's length (0: there is none), and then what
//! the file's blocks say. What goes wrong is a chunk whose length is [`LAST_WORDS`] and whose bytes, up to the end of the
//! stream, are a sentence.
//!
//! # Nothing is lost
//!
//! What is written is a new file beside FILE, `FILE.tmp`, that takes its name when all of it is on the disk: whatever
//! happens, FILE is the old one or the new one, and whole. Where FILE is a symbolic link, the link is replaced, as
//! rename(2) does: beside what it leads to there may be no room for a new file, nor the right to make one.
//!
//! A lock on the new file (flock(2)) keeps two processes from writing it. The kernel gives it back however the process
//! ends; what is left of the file then is removed by the next one. It lets a server that begins while its
//! predecessor's last snapshot is still being written wait for it.

use super::blocks;
use crate::sys::stdio::{INPUT, complain};
use crate::sys::{files, reason};
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// The name that the program is called by to become this process.
pub const NAME: &CStr = c"memento-snapshot";

/// As the length of a chunk: a sentence follows, and the end.
pub const LAST_WORDS: u32 = u32::MAX;

/// What could not be done, with the file's name for the percent sign; why follows.
pub(super) const WRITE: &str = "cannot write '%.tmp': ";
const REPLACE: &str = "cannot replace '%': ";

/// That it has come to nothing. Why is kept in [`Child::why`], so that this is nothing to be passed on.
#[derive(Debug)]
pub(super) struct Failed;

/// The process.
pub(super) struct Child<'a> {
    /// Whom it works for.
    server: BorrowedFd<'a>,
    /// The file.
    path: &'a str,
    /// What a new one is called until it is whole.
    new: String,
    /// Why it came to nothing, as a sentence for the server; empty where that has gone.
    why: String,
}

/// The process, from the words behind its name to its exit status: 0, 1 for a failure, 2 where no server called it.
#[inline(never)]
pub fn main(words: &[String]) -> i32 {
    // For those who look at all processes, instead of `exe`; the kernel keeps what fits.
    let _ = files::write("/proc/self/comm".as_ref(), NAME.to_bytes());
    let server = INPUT.as_fd();
    let (task, path) = match words {
        [task, path] => (&task[..], &path[..]),
        _ => ("", ""),
    };
    let (reads, writes, waits) = (task == "read", task.starts_with("write"), task == "write-last");
    if !(reads || writes) || path.is_empty() || !files::is_socket(server) {
        complain("memento-snapshot", "a server starts this by itself, nobody else can");
        return 2;
    }
    let mut child = Child::new(server, path);
    if child.run(writes, waits).is_ok() {
        return 0;
    }
    if !child.why.is_empty() {
        let (begin, end): (&[u8], &[u8]) = if writes { (b"failed ", b"\n") } else { (&LAST_WORDS.to_le_bytes(), b"") };
        // Who has gone does not hear it.
        let _ = child.say(begin);
        let _ = child.say(child.why.as_bytes());
        let _ = child.say(end);
    }
    1
}

impl<'a> Child<'a> {
    pub(super) fn new(server: BorrowedFd<'a>, path: &'a str) -> Child<'a> {
        Child { server, path, new: [path, ".tmp"].concat(), why: String::new() }
    }

    /// This is wrong, with the file's name for the percent sign.
    #[inline(never)]
    pub(super) fn wrong(&mut self, what: &str, detail: &str) -> Failed {
        let (before, after) = what.split_once('%').unwrap_or_default();
        self.why = [before, self.path, after, detail].concat();
        Failed
    }

    #[inline(never)]
    fn refused(&mut self, what: &str, error: io::Error) -> Failed {
        self.wrong(what, &reason(&error))
    }

    /// This is wrong with the file, and what the number says of it.
    #[inline(never)]
    pub(super) fn spoilt(&mut self, what: &str, number: u64) -> Failed {
        self.wrong(what, &number.to_string())
    }

    /// What came of a call; `what` could not be done where it failed.
    pub(super) fn done<T>(&mut self, outcome: io::Result<T>, what: &str) -> Result<T, Failed> {
        outcome.map_err(|error| self.refused(what, error))
    }

    /// Says something to the server, or whoever is there; one that has gone has no use for anything more.
    pub(super) fn say(&self, bytes: &[u8]) -> Result<(), Failed> {
        files::write_all(self.server, bytes).map_err(|_| Failed)
    }

    /// Hears so many bytes of the server. One that ends, whatever way, has no use for anything more either.
    pub(super) fn hear(&self, bytes: &mut [u8]) -> Result<(), Failed> {
        match files::fill(self.server, bytes) {
            Ok(count) if count == bytes.len() => Ok(()),
            _ => Err(Failed),
        }
    }

    fn run(&mut self, writes: bool, waits: bool) -> Result<(), Failed> {
        // A folder that is not there is a mistake, or a disk that is missing; a file that is not there is one that was
        // not written yet.
        let name = self.path.bytes().rev().take_while(|&byte| byte != b'/').count();
        let folder = [&self.path[..self.path.len() - name], "."].concat();
        let folder = self.done(files::to_read(folder.as_ref()), "cannot open the folder of '%': ")?;
        if writes { self.write(folder.as_fd(), waits) } else { self.read() }
    }

    fn write(&mut self, folder: BorrowedFd<'_>, waits: bool) -> Result<(), Failed> {
        self.done(files::can_replace(self.path.as_ref()), REPLACE)?;
        let file = self.done(files::to_write_alone(self.new.as_ref(), waits), "cannot open '%.tmp': ")?;
        let written = self.put_in_place(file.as_fd());
        if written.is_err() {
            // It is still ours, by its lock. One that cannot be removed will be, next time.
            let _ = files::remove(self.new.as_ref());
        }
        let bytes = written?;
        // The new name, too, is to be on the disk. A file system that does that by itself may not know such a call.
        let synced = match files::sync(folder) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            outcome => outcome,
        };
        self.done(synced, "cannot sync the folder of '%': ")?;
        self.say(["done ", &bytes.to_string(), "\n"].concat().as_bytes())
    }

    /// Writes what the server says to the new file, and gives it its name; gives its length.
    fn put_in_place(&mut self, file: BorrowedFd<'_>) -> Result<u64, Failed> {
        // What was said to its end is written also where its server has gone.
        let _ = self.say(b"begun\n");
        let bytes = blocks::write(self, file)?;
        self.done(files::sync(file), WRITE)?;
        self.done(files::rename(&self.new, self.path), REPLACE)?;
        Ok(bytes)
    }

    fn read(&mut self) -> Result<(), Failed> {
        files::wait_for_writer(self.new.as_ref());
        let file = match files::only_file(self.path.as_ref()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            outcome => Some(self.done(outcome, "cannot open '%': ")?),
        };
        let length = file.as_ref().map_or(0, |file| file.length);
        let mut first = [0; 12];
        first[0] = 8;
        first[4..].copy_from_slice(&length.to_le_bytes());
        self.say(&first)?;
        if let Some(file) = file {
            blocks::read(self, file.fd.as_fd(), length)?;
        }
        self.say(&[0; 4])
    }
}
