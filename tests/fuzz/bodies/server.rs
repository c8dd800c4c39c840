//! A stream of bytes, sent to a whole server at once and to another in pieces that the input cuts: both give the same
//! replies, and those of SET, GET, DEL, APPEND and INC are what a map would give.

use memento::config::Config;
use memento::server::Server;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

/// What follows these words depends on time, on chance or on the other clients, or ends the server.
const LEFT_OUT: &[&str] = &[
    "acl", "client", "command", "config", "debug", "expire", "getp", "hello", "info", "keys", "latency", "memory",
    "object", "pause", "psetex", "px", "random", "scan", "shutdown", "slowlog", "time", "ttl", " ex ", "\nex\r",
    "getex", "setex",
];

/// The sockets of two servers that live as long as the process.
fn servers() -> &'static [PathBuf; 2] {
    static SERVERS: OnceLock<[PathBuf; 2]> = OnceLock::new();
    SERVERS.get_or_init(|| {
        ["whole", "pieces"].map(|name| {
            let path = std::env::temp_dir().join(format!("memento-fuzz-{}-{name}", std::process::id()));
            let config = Config { port: 0, socket: Some(path.clone()), ..Config::default() };
            let (send, receive) = mpsc::channel();
            std::thread::spawn(move || {
                let mut server = Server::new(&config).expect("a server");
                send.send(()).expect("somebody waits for it");
                server.run()
            });
            receive.recv().expect("the server listens");
            path
        })
    })
}

/// Removes the servers' sockets from where they lie; nobody reaches them any more.
#[allow(dead_code)]
pub fn end() {
    for path in servers() {
        std::fs::remove_file(path).expect("a socket");
    }
}

/// Sends the pieces, ends its side, and gives all that comes.
fn exchange<'a>(path: &Path, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut stream = UnixStream::connect(path).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out");
    for piece in pieces {
        // Whoever sent nonsense is closed while it goes on.
        if stream.write_all(piece).is_err() {
            break;
        }
        std::thread::yield_now();
    }
    let _ = stream.shutdown(Shutdown::Write);
    let mut received = Vec::new();
    match stream.read_to_end(&mut received) {
        // A reset: what came before it counts, but may be cut short.
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        outcome => drop(outcome.expect("replies, then the end, within 20 s")),
    }
    received
}

/// Requests that the input stands for, and the replies to the first of them, as far as a map can tell.
fn requests(mut input: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut sent, mut wanted) = (b"FLUSHALL\r\n".to_vec(), b"OK\r\n".to_vec());
    let mut map: HashMap<u8, Vec<u8>> = HashMap::new();
    let mut known = true;
    while let [kind, key, length, rest @ ..] = input {
        let (value, after) = rest.split_at(usize::from(*length).min(rest.len()));
        input = after;
        if kind % 16 == 15 {
            // As it is. What is answered, only the two servers tell.
            known = false;
            sent.extend_from_slice(value);
            continue;
        }
        let key = key % 4;
        let text: Vec<u8> = value.iter().map(|byte| b'a' + byte % 26).collect();
        let amount = i64::from(*length) - 100;
        let number = map.get(&key).map_or(Some(0), |value| std::str::from_utf8(value).ok()?.parse::<i64>().ok());
        let name = format!("key{key}");
        let (words, reply): (Vec<Vec<u8>>, Vec<u8>) = match kind % 5 {
            0 => {
                map.insert(key, text.clone());
                (vec![b"SET".to_vec(), name.into(), text], b"OK".to_vec())
            }
            1 => (vec![b"GET".to_vec(), name.into()], map.get(&key).cloned().unwrap_or(b"(null)".to_vec())),
            2 => {
                let reply = if map.remove(&key).is_some() { &b"OK"[..] } else { b"(null)" };
                (vec![b"DEL".to_vec(), name.into()], reply.to_vec())
            }
            3 => {
                map.entry(key).or_default().extend_from_slice(&text);
                (vec![b"APPEND".to_vec(), name.into(), text], b"OK".to_vec())
            }
            _ => {
                let reply = match number {
                    Some(number) => {
                        let sum = (number + amount).to_string();
                        map.insert(key, sum.clone().into());
                        sum
                    }
                    None => "(error) value is not an integer or out of range".into(),
                };
                (vec![b"INC".to_vec(), name.into(), amount.to_string().into()], reply.into())
            }
        };
        sent.extend_from_slice(&words.join(&b' '));
        sent.extend_from_slice(if kind & 64 == 0 { b"\r\n" } else { b"\n" });
        if known {
            wanted.extend_from_slice(&reply);
            wanted.extend_from_slice(b"\r\n");
        }
    }
    (sent, wanted)
}

/// Tries one input.
pub fn run(input: &[u8]) {
    let Some((cuts, input)) = input.split_at_checked(4) else { return };
    let (sent, wanted) = requests(input);
    let lower = sent.to_ascii_lowercase();
    let has = |word: &str| lower.windows(word.len()).any(|at| at == word.as_bytes());
    // The words between them have no such letters: keys are key0 to key3.
    if LEFT_OUT.iter().any(|word| has(word)) {
        return;
    }
    let [whole, pieces] = servers();
    let all = exchange(whole, std::iter::once(&sent[..]));
    assert!(all.starts_with(&wanted), "{:?} is not what a map would give: {:?}", shown(&all), shown(&wanted));
    let mut cuts = cuts.iter().cycle().map(|&cut| usize::from(cut) + 1);
    let mut rest = &sent[..];
    let parts = std::iter::from_fn(|| {
        let (part, after) = rest.split_at(cuts.next().expect("a cycle").min(rest.len()));
        rest = after;
        (!part.is_empty()).then_some(part)
    });
    let cut = exchange(pieces, parts);
    assert!(cut == all, "in pieces {:?}, at once {:?}", shown(&cut), shown(&all));
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
