//! Any bytes as the records of a snapshot: in one piece or in many, they say the same.

use memento::snapshot::{Error, Intake, Step};
use memento::store::Store;

/// Tries one input.
pub fn run(input: &[u8]) {
    let (&piece, records) = input.split_first().unwrap_or((&0, &[]));
    let whole = read(records, records.len().max(1));
    let pieces = read(records, usize::from(piece).max(1));
    assert_eq!(whole, pieces);
    // What long values had is given back by whoever has time.
    let mut store = Store::new();
    while store.reclaim(1) {}
}

/// What records say, each in a few words, and whether it is wrong or whole; they come so many bytes at a time.
fn read(records: &[u8], piece: usize) -> (Vec<String>, Result<bool, Error>) {
    let (mut intake, mut said) = (Intake::default(), Vec::new());
    for piece in records.chunks(piece) {
        intake.add(piece);
        loop {
            said.push(match intake.step() {
                Ok(Step::More) => break,
                Ok(Step::Again) => continue,
                Ok(Step::Begin(wall_ms)) => format!("begin {wall_ms}"),
                Ok(Step::Key(key, after_ms, value)) => format!("{key:?} {after_ms:?} {value:?}"),
                Ok(Step::Long(key, after_ms, value)) => format!("{key:?} {after_ms:?} long {}", value.len()),
                Ok(Step::Gone(key)) => format!("gone {key:?}"),
                Ok(Step::Flushed) => "flushed".into(),
                Err(error) => return (said, Err(error)),
            });
        }
    }
    assert!(said.len() <= records.len());
    (said, Ok(intake.is_whole()))
}
