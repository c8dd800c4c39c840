//! Finds the replies in what a server sent, in RESP2 and RESP3.

/// One reply, as its first byte and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The byte that begins it: `+`, `-`, `:`, `$`, `*`, `%`, ...
    pub kind: u8,
    /// A null of its kind (`$-1`, `*-1`, `_`).
    pub null: bool,
    /// What a line or a bulk holds; empty for aggregates.
    pub text: Vec<u8>,
    /// What an aggregate holds; a map's keys and values take turns.
    pub items: Vec<Reply>,
}

/// What stands at a place in the bytes.
pub enum Found {
    /// A reply that ends there.
    Whole(Reply, usize),
    /// The beginning of one.
    Partial,
    /// Something that is no RESP.
    Garbage,
}

impl Reply {
    /// The bytes that it came as.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![self.kind];
        match self.kind {
            b'$' | b'=' | b'!' | b'*' | b'~' | b'>' | b'%' if self.null => bytes.extend(b"-1"),
            b'$' | b'=' | b'!' => {
                bytes.extend(format!("{}\r\n", self.text.len()).as_bytes());
                bytes.extend(&self.text);
            }
            b'%' => bytes.extend((self.items.len() / 2).to_string().as_bytes()),
            b'*' | b'~' | b'>' => bytes.extend(self.items.len().to_string().as_bytes()),
            _ => bytes.extend(&self.text),
        }
        bytes.extend(b"\r\n");
        bytes.extend(self.items.iter().flat_map(Reply::encode));
        bytes
    }

    /// Its text as an integer.
    pub fn integer(&self) -> Option<i64> {
        std::str::from_utf8(&self.text).ok()?.parse().ok()
    }

    /// Its text, where it is readable.
    pub fn str(&self) -> &str {
        std::str::from_utf8(&self.text).unwrap_or("")
    }

    /// Is it an error whose text begins so?
    pub fn is_error(&self, start: &str) -> bool {
        self.kind == b'-' && self.text.starts_with(start.as_bytes())
    }

    /// Is it a string of one of the kinds that hold any bytes, and not null?
    pub fn is_bulk(&self) -> bool {
        self.kind == b'$' && !self.null
    }
}

/// The reply that begins at `at`.
pub fn parse(bytes: &[u8], at: usize) -> Found {
    let Some(&kind) = bytes.get(at) else { return Found::Partial };
    let rest = &bytes[at + 1..];
    let Some(length) = rest.windows(2).position(|window| window == b"\r\n") else { return Found::Partial };
    let line = &rest[..length];
    let mut end = at + 1 + length + 2;
    let mut reply = Reply { kind, null: kind == b'_', text: Vec::new(), items: Vec::new() };
    let number = std::str::from_utf8(line).ok().and_then(|text| text.parse::<i64>().ok());
    match kind {
        b'+' | b'-' | b':' | b',' | b'#' | b'(' | b'_' => reply.text = line.to_vec(),
        b'$' | b'=' | b'!' => match number {
            Some(-1) => reply.null = true,
            Some(count) if count >= 0 => {
                let count = usize::try_from(count).expect("a positive length");
                let Some(text) = bytes.get(end..end + count + 2) else { return Found::Partial };
                if !text.ends_with(b"\r\n") {
                    return Found::Garbage;
                }
                reply.text = text[..count].to_vec();
                end += count + 2;
            }
            _ => return Found::Garbage,
        },
        b'*' | b'~' | b'>' | b'%' => match number {
            Some(-1) => reply.null = true,
            Some(count) if count >= 0 => {
                let count = if kind == b'%' { 2 * count } else { count };
                for _ in 0..count {
                    match parse(bytes, end) {
                        Found::Whole(item, after) => {
                            reply.items.push(item);
                            end = after;
                        }
                        other => return other,
                    }
                }
            }
            _ => return Found::Garbage,
        },
        _ => return Found::Garbage,
    }
    Found::Whole(reply, end)
}

#[test]
fn replies_end_where_they_end() {
    let bytes = b"+OK\r\n$3\r\na\r\n\r\n*2\r\n:1\r\n%1\r\n+a\r\n_\r\n$-1\r\n*-1\r\n=5\r\ntxt:x\r\n";
    let mut ends = Vec::new();
    let mut at = 0;
    while let Found::Whole(reply, end) = parse(bytes, at) {
        assert_eq!(reply.encode(), bytes[at..end]);
        for cut in at..end {
            assert!(matches!(parse(&bytes[..cut], at), Found::Partial), "{at}..{end} cut at {cut}");
        }
        ends.push(end);
        at = end;
    }
    assert_eq!(ends, [5, 14, 33, 38, 43, bytes.len()]);
    assert!(matches!(parse(b"OK\r\n", 0), Found::Garbage));
    assert!(matches!(parse(b"$x\r\n", 0), Found::Garbage));
}
