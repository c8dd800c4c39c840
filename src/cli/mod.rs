//! `memento-cli`: lines to a server, answers back. One command from the command line, lines typed at a prompt, or lines
//! from a file or pipe; and looks at a server, its keys and its cluster.
//!
//! It does not parse commands: of the command table it asks which names there are, what their arguments are called and
//! how the text protocol writes their answers.

mod dump;
mod edit;
mod hints;
mod history;
mod keys;
mod lines;
mod mass;
mod nodes;
mod options;
mod pipe;
mod prompt;
mod show;
mod talk;
mod top;
mod watch;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

use crate::client::reason;
use crate::sys::tty;
use lines::Answer;
use options::{Mode, Parsed, Request};
use show::Style;
use talk::Talk;

/// Runs the tool with the words after the program's name; gives back the exit status.
pub fn main(args: Vec<String>) -> i32 {
    let request = match options::parse(&args, |name| crate::command::lookup(name).is_some()) {
        Ok(Parsed::Print(text)) => return exit_status(print(text.as_bytes())),
        Ok(Parsed::Talk(request)) => request,
        Err(what) => {
            complain(format!("{what}\nTry 'memento-cli --help'."));
            return 2;
        }
    };
    exit_status(run(&request))
}

/// Why the tool gives up.
enum Why {
    /// A sentence for the user.
    Message(String),
    /// An answer was an error, and is printed.
    ErrorAnswer,
    /// Nobody reads the output any more, as in `memento-cli < file | head`: no reason to complain.
    OutputClosed,
    /// A signal that ends the program, by its number.
    Signal(i32),
}

/// The same behind one pointer, which is what is handed on from call to call.
struct Failure(Box<Why>);

impl Failure {
    fn of(why: Why) -> Failure {
        Failure(Box::new(why))
    }

    fn message(text: String) -> Failure {
        Failure::of(Why::Message(text))
    }

    fn at(what: &str, error: &io::Error) -> Failure {
        Failure::message(format!("{what}: {}", reason(error)))
    }

    fn output(error: &io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::of(Why::OutputClosed),
            _ => Failure::at("cannot write to standard output", error),
        }
    }

    fn input(error: &io::Error) -> Failure {
        Failure::at("cannot read standard input", error)
    }

    /// The sentence for the user.
    ///
    /// # Errors
    /// Itself, where it has none.
    fn sentence(self) -> Result<String, Failure> {
        match *self.0 {
            Why::Message(text) => Ok(text),
            why => Err(Failure::of(why)),
        }
    }
}

/// The client's errors are whole sentences.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::message(error.to_string())
    }
}

fn exit_status(result: Result<(), Failure>) -> i32 {
    let Err(failure) = result else { return 0 };
    match *failure.0 {
        Why::OutputClosed => 0,
        Why::ErrorAnswer => 1,
        Why::Message(text) => {
            complain(text);
            1
        }
        Why::Signal(number) => 128 + number,
    }
}

/// The end of what may have had errors among its answers.
fn failed(failed: bool) -> Result<(), Failure> {
    if failed { Err(Failure::of(Why::ErrorAnswer)) } else { Ok(()) }
}

/// Starts a thread that nobody waits for.
fn spawn(work: Box<dyn FnOnce() + Send>) -> Result<(), Failure> {
    let started = std::thread::Builder::new().spawn(work);
    started.map_err(|error| Failure::at("cannot start a thread", &error))?;
    Ok(())
}

/// Reads a piece of standard input behind what `bytes` has; gives its length, 0 at the end.
fn read_input(bytes: &mut Vec<u8>) -> Result<usize, Failure> {
    tty::read_more(io::stdin().as_fd(), bytes).map_err(|error| Failure::input(&error))
}

/// What a file has, a pipe as well.
fn read_file(path: &OsStr) -> io::Result<Vec<u8>> {
    let (file, mut bytes) = (File::open(path)?, Vec::new());
    while tty::read_more(file.as_fd(), &mut bytes)? > 0 {}
    Ok(bytes)
}

/// The words of a line, and where each begins.
fn words(line: &str) -> Vec<(usize, &str)> {
    let (bytes, mut at, mut found) = (line.as_bytes(), 0, Vec::new());
    while at < bytes.len() {
        let start = at;
        while at < bytes.len() && !matches!(bytes[at], b' ' | b'\t') {
            at += 1;
        }
        if at > start {
            found.push((start, &line[start..at]));
        }
        at += 1;
    }
    found
}

/// Whether a text has this part. (The standard library's way, fast in long texts, takes 2 kB.)
fn has(text: &str, part: &str) -> bool {
    part.is_empty() || text.as_bytes().windows(part.len()).any(|piece| piece == part.as_bytes())
}

/// A closed standard error must not stop the tool, as `eprintln` would.
fn complain(text: String) {
    let _ = writeln!(io::stderr(), "memento-cli: {text}");
}

/// How far something is, written over what was told before; for standard error on a terminal.
fn tell(text: String) {
    let _ = write!(io::stderr(), "\r{text}\x1b[K");
}

fn say(text: String) -> Result<(), Failure> {
    print(text.as_bytes())
}

fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut output = io::stdout();
    output.write_all(bytes).and_then(|()| output.flush()).map_err(|error| Failure::output(&error))
}

fn run(request: &Request) -> Result<(), Failure> {
    let target = &request.target;
    // Who copies answers into a file or another program is to have them as they are.
    let is_terminal = io::stdout().is_terminal();
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|kind| kind == "dumb");
    let people = Style::People { colours: !set("NO_COLOR") && !is_dumb };
    let style = request.style.unwrap_or(if is_terminal { people } else { Style::Raw });
    match request.mode {
        Mode::Talk => {}
        Mode::Dump => return dump::dump(target, &request.path, request.pattern.as_deref()),
        Mode::Restore => return dump::restore(target, &request.path),
        Mode::Pipe => return mass::run(target),
        Mode::Scan => return keys::scan(target, request.pattern.as_deref(), style),
        Mode::BigKeys => return keys::biggest(target, request.pattern.as_deref()),
        Mode::Stat => return watch::stat(request),
        Mode::Latency => return watch::latency(request),
        Mode::Cluster => return nodes::show(target),
        Mode::Top => return top::run(target, request.interval),
    }
    if let Some(words) = &request.command {
        return command(request, words, style);
    }
    if tty::is_here() && !is_dumb {
        prompt::run(target, style)
    } else if tty::is_here() || request.errors || request.style.is_some_and(|style| style != Style::Raw) {
        framed(request, style)
    } else {
        let (address, stream) = target.connect_text()?;
        pipe::run(&address, stream, is_terminal && style != Style::Raw)
    }
}

/// A connection whose password was right, where one was given.
fn connect(request: &Request, style: Style) -> Result<Talk, Failure> {
    let talk = Talk::connect(&request.target, style)?;
    match &talk.refusal {
        // That it wants a password, its answers say as well, and there may be an AUTH among the lines.
        Some(why) if !why.starts_with("NOAUTH") => Err(Failure::message(why.clone())),
        _ => Ok(talk),
    }
}

/// Runs one command as often as it is wanted; any answer that is an error makes the status 1.
fn command(request: &Request, words: &[String], style: Style) -> Result<(), Failure> {
    let mut words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    let mut last = Vec::new();
    if request.from_stdin {
        while read_input(&mut last)? > 0 {}
        words.push(&last);
    }
    let mut talk = connect(request, style)?;
    if words.iter().all(|word| word.trim_ascii().is_empty()) {
        return Ok(());
    }
    let mut left = request.repeat;
    let mut failed = false;
    while left != Some(0) {
        failed |= run_once(&mut talk, &words)?;
        left = left.map(|left| left - 1);
        if let (Some(interval), true) = (request.interval, left != Some(0)) {
            std::thread::sleep(interval);
        }
    }
    self::failed(failed)
}

/// Sends a command and prints its answers; says whether one was an error.
fn run_once(talk: &mut Talk, words: &[&[u8]]) -> Result<bool, Failure> {
    let kind = talk.send_words(words)?;
    if kind == Answer::Unknown {
        // It may not be answered; the end of the connection will be seen in any case.
        talk.send_words(&[b"QUIT"])?;
    }
    answers(talk, kind)
}

/// Waits for the answers to what was sent, and prints them; says whether one was an error.
fn answers(talk: &mut Talk, kind: Answer) -> Result<bool, Failure> {
    let may_close = matches!(kind, Answer::End | Answer::MayEnd | Answer::Unknown);
    loop {
        let mut out = Vec::new();
        let error = match talk.answer(&mut out) {
            Ok(error) => error,
            Err(error) if may_close && error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        print(&out)?;
        if kind != Answer::Stream || error {
            return Ok(error);
        }
    }
}

/// Lines that are sent together.
#[derive(Default)]
struct Batch {
    written: Vec<u8>,
    rows: Vec<show::Row>,
}

impl Batch {
    /// Sends them and prints their answers; says whether one was an error.
    fn run(&mut self, talk: &mut Talk) -> Result<bool, Failure> {
        const PRINT_BYTES: usize = 64 * 1024;
        let (mut out, mut failed, mut printed) = (Vec::new(), false, Ok(()));
        let exchanged = talk.exchange(&self.written, &self.rows, &mut |text, error| {
            failed |= error;
            out.extend_from_slice(&text);
            if out.len() >= PRINT_BYTES && printed.is_ok() {
                printed = print(&out);
                out.clear();
            }
        });
        printed?;
        // What was answered before the connection broke is printed as well.
        print(&out)?;
        exchanged?;
        (self.written, self.rows) = (Vec::new(), Vec::new());
        Ok(failed)
    }
}

/// Lines from an input that is no terminal, whose answers are looked at: printed in another style, or for errors.
fn framed(request: &Request, style: Style) -> Result<(), Failure> {
    let mut talk = connect(request, style)?;
    let mut bytes = Vec::new();
    let (mut failed, mut at_end) = (false, false);
    // One that cannot be painted on has a prompt too.
    let prompt = if tty::is_here() { format!("{}> ", talk.client.address()) } else { String::new() };
    while !at_end {
        if !prompt.is_empty() {
            print(prompt.as_bytes())?;
        }
        at_end = read_input(&mut bytes)? == 0;
        if at_end && !bytes.is_empty() {
            bytes.push(b'\n');
        }
        let Some(end) = bytes.iter().rposition(|&byte| byte == b'\n') else { continue };
        let rest = bytes.split_off(end + 1);
        let mut batch = Batch::default();
        for line in std::mem::replace(&mut bytes, rest).split_inclusive(|&byte| byte == b'\n') {
            let line = &line[..line.len() - 1];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            match lines::answer(line) {
                Answer::None => {}
                Answer::One if !talk::is_apart(line) => {
                    let row = talk.write_line(line, &mut batch.written);
                    batch.rows.push(row);
                }
                Answer::Unknown => {
                    let what = "every answer is waited for with -e, --json and --csv: no CLIENT REPLY, no RESP";
                    return Err(Failure::message(what.to_string()));
                }
                kind => {
                    failed |= batch.run(&mut talk)?;
                    // UNSUBSCRIBE is answered once for each channel.
                    talk.forget_unasked()?;
                    talk.send_line(line)?;
                    failed |= answers(&mut talk, kind)?;
                    if kind == Answer::End {
                        at_end = true;
                        break;
                    }
                    talk.greet_again()?;
                }
            }
        }
        failed |= batch.run(&mut talk)?;
    }
    self::failed(failed && request.errors)
}
