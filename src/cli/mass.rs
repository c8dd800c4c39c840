//! `--pipe`: standard input to the server as it is, lines or RESP, as fast as both go; the answers are counted.

use std::io::{self, IsTerminal, Read};
use std::time::{Duration, Instant};

use super::talk::Target;
use super::{Failure, complain, print};
use crate::client::reply::{Kind, View};
use crate::client::resp::{Deadline, RespClient, write_command};

const CHUNK_BYTES: usize = 64 * 1024;

/// When all is sent, the server may be silent for so long: what it waits for is the rest of a request that was cut off.
const SILENCE: Duration = Duration::from_secs(30);

/// So many errors are shown.
const SHOWN_MAX: u64 = 10;

#[derive(Default)]
struct Count {
    replies: u64,
    errors: u64,
    /// The answer to the last request of ours has come.
    done: bool,
}

impl Count {
    fn take(&mut self, view: View<'_>, mark: &[u8]) {
        if view.kind() == Kind::Bulk && view.bytes() == mark {
            self.done = true;
            return;
        }
        self.replies += 1;
        if view.kind() == Kind::Error {
            self.errors += 1;
            if self.errors <= SHOWN_MAX {
                complain(&format!("answer {}: {}", self.replies, super::show::escaped(view.bytes())));
            }
        }
    }

    fn receive(&mut self, client: &mut RespClient, mark: &[u8]) -> io::Result<()> {
        while let Some(view) = client.try_receive()? {
            self.take(view, mark);
        }
        Ok(())
    }
}

/// # Errors
/// When there is no connection, it breaks off, or the server waits for more; and when an answer was an error.
pub(super) fn run(target: &Target) -> Result<(), Failure> {
    let mut client = target.connect()?;
    // Nobody else's value is likely to be this.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let mark = format!("memento-cli {} {}", std::process::id(), now.as_nanos() as u64);
    let progress = io::stderr().is_terminal();
    let mut count = Count::default();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut input = io::stdin().lock();
    let (mut bytes, mut told, mut last) = (0, Instant::now(), b'\n');
    loop {
        let length = match input.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            length => length.map_err(|error| Failure::input(&error))?,
        };
        let Some(&end) = chunk[..length].last() else { break };
        last = end;
        client.send(&chunk[..length], Deadline::NEVER)?;
        count.receive(&mut client, mark.as_bytes())?;
        bytes += length;
        if progress && told.elapsed() > Duration::from_millis(200) {
            told = Instant::now();
            eprint!("\r{} MB sent, {} answers, {} errors ", bytes / 1_000_000, count.replies, count.errors);
        }
    }
    // The last line of a file may lack its end.
    let mut end = if last == b'\n' { Vec::new() } else { b"\r\n".to_vec() };
    write_command(&mut end, [b"ECHO", mark.as_bytes()].into_iter());
    client.send(&end, Deadline::NEVER)?;
    while !count.done {
        let view = client.receive(Deadline::after(SILENCE)).map_err(|error| {
            let advice = if error.kind() == io::ErrorKind::TimedOut { "; is the last request whole?" } else { "" };
            Failure::Message(format!("{error} (answers received: {}){advice}", count.replies))
        })?;
        count.take(view, mark.as_bytes());
    }
    if progress {
        eprint!("\r\x1b[K");
    }
    print(format!("answers: {}, errors: {}\n", count.replies, count.errors).as_bytes())?;
    if count.errors > 0 { Err(Failure::ErrorAnswer) } else { Ok(()) }
}
