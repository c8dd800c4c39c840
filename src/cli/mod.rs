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

use std::ffi::{CStr, OsStr, OsString};
use std::fmt::Arguments;
use std::io::{self, Write};
use std::os::fd::AsFd;

use crate::client::reason;
use crate::sys::stdio::{self, ERRORS, INPUT, OUTPUT};
use crate::sys::{files, program, tty};
use lines::Answer;
use options::{Parsed, Request};
use show::Style;
use talk::{Batch, Talk};

/// Runs the tool with the words after the program's name; gives back the exit status.
pub fn main(args: Vec<String>) -> i32 {
    let outcome = match options::parse(&args, |name| crate::command::lookup(name).is_some(), style_here()) {
        Ok(Parsed::Print(text)) => print(text.as_bytes()),
        Ok(Parsed::Talk(request)) => run(&request),
        Err(what) => {
            complain(format_args!("{what}\nTry 'memento-cli --help'."));
            return 2;
        }
    };
    let Err(failure) = outcome else { return 0 };
    let End { status, text } = *failure.0;
    if !text.is_empty() {
        complain(format_args!("{text}"));
    }
    status
}

/// How the tool ends before its time.
struct End {
    status: i32,
    /// A sentence for the user; empty where there is nothing to say.
    text: String,
}

/// The same behind one pointer, which is what is handed on from call to call.
struct Failure(Box<End>);

impl Failure {
    /// An end with nothing to say: an answer was an error, and is printed (1); nobody reads the output any more, as in
    /// `memento-cli < file | head` (0); a signal (128 and its number).
    #[inline(never)]
    fn status(status: i32) -> Failure {
        Failure(Box::new(End { status, text: String::new() }))
    }

    #[inline(never)]
    fn message(text: Arguments<'_>) -> Failure {
        Failure(Box::new(End { status: 1, text: text.to_string() }))
    }

    #[inline(never)]
    fn at(what: &str, error: &io::Error) -> Failure {
        Failure::message(format_args!("{what}: {}", reason(error)))
    }

    /// The sentence for the user.
    ///
    /// # Errors
    /// Itself, where it has none.
    #[inline(never)]
    fn sentence(self) -> Result<String, Failure> {
        if self.0.text.is_empty() { Err(self) } else { Ok(self.0.text) }
    }
}

/// The client's errors are whole sentences.
impl From<io::Error> for Failure {
    #[inline(never)]
    fn from(error: io::Error) -> Failure {
        Failure::message(format_args!("{error}"))
    }
}

/// The end of what may have had errors among its answers.
fn failed(failed: bool) -> Result<(), Failure> {
    if failed { Err(Failure::status(1)) } else { Ok(()) }
}

/// Reads a piece of standard input behind what `bytes` has; gives its length, 0 at the end.
fn read_input(bytes: &mut Vec<u8>) -> Result<usize, Failure> {
    files::read_more(INPUT.as_fd(), bytes).map_err(|error| Failure::at("cannot read standard input", &error))
}

/// What a file has, a pipe as well.
fn read_file(path: &OsStr) -> io::Result<Vec<u8>> {
    let (file, mut bytes) = (files::to_read(path.as_ref())?, Vec::new());
    while files::read_more(file.as_fd(), &mut bytes)? > 0 {}
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
#[inline(never)]
fn complain(text: Arguments<'_>) {
    stdio::complain("memento-cli", &text.to_string());
}

/// How far something is, written over what was told before: on a terminal alone.
#[inline(never)]
fn tell(text: Arguments<'_>) {
    let mut errors = ERRORS;
    if errors.is_terminal() {
        let _ = errors.write_all(format!("\r{text}\x1b[K").as_bytes());
    }
}

#[inline(never)]
fn say(text: Arguments<'_>) -> Result<(), Failure> {
    print(text.to_string().as_bytes())
}

#[inline(never)]
fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut output = OUTPUT;
    output.write_all(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::status(0),
        _ => Failure::at("cannot write to standard output", &error),
    })
}

/// A variable of the environment, where it says something.
#[inline(never)]
fn variable(name: &CStr) -> Option<OsString> {
    program::variable(name).filter(|value| !value.is_empty())
}

/// A terminal that cannot be painted on.
fn is_dumb() -> bool {
    variable(c"TERM").is_some_and(|kind| kind == "dumb")
}

/// How answers are printed where nothing else is said: who copies them into a file or another program is to have them as
/// they are.
fn style_here() -> Style {
    if !OUTPUT.is_terminal() {
        return Style::Raw;
    }
    Style::People { colours: variable(c"NO_COLOR").is_none() && !is_dumb() }
}

#[inline(never)]
fn run(request: &Request) -> Result<(), Failure> {
    if let Some(mode) = request.mode {
        return (mode.run)(request);
    }
    if !request.command.is_empty() {
        command(request)
    } else if tty::is_here() && !is_dumb() {
        prompt::run(&request.target, request.style)
    } else if tty::is_here() || request.errors || request.style != Style::Raw {
        framed(request)
    } else {
        pipe::run(&request.target)
    }
}

/// A connection whose password was right, where one was given.
fn connect(request: &Request) -> Result<Box<Talk>, Failure> {
    let talk = Talk::connect(&request.target, request.style)?;
    match &talk.refusal {
        // That it wants a password, its answers say as well, and there may be an AUTH among the lines.
        Some(why) if !why.starts_with("NOAUTH") => Err(Failure::message(format_args!("{why}"))),
        _ => Ok(talk),
    }
}

/// Runs one command as often as it is wanted; any answer that is an error makes the status 1.
#[inline(never)]
fn command(request: &Request) -> Result<(), Failure> {
    let mut words: Vec<&[u8]> = request.command.iter().map(|word| word.as_bytes()).collect();
    let mut last = Vec::new();
    if request.from_stdin {
        while read_input(&mut last)? > 0 {}
        words.push(&last);
    }
    let mut talk = connect(request)?;
    if words.iter().all(|word| word.trim_ascii().is_empty()) {
        return Ok(());
    }
    let mut failed = false;
    request.repeat(1, request.interval, &mut || {
        let kind = talk.send_words(&words)?;
        if kind == Answer::Unknown {
            // It may not be answered; the end of the connection will be seen in any case.
            talk.send_words(&[b"QUIT"])?;
        }
        failed |= answers(&mut talk, kind)?;
        Ok(())
    })?;
    self::failed(failed)
}

/// Waits for the answers to what was sent, and prints them; says whether one was an error.
#[inline(never)]
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

/// Why some lines are refused where their answers are looked at.
const UNCOUNTED: &str = "every answer is waited for here, so neither CLIENT REPLY nor RESP can be a line";

/// Lines from an input that is no terminal, whose answers are looked at: printed in another style, or for errors.
#[inline(never)]
fn framed(request: &Request) -> Result<(), Failure> {
    let mut lines = Framed { talk: connect(request)?, batch: Batch::default(), failed: false };
    // One that cannot be painted on has a prompt too.
    let prompt = if tty::is_here() { format!("{}> ", lines.talk.client.address()) } else { String::new() };
    let (mut bytes, mut at_end) = (Vec::new(), false);
    while !at_end {
        if !prompt.is_empty() {
            print(prompt.as_bytes())?;
        }
        at_end = read_input(&mut bytes)? == 0;
        if at_end && !bytes.is_empty() {
            bytes.push(b'\n');
        }
        let mut start = 0;
        while let Some(length) = bytes[start..].iter().position(|&byte| byte == b'\n') {
            let line = &bytes[start..start + length];
            if lines.take(line.strip_suffix(b"\r").unwrap_or(line))? {
                at_end = true;
                break;
            }
            start += length + 1;
        }
        bytes.drain(..start);
        lines.failed |= lines.talk.run(&mut lines.batch)?;
    }
    failed(lines.failed && request.errors)
}

/// Lines that are sent, and what their answers were.
struct Framed {
    talk: Box<Talk>,
    /// Those that are sent together.
    batch: Batch,
    failed: bool,
}

impl Framed {
    /// Takes a line; says whether it was the last one.
    #[inline(never)]
    fn take(&mut self, line: &[u8]) -> Result<bool, Failure> {
        match lines::answer(line) {
            Answer::None => {}
            Answer::One if !talk::is_apart(line) => self.talk.put(line, &mut self.batch),
            Answer::Unknown => return Err(Failure::message(format_args!("{UNCOUNTED}"))),
            kind => {
                self.failed |= self.talk.run(&mut self.batch)?;
                // UNSUBSCRIBE is answered once for each channel.
                self.talk.forget_unasked()?;
                self.talk.send_line(line)?;
                self.failed |= answers(&mut self.talk, kind)?;
                if kind == Answer::End {
                    return Ok(true);
                }
                self.talk.greet_again()?;
            }
        }
        Ok(false)
    }
}
