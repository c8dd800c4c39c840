//! Any bytes, shown to the parser whole: it neither panics, nor stands still, nor claims more than it was shown.

#![no_main]

use libfuzzer_sys::fuzz_target;
use memento::proto::{Args, Parsed, Parser};

fuzz_target!(|input: &[u8]| {
    let (mut parser, mut words, mut rest) = (Parser::default(), Vec::new(), input);
    loop {
        match parser.parse(rest, &mut words, |name| usize::from(name.eq_ignore_ascii_case(b"ECHO"))) {
            Parsed::Incomplete | Parsed::Broken(_) => return,
            Parsed::Blank { consumed } => {
                assert!(consumed > 0);
                rest = &rest[consumed..];
            }
            Parsed::Request { consumed } => {
                assert!(consumed > 0);
                let args = Args::new(&rest[..consumed], &words);
                // Every word lies inside of the request.
                let bytes: usize = args.from(0).map(<[u8]>::len).sum();
                assert!(args.len() > 0 && bytes <= consumed);
                rest = &rest[consumed..];
            }
        }
    }
});
