//! What went wrong: the numbers of memento.h, which are never reused, and a sentence.

use std::ffi::CStr;
use std::io;

/// A result's number, as in memento.h.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Done.
    Ok = 0,
    /// Done, and there is nothing there.
    Nil = 1,
    /// An argument cannot be meant.
    Invalid = -1,
    /// The handle is NULL or closed.
    Handle = -2,
    /// No connection could be made.
    Connect = -3,
    /// The time is over.
    Timeout = -4,
    /// The connection has ended.
    Closed = -5,
    /// What came is no answer.
    Protocol = -6,
    /// The server answered with an error.
    Reply = -7,
    /// There is no memory for it.
    Memory = -8,
    /// The handle is in use.
    Busy = -9,
    /// The handle is not in the state for it.
    State = -10,
    /// The answer is of another type.
    Type = -11,
    /// A mistake in the library.
    Bug = -12,
}

/// What the number of a result means, in words.
pub fn describe(code: i32) -> &'static CStr {
    match code {
        0 => c"done",
        1 => c"nothing there",
        -1 => c"an argument is NULL, or too large, or not one of those allowed",
        -2 => c"the handle is NULL or closed",
        -3 => c"no connection to the server",
        -4 => c"the server did not answer in time",
        -5 => c"the connection to the server was closed",
        -6 => c"what the server sent is no answer",
        -7 => c"the server answered with an error",
        -8 => c"not enough memory",
        -9 => c"the handle is in use, by another thread or by the call that this callback belongs to",
        -10 => c"the handle has subscriptions, or none where the call needs one",
        -11 => c"the answer is of another type",
        -12 => c"a mistake in libmemento",
        _ => c"an unknown number",
    }
}

/// A failure: its number, and a sentence for people.
#[derive(Debug)]
pub struct Failure {
    /// The number.
    pub code: Code,
    /// The sentence.
    pub text: String,
}

/// What calls inside of the library give.
pub type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// A failure of this number with this sentence.
    pub fn new(code: Code, text: impl Into<String>) -> Failure {
        Failure { code, text: text.into() }
    }

    /// An argument that cannot be meant.
    pub fn invalid(text: impl Into<String>) -> Failure {
        Failure::new(Code::Invalid, text)
    }

    /// No memory for what is named.
    pub fn memory(what: &str) -> Failure {
        Failure::new(Code::Memory, format!("there is no memory for {what}"))
    }

    /// A connection that could not be made.
    pub fn connecting(error: &io::Error) -> Failure {
        let code = if error.kind() == io::ErrorKind::TimedOut { Code::Timeout } else { Code::Connect };
        Failure::new(code, error.to_string())
    }
}

impl From<io::Error> for Failure {
    /// A conversation that broke.
    fn from(error: io::Error) -> Failure {
        let code = match error.kind() {
            io::ErrorKind::TimedOut => Code::Timeout,
            io::ErrorKind::InvalidData => Code::Protocol,
            io::ErrorKind::OutOfMemory => Code::Memory,
            _ => Code::Closed,
        };
        Failure::new(code, error.to_string())
    }
}
