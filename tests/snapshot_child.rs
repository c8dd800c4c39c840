//! The process that writes and reads the file of a snapshot, driven as the server drives it. `MEMENTO_SEED=n` repeats the
//! random tests with that seed.

mod support;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use support::{DEADLINE, Scratch, need, program, receive, run_to_end, skip};

const NAME: &str = "memento-snapshot";
const HEAD_BYTES: usize = 16;
const BLOCK_HEAD_BYTES: usize = 12;
const BLOCK_BYTES_MAX: usize = 1 << 20;

/// The process, and the server's end of the socket to it.
struct Task {
    child: Child,
    server: UnixStream,
}

impl Task {
    fn start(task: &str, path: &Path) -> Task {
        let mut command = Command::new(program());
        command.arg0(NAME);
        Task::start_as(command, task, path)
    }

    fn start_as(mut command: Command, task: &str, path: &Path) -> Task {
        let (server, theirs) = UnixStream::pair().expect("sockets");
        server.set_read_timeout(Some(DEADLINE)).expect("a deadline");
        server.set_write_timeout(Some(DEADLINE)).expect("a deadline");
        command.arg(task).arg(path).stdin(Stdio::from(OwnedFd::from(theirs)));
        let child = command.spawn().expect("the program");
        Task { child, server }
    }

    /// Says a chunk; false where nobody listens any more.
    fn say(&mut self, chunk: &[u8]) -> bool {
        let bytes = [&(chunk.len() as u32).to_le_bytes(), chunk].concat();
        self.server.write_all(&bytes).is_ok()
    }

    /// All that is said until the end.
    fn hear(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.server.read_to_end(&mut bytes) {
            Ok(_) => {}
            // It had not taken all that was said.
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "after {}", support::show(&bytes)),
        }
        bytes
    }

    fn hear_line(&mut self) -> String {
        let mut line = String::new();
        let mut byte = [0];
        while !line.ends_with('\n') && receive(&mut self.server, &mut byte).expect("a line in time") > 0 {
            line.push(byte[0].into());
        }
        line
    }

    /// All that is said until the end, as text, and how it ended.
    fn end(mut self) -> (String, ExitStatus) {
        let text = String::from_utf8(self.hear()).expect("text");
        (text, self.child.wait().expect("its end"))
    }
}

/// Writes a snapshot of these chunks; what was said of it.
fn write(path: &Path, chunks: &[Vec<u8>]) -> String {
    write_with(Task::start("write", path), chunks)
}

fn write_with(mut task: Task, chunks: &[Vec<u8>]) -> String {
    let _ = chunks.iter().all(|chunk| task.say(chunk)) && task.say(b"");
    let (text, status) = task.end();
    assert_eq!(status.code(), Some(if text.contains("done") { 0 } else { 1 }), "{text}");
    text
}

/// What was read of a snapshot.
#[derive(Debug, PartialEq, Eq)]
struct Heard {
    length: Option<u64>,
    chunks: Vec<Vec<u8>>,
    /// Why that is not all.
    why: Option<String>,
}

fn read(path: &Path) -> Heard {
    read_with(Task::start("read", path))
}

fn read_with(mut task: Task) -> Heard {
    let bytes = task.hear();
    let status = task.child.wait().expect("its end");
    let mut heard = Heard { length: None, chunks: Vec::new(), why: None };
    let mut rest = &bytes[..];
    let mut is_whole = false;
    while let Some((length, more)) = rest.split_first_chunk() {
        assert!(!is_whole, "the end, and then {}", support::show(rest));
        let length = u32::from_le_bytes(*length);
        if length == u32::MAX {
            heard.why = Some(String::from_utf8(more.to_vec()).expect("a sentence"));
            break;
        }
        let (chunk, more) = more.split_at(length as usize);
        rest = more;
        match heard.length {
            None => heard.length = Some(u64::from_le_bytes(chunk.try_into().expect("a length"))),
            Some(_) if chunk.is_empty() => is_whole = true,
            Some(_) => heard.chunks.push(chunk.to_vec()),
        }
    }
    assert_eq!(is_whole, heard.why.is_none());
    assert_eq!(status.code(), Some(if is_whole { 0 } else { 1 }), "{:?}", heard.why);
    heard
}

/// Names in the folder, in order.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

/// A folder of its own for files.
fn folder(scratch: &Scratch) -> PathBuf {
    let path = scratch.path("files");
    fs::create_dir(&path).expect("a folder");
    path
}

fn small() -> Vec<Vec<u8>> {
    vec![b"one".to_vec(), vec![0; 20], b"the third".to_vec()]
}

/// Where the blocks of these chunks begin, the last one too, and where they end.
fn places(chunks: &[Vec<u8>]) -> Vec<usize> {
    let mut places = vec![HEAD_BYTES];
    for length in chunks.iter().map(Vec::len).chain([0]) {
        places.push(places.last().expect("a place") + BLOCK_HEAD_BYTES + length);
    }
    places
}

/// The seed of a random test, which is printed.
fn seed() -> u64 {
    let seed = match std::env::var("MEMENTO_SEED") {
        Ok(text) => text.parse().expect("MEMENTO_SEED is a number"),
        Err(_) => support::now_ms(),
    };
    println!("MEMENTO_SEED={seed}");
    seed
}

/// Random numbers (SplitMix64 by Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ mixed >> 31) % bound as u64) as usize
    }
}

#[test]
fn what_is_written_is_read() {
    let scratch = Scratch::new();
    let folder = folder(&scratch);
    let path = folder.join("dump");
    let lengths: [&[usize]; 5] = [&[], &[1], &[64 << 10, 1, 65_537], &[BLOCK_BYTES_MAX], &[3; 2000]];
    for lengths in lengths {
        let chunks: Vec<Vec<u8>> = lengths
            .iter()
            .enumerate()
            .map(|(at, &length)| (0..length).map(|byte| (byte / 7 + at) as u8).collect())
            .collect();
        let length = places(&chunks).pop().expect("an end");
        assert_eq!(write(&path, &chunks), format!("begun\ndone {length}\n"));
        assert_eq!(read(&path), Heard { length: Some(length as u64), chunks, why: None });
        let found = fs::metadata(&path).expect("the file");
        assert_eq!((found.len(), found.permissions().mode() & 0o777), (length as u64, 0o600));
        assert_eq!(names(&folder), ["dump"]);
    }
}

#[test]
fn the_file_is_as_it_is_described() {
    let scratch = Scratch::new();
    let path = scratch.path("dump");
    write(&path, &[b"payload".to_vec()]);
    let bytes = fs::read(&path).expect("the file");
    let mut wanted = b"memento\n\x01\0\x0a\0\0\0\0\0".to_vec();
    let mut sum = memento::dump::crc64(0, &wanted);
    for payload in [&b"payload"[..], b""] {
        let length = (payload.len() as u32).to_le_bytes();
        sum = memento::dump::crc64(memento::dump::crc64(sum, &length), payload);
        wanted.extend_from_slice(&length);
        wanted.extend_from_slice(&sum.to_le_bytes());
        wanted.extend_from_slice(payload);
    }
    assert_eq!(bytes.escape_ascii().to_string(), wanted.escape_ascii().to_string());
}

#[test]
fn a_name_without_a_folder_is_one_of_the_folder_here() {
    let scratch = Scratch::new();
    let folder = folder(&scratch);
    let here = || {
        let mut command = Command::new(program());
        command.arg0(NAME).current_dir(&folder);
        command
    };
    let wanted = format!("begun\ndone {}\n", places(&small()).pop().expect("an end"));
    assert_eq!(write_with(Task::start_as(here(), "write", "dump".as_ref()), &small()), wanted);
    assert_eq!(read_with(Task::start_as(here(), "read", "dump".as_ref())).chunks, small());
    assert_eq!(read(&folder.join("dump")).chunks, small());
}

/// Reads a file that is not as it was written: what is said of it. What was read before is what was written.
#[track_caller]
fn why(path: &Path, spoilt: &[u8], chunks: &[Vec<u8>]) -> String {
    fs::write(path, spoilt).expect("a file");
    let heard = read(path);
    assert_eq!(heard.length, Some(spoilt.len() as u64));
    assert!(chunks.starts_with(&heard.chunks), "{:?}", heard.chunks);
    assert!(fs::read(path).expect("the file") == spoilt, "it is another file now");
    let why = heard.why.unwrap_or_else(|| panic!("it was read: {}", support::show(spoilt)));
    why.strip_prefix(&format!("'{}' ", path.display())).unwrap_or_else(|| panic!("{why}")).to_string()
}

const NO_SNAPSHOT: &str = "is no snapshot of memento";

#[test]
fn each_byte_that_is_another_is_noticed() {
    let scratch = Scratch::new();
    let path = scratch.path("dump");
    let (chunks, places) = (small(), places(&small()));
    write(&path, &chunks);
    let whole = fs::read(&path).expect("the file");
    for at in 0..whole.len() {
        for change in [0x01, 0x80, 0xFF] {
            let mut spoilt = whole.clone();
            spoilt[at] ^= change;
            let version = u16::from_le_bytes(spoilt[at & !1..][..2].try_into().expect("two bytes"));
            let why = why(&path, &spoilt, &chunks);
            let block = places.iter().rev().find(|&&place| place <= at).copied().unwrap_or(HEAD_BYTES);
            let damaged = format!("is damaged in the block at byte {block}");
            match at {
                0..8 => assert_eq!(why, NO_SNAPSHOT),
                8 | 9 if version > 1 => assert_eq!(
                    why,
                    format!("needs a newer memento: this one reads version 1 of the file, not version {version}")
                ),
                10 | 11 if version > 12 => assert_eq!(
                    why,
                    format!("needs a newer memento: this one reads values up to version 12, not version {version}")
                ),
                // A block that is longer than the file has the end of the file for its own.
                _ if (block..block + 3).contains(&at) && at >= HEAD_BYTES => {
                    let cut = format!("is cut off at byte {}", whole.len());
                    assert!(why == damaged || why == cut, "{at}: {why}");
                }
                _ => assert_eq!(why, damaged, "{at}"),
            }
        }
    }
}

#[test]
fn each_end_that_is_missing_is_noticed() {
    let scratch = Scratch::new();
    let path = scratch.path("dump");
    write(&path, &small());
    let whole = fs::read(&path).expect("the file");
    for length in 0..whole.len() {
        let wanted = if length < 8 { NO_SNAPSHOT.to_string() } else { format!("is cut off at byte {length}") };
        assert_eq!(why(&path, &whole[..length], &small()), wanted);
    }
}

#[test]
fn blocks_elsewhere_and_what_follows_are_noticed() {
    let scratch = Scratch::new();
    let path = scratch.path("dump");
    // Of one length, so that nothing but the checksum can tell.
    let chunks: Vec<Vec<u8>> = (0..4).map(|_| b"the same".to_vec()).collect();
    let places = places(&chunks);
    write(&path, &chunks);
    let whole = fs::read(&path).expect("the file");
    let parts: Vec<&[u8]> = [0].iter().chain(&places).zip(&places).map(|(&from, &to)| &whole[from..to]).collect();
    let damaged = |order: &[usize], block: usize| {
        let spoilt = order.iter().map(|&part| parts[part]).collect::<Vec<_>>().concat();
        assert_eq!(why(&path, &spoilt, &chunks), format!("is damaged in the block at byte {}", places[block]));
    };
    damaged(&[0, 2, 3, 4, 5], 0);
    damaged(&[0, 1, 3, 4, 5], 1);
    damaged(&[0, 1, 2, 3, 5], 3);
    damaged(&[0, 5], 0);
    damaged(&[0, 1, 1, 2, 3, 4, 5], 1);
    damaged(&[0, 1, 3, 2, 4, 5], 1);
    for behind in [&b"\0"[..], b"\n", &whole] {
        let longer = [&whole, behind].concat();
        let wanted = format!("goes on behind its end, from byte {}", whole.len());
        assert_eq!(why(&path, &longer, &chunks), wanted);
    }
}

#[test]
fn what_is_no_snapshot_is_told() {
    let scratch = Scratch::new();
    let path = scratch.path("dump");
    for foreign in [&b""[..], b"memento", b"memento-dump 1 0 0 0\n", b"REDIS0010", &[0; 5000], &[0xFF; 40]] {
        assert_eq!(why(&path, foreign, &[]), NO_SNAPSHOT);
    }
}

#[test]
fn a_file_that_was_never_written_is_none_and_a_folder_that_is_missing_is_told() {
    let scratch = Scratch::new();
    assert_eq!(read(&scratch.path("dump")), Heard { length: Some(0), chunks: vec![], why: None });
    let path = scratch.path("folder/dump");
    let wanted = format!("cannot open the folder of '{}': No such file or directory", path.display());
    assert_eq!(read(&path), Heard { length: None, chunks: vec![], why: Some(wanted.clone()) });
    assert_eq!(write(&path, &small()), format!("failed {wanted}\n"));
    let file = scratch.path("file");
    fs::write(&file, "").expect("a file");
    let path = file.join("dump");
    let wanted = format!("cannot open the folder of '{}': Not a directory", path.display());
    assert_eq!(read(&path).why, Some(wanted.clone()));
    assert_eq!(write(&path, &small()), format!("failed {wanted}\n"));
}

#[test]
fn nothing_but_a_file_is_replaced_or_read() {
    let scratch = Scratch::new();
    let folder = folder(&scratch);
    let fifo = folder.join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    let socket = folder.join("socket");
    let _listener = UnixListener::bind(&socket).expect("a socket");
    let before = names(&folder);
    for path in [&folder, &fifo, &socket, Path::new("/dev/null")] {
        let path: &Path = path;
        let failed = format!("failed cannot replace '{}': it is no regular file\n", path.display());
        assert_eq!(write(path, &small()), failed);
        let why = read(path).why.expect("no file");
        let wanted = if path == socket { "No such device or address" } else { "it is no regular file" };
        assert_eq!(why, format!("cannot open '{}': {wanted}", path.display()));
    }
    assert_eq!(names(&folder), before);
    assert!(fs::metadata("/dev/null").expect("it").file_type().is_char_device());
    // Nor is anything else taken for the new file.
    let path = folder.join("dump");
    let new = folder.join("dump.tmp");
    nix::unistd::mkfifo(&new, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    let failed = |why: &str| format!("failed cannot open '{}': {why}\n", new.display());
    assert_eq!(write(&path, &small()), failed("it is no regular file"));
    assert_eq!(read(&path).length, Some(0));
    fs::remove_file(&new).expect("the pipe");
    fs::write(folder.join("precious"), "precious").expect("a file");
    symlink(folder.join("precious"), &new).expect("a link");
    assert_eq!(write(&path, &small()), failed("Too many levels of symbolic links"));
    assert_eq!(fs::read(folder.join("precious")).expect("the file"), b"precious");
    assert_eq!(read(&path).length, Some(0));
}

#[test]
fn a_link_is_read_through_and_replaced() {
    let scratch = Scratch::new();
    let (path, other) = (scratch.path("dump"), scratch.path("other"));
    write(&other, &small());
    let before = fs::read(&other).expect("the file");
    symlink("other", &path).expect("a link");
    assert_eq!(read(&path).chunks, small());
    write(&path, &[b"new".to_vec()]);
    assert!(fs::symlink_metadata(&path).expect("a file").is_file());
    assert_eq!(read(&path).chunks, [b"new".to_vec()]);
    assert_eq!(fs::read(&other).expect("the file"), before);
}

#[test]
fn what_was_left_of_a_new_file_goes_and_nothing_else() {
    let scratch = Scratch::new();
    let folder = folder(&scratch);
    let (path, new, other) = (folder.join("dump"), folder.join("dump.tmp"), scratch.path("other"));
    let bytes = vec![b'x'; 10_000];
    for old in [None, Some(&path)] {
        // Others may write it, have it open, and know it by another name: that of what is to be replaced, even.
        fs::write(&other, &bytes).expect("a file");
        fs::set_permissions(&other, fs::Permissions::from_mode(0o666)).expect("our file");
        fs::hard_link(old.unwrap_or(&other), &new).expect("a second name");
        let mut open = fs::File::options().append(true).open(&new).expect("our file");
        assert_eq!(write(&path, &small()).lines().next(), Some("begun"));
        open.write_all(b"spoilt").expect("to write");
        assert_eq!(read(&path).chunks, small());
        assert_eq!(fs::metadata(&path).expect("the file").permissions().mode() & 0o777, 0o600);
        assert_eq!(names(&folder), ["dump"]);
        let left = fs::read(&other).expect("the file");
        assert!(left.starts_with(&bytes) && left.ends_with(b"spoilt") == old.is_none(), "{}", left.len());
    }
}

#[test]
fn a_chunk_that_is_too_long_is_refused() {
    let scratch = Scratch::new();
    let folder = folder(&scratch);
    let path = folder.join("dump");
    let text = write(&path, &[vec![0; BLOCK_BYTES_MAX + 1]]);
    assert_eq!(text, "begun\n");
    assert_eq!(names(&folder), [""; 0]);
}

#[test]
fn only_a_server_can_start_it() {
    let scratch = Scratch::new();
    let path = scratch.path("dump");
    let path = path.to_str().expect("text");
    let call = |words: &[&str], input: Stdio| {
        let mut command = Command::new(program());
        run_to_end(command.arg0(NAME).args(words).stdin(input))
    };
    let wanted = (Some(2), String::new(), "memento-snapshot: a server starts this by itself, nobody else can\n".into());
    for words in [&[][..], &["write"], &["write", ""], &["write", path, path], &["erase", path], &["--help"]] {
        let (ours, _theirs) = UnixStream::pair().expect("sockets");
        assert_eq!(call(words, Stdio::from(OwnedFd::from(ours))), wanted, "{words:?}");
    }
    assert_eq!(call(&["write", path], Stdio::null()), wanted);
    assert_eq!(call(&["read", path], Stdio::piped()), wanted);
    assert!(!Path::new(path).exists());
}

#[test]
fn it_has_a_name_of_its_own() {
    let scratch = Scratch::new();
    let mut task = Task::start("write", &scratch.path("dump"));
    assert_eq!(task.hear_line(), "begun\n");
    let name = fs::read_to_string(format!("/proc/{}/comm", task.child.id())).expect("a name");
    assert_eq!(name, "memento-snapsho\n");
    drop(task.server);
    assert_eq!(task.child.wait().expect("its end").code(), Some(1));
}

#[test]
fn one_process_writes_at_a_time() {
    let scratch = Scratch::new();
    let folder = folder(&scratch);
    let path = folder.join("dump");
    let busy = format!("failed cannot open '{}.tmp': another process writes it\n", path.display());
    let mut first = Task::start("write", &path);
    assert_eq!(first.hear_line(), "begun\n");
    assert_eq!(write(&path, &small()), busy);
    assert!(first.say(b"of the first"));
    assert_eq!(write(&path, &small()), busy);
    assert!(first.say(b""));
    assert!(first.end().1.success());
    assert_eq!(read(&path).chunks, [b"of the first".to_vec()]);
    // A process that is killed keeps nobody from writing.
    let mut second = Task::start("write", &path);
    assert_eq!(second.hear_line(), "begun\n");
    second.child.kill().expect("our child");
    second.child.wait().expect("its end");
    assert_eq!(names(&folder), ["dump", "dump.tmp"]);
    assert!(write(&path, &small()).starts_with("begun\ndone "));
    assert_eq!(read(&path).chunks, small());
}

#[test]
fn many_that_write_at_once_leave_one_whole_file() {
    let scratch = Scratch::new();
    let folder = folder(&scratch);
    let path = folder.join("dump");
    let busy = format!("failed cannot open '{}.tmp': another process writes it\n", path.display());
    let path = &path;
    let done: usize = std::thread::scope(|scope| {
        let writers = [0, 1, 2, 3].map(|writer: u8| {
            let busy = &busy;
            scope.spawn(move || {
                let mut done = 0;
                for _ in 0..60 {
                    let text = write(path, &vec![vec![writer; 5000]; 3]);
                    done += usize::from(text != *busy);
                    assert!(text == *busy || text.starts_with("begun\ndone "), "{text}");
                }
                done
            })
        });
        for _ in 0..60 {
            let heard = read(path);
            assert_eq!(heard.why, None);
            assert!(heard.chunks.windows(2).all(|pair| pair[0] == pair[1]), "two writers' blocks in one file");
        }
        writers.into_iter().map(|writer| writer.join().expect("a writer")).sum()
    });
    assert!(done > 0);
    assert_eq!(names(&folder), ["dump"]);
}

#[test]
fn who_reads_waits_for_who_writes() {
    let scratch = Scratch::new();
    let path = scratch.path("dump");
    write(&path, &[b"old".to_vec()]);
    for gives_up in [false, true] {
        let mut writer = Task::start("write", &path);
        assert_eq!(writer.hear_line(), "begun\n");
        writer.say(b"new");
        let mut reader = Task::start("read", &path);
        // It can only be seen that it says nothing.
        reader.server.set_read_timeout(Some(Duration::from_millis(200))).expect("a deadline");
        assert_eq!(receive(&mut reader.server, &mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        reader.server.set_read_timeout(Some(DEADLINE)).expect("a deadline");
        if gives_up {
            writer.child.kill().expect("our child");
        } else {
            assert!(writer.say(b""));
        }
        assert_eq!(read_with(reader).chunks, [b"new".to_vec()]);
        writer.child.wait().expect("its end");
    }
}

#[test]
fn who_reads_ends_with_the_server() {
    let scratch = Scratch::new();
    let path = scratch.path("dump");
    write(&path, &vec![vec![1; 60_000]; 50]);
    let mut reader = Task::start("read", &path);
    reader.server.read_exact(&mut [0; 1000]).expect("a beginning");
    drop(reader.server);
    assert_eq!(reader.child.wait().expect("its end").code(), Some(1));
}

/// So many bytes in chunks of different lengths.
fn large(random: &mut Random, mut bytes: usize) -> Vec<Vec<u8>> {
    let mut chunks = Vec::new();
    while bytes > 0 {
        let length = bytes.min(1 + random.below(64 << 10));
        let first = random.below(256);
        chunks.push((0..length).map(|at| (first + at / 3) as u8).collect());
        bytes -= length;
    }
    chunks
}

#[test]
fn who_is_killed_leaves_the_old_file_or_the_new_one() {
    let scratch = Scratch::new();
    let path = scratch.path("dump");
    let mut random = Random(seed());
    let old = large(&mut random, 300_000);
    let new = large(&mut random, 600_000);
    let (mut olds, mut news) = (0, 0);
    for _ in 0..200 {
        write(&path, &old);
        let mut task = Task::start("write", &path);
        // All of it is said in every second case, so that the end is not always out of reach.
        let count = if random.below(2) == 0 { new.len() } else { random.below(new.len()) };
        for chunk in &new[..count] {
            task.say(chunk);
        }
        if count == new.len() {
            task.say(b"");
        }
        std::thread::sleep(Duration::from_micros(random.below(3000) as u64));
        let _ = task.child.kill();
        task.child.wait().expect("its end");
        let heard = read(&path);
        assert_eq!(heard.why, None);
        match heard.chunks {
            chunks if chunks == old => olds += 1,
            chunks if chunks == new => news += 1,
            _ => panic!("it is neither the old file nor the new one"),
        }
    }
    println!("old {olds}, new {news}");
    assert!(olds > 0 && news > 0, "old {olds}, new {news}");
}

#[test]
fn without_the_server_it_leaves_no_trace() {
    let scratch = Scratch::new();
    let folder = folder(&scratch);
    let path = folder.join("dump");
    let mut random = Random(seed());
    let old = large(&mut random, 100_000);
    let new = large(&mut random, 300_000);
    write(&path, &old);
    let bytes = fs::read(&path).expect("the file");
    let stream: Vec<u8> =
        new.iter().flat_map(|chunk| [&(chunk.len() as u32).to_le_bytes(), &chunk[..]].concat()).collect();
    for turn in 0..200 {
        let mut task = Task::start("write", &path);
        let count = random.below(stream.len() + 4);
        let said = [&stream[..], &[0; 3]].concat();
        task.server.write_all(&said[..count]).expect("it listens");
        if turn % 2 == 0 {
            std::thread::sleep(Duration::from_micros(random.below(2000) as u64));
        }
        // With what it said unread or not, at its end or in one direction.
        if turn % 3 == 0 {
            assert_eq!(task.hear_line(), "begun\n");
        }
        drop(task.server);
        assert_eq!(task.child.wait().expect("its end").code(), Some(1));
        assert_eq!(names(&folder), ["dump"], "{count}");
        assert!(fs::read(&path).expect("the file") == bytes, "{count}");
    }
    // What was said to its end is written, whether anybody hears of it or not.
    // All of it fits what the socket holds, so that it may begin when the server has gone.
    let mut task = Task::start("write", &path);
    task.say(b"all");
    task.say(b"");
    drop(task.server);
    task.child.wait().expect("its end");
    assert_eq!(read(&path).chunks, [b"all".to_vec()]);
    assert_eq!(names(&folder), ["dump"]);
}

/// The program under strace, which has these calls fail, of one file alone where that is named; `None` where that cannot be.
fn failing(scratch: &Scratch, calls: &[&str], of: Option<&Path>) -> Option<Command> {
    if !need("strace") {
        return None;
    }
    // It calls a program by the name that its file has.
    let called = scratch.path(NAME);
    if !called.exists() {
        symlink(program(), &called).expect("a link");
    }
    let traced = |what: &Path, calls: &[&str]| {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o"]).arg(scratch.path("calls"));
        of.iter().for_each(|path| _ = command.arg("-P").arg(path));
        calls.iter().for_each(|call| _ = command.args(["-e", &format!("inject={call}")]));
        command.arg(what);
        command
    };
    if !traced("true".as_ref(), &[]).status().expect("strace").success() {
        skip("nothing can be traced here");
        return None;
    }
    Some(traced(&called, calls))
}

#[test]
fn calls_that_fail_are_told_and_the_old_file_stays() {
    let scratch = Scratch::new();
    let folder = folder(&scratch);
    let path = folder.join("dump");
    let old = vec![b"old".to_vec()];
    write(&path, &old);
    let bytes = fs::read(&path).expect("the file");
    let shown = path.display();
    let new = format!("{shown}.tmp");
    // The name is the first thing that it writes, `begun` the second, the file's head the third.
    let cases = [
        ("fsync:error=EIO:when=1", format!("cannot write '{new}': Input/output error")),
        ("fsync:error=ENOSPC:when=1", format!("cannot write '{new}': No space left on device")),
        ("write:error=EIO:when=3", format!("cannot write '{new}': Input/output error")),
        ("write:error=ENOSPC:when=4", format!("cannot write '{new}': No space left on device")),
        ("write:error=EFBIG:when=6", format!("cannot write '{new}': File too large")),
        ("/^rename:error=EIO", format!("cannot replace '{shown}': Input/output error")),
        ("flock:error=ENOLCK", format!("cannot open '{new}': No locks available")),
        ("/^unlink:error=EROFS", format!("cannot open '{new}': Read-only file system")),
    ];
    for (call, wanted) in cases {
        if call.contains("unlink") {
            fs::write(&new, "left").expect("a file");
        }
        let Some(command) = failing(&scratch, &[call], None) else { return };
        let text = write_with(Task::start_as(command, "write", &path), &small());
        assert_eq!(text.strip_prefix("begun\n").unwrap_or(&text), format!("failed {wanted}\n"), "{call}");
        assert!(fs::read(&path).expect("the file") == bytes, "{call}");
        // What could not even be locked is left alone.
        let left: &[&str] = if text.starts_with("begun") { &["dump"] } else { &["dump", "dump.tmp"] };
        assert_eq!(names(&folder), left, "{call}");
        let _ = fs::remove_file(&new);
    }
    // Interrupted calls are made again, short ones gone on with.
    let calls = ["write:error=EINTR:when=4+3", "fsync:error=EINTR:when=1", "flock:error=EINTR:when=1"];
    let text = write_with(Task::start_as(failing(&scratch, &calls, None).expect("strace"), "write", &path), &small());
    assert!(text.contains("\ndone "), "{text}");
    assert_eq!(read(&path).chunks, small());
    let command = failing(&scratch, &["read:error=EINTR:when=3+2"], None).expect("strace");
    assert_eq!(read_with(Task::start_as(command, "read", &path)).chunks, small());
}

/// A process opens the new file of another one, which has given it its name by the time that it can be locked.
#[test]
fn a_new_file_that_has_got_its_name_is_no_new_file() {
    let scratch = Scratch::new();
    let path = scratch.path("dump");
    let mut first = Task::start("write", &path);
    assert_eq!(first.hear_line(), "begun\n");
    let Some(command) = failing(&scratch, &["flock:delay_enter=500000"], None) else { return };
    let mut second = Task::start_as(command, "write", &path);
    // Were it slower than that, there would be nothing to be seen, and nothing wrong.
    std::thread::sleep(Duration::from_millis(250));
    assert!(first.say(b"of the first") && first.say(b""));
    assert!(first.end().1.success());
    assert_eq!(second.hear_line(), "begun\n");
    assert_eq!(read_of_a_copy(&scratch, &path).chunks, [b"of the first".to_vec()]);
    assert!(second.say(b"of the second") && second.say(b""));
    assert!(second.end().1.success());
    assert_eq!(read(&path).chunks, [b"of the second".to_vec()]);
}

/// Reads the file without waiting for who writes a new one.
fn read_of_a_copy(scratch: &Scratch, path: &Path) -> Heard {
    let copy = scratch.path("copy");
    fs::copy(path, &copy).expect("a copy");
    read(&copy)
}

#[test]
fn a_folder_that_cannot_be_synced_is_told_and_one_that_needs_not_is_done() {
    let scratch = Scratch::new();
    let path = scratch.path("dump");
    let Some(command) = failing(&scratch, &["fsync:error=EIO:when=2"], None) else { return };
    let text = write_with(Task::start_as(command, "write", &path), &small());
    let wanted = format!("begun\nfailed cannot sync the folder of '{}': Input/output error\n", path.display());
    assert_eq!(text, wanted);
    assert_eq!(read(&path).chunks, small());
    let command = failing(&scratch, &["fsync:error=EINVAL:when=2"], None).expect("strace");
    let text = write_with(Task::start_as(command, "write", &path), &[b"new".to_vec()]);
    assert!(text.contains("done"), "{text}");
    assert_eq!(read(&path).chunks, [b"new".to_vec()]);
}

#[test]
fn a_disk_that_cannot_be_read_is_told() {
    let scratch = Scratch::new();
    let path = scratch.path("dump");
    write(&path, &vec![vec![1; 60_000]; 5]);
    let shown = path.display();
    // The file's head, two for each block, and the last block.
    let reads = 1 + 2 * 5 + 1;
    for when in 1..=reads {
        let Some(command) = failing(&scratch, &[&format!("read:error=EIO:when={when}")], Some(&path)) else { return };
        let heard = read_with(Task::start_as(command, "read", &path));
        assert_eq!(heard.why, Some(format!("cannot read '{shown}': Input/output error")), "{when}");
        assert_eq!(heard.chunks.len(), (when.max(2) - 2) / 2);
    }
}

/// A shell with a file system of its own in the folder, on which the process writes over an older file; what was said,
/// and what is there then.
fn on_its_own(scratch: &Scratch, folder: &Path, prepare: &str) -> Option<(String, String)> {
    if !need("unshare") {
        return None;
    }
    let can = Command::new("unshare").args(["-m", "true"]).stderr(Stdio::null()).status();
    if !can.is_ok_and(|status| status.success()) {
        skip("no file system of its own can be had here (it takes root)");
        return None;
    }
    let called = scratch.path(NAME);
    symlink(program(), &called).expect("a link");
    write(&scratch.path("old"), &small());
    let there = scratch.path("there");
    let script = format!(
        "set -e; cd '{0}'; {prepare}; cd files; \
         '{1}' \"$1\" \"$2\" || true; {{ ls -A; cmp dump ../old && echo same; }} >'{2}'",
        scratch.path(".").display(),
        called.display(),
        there.display()
    );
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &script, "sh"]);
    let mut task = Task::start_as(command, "write", &folder.join("dump"));
    let _ = (0..30).all(|_| task.say(&[1; 60_000])) && task.say(b"");
    let (text, status) = task.end();
    assert!(status.success(), "{text}");
    Some((text, fs::read_to_string(there).expect("a list")))
}

#[test]
fn a_disk_that_is_full_keeps_the_old_file() {
    let scratch = Scratch::new();
    let folder = folder(&scratch);
    let prepare = "mount -t tmpfs -o size=1m tmpfs files; cp old files/dump";
    let Some((text, there)) = on_its_own(&scratch, &folder, prepare) else { return };
    let new = folder.join("dump.tmp");
    assert_eq!(text, format!("begun\nfailed cannot write '{}': No space left on device\n", new.display()));
    assert_eq!(there, "dump\nsame\n");
}

#[test]
fn a_folder_that_cannot_be_written_to_is_told() {
    let scratch = Scratch::new();
    let folder = folder(&scratch);
    let prepare = "cp old files/dump; mount --bind files files; mount -o remount,bind,ro files";
    let Some((text, there)) = on_its_own(&scratch, &folder, prepare) else { return };
    let new = folder.join("dump.tmp");
    assert_eq!(text, format!("failed cannot open '{}': Read-only file system\n", new.display()));
    assert_eq!(there, "dump\nsame\n");
}
