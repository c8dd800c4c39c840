//! Any bytes, shown to the parser whole and in pieces whose lengths the first bytes tell: the requests are the same.

use memento::proto::{Args, ParseError, Parsed, Parser, Words};

/// The words of each request, then the error that ended the stream.
type Stream = (Vec<Vec<Vec<u8>>>, Option<ParseError>);

/// Parses as a connection does: what is left over is kept, and shown again with the next piece.
fn parse<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Stream {
    let (mut parser, mut words, mut kept, mut requests) = (Parser::default(), Words::default(), Vec::new(), Vec::new());
    for mut piece in pieces {
        // A long word is received where it stays.
        while let Some(space) = parser.recv_space() {
            let count = space.len().min(piece.len());
            space[..count].copy_from_slice(&piece[..count]);
            piece = &piece[count..];
            if !parser.recv_advance(count) && piece.is_empty() {
                break;
            }
        }
        kept.extend_from_slice(piece);
        loop {
            let rest_of = |name: &[u8]| usize::from(name.eq_ignore_ascii_case(b"ECHO"));
            words.clear();
            match parser.parse(&kept, &mut words, true, rest_of) {
                Parsed::Incomplete { keep } => break kept.truncate(keep),
                Parsed::Blank { consumed } => drop(kept.drain(..consumed)),
                Parsed::Request { consumed, .. } => {
                    requests.push(Args::new(&kept[..consumed], &words).from(0).map(<[u8]>::to_vec).collect());
                    kept.drain(..consumed);
                }
                Parsed::Broken(error) => return (requests, Some(error)),
            }
        }
    }
    (requests, None)
}

/// Tries one input.
pub fn run(input: &[u8]) {
    let Some((lengths, bytes)) = input.split_at_checked(4) else { return };
    let mut lengths = lengths.iter().cycle().map(|&length| usize::from(length % 16) + 1);
    let mut rest = bytes;
    let pieces = std::iter::from_fn(|| {
        let (piece, after) = rest.split_at(lengths.next().expect("a cycle").min(rest.len()));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    });
    assert_eq!(parse(pieces), parse(std::iter::once(bytes)));
}
