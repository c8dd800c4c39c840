//! Any bytes, shown to the parser whole: it neither panics, nor stands still, nor claims more than it was shown.

use memento::proto::{Args, Parsed, Parser, Words};

/// Tries one input.
pub fn run(input: &[u8]) {
    let (mut parser, mut words, mut rest) = (Parser::default(), Words::default(), input);
    loop {
        words.clear();
        match parser.parse(rest, &mut words, true, |name| usize::from(name.eq_ignore_ascii_case(b"ECHO"))) {
            Parsed::Incomplete { keep } => {
                assert!(keep <= rest.len());
                return;
            }
            Parsed::Broken(_) => return,
            Parsed::Blank { consumed } => {
                assert!(consumed > 0);
                rest = &rest[consumed..];
            }
            Parsed::Request { consumed, .. } => {
                assert!(consumed > 0);
                let args = Args::new(&rest[..consumed], &words);
                // Every word can be had; each has at least a byte or a mark of its own in the request.
                let words = args.from(0).filter(|word| word.len() <= input.len()).count();
                assert!(words == args.len() && words > 0);
                rest = &rest[consumed..];
            }
        }
    }
}
