//! `--pipe`: standard input to the server as it is, lines or RESP, as fast as both go; the answers are counted.

use std::io;
use std::time::Duration;

use super::dump::{PAUSE_NS, now_ms};
use super::options::Request;
use super::show::escaped;
use super::{Failure, complain, failed, read_input, say, tell};
use crate::client::reply::{Kind, View};
use crate::client::resp::{Deadline, RespClient, write_command};
use crate::sys::clock::monotonic_ns;

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
                tell(format_args!(""));
                complain(format_args!("answer {}: {}", self.replies, escaped(view.bytes())));
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
pub(super) fn run(request: &Request) -> Result<(), Failure> {
    let mut client = request.target.connect()?;
    // Nobody else's value is likely to be this.
    let mark = format!("memento-cli {} {}", std::process::id(), now_ms());
    let mut count = Count::default();
    let sent = send(&mut client, &mut count, mark.as_bytes());
    if sent.is_err() {
        // Why a server has closed the connection is what it has said last.
        let _ = count.receive(&mut client, mark.as_bytes());
    }
    tell(format_args!(""));
    let Count { replies, errors, .. } = count;
    if let Err(failure) = sent {
        let why = failure.sentence()?;
        return Err(Failure::message(format_args!("{why} (answers received: {replies}, errors: {errors})")));
    }
    say(format_args!("answers: {replies}, errors: {errors}\n"))?;
    failed(errors > 0)
}

/// Sends the input and then a request of ours, whose answer is the last one, and takes all answers.
#[inline(never)]
fn send(client: &mut RespClient, count: &mut Count, mark: &[u8]) -> Result<(), Failure> {
    let mut chunk = Vec::new();
    let (mut bytes, mut told, mut last) = (0, monotonic_ns(), b'\n');
    loop {
        chunk.clear();
        let length = read_input(&mut chunk)?;
        let Some(&end) = chunk.last() else { break };
        last = end;
        client.send(&chunk, Deadline::NEVER)?;
        count.receive(client, mark)?;
        bytes += length;
        if monotonic_ns() - told > PAUSE_NS {
            told = monotonic_ns();
            tell(format_args!("{} MB sent, {} answers, {} errors ", bytes / 1_000_000, count.replies, count.errors));
        }
    }
    // The last line of a file may lack its end.
    let mut end = if last == b'\n' { Vec::new() } else { b"\r\n".to_vec() };
    write_command(&mut end, [b"ECHO", mark].iter().copied());
    client.send(&end, Deadline::NEVER)?;
    while !count.done {
        match client.receive(Deadline::after(SILENCE)) {
            Ok(view) => count.take(view, mark),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                return Err(Failure::message(format_args!("{error}; is the last request whole?")));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
