//! libmemento: memento from C. `include/memento.h` says what each function does, who owns what and what is promised.
//!
//! | files | what they do |
//! | --- | --- |
//! | `lib.rs` | the functions of memento.h: from C's words to Rust's, and back |
//! | `pointers.rs` | every pointer of a caller |
//! | `guard.rs` | panics become a number |
//! | `error.rs` | the numbers, and what they mean |
//! | `table.rs` | which handles are open |
//! | `handle.rs` | the connection, calls, pipelines |
//! | `subscriptions.rs` | channels that are listened to |
//! | `reply.rs` | replies as C walks them |
//!
//! The conversation itself is that of the main library's client. The `Safety` of all functions here is that of
//! memento.h: pointers lead to what they say.

#![allow(unsafe_code, clippy::missing_safety_doc)]

#[cfg(not(panic = "unwind"))]
compile_error!("libmemento must not end the program that it is part of: build it with --profile ffi");

mod error;
mod guard;
mod handle;
mod pointers;
mod reply;
mod subscriptions;
mod table;

use std::cell::RefCell;
use std::ffi::{OsStr, c_char, c_int, c_longlong, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::TryLockError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use memento::client::reply::Kind;
use memento::client::resp::Deadline;

use error::{Code, Failure, Outcome};
use guard::guard;
use handle::{Handle, Inner, Target};
use pointers::Words;
use reply::Node;
use subscriptions::{Callback, Sink, What};

/// What a `memento *` leads to: nothing. It is a number of `table.rs`.
#[repr(C)]
pub struct Memento {
    _nothing: [u8; 0],
}

/// C's function for the replies of a pipeline.
type ReplyCallback = unsafe extern "C" fn(data: *mut c_void, index: usize, reply: *const Node);

/// Sentences are cut so that they fit here, the NUL included.
const CONNECT_ERROR_BYTES: usize = 512;

thread_local! {
    /// Why this thread's last connect failed. It needs no destructor, so that nothing is left when a thread ends.
    static CONNECT_ERROR: RefCell<[u8; CONNECT_ERROR_BYTES]> = const { RefCell::new([0; CONNECT_ERROR_BYTES]) };
}

/// A sentence as a text of C: what does not print becomes a question mark.
fn to_text(sentence: &str, text: &mut Vec<u8>) {
    text.clear();
    text.extend(sentence.bytes().map(|byte| if byte < b' ' || byte == 0x7f { b'?' } else { byte }));
    text.push(0);
}

/// Does a call's work with its handle, and gives its number.
fn with(handle: *mut Memento, work: impl FnOnce(&mut Inner, &Handle) -> Outcome<c_int>) -> c_int {
    let outcome = guard(|| {
        let handle = table::find(handle.addr())?;
        let mut inner = match handle.inner.try_lock() {
            Ok(inner) => inner,
            Err(TryLockError::WouldBlock) => return Err(Failure::new(Code::Busy, "")),
            // A panic may have left anything behind.
            Err(TryLockError::Poisoned(_)) => return Err(Failure::new(Code::Bug, "")),
        };
        let number = work(&mut inner, &handle).unwrap_or_else(|failure| {
            to_text(&failure.text, &mut inner.last_error);
            failure.code as c_int
        });
        inner.forget_answer();
        Ok(number)
    });
    outcome.unwrap_or_else(|failure| failure.code as c_int)
}

/// Makes a handle; where that fails, keeps why for `memento_connect_error`.
fn connect(target: impl FnOnce() -> Outcome<Target>, timeout_ms: c_int) -> *mut Memento {
    let made = guard(|| table::open(Handle::connect(target()?, timeout_ms)?));
    let failure = match made {
        Ok(number) => return std::ptr::without_provenance_mut(number),
        Err(failure) => failure,
    };
    CONNECT_ERROR.with_borrow_mut(|kept| {
        let mut text = Vec::new();
        to_text(&failure.text, &mut text);
        let length = (text.len() - 1).min(CONNECT_ERROR_BYTES - 1);
        kept[..length].copy_from_slice(&text[..length]);
        kept[length] = 0;
    });
    std::ptr::null_mut()
}

fn utf8<'a>(what: &str, text: &'a [u8]) -> Outcome<&'a str> {
    std::str::from_utf8(text).map_err(|_| Failure::invalid(format!("the {what} is not UTF-8")))
}

/// Connects to a host's port.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memento_connect(host: *const c_char, port: c_int, timeout_ms: c_int) -> *mut Memento {
    let target = || {
        // SAFETY: memento.h: a text.
        let host = utf8("host", unsafe { pointers::text("host", host) }?)?;
        let port = u16::try_from(port).ok().filter(|&port| port > 0);
        let port = port.ok_or_else(|| Failure::invalid("the port must be a number from 1 to 65535"))?;
        Ok(Target::Tcp(host.to_string(), port))
    };
    connect(target, timeout_ms)
}

/// Connects to a Unix socket.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memento_connect_unix(path: *const c_char, timeout_ms: c_int) -> *mut Memento {
    // SAFETY: memento.h: a text.
    let target = || Ok(Target::Unix(PathBuf::from(OsStr::from_bytes(unsafe { pointers::text("path", path) }?))));
    connect(target, timeout_ms)
}

/// Why this thread's last connect failed.
#[unsafe(no_mangle)]
pub extern "C" fn memento_connect_error() -> *const c_char {
    CONNECT_ERROR.with(|kept| kept.as_ptr().cast())
}

/// Closes a handle.
#[unsafe(no_mangle)]
pub extern "C" fn memento_close(handle: *mut Memento) -> c_int {
    let closed = guard(|| {
        let handle = table::close(handle.addr())?;
        handle.is_closed.store(true, Ordering::Relaxed);
        Ok(Code::Ok as c_int)
    });
    closed.unwrap_or_else(|failure| failure.code as c_int)
}

/// Gives the password.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memento_auth(handle: *mut Memento, password: *const c_void, length: usize) -> c_int {
    with(handle, |inner, _| {
        // SAFETY: memento.h: bytes and their number.
        inner.auth(unsafe { pointers::bytes("password", password, length) }?)?;
        Ok(Code::Ok as c_int)
    })
}

/// Sets a key's value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memento_set(
    handle: *mut Memento,
    key: *const c_void,
    key_length: usize,
    value: *const c_void,
    value_length: usize,
    ttl_ms: c_longlong,
) -> c_int {
    with(handle, |inner, _| {
        // SAFETY: memento.h: bytes and their number.
        let key = unsafe { pointers::bytes("key", key, key_length) }?;
        // SAFETY: memento.h: bytes and their number.
        let value = unsafe { pointers::bytes("value", value, value_length) }?;
        match ttl_ms {
            0 => inner.ask(&[b"SET", key, value])?,
            1.. => inner.ask(&[b"SET", key, value, b"PX", ttl_ms.to_string().as_bytes()])?,
            _ => return Err(Failure::invalid("the time to live is negative; 0 is without an end")),
        }
        match inner.answer()?.kind() {
            Kind::Simple => Ok(Code::Ok as c_int),
            _ => inner.unexpected("OK"),
        }
    })
}

/// Gets a key's value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memento_get(
    handle: *mut Memento,
    key: *const c_void,
    key_length: usize,
    value: *mut *mut c_char,
    value_length: *mut usize,
) -> c_int {
    with(handle, |inner, _| {
        // SAFETY: memento.h: bytes and their number.
        let key = unsafe { pointers::bytes("key", key, key_length) }?;
        // SAFETY: memento.h: a place for a result.
        let value = unsafe { pointers::out("the value", value) }?;
        // SAFETY: memento.h: a place for a result.
        let length = unsafe { pointers::out("its length", value_length) }?;
        inner.ask(&[b"GET", key])?;
        let view = inner.answer()?;
        match view.kind() {
            Kind::Bulk => {
                value.write(pointers::give(view.bytes())?);
                length.write(view.bytes().len());
                Ok(Code::Ok as c_int)
            }
            Kind::Null => Ok(Code::Nil as c_int),
            _ => inner.unexpected("a string"),
        }
    })
}

/// Gives back a value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memento_free(value: *mut c_void) {
    // SAFETY: memento.h: a value of this library, or NULL.
    unsafe { pointers::take_back(value) }
}

/// The number that answers a command.
fn ask_integer(inner: &mut Inner, words: &[&[u8]]) -> Outcome<i64> {
    ask_integer_until(inner, words, inner.deadline())
}

/// As `ask_integer`, for a call that began before.
fn ask_integer_until(inner: &mut Inner, words: &[&[u8]], deadline: Deadline) -> Outcome<i64> {
    inner.ask_until(words, deadline)?;
    match inner.answer()?.integer() {
        Some(number) => Ok(number),
        None => inner.unexpected("an integer"),
    }
}

/// Deletes a key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memento_del(handle: *mut Memento, key: *const c_void, key_length: usize) -> c_int {
    with(handle, |inner, _| {
        // SAFETY: memento.h: bytes and their number.
        let key = unsafe { pointers::bytes("key", key, key_length) }?;
        let deleted = ask_integer(inner, &[b"DEL", key])?;
        Ok(if deleted > 0 { Code::Ok } else { Code::Nil } as c_int)
    })
}

/// Adds to a counter.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memento_inc(
    handle: *mut Memento,
    key: *const c_void,
    key_length: usize,
    by: c_longlong,
    result: *mut c_longlong,
) -> c_int {
    with(handle, |inner, _| {
        // SAFETY: memento.h: bytes and their number.
        let key = unsafe { pointers::bytes("key", key, key_length) }?;
        // SAFETY: memento.h: a place for a result.
        let result = unsafe { pointers::out("the result", result) }?;
        result.write(ask_integer(inner, &[b"INCRBY", key, by.to_string().as_bytes()])?);
        Ok(Code::Ok as c_int)
    })
}

/// Adds a number with a fraction.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memento_incf(
    handle: *mut Memento,
    key: *const c_void,
    key_length: usize,
    by: f64,
    result: *mut f64,
) -> c_int {
    with(handle, |inner, _| {
        // SAFETY: memento.h: bytes and their number.
        let key = unsafe { pointers::bytes("key", key, key_length) }?;
        // SAFETY: memento.h: a place for a result.
        let result = unsafe { pointers::out("the result", result) }?;
        if !by.is_finite() {
            return Err(Failure::invalid("only a finite number can be added"));
        }
        // The fewest digits that are this number and no other: 0.1 is sent as 0.1.
        inner.ask(&[b"INCRBYFLOAT", key, format!("{by:e}").as_bytes()])?;
        match reply::number(inner.answer()?.bytes()) {
            Some(number) => {
                result.write(number);
                Ok(Code::Ok as c_int)
            }
            None => inner.unexpected("a number"),
        }
    })
}

/// APPEND and PREPEND.
///
/// # Safety
/// As memento.h has it of both.
unsafe fn extend(
    handle: *mut Memento,
    command: &[u8],
    key: (*const c_void, usize),
    value: (*const c_void, usize),
    length: *mut usize,
) -> c_int {
    with(handle, |inner, _| {
        // SAFETY: memento.h: bytes and their number.
        let key = unsafe { pointers::bytes("key", key.0, key.1) }?;
        // SAFETY: memento.h: bytes and their number.
        let value = unsafe { pointers::bytes("value", value.0, value.1) }?;
        let is = ask_integer(inner, &[command, key, value])?;
        if !length.is_null() {
            // SAFETY: memento.h: a place for a result.
            unsafe { pointers::out("the length", length) }?.write(usize::try_from(is).unwrap_or(0));
        }
        Ok(Code::Ok as c_int)
    })
}

/// Puts bytes behind a value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memento_append(
    handle: *mut Memento,
    key: *const c_void,
    key_length: usize,
    value: *const c_void,
    value_length: usize,
    length: *mut usize,
) -> c_int {
    // SAFETY: memento.h.
    unsafe { extend(handle, b"APPEND", (key, key_length), (value, value_length), length) }
}

/// Puts bytes before a value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memento_prepend(
    handle: *mut Memento,
    key: *const c_void,
    key_length: usize,
    value: *const c_void,
    value_length: usize,
    length: *mut usize,
) -> c_int {
    // SAFETY: memento.h.
    unsafe { extend(handle, b"PREPEND", (key, key_length), (value, value_length), length) }
}

/// Lets a key end after a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memento_expire(
    handle: *mut Memento,
    key: *const c_void,
    key_length: usize,
    ttl_ms: c_longlong,
) -> c_int {
    with(handle, |inner, _| {
        // SAFETY: memento.h: bytes and their number.
        let key = unsafe { pointers::bytes("key", key, key_length) }?;
        if ttl_ms < 0 {
            return Err(Failure::invalid("the time to live is negative; 0 is without an end"));
        }
        if ttl_ms == 0 {
            // PERSIST answers 0 as well where a key has no end.
            let deadline = inner.deadline();
            ask_integer_until(inner, &[b"PERSIST", key], deadline)?;
            let exists = ask_integer_until(inner, &[b"EXISTS", key], deadline)?;
            return Ok(if exists > 0 { Code::Ok } else { Code::Nil } as c_int);
        }
        let found = ask_integer(inner, &[b"PEXPIRE", key, ttl_ms.to_string().as_bytes()])?;
        Ok(if found > 0 { Code::Ok } else { Code::Nil } as c_int)
    })
}

/// How long a key still lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memento_ttl(
    handle: *mut Memento,
    key: *const c_void,
    key_length: usize,
    ttl_ms: *mut c_longlong,
) -> c_int {
    with(handle, |inner, _| {
        // SAFETY: memento.h: bytes and their number.
        let key = unsafe { pointers::bytes("key", key, key_length) }?;
        // SAFETY: memento.h: a place for a result.
        let result = unsafe { pointers::out("the time to live", ttl_ms) }?;
        match ask_integer(inner, &[b"PTTL", key])? {
            -2 => Ok(Code::Nil as c_int),
            ttl => {
                result.write(ttl);
                Ok(Code::Ok as c_int)
            }
        }
    })
}

/// Sends any command and gives its reply.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memento_command(
    handle: *mut Memento,
    argc: c_int,
    argv: *const *const c_char,
    argvlen: *const usize,
    reply: *mut *mut Node,
) -> c_int {
    with(handle, |inner, _| {
        // SAFETY: memento.h: so many words.
        let words: Words<'_> = unsafe { pointers::words(argc, argv, argvlen) }?;
        // SAFETY: memento.h: a place for a result.
        let place = unsafe { pointers::out("the reply", reply) }?;
        let mut row: Vec<&[u8]> = Vec::new();
        row.try_reserve_exact(words.iter().len()).map_err(|_| Failure::memory("the words"))?;
        row.extend(words.iter());
        inner.ask(&row)?;
        place.write(reply::give(inner.answer()?)?);
        Ok(Code::Ok as c_int)
    })
}

/// Gives back a reply.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memento_reply_free(reply: *mut Node) {
    // SAFETY: memento.h: a reply of this library, or NULL.
    unsafe { reply::take_back(reply) }
}

/// The number of what an accessor found.
fn number_of(outcome: Outcome<()>) -> c_int {
    outcome.map_or_else(|failure| failure.code as c_int, |()| Code::Ok as c_int)
}

/// A reply of the caller's.
///
/// # Safety
/// As memento.h has it: NULL, or a reply that was not given back yet.
unsafe fn node<'a>(reply: *const Node) -> Outcome<&'a Node> {
    // SAFETY: the caller promises it.
    unsafe { reply.as_ref() }.ok_or_else(|| Failure::invalid("the reply is NULL"))
}

/// A reply's type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memento_reply_type(reply: *const Node) -> c_int {
    // SAFETY: memento.h: a reply, or NULL.
    unsafe { node(reply) }.map_or(Code::Invalid as c_int, Node::kind)
}

/// A reply's bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memento_reply_string(
    reply: *const Node,
    text: *mut *const c_char,
    length: *mut usize,
) -> c_int {
    number_of(guard(|| {
        // SAFETY: memento.h: a place for a result.
        let text = unsafe { pointers::out("the text", text) }?;
        // SAFETY: memento.h: a place for a result.
        let length = unsafe { pointers::out("its length", length) }?;
        // SAFETY: memento.h: a reply, or NULL.
        let (bytes, count) = unsafe { node(reply) }?.bytes()?;
        text.write(bytes);
        length.write(count);
        Ok(())
    }))
}

/// A reply's number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memento_reply_integer(reply: *const Node, number: *mut c_longlong) -> c_int {
    number_of(guard(|| {
        // SAFETY: memento.h: a place for a result.
        let number = unsafe { pointers::out("the number", number) }?;
        // SAFETY: memento.h: a reply, or NULL.
        number.write(unsafe { node(reply) }?.integer()?);
        Ok(())
    }))
}

/// A reply's number with a fraction.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memento_reply_double(reply: *const Node, number: *mut f64) -> c_int {
    number_of(guard(|| {
        // SAFETY: memento.h: a place for a result.
        let number = unsafe { pointers::out("the number", number) }?;
        // SAFETY: memento.h: a reply, or NULL.
        number.write(unsafe { node(reply) }?.double()?);
        Ok(())
    }))
}

/// How many children a reply has.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memento_reply_count(reply: *const Node) -> usize {
    // SAFETY: memento.h: a reply, or NULL.
    unsafe { node(reply) }.map_or(0, Node::count)
}

/// A child of a reply.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memento_reply_at(reply: *const Node, index: usize) -> *const Node {
    // SAFETY: memento.h: a reply, or NULL.
    unsafe { node(reply) }.map_or(std::ptr::null(), |node| node.at(index))
}

/// Puts a command into the pipeline.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memento_pipeline_append(
    handle: *mut Memento,
    argc: c_int,
    argv: *const *const c_char,
    argvlen: *const usize,
) -> c_int {
    with(handle, |inner, _| {
        // SAFETY: memento.h: so many words.
        let words: Words<'_> = unsafe { pointers::words(argc, argv, argvlen) }?;
        inner.append(words.iter())?;
        Ok(Code::Ok as c_int)
    })
}

/// Sends the pipeline and shows its replies.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memento_pipeline_run(
    handle: *mut Memento,
    callback: Option<ReplyCallback>,
    data: *mut c_void,
) -> c_int {
    with(handle, |inner, handle| {
        let outcome = inner.run(&mut |index, node| {
            if let Some(callback) = callback {
                // SAFETY: memento.h: a function of this type, which gets its own data back.
                unsafe { callback(data, index, node) }
            }
            !handle.was_closed()
        });
        if handle.was_closed() {
            return Ok(Code::Handle as c_int);
        }
        outcome?;
        Ok(Code::Ok as c_int)
    })
}

/// SUBSCRIBE and PSUBSCRIBE.
///
/// # Safety
/// As memento.h has it of both.
unsafe fn subscribe(
    handle: *mut Memento,
    what: What,
    name: (*const c_void, usize),
    callback: Option<Callback>,
    data: *mut c_void,
) -> c_int {
    with(handle, |inner, handle| {
        // SAFETY: memento.h: bytes and their number.
        let name = unsafe { pointers::bytes("name", name.0, name.1) }?;
        let callback = callback.ok_or_else(|| Failure::invalid("the callback is NULL"))?;
        inner.subscribe(what, name, Sink { callback, data }, &handle.is_closed)?;
        Ok(Code::Ok as c_int)
    })
}

/// Listens to a channel.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memento_subscribe(
    handle: *mut Memento,
    channel: *const c_void,
    length: usize,
    callback: Option<Callback>,
    data: *mut c_void,
) -> c_int {
    // SAFETY: memento.h.
    unsafe { subscribe(handle, What::Channel, (channel, length), callback, data) }
}

/// Listens to the channels that match a pattern.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memento_psubscribe(
    handle: *mut Memento,
    pattern: *const c_void,
    length: usize,
    callback: Option<Callback>,
    data: *mut c_void,
) -> c_int {
    // SAFETY: memento.h.
    unsafe { subscribe(handle, What::Pattern, (pattern, length), callback, data) }
}

/// Listens to a channel no more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memento_unsubscribe(handle: *mut Memento, channel: *const c_void, length: usize) -> c_int {
    with(handle, |inner, handle| {
        // SAFETY: memento.h: bytes and their number.
        let name = unsafe { pointers::bytes("name", channel, length) }?;
        inner.unsubscribe(What::Channel, name, &handle.is_closed)?;
        Ok(Code::Ok as c_int)
    })
}

/// Listens to a pattern no more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memento_punsubscribe(handle: *mut Memento, pattern: *const c_void, length: usize) -> c_int {
    with(handle, |inner, handle| {
        // SAFETY: memento.h: bytes and their number.
        let name = unsafe { pointers::bytes("name", pattern, length) }?;
        inner.unsubscribe(What::Pattern, name, &handle.is_closed)?;
        Ok(Code::Ok as c_int)
    })
}

/// Hands over messages.
#[unsafe(no_mangle)]
pub extern "C" fn memento_poll(handle: *mut Memento, timeout_ms: c_int) -> c_int {
    with(handle, |inner, handle| {
        let time = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
        inner.poll(time, &handle.is_closed)
    })
}

/// The descriptor to wait for.
#[unsafe(no_mangle)]
pub extern "C" fn memento_fd(handle: *mut Memento) -> c_int {
    with(handle, |inner, _| inner.descriptor())
}

/// What a number means.
#[unsafe(no_mangle)]
pub extern "C" fn memento_strerror(code: c_int) -> *const c_char {
    error::describe(code).as_ptr()
}

/// Why the last call that failed with this handle did.
#[unsafe(no_mangle)]
pub extern "C" fn memento_last_error(handle: *mut Memento) -> *const c_char {
    let kept = guard(|| {
        let handle = table::find(handle.addr())?;
        match handle.inner.try_lock() {
            // It stays where it is until the next call with this handle, and the table keeps the handle.
            Ok(inner) => Ok(inner.last_error.as_ptr().cast()),
            Err(TryLockError::WouldBlock) => Err(Failure::new(Code::Busy, "")),
            Err(TryLockError::Poisoned(_)) => Err(Failure::new(Code::Bug, "")),
        }
    });
    kept.unwrap_or_else(|failure| error::describe(failure.code as c_int).as_ptr())
}

/// The version of the library.
#[unsafe(no_mangle)]
pub extern "C" fn memento_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_at_the_border_is_a_number_and_the_handle_can_be_closed() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let number = table::open(Handle::connect(Target::Tcp("127.0.0.1".into(), port), 20_000).expect("a handle"));
        let handle = std::ptr::without_provenance_mut(number.expect("a number"));
        assert_eq!(with(handle, |_, _| panic!("within a call")), Code::Bug as c_int);
        // What the panic left is not gone on with.
        assert_eq!(with(handle, |_, _| Ok(0)), Code::Bug as c_int);
        assert_eq!(memento_last_error(handle), error::describe(Code::Bug as c_int).as_ptr());
        assert_eq!(memento_close(handle), Code::Ok as c_int);
        assert_eq!(memento_close(handle), Code::Handle as c_int);
    }
}
