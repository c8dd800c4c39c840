//! RESP requests whose lengths are right, but for some that a byte of the input spoils, shown whole and in pieces:
//! bytes by chance seldom have right lengths.

/// Tries one input; `pieces` is what `parser_pieces.rs` does with bytes.
pub fn run(input: &[u8], pieces: fn(&[u8])) {
    let Some((lengths, mut rest)) = input.split_at_checked(4) else { return };
    let mut bytes = lengths.to_vec();
    while let [shape, after @ ..] = rest {
        let (count, fault) = (shape % 5, shape / 5);
        rest = after;
        bytes.extend_from_slice(format!("*{}\r\n", count as i32 - i32::from(fault == 1)).as_bytes());
        for _ in 0..count {
            let [length, after @ ..] = rest else { break };
            // Some are long enough to be received straight into what is stored.
            let length = usize::from(*length) * if fault == 2 { 300 } else { 1 };
            let (word, after) = after.split_at(length.min(after.len()));
            rest = after;
            let told = if fault == 3 {
                length + 1
            } else if fault == 2 {
                length
            } else {
                word.len()
            };
            bytes.extend_from_slice(format!("${told}\r\n").as_bytes());
            bytes.extend_from_slice(word);
            if fault == 2 {
                bytes.resize(bytes.len() + length - word.len(), b'x');
            }
            bytes.extend_from_slice(if fault == 4 { b"\n" } else { b"\r\n" });
        }
    }
    pieces(&bytes);
}
