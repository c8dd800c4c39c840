//! Text that is put together piece by piece. Numbers are written by these few lines, with or without a fraction: the
//! library's formatting takes much more room at each place that calls it.

/// A text that grows; each function gives it back, so that calls stand in a row.
#[derive(Default)]
pub(super) struct Text(pub(super) String);

/// The digits of any number, with its point.
const NUMBER_BYTES_MAX: usize = 24;

impl Text {
    #[inline(never)]
    pub(super) fn add(&mut self, text: &str) -> &mut Text {
        self.0.push_str(text);
        self
    }

    pub(super) fn number(&mut self, number: u64) -> &mut Text {
        self.padded(number, 0, 0)
    }

    /// The nearest with so many places behind the point; what is below 0 or no number is 0.
    pub(super) fn fixed(&mut self, number: f64, places: u32) -> &mut Text {
        self.wide(number, places, 0)
    }

    /// The same behind as many blanks as make it so wide.
    pub(super) fn wide(&mut self, number: f64, places: u32, width: usize) -> &mut Text {
        let mut units = 1;
        for _ in 0..places {
            units *= 10;
        }
        self.padded((number * units as f64 + 0.5) as u64, places, width)
    }

    /// Nanoseconds as seconds.
    pub(super) fn seconds(&mut self, ns: u64) -> &mut Text {
        self.padded(ns.saturating_add(500) / 1000, 6, 0)
    }

    /// So many units of the last of so many places.
    fn padded(&mut self, units: u64, places: u32, width: usize) -> &mut Text {
        let mut digits = [0; NUMBER_BYTES_MAX];
        let (mut at, mut rest) = (NUMBER_BYTES_MAX, units);
        let mut written = 0;
        while rest > 0 || written <= places {
            at -= 1;
            if places > 0 && written == places {
                digits[at] = b'.';
                at -= 1;
            }
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            written += 1;
        }
        for _ in NUMBER_BYTES_MAX - at..width {
            self.0.push(' ');
        }
        for &digit in &digits[at..] {
            self.0.push(digit as char);
        }
        self
    }

    /// Millionths, as short as can be: `12`, `0.5`.
    pub(super) fn millionths(&mut self, number: u64) -> &mut Text {
        self.padded(number, 6, 0);
        while self.0.ends_with('0') {
            self.0.pop();
        }
        if self.0.ends_with('.') {
            self.0.pop();
        }
        self
    }

    /// Bytes that others chose: only the start of something long is of interest, and none goes raw to a terminal.
    pub(super) fn escaped(&mut self, bytes: &[u8]) -> &mut Text {
        const SHOWN_BYTES_MAX: usize = 128;
        for &byte in &bytes[..bytes.len().min(SHOWN_BYTES_MAX)] {
            for escaped in byte.escape_ascii() {
                self.0.push(escaped as char);
            }
        }
        self.add(if bytes.len() > SHOWN_BYTES_MAX { "..." } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl Fn(&mut Text) -> &mut Text) -> String {
        let mut text = Text::default();
        write(&mut text);
        text.0
    }

    #[test]
    fn numbers_are_what_the_standard_library_prints() {
        for number in [0.0, 0.004, 0.006, 0.5, 1.0, 9.996, 12.34, 99.994, 1023.99, 123_456_789.12, 1e12] {
            assert_eq!(text(|out| out.fixed(number, 2)), format!("{number:.2}"));
            assert_eq!(text(|out| out.fixed(number, 6)), format!("{number:.6}"));
            assert_eq!(text(|out| out.wide(number, 1, 14)), format!("{number:>14.1}"));
        }
        for number in [0, 7, 10, 1_000_000, u64::MAX] {
            assert_eq!(text(|out| out.number(number)), number.to_string());
        }
        assert_eq!(text(|out| out.fixed(-1.0, 2).fixed(f64::NAN, 1)), "0.000.0");
        assert_eq!(text(|out| out.fixed(f64::INFINITY, 6)), "18446744073709.551615");
        for (millionths, wanted) in
            [(0, "0"), (12_000_000, "12"), (990_000, "0.99"), (1, "0.000001"), (100_000_000, "100"), (1_500_000, "1.5")]
        {
            assert_eq!(text(|out| out.millionths(millionths)), wanted);
        }
    }

    #[test]
    fn what_others_chose_is_shown_short_and_printable() {
        let shown = text(|out| out.escaped(b"a'\r\n").add(" ").escaped(&[0x1b; 200]));
        assert!(shown.starts_with(r"a\'\r\n \x1b\x1b"), "{shown}");
        assert!(shown.ends_with("\\x1b...") && shown.len() < 600, "{shown}");
    }
}
