//! How answers are printed: as the text protocol writes them, for people, or as JSON or CSV for programs.

use crate::client::reply::{Kind, View};
use crate::command::CommandSpec;
use crate::sys::clock::{self, LocalTime};

/// For whom answers are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Style {
    /// As the text protocol writes them, values as their bytes.
    #[default]
    Raw,
    /// For a terminal: what it would obey is escaped, times are dates too.
    People { colours: bool },
    /// A value of JSON a line.
    Json,
    /// Comma-separated values: a list is a row, a map a row a field.
    Csv,
}

/// A row, where it is known which command was answered.
pub(super) type Row = Option<&'static CommandSpec>;

/// Writes an answer with a line feed at its end; nothing for a command that is not answered in the text protocol.
pub(super) fn print(style: Style, view: View<'_>, row: Row, out: &mut Vec<u8>) {
    if row.is_some_and(CommandSpec::is_silent) && view.kind() != Kind::Error {
        return;
    }
    match style {
        Style::Raw | Style::People { .. } => Text { style, row, out }.value(view),
        Style::Json => json(view, out),
        Style::Csv => return csv(view, out),
    }
    out.push(b'\n');
}

/// Writes a string alone, with a line feed at its end.
pub(super) fn print_string(style: Style, bytes: &[u8], out: &mut Vec<u8>) {
    match style {
        Style::Raw => out.extend_from_slice(bytes),
        Style::People { .. } => escape(bytes, out),
        Style::Json => json_string(bytes, out),
        Style::Csv => csv_string(bytes, out),
    }
    out.push(b'\n');
}

/// Whether it is an error, or a list with one in it, as EXEC answers.
pub(super) fn is_error(view: View<'_>) -> bool {
    view.kind() == Kind::Error || view.children().any(is_error)
}

/// The text protocol's way to write.
struct Text<'a> {
    style: Style,
    row: Row,
    out: &'a mut Vec<u8>,
}

const RED: &str = "\x1b[31m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[m";

impl Text<'_> {
    fn coloured(&mut self, colour: &str, text: &[u8]) {
        let coloured = self.style == Style::People { colours: true };
        if coloured {
            self.out.extend_from_slice(colour.as_bytes());
        }
        self.string(text);
        if coloured {
            self.out.extend_from_slice(PLAIN.as_bytes());
        }
    }

    fn string(&mut self, bytes: &[u8]) {
        if self.style == Style::Raw { self.out.extend_from_slice(bytes) } else { escape(bytes, self.out) }
    }

    fn value(&mut self, view: View<'_>) {
        let bytes = view.bytes();
        match view.kind() {
            Kind::Null => self.coloured(DIM, b"(null)"),
            Kind::Error if bytes.starts_with(b"ERR unknown command") => self.coloured(RED, b"(Unknown command)"),
            Kind::Error => {
                let text = [b"(error) ", bytes.strip_prefix(b"ERR ").unwrap_or(bytes)].concat();
                self.coloured(RED, &text);
            }
            Kind::Integer | Kind::Boolean => {
                let number = view.integer().unwrap_or_default();
                match self.row.and_then(|row| row.text_of_integer(number)) {
                    Some("(null)") => self.coloured(DIM, b"(null)"),
                    Some(text) => self.string(text.as_bytes()),
                    None => self.string(number.to_string().as_bytes()),
                }
            }
            // Text for people to read, whose lines end as Redis ends them.
            Kind::Verbatim => {
                let mut text = Vec::with_capacity(bytes.len());
                for &byte in bytes {
                    if byte == b'\n' && text.last() == Some(&b'\r') {
                        text.pop();
                    }
                    text.push(byte);
                }
                while text.last() == Some(&b'\n') {
                    text.pop();
                }
                self.string(&text);
            }
            Kind::Array | Kind::Set | Kind::Push | Kind::Map if view.is_empty() => self.coloured(DIM, b"(empty)"),
            Kind::Push => self.items(view, b" "),
            Kind::Array | Kind::Set | Kind::Map => self.items(view, b"\n"),
            _ => self.string(bytes),
        }
    }

    fn items(&mut self, view: View<'_>, between: &[u8]) {
        let is_map = view.kind() == Kind::Map;
        let mut is_time = false;
        for (place, item) in view.children().enumerate() {
            let is_value = is_map && place % 2 == 1;
            if place > 0 {
                self.out.extend_from_slice(if is_value { b": " } else { between });
            }
            self.value(item);
            if let (Style::People { .. }, true, Some(ms @ 1..)) = (self.style, is_value && is_time, item.integer()) {
                self.coloured(DIM, format!("  ({})", date(ms as u64)).as_bytes());
            }
            is_time = item.bytes().ends_with(b"_time");
        }
    }
}

/// What a terminal may be shown: text as it is, but for control characters (other than line feeds and tabs) and what is no
/// UTF-8, which become `\x` and two digits a byte: what a server answers, and what others have stored there, must not move
/// the cursor, rename the window or answer for the user.
pub(super) fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            let mut room = [0; 4];
            let text = char.encode_utf8(&mut room).as_bytes();
            if char.is_control() && !matches!(char, '\n' | '\t') {
                hex(b"\\x", text, out);
            } else {
                out.extend_from_slice(text);
            }
        }
        hex(b"\\x", chunk.invalid(), out);
    }
}

/// The same as text, for messages.
pub(super) fn escaped(bytes: &[u8]) -> String {
    let mut out = Vec::new();
    escape(bytes, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// Writes each byte as its two digits, behind a mark.
#[inline(never)]
fn hex(mark: &[u8], bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for &byte in bytes {
        out.extend_from_slice(mark);
        out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

/// Milliseconds since the Unix epoch as a date of the Gregorian calendar.
pub(super) fn date(ms: u64) -> String {
    let LocalTime { year, month, day, hour, minute, second } = clock::date((ms / 1000) as i64);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

fn json(view: View<'_>, out: &mut Vec<u8>) {
    match view.kind() {
        Kind::Null => out.extend_from_slice(b"null"),
        Kind::Boolean => out.extend_from_slice(if view.bytes() == b"t" { b"true" } else { b"false" }),
        Kind::Integer => out.extend_from_slice(view.integer().unwrap_or_default().to_string().as_bytes()),
        // JSON has no infinity, and no number with more digits than others read is safe in it.
        Kind::Double if view.bytes().iter().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte)) => {
            out.extend_from_slice(view.bytes());
        }
        Kind::Error => {
            out.extend_from_slice(b"{\"error\":");
            json_string(view.bytes(), out);
            out.push(b'}');
        }
        Kind::Map | Kind::Array | Kind::Set | Kind::Push => {
            let is_map = view.kind() == Kind::Map;
            out.push(if is_map { b'{' } else { b'[' });
            for (place, child) in view.children().enumerate() {
                let is_key = is_map && place % 2 == 0;
                if place > 0 {
                    out.push(if is_map && !is_key { b':' } else { b',' });
                }
                // A key is text, whatever it is.
                if is_key {
                    json_string(String::from_utf8_lossy(child.bytes()).as_bytes(), out);
                } else {
                    json(child, out);
                }
            }
            out.push(if is_map { b'}' } else { b']' });
        }
        _ => json_string(view.bytes(), out),
    }
}

/// A string; bytes that are no UTF-8, for which JSON has no word, as `{"base64":"..."}`.
fn json_string(bytes: &[u8], out: &mut Vec<u8>) {
    if str::from_utf8(bytes).is_err() {
        out.extend_from_slice(b"{\"base64\":\"");
        base64(bytes, out);
        return out.extend_from_slice(b"\"}");
    }
    out.push(b'"');
    let mut before = 0;
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 | 0x7f => hex(b"\\u00", &[byte], out),
            // A control character of two bytes, as U+009B: the first one is there already.
            0x80..0xa0 if before == 0xc2 => {
                out.pop();
                hex(b"\\u00", &[byte], out);
            }
            _ => out.push(byte),
        }
        before = byte;
    }
    out.push(b'"');
}

fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().chain([&0, &0]).take(3).fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            out.push(if place <= chunk.len() { digit } else { b'=' });
        }
    }
}

/// Rows of CSV (RFC 4180, but with bare line feeds): strings in quotes, numbers without, nothing for null.
fn csv(view: View<'_>, out: &mut Vec<u8>) {
    let pairs = view.kind() == Kind::Map;
    let rows = pairs || view.children().any(|child| child.is_aggregate());
    if !rows {
        csv_cells(view, out);
        return out.push(b'\n');
    }
    for (place, child) in view.children().enumerate() {
        csv_cells(child, out);
        out.push(if pairs && place % 2 == 0 { b',' } else { b'\n' });
    }
}

fn csv_cells(view: View<'_>, out: &mut Vec<u8>) {
    match view.kind() {
        Kind::Null => {}
        Kind::Integer | Kind::Double | Kind::BigNumber => out.extend_from_slice(view.bytes()),
        Kind::Boolean => out.extend_from_slice(if view.bytes() == b"t" { b"true" } else { b"false" }),
        Kind::Array | Kind::Set | Kind::Push | Kind::Map => {
            for (place, child) in view.children().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                csv_cells(child, out);
            }
        }
        Kind::Error => csv_string(&[b"(error) ", view.bytes()].concat(), out),
        _ => csv_string(view.bytes(), out),
    }
}

fn csv_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in text {
        if byte == b'"' {
            out.push(byte);
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::reply::Parser;
    use crate::command::lookup;

    fn printed(style: Style, wire: &[u8], command: &str) -> String {
        let mut parser = Parser::new();
        assert_eq!(parser.parse(wire).expect("a reply"), Some(wire.len()), "{:?}", wire.escape_ascii().to_string());
        let mut out = Vec::new();
        print(style, parser.view(wire), lookup(command.as_bytes()), &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    const PEOPLE: Style = Style::People { colours: false };
    const GETP: &[u8] =
        b"%4\r\n$3\r\nkey\r\n$1\r\nk\r\n$5\r\nvalue\r\n$2\r\nv\x01\r\n$13\r\ncreation_time\r\n:1795347068972\r\n\
        $11\r\nexpire_time\r\n:-1\r\n";

    #[test]
    fn answers_have_the_face_of_the_text_protocol() {
        for (wire, command, wanted) in [
            (&b"+OK\r\n"[..], "set", "OK\n"),
            (b"_\r\n", "get", "(null)\n"),
            (b"$-1\r\n", "get", "(null)\n"),
            (b"$7\r\na\r\nb\x1b\xff\x00\r\n", "get", "a\r\nb\x1b\u{fffd}\0\n"),
            (b":2\r\n", "del", "OK\n"),
            (b":0\r\n", "del", "(null)\n"),
            (b":0\r\n", "exists", "0\n"),
            (b":5\r\n", "append", "OK\n"),
            (b"-ERR wrong\r\n", "get", "(error) wrong\n"),
            (b"-NOAUTH no\r\n", "get", "(error) NOAUTH no\n"),
            (b"-ERR unknown command 'x', with args beginning with: \r\n", "x", "(Unknown command)\n"),
            (b"*0\r\n", "keys", "(empty)\n"),
            (b"*2\r\n$1\r\n0\r\n*2\r\n$1\r\na\r\n_\r\n", "scan", "0\na\n(null)\n"),
            (b">3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$3\r\na b\r\n", "", "message ch a b\n"),
            (b"=14\r\ntxt:one\r\ntwo\r\n\r\n", "info", "one\ntwo\n"),
            (b"+OK\r\n", "quit", ""),
            (b"#t\r\n", "", "1\n"),
            (b",1.5\r\n", "", "1.5\n"),
        ] {
            assert_eq!(printed(Style::Raw, wire, command), wanted, "{command} {:?}", wire.escape_ascii().to_string());
        }
        let text = "key: k\nvalue: v\x01\ncreation_time: 1795347068972\nexpire_time: -1\n";
        assert_eq!(printed(Style::Raw, GETP, "getp"), text);
    }

    #[test]
    fn people_see_dates_and_nothing_that_a_terminal_would_obey() {
        let text = "key: k\nvalue: v\\x01\ncreation_time: 1795347068972  (2026-11-22 11:31:08 UTC)\nexpire_time: -1\n";
        assert_eq!(printed(PEOPLE, GETP, "getp"), text);
        let wire = "$27\r\na\tb\n\u{1b}]0;t\u{7}\u{1b}[2J\u{9b}2J\rGrü世\0\r\n";
        let shown = "a\tb\n\\x1b]0;t\\x07\\x1b[2J\\xc2\\x9b2J\\x0dGrü世\\x00\n";
        assert_eq!(printed(PEOPLE, wire.as_bytes(), "get"), shown);
        assert_eq!(printed(PEOPLE, b"$4\r\n\x9b2J\xff\r\n", "get"), "\\x9b2J\\xff\n");
        let colours = Style::People { colours: true };
        assert_eq!(printed(colours, b"-ERR \x1bx\r\n", "get"), "\x1b[31m(error) \\x1bx\x1b[m\n");
        assert_eq!(printed(colours, b"$2\r\nhi\r\n", "get"), "hi\n");
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, wanted) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
            (1_735_689_599, "2024-12-31 23:59:59 UTC"),
        ] {
            assert_eq!(date(seconds * 1000), wanted);
        }
    }

    #[test]
    fn json_is_json() {
        for (wire, wanted) in [
            (&b"+OK\r\n"[..], r#""OK""#),
            (b"_\r\n", "null"),
            (b":-5\r\n", "-5"),
            (b"#f\r\n", "false"),
            (b",1.5e3\r\n", "1.5e3"),
            (b",inf\r\n", r#""inf""#),
            (b"-ERR \"x\"\r\n", r#"{"error":"ERR \"x\""}"#),
            (b"$6\r\na\\\n\x01\xc3\xa9\r\n", "\"a\\\\\\n\\u0001é\""),
            (b"$1\r\n\xff\r\n", r#"{"base64":"/w=="}"#),
            (b"$2\r\n\xff\xfe\r\n", r#"{"base64":"//4="}"#),
            (b"$3\r\nM\x80n\r\n", r#"{"base64":"TYBu"}"#),
            (b"*3\r\n:1\r\n*0\r\n$1\r\na\r\n", r#"[1,[],"a"]"#),
            (b"%2\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n_\r\n", r#"{"a":1,"b":null}"#),
        ] {
            assert_eq!(printed(Style::Json, wire, "del"), format!("{wanted}\n"));
        }
    }

    #[test]
    fn csv_has_a_row_a_list_or_a_field() {
        for (wire, wanted) in [
            (&b"+OK\r\n"[..], "\"OK\"\n"),
            (b"_\r\n", "\n"),
            (b"$5\r\na\"b\nc\r\n", "\"a\"\"b\nc\"\n"),
            (b"*3\r\n:1\r\n_\r\n$0\r\n\r\n", "1,,\"\"\n"),
            (b"*2\r\n$1\r\n0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n", "\"0\"\n\"a\",\"b\"\n"),
            (b"%2\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n#t\r\n", "\"a\",1\n\"b\",true\n"),
            (b"-ERR x\r\n", "\"(error) ERR x\"\n"),
        ] {
            assert_eq!(printed(Style::Csv, wire, "get"), wanted);
        }
    }
}
