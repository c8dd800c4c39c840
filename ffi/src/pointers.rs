//! What C hands over and gets, as Rust has it: every pointer of a caller is looked at here and nowhere else.
//!
//! Each function says in its type who owns what. What a caller must promise is in memento.h: a pointer that is not NULL
//! leads to so many bytes as it says, or to one place for a result, until the call returns.

use std::ffi::{CStr, c_char, c_void};

use memento::limits::{ARGS_MAX, VALUE_BYTES_MAX};

use crate::error::{Failure, Outcome};

/// Bytes that the caller lends for the call; NULL is nothing where their number is 0.
///
/// # Safety
/// As memento.h has it: `data` is NULL or leads to `length` bytes.
pub unsafe fn bytes<'a>(what: &str, data: *const c_void, length: usize) -> Outcome<&'a [u8]> {
    if length == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(Failure::invalid(format!("the {what} is NULL, and its length {length}")));
    }
    if length > VALUE_BYTES_MAX {
        return Err(Failure::invalid(format!("the {what} has {length} bytes, and may have {VALUE_BYTES_MAX}")));
    }
    // SAFETY: the caller promises so many bytes there; a larger number than any object has was refused.
    Ok(unsafe { std::slice::from_raw_parts(data.cast(), length) })
}

/// A text that ends in NUL and is lent for the call.
///
/// # Safety
/// As memento.h has it: `text` is NULL or leads to bytes that end in NUL.
pub unsafe fn text<'a>(what: &str, text: *const c_char) -> Outcome<&'a [u8]> {
    if text.is_null() {
        return Err(Failure::invalid(format!("the {what} is NULL")));
    }
    // SAFETY: the caller promises a NUL at its end.
    Ok(unsafe { CStr::from_ptr(text) }.to_bytes())
}

/// A place of the caller's for a result; written at most once, at success.
pub struct Out<T>(*mut T);

/// The place for a result.
///
/// # Safety
/// As memento.h has it: `place` is NULL or leads to room for a `T`, until the call returns.
pub unsafe fn out<T>(what: &str, place: *mut T) -> Outcome<Out<T>> {
    if place.is_null() {
        return Err(Failure::invalid(format!("the place for {what} is NULL")));
    }
    Ok(Out(place))
}

impl<T> Out<T> {
    /// Writes the result.
    pub fn write(self, value: T) {
        // SAFETY: `out` was promised room for one, and saw that it is not NULL.
        unsafe { self.0.write(value) }
    }
}

/// The words of a command, lent for the call.
#[derive(Clone, Copy)]
pub struct Words<'a> {
    texts: &'a [*const c_char],
    lengths: Option<&'a [usize]>,
}

/// The words of a command; where no lengths are given, each ends in NUL.
///
/// # Safety
/// As memento.h has it: each pointer is NULL or leads to what its number or its length says.
pub unsafe fn words<'a>(count: i32, texts: *const *const c_char, lengths: *const usize) -> Outcome<Words<'a>> {
    let count = usize::try_from(count).ok().filter(|count| (1..=ARGS_MAX).contains(count));
    let Some(count) = count else {
        return Err(Failure::invalid(format!("a command has 1 to {ARGS_MAX} words")));
    };
    if texts.is_null() {
        return Err(Failure::invalid("the words are NULL"));
    }
    // SAFETY: the caller promises so many pointers there.
    let texts = unsafe { std::slice::from_raw_parts(texts, count) };
    // SAFETY: where it is not NULL, the caller promises so many lengths there.
    let lengths = (!lengths.is_null()).then(|| unsafe { std::slice::from_raw_parts(lengths, count) });
    let words = Words { texts, lengths };
    for at in 0..count {
        words.get(at)?;
    }
    Ok(words)
}

impl<'a> Words<'a> {
    fn get(&self, at: usize) -> Outcome<&'a [u8]> {
        match self.lengths {
            // SAFETY: `words` was promised that each pointer leads to so many bytes.
            Some(lengths) => unsafe { bytes("word", self.texts[at].cast(), lengths[at]) },
            // SAFETY: `words` was promised that each pointer leads to bytes that end in NUL.
            None => unsafe { text("word", self.texts[at]) },
        }
    }

    /// Each word.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone {
        let words = *self;
        // `words` has looked at each already.
        (0..self.texts.len()).map(move |at| words.get(at).unwrap_or_default())
    }
}

/// A copy for the caller, who gives it back with `memento_free`; a NUL stands behind it, for who takes it for a text.
pub fn give(value: &[u8]) -> Outcome<*mut c_char> {
    // SAFETY: malloc(3) may be asked for any number of bytes.
    let copy: *mut u8 = unsafe { libc::malloc(value.len() + 1) }.cast();
    if copy.is_null() {
        return Err(Failure::memory("the value"));
    }
    // SAFETY: there is room for one byte more than the value has, in memory that nobody else knows.
    unsafe { copy.copy_from_nonoverlapping(value.as_ptr(), value.len()) };
    // SAFETY: as above; the index is within it.
    let end = unsafe { copy.add(value.len()) };
    // SAFETY: as above.
    unsafe { end.write(0) };
    Ok(copy.cast())
}

/// Takes back what `give` made.
///
/// # Safety
/// As memento.h has it: `value` is NULL, or came from this library and was not given back yet.
pub unsafe fn take_back(value: *mut c_void) {
    // SAFETY: `give` had it from malloc(3); free(3) takes NULL too.
    unsafe { libc::free(value) }
}
