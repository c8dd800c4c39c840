//! Lines alone, shown to the parser whole and in pieces: what would begin a RESP request does not come first in a line.

/// Tries one input; `pieces` is what `parser_pieces.rs` does with bytes.
pub fn run(input: &[u8], pieces: fn(&[u8])) {
    let mut lines = input.to_vec();
    let mut begins = true;
    for byte in lines.iter_mut().skip(4) {
        if begins && *byte == b'*' {
            *byte = b'+';
        }
        begins = *byte == b'\n';
    }
    pieces(&lines);
}
