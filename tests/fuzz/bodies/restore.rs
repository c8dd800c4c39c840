//! Any bytes as what RESTORE takes: as they come, with a seal that is right, and as a value that DUMP would answer.

use memento::dump::{Error, OVERHEAD_BYTES_MAX, decode, encode, seal};

/// More than this no byte of a payload becomes.
const RATIO_MAX: usize = 90;

/// Tries one input.
pub fn run(input: &[u8]) {
    let _ = read(input);
    // A fuzzer finds no checksum by chance.
    let mut sealed = input.to_vec();
    sealed.extend(seal(&sealed));
    assert_ne!(read(&sealed), Err(Error::Seal));
    sealed.insert(0, 0);
    let body = sealed.len() - 10;
    sealed.truncate(body);
    sealed.extend(seal(&sealed));
    assert_ne!(read(&sealed), Err(Error::Seal));
    let payload = encode(input).expect("memory").to_vec();
    assert!(payload.len() <= input.len() + OVERHEAD_BYTES_MAX);
    assert_eq!(read(&payload).as_deref(), Ok(input));
}

/// The value that a payload has; its length is believed, and so is to be bounded.
fn read(payload: &[u8]) -> Result<Vec<u8>, Error> {
    let value = decode(payload)?;
    assert!(value.len() <= 20 + payload.len() * RATIO_MAX);
    let mut out = vec![0; value.len()];
    if value.write_to(&mut out) { Ok(out) } else { Err(Error::Form) }
}
