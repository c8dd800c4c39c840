//! Snapshots, by the finished program: what they say of keys that change meanwhile, what is left of them whatever is killed
//! or full, how they are loaded.
//!
//! `MEMENTO_SEED=n` repeats the random tests with that seed.

#[path = "snapshot/bounds.rs"]
mod bounds;
#[path = "snapshot/consistent.rs"]
mod consistent;
#[path = "snapshot/errors.rs"]
mod errors;
#[path = "snapshot/format.rs"]
mod format;
#[path = "snapshot/kills.rs"]
mod kills;
#[path = "snapshot/loading.rs"]
mod loading;
#[path = "snapshot/restart.rs"]
mod restart;
mod support;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use format::Snapshot;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::{Client, Scratch, Server, Start, wait_for};

/// What processes are called that write or read a snapshot, as far as the kernel keeps names.
const CHILD: &str = "memento-snapsho";

/// The seed of a random test, which is printed.
fn seed() -> u64 {
    let seed = match std::env::var("MEMENTO_SEED") {
        Ok(text) => text.parse().expect("MEMENTO_SEED is a number"),
        Err(_) => support::now_ms(),
    };
    println!("MEMENTO_SEED={seed}");
    seed
}

/// A small generator (splitmix64, Steele et al., OOPSLA 2014).
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.bits() % bound
    }
}

/// The file of the snapshot in a folder.
fn file(folder: &Scratch) -> PathBuf {
    folder.path("keys.memento")
}

/// How a server is started that keeps its keys in the file, and makes snapshots only when it is asked to.
fn start(path: &Path, options: &[&str]) -> Start {
    let mut words = vec!["--snapshot", path.to_str().expect("a plain path"), "--snapshot-interval", "0"];
    words.extend(options);
    Start::new(&words)
}

/// A server that has loaded the file, if there is one.
#[track_caller]
fn serve(path: &Path) -> Server {
    let server = start(path, &[]).start();
    wait_until_loaded(&server);
    server
}

#[track_caller]
fn wait_until_loaded(server: &Server) {
    let mut client = server.connect();
    wait_for("the keys to be loaded", || client.info("loading") == 0);
    wait_until_alone(server);
}

/// The text of a field of INFO persistence.
#[track_caller]
fn persistence(client: &mut Client, field: &str) -> String {
    let text = client.ask("INFO persistence");
    let found = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    found.unwrap_or_else(|| panic!("no {field} in {text}")).trim().to_string()
}

/// What the file says.
#[track_caller]
fn read(path: &Path) -> Snapshot {
    let bytes = fs::read(path).expect("the file of the snapshot");
    format::read(&bytes).unwrap_or_else(|what| panic!("{} bytes of {}: {what}", bytes.len(), path.display()))
}

/// Which file it is: another one has another number, or another time.
#[track_caller]
fn identity(path: &Path) -> (u64, i64, i64) {
    let found = fs::metadata(path).expect("the file of the snapshot");
    (found.ino(), found.mtime(), found.mtime_nsec())
}

/// Sets keys `PREFIX0` and so on, each to `value`.
#[track_caller]
fn fill(client: &mut Client, prefix: &str, count: usize, value: &str) {
    const AT_ONCE: usize = 1000;
    for first in (0..count).step_by(AT_ONCE) {
        let numbers = first..count.min(first + AT_ONCE);
        let requests: String = numbers.clone().map(|number| format!("SET {prefix}{number} {value}\r\n")).collect();
        let answers = client.converse(requests.as_bytes(), numbers.len() * "OK\r\n".len());
        assert!(answers == "OK\r\n".repeat(numbers.len()).as_bytes());
    }
}

/// A value of which fifty thousand take a writer so long that it can be stopped before it has all of them.
fn much() -> String {
    "stays".repeat(320)
}

/// The processes that a server has started and that have not gone, dead ones included: their numbers and names.
fn children(server: &Server) -> Vec<(i32, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // It may have gone meanwhile.
        let Ok(text) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((name, rest)) = text.split_once('(').and_then(|(_, rest)| rest.rsplit_once(") ")) else { continue };
        if rest.split(' ').nth(1).and_then(|parent| parent.parse().ok()) == Some(server.id()) {
            found.push((id, name.to_string()));
        }
    }
    found
}

/// Waits until what an earlier snapshot was made or loaded by has gone: it is not to be taken for the next one.
#[track_caller]
fn wait_until_alone(server: &Server) {
    wait_for("its process to have gone", || children(server).is_empty());
}

/// The process that writes or reads the snapshot, once it is there and has its name.
#[track_caller]
fn child(server: &Server) -> i32 {
    let mut found = None;
    wait_for("the process of the snapshot", || {
        found = children(server).into_iter().find(|(_, name)| name == CHILD);
        found.is_some()
    });
    found.expect("it").0
}

/// Sends a signal to the process of a snapshot, which may have ended.
fn signal_child(id: i32, signal: Signal) {
    let _ = kill(Pid::from_raw(id), signal);
}

/// Waits until no snapshot is made.
#[track_caller]
fn wait_until_saved(client: &mut Client) {
    wait_for("the snapshot to end", || client.info("rdb_bgsave_in_progress") == 0);
}

fn pause_us(us: u64) {
    std::thread::sleep(Duration::from_micros(us));
}
