//! The conversation on a terminal: a prompt, a line, its answer.

use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::edit::{Done, Editor, Keys};
use super::hints::{self, Table};
use super::history::History;
use super::lines::Answer;
use super::show::Style;
use super::talk::{Talk, Target};
use super::{Failure, UNCOUNTED, complain, print, say, variable, words};
use crate::stats::Fixed;
use crate::sys::clock::monotonic_ns;
use crate::sys::stdio::INPUT;
use crate::sys::tty::{self, Keyboard};
use crate::sys::{files, threads};

/// An answer that took so long is followed by how long it took.
const LONG_NS: u64 = 500_000_000;

/// So much is printed before it is looked whether Ctrl-C was pressed.
const PRINT_BYTES: usize = 16 * 1024;

/// And so long at most, where one answer follows the other.
const LOOK_NS: u64 = 50_000_000;

/// Connecting is seldom a matter of more than this, and looked at so often.
const CONNECT_LOOK: Duration = Duration::from_millis(5);

/// What a terminal sends for it.
const CONTROL_C: u8 = 3;

/// What a terminal is to tell of: where something that is pasted begins and ends.
const PASTES: &str = "\x1b[?2004h";
const NO_PASTES: &str = "\x1b[?2004l";

/// The conversation.
struct Prompt<'a> {
    target: &'a Target,
    style: Style,
    keyboard: Keyboard,
    /// Keys that were pressed, some while something else ran.
    keys: Keys,
    /// Ctrl-C was among the keys that were read last.
    stops: bool,
    /// When it was looked whether keys were pressed.
    looked_ns: u64,
    editor: Editor,
    history: History,
    talk: Option<Box<Talk>>,
}

/// Talks until the input ends or a line says so.
///
/// # Errors
/// When the terminal fails, or there is no server at the start.
#[inline(never)]
pub(super) fn run(target: &Target, style: Style) -> Result<(), Failure> {
    // Before the terminal is changed: who mistypes the host sees a message and the shell's prompt.
    let talk = Talk::connect(target, style)?;
    let history = variable(c"HOME").map(|mut home| {
        home.push("/.memento_history");
        History::load(PathBuf::from(home))
    });
    let terminal = |error: io::Error| Failure::at("cannot use the terminal", &error);
    let (columns, rows) = tty::size();
    let mut prompt = Prompt {
        target,
        style,
        keyboard: Keyboard::new().map_err(terminal)?,
        keys: Keys::default(),
        stops: false,
        looked_ns: monotonic_ns(),
        editor: Editor::new(columns, rows, &Table),
        history: history.unwrap_or_default(),
        talk: Some(talk),
    };
    prompt.tell_refusal();
    let outcome = print(PASTES.as_bytes()).and_then(|()| prompt.converse());
    // The terminal may be gone.
    let _ = print(NO_PASTES.as_bytes());
    outcome
}

impl Prompt<'_> {
    #[inline(never)]
    fn converse(&mut self) -> Result<(), Failure> {
        while let Some(line) = self.read_line()? {
            self.history.add(&line);
            if let Some(text) = hints::help(&line) {
                print(text.as_bytes())?;
            } else if self.execute(&line)? {
                break;
            }
        }
        Ok(())
    }

    fn tell_refusal(&self) {
        if let Some(why) = self.talk.as_ref().and_then(|talk| talk.refusal.as_ref()) {
            let advice = if why.starts_with("NOAUTH") { "the server wants a password: AUTH password" } else { why };
            complain(format_args!("{advice}"));
        }
    }

    fn prompt(&self) -> String {
        let Some(talk) = &self.talk else { return "not connected> ".to_string() };
        let state = if talk.in_transaction() { " (in MULTI)" } else { "" };
        format!("{}{state}> ", talk.client.address())
    }

    /// A line from the editor; `None` at the end.
    #[inline(never)]
    fn read_line(&mut self) -> Result<Option<String>, Failure> {
        self.resize();
        self.editor.out.clear();
        self.begin_line();
        loop {
            let mut pressed = false;
            while let Some(key) = self.keys.next() {
                pressed = true;
                match self.editor.press(key, &self.history.lines) {
                    None => {}
                    Some(Done::Line(line)) => {
                        self.show()?;
                        return Ok(Some(line));
                    }
                    Some(Done::Dropped) => self.begin_line(),
                    Some(Done::End) => {
                        self.show()?;
                        return Ok(None);
                    }
                    Some(Done::Suspend) => {
                        // Others write below the line, and it is there again when the program goes on.
                        self.editor.leave();
                        self.editor.out += NO_PASTES;
                        self.show()?;
                        self.keyboard.suspend().map_err(|error| Failure::at("cannot use the terminal", &error))?;
                        self.editor.out += PASTES;
                    }
                }
            }
            if pressed {
                self.editor.paint();
            }
            self.show()?;
            let ready = self.wait(None, None)?;
            if ready.resized {
                self.resize();
            }
            if ready.keys && !self.read_keys()? {
                return Ok(None);
            }
        }
    }

    fn begin_line(&mut self) {
        let prompt = self.prompt();
        self.editor.start(&prompt, &self.history.lines);
    }

    fn resize(&mut self) {
        let (columns, rows) = tty::size();
        self.editor.resize(columns, rows);
    }

    fn show(&mut self) -> Result<(), Failure> {
        print(std::mem::take(&mut self.editor.out).as_bytes())
    }

    fn wait(&self, other: Option<&Talk>, timeout: Option<Duration>) -> Result<tty::Ready, Failure> {
        let other = other.map(|talk| talk.client.as_fd());
        let ready = self.keyboard.wait(other, timeout).map_err(|error| Failure::at("cannot wait for keys", &error))?;
        match ready.ended {
            Some(number) => Err(Failure::status(128 + number)),
            None => Ok(ready),
        }
    }

    /// Takes keys in; false at the terminal's end.
    fn read_keys(&mut self) -> Result<bool, Failure> {
        let mut bytes = Vec::new();
        match files::read_more(INPUT.as_fd(), &mut bytes) {
            // What a terminal says that is gone.
            Err(error) if error.raw_os_error() == Some(5) => return Ok(false),
            read => read.map_err(|error| Failure::at("cannot read standard input", &error))?,
        };
        self.keys.feed(&bytes);
        self.stops = bytes.contains(&CONTROL_C);
        Ok(!bytes.is_empty())
    }

    /// Sends a line and prints its answers; true when the conversation is over.
    #[inline(never)]
    fn execute(&mut self, line: &str) -> Result<bool, Failure> {
        if words(line).is_empty() {
            return Ok(false);
        }
        if super::lines::answer(line.as_bytes()) == Answer::Unknown {
            complain(format_args!("{UNCOUNTED}"));
            return Ok(false);
        }
        // A server that has closed the connection meanwhile is told from one that does so over this line.
        let mut queued = false;
        if let Some(talk) = &mut self.talk
            && talk.forget_unasked().is_err()
        {
            queued = talk.in_transaction();
            self.talk = None;
        }
        if queued {
            // Alone, the line would not be what was meant.
            return self.lost("the transaction was lost with the connection, and the line was not sent");
        }
        if self.talk.is_none() && !self.reconnect("the connection was lost")? {
            return Ok(false);
        }
        let start = monotonic_ns();
        let Some(mut talk) = self.talk.take() else { return Ok(false) };
        let kind = match talk.send_line(line.as_bytes()) {
            Ok(kind) => kind,
            Err(failure) => return self.lost(&failure.sentence()?),
        };
        loop {
            match self.wait_for_answer(&mut talk) {
                Ok(Some(error)) if kind == Answer::Stream && !error => continue,
                Ok(Some(_)) => break,
                Ok(None) => {
                    print(b"^C\n")?;
                    drop(talk);
                    // Its answer may still come on the old connection.
                    self.reconnect("stopped")?;
                    return Ok(false);
                }
                Err(failure) => {
                    let why = failure.sentence()?;
                    return if matches!(kind, Answer::End | Answer::MayEnd) { Ok(true) } else { self.lost(&why) };
                }
            }
        }
        let took_ns = monotonic_ns() - start;
        if took_ns >= LONG_NS {
            let hundredths = Fixed::<2>((took_ns + 5_000_000) / 10_000_000);
            say(format_args!("({hundredths} s)\n"))?;
        }
        if kind == Answer::End {
            return Ok(true);
        }
        match talk.greet_again() {
            Ok(()) => self.talk = Some(talk),
            Err(failure) => return self.lost(&failure.sentence()?),
        }
        Ok(false)
    }

    /// The line may have been executed, or not: it is not sent again. What was typed ahead counted on it, and in a
    /// transaction would be executed instead of queued: it is forgotten.
    fn lost(&mut self, why: &str) -> Result<bool, Failure> {
        complain(format_args!("{why}"));
        self.keys = Keys::default();
        self.reconnect("the line was not answered")?;
        Ok(false)
    }

    /// Connects, while Ctrl-C is heard: a server that is busy or switched off lets us wait for seconds.
    #[inline(never)]
    fn reconnect(&mut self, why: &str) -> Result<bool, Failure> {
        let (target, style) = (self.target.clone(), self.style);
        let found = Arc::new(Mutex::new(None));
        let told = Arc::clone(&found);
        let spawned = threads::start(Box::new(move || {
            let connected = Talk::connect(&target, style);
            *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(connected);
        }));
        spawned.map_err(|error| Failure::at("cannot start a thread", &error))?;
        let connected = loop {
            if let Some(connected) = found.lock().unwrap_or_else(PoisonError::into_inner).take() {
                break connected;
            }
            if self.wait(None, Some(CONNECT_LOOK))?.keys && self.stop_pressed()? {
                // The thread ends by itself when its time is over.
                complain(format_args!("not connected: stopped"));
                return Ok(false);
            }
        };
        match connected {
            Ok(talk) => {
                complain(format_args!("{why}; connected again"));
                self.talk = Some(talk);
                self.tell_refusal();
                Ok(true)
            }
            Err(failure) => {
                complain(format_args!("{}", failure.sentence()?));
                Ok(false)
            }
        }
    }

    /// Waits for an answer and prints it; says whether it was an error, nothing where Ctrl-C was pressed. Other keys pressed
    /// meanwhile are kept for the next line.
    #[inline(never)]
    fn wait_for_answer(&mut self, talk: &mut Talk) -> Result<Option<bool>, Failure> {
        let mut out = Vec::new();
        let error = loop {
            if self.is_stopped()? {
                return Ok(None);
            }
            if let Some(error) = talk.try_answer(&mut out)? {
                break error;
            }
            if self.wait(Some(talk), None)?.keys && self.stop_pressed()? {
                return Ok(None);
            }
        };
        for piece in out.chunks(PRINT_BYTES) {
            print(piece)?;
            if self.is_stopped()? {
                print(b"\n")?;
                return Ok(None);
            }
        }
        Ok(Some(error))
    }

    /// Whether Ctrl-C was pressed, looked at now and then without waiting: answers may come faster than they are printed.
    fn is_stopped(&mut self) -> Result<bool, Failure> {
        let now_ns = monotonic_ns();
        if now_ns - self.looked_ns < LOOK_NS {
            return Ok(false);
        }
        self.looked_ns = now_ns;
        Ok(self.wait(None, Some(Duration::ZERO))?.keys && self.stop_pressed()?)
    }

    fn stop_pressed(&mut self) -> Result<bool, Failure> {
        if !self.read_keys()? {
            return Err(Failure::status(0));
        }
        if self.stops {
            self.keys = Keys::default();
        }
        Ok(self.stops)
    }
}
