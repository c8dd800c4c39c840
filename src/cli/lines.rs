//! Which answer a line of the text protocol will get: what the tool must know so as neither to hang for an answer that
//! never comes nor to miss one that is owed. The server alone knows the rest of what a line means.

/// The answer that a line gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// One reply.
    One,
    /// One reply, then messages until the connection ends.
    Stream,
    /// None, and the connection goes on: a line of blanks.
    None,
    /// None, and the server closes the connection.
    End,
    /// None, and the server closes the connection; or one reply, an error.
    MayEnd,
    /// It cannot be told from the line.
    Unknown,
}

/// The longest head that is told apart, `client reply`; what follows in a line changes nothing.
const HEAD_BYTES_MAX: usize = 16;

/// Looks at a stream of lines, in pieces cut anywhere, and keeps count of the replies that they are owed.
#[derive(Default)]
pub(super) struct Lines {
    /// The current line's first bytes: no leading blanks, and one space for each run of blanks.
    head: Vec<u8>,
    /// Whether the current line has any byte yet, blanks as well.
    started: bool,
    owed: u64,
    uncertain: bool,
    may_end: bool,
    ended: bool,
}

impl Lines {
    /// Takes in a piece; gives back how many of its bytes to send: all of them, or those up to the end of a line after
    /// which the server listens no more. (Sending on would make its kernel reset the connection, and a reset can
    /// overtake the replies.)
    pub(super) fn feed(&mut self, piece: &[u8]) -> usize {
        let mut at = 0;
        while at < piece.len() && !self.ended {
            let length = piece[at..].iter().position(|&byte| byte == b'\n');
            let line_end = length.map_or(piece.len(), |length| at + length);
            self.feed_line(&piece[at..line_end]);
            at = line_end;
            if length.is_some() {
                at += 1;
                self.finish_line();
            }
        }
        at
    }

    fn feed_line(&mut self, bytes: &[u8]) {
        self.started |= !bytes.is_empty();
        for &byte in bytes {
            if self.head.len() == HEAD_BYTES_MAX {
                break;
            }
            match byte {
                b' ' | b'\t' if self.head.last().is_none_or(|&last| last == b' ') => {}
                b' ' | b'\t' => self.head.push(b' '),
                _ => self.head.push(byte),
            }
        }
    }

    fn finish_line(&mut self) {
        match classify(&self.head) {
            Answer::One | Answer::Stream => self.owed += 1,
            Answer::None => {}
            Answer::End => self.ended = true,
            Answer::MayEnd => self.may_end = true,
            Answer::Unknown => self.uncertain = true,
        }
        self.head.clear();
        self.started = false;
    }

    /// Whether the last line still lacks its end.
    pub(super) fn in_line(&self) -> bool {
        self.started
    }

    /// Whether a line was met after which the server closes the connection.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// Whether a line was met after which the server may close the connection.
    pub(super) fn may_end(&self) -> bool {
        self.may_end || self.ended
    }

    /// How many replies the whole lines are owed at least, if that can be told.
    pub(super) fn owed(&self) -> Option<u64> {
        (!self.uncertain).then_some(self.owed)
    }
}

/// The answer to one line, given without its end.
pub(super) fn answer(line: &[u8]) -> Answer {
    let mut lines = Lines::default();
    lines.feed_line(line);
    classify(&lines.head)
}

fn classify(head: &[u8]) -> Answer {
    let head = head.strip_suffix(b"\r").unwrap_or(head);
    let mut words = head.split(|&byte| byte == b' ');
    let first = words.next().unwrap_or_default();
    let is = |word: &[u8], name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    if first.is_empty() {
        Answer::None
    } else if is(first, "quit") || is(first, "exit") {
        Answer::End
    } else if is(first, "subscribe") || is(first, "psubscribe") || is(first, "monitor") {
        Answer::Stream
    } else if is(first, "shutdown") {
        Answer::MayEnd
    } else if first[0] == b'*' // RESP: its lines are no requests.
        || (is(first, "client") && words.next().is_some_and(|word| is(word, "reply")))
    {
        Answer::Unknown
    } else {
        Answer::One
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_of_each_kind_of_line() {
        for (line, wanted) in [
            ("GET k", Answer::One),
            ("nonsense", Answer::One),
            ("quitter", Answer::One),
            ("CLIENT LIST", Answer::One),
            ("client", Answer::One),
            ("", Answer::None),
            (" \t ", Answer::None),
            ("\r", Answer::None),
            ("QUIT", Answer::End),
            ("\t eXit\r", Answer::End),
            ("exit now", Answer::End),
            ("Subscribe ch", Answer::Stream),
            ("psubscribe *", Answer::Stream),
            ("MONITOR", Answer::Stream),
            ("shutdown", Answer::MayEnd),
            ("client \t  reply off", Answer::Unknown),
            ("*1", Answer::Unknown),
        ] {
            assert_eq!(answer(line.as_bytes()), wanted, "{line:?}");
        }
    }

    /// Feeds the pieces; gives back how many bytes were to be sent.
    fn feed(pieces: &[&[u8]]) -> (Lines, usize) {
        let mut lines = Lines::default();
        let sent = pieces.iter().map(|piece| lines.feed(piece)).sum();
        (lines, sent)
    }

    #[test]
    fn lines_are_counted_however_they_are_cut() {
        let input = b"SET k  v\r\n\n  \t\nGET k\n\r\n get a key with a name that is longer than a head \nGET";
        for first in 0..=input.len() {
            for second in first..=input.len() {
                let (lines, sent) = feed(&[&input[..first], &input[first..second], &input[second..]]);
                assert_eq!(lines.owed(), Some(3), "cut at {first} and {second}");
                assert_eq!(sent, input.len());
                assert!(lines.in_line() && !lines.ended());
            }
        }
    }

    #[test]
    fn nothing_is_sent_after_the_line_that_ends() {
        let input = b"GET k\n quit \nGET k\nGET k\n";
        for cut in 0..=input.len() {
            let (lines, sent) = feed(&[&input[..cut], &input[cut..]]);
            assert!(lines.ended() && !lines.in_line(), "cut at {cut}");
            assert_eq!((lines.owed(), sent), (Some(1), b"GET k\n quit \n".len()), "cut at {cut}");
        }
    }

    #[test]
    fn what_cannot_be_counted_is_not() {
        assert_eq!(feed(&[b"GET k\nCLIENT REPLY OFF\nGET k\n"]).0.owed(), None);
        assert_eq!(feed(&[b"*1\r\n$4\r\nPING\r\n"]).0.owed(), None);
    }
}
