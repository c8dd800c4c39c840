//! Glob patterns as Redis has them: `*`, `?`, `[a-c]`, `[^a]`, and `\` before a character that means itself.

use super::CommandError;
use crate::limits::MATCH_STEPS_MAX;

/// A pattern that was looked at, and how much more work matching may take.
#[derive(Debug)]
pub(super) struct Matcher<'a> {
    pattern: &'a [u8],
    steps_left: usize,
}

impl<'a> Matcher<'a> {
    /// A matcher that takes [`MATCH_STEPS_MAX`] steps in all.
    pub(super) fn new(pattern: &'a [u8]) -> Matcher<'a> {
        Matcher { pattern, steps_left: MATCH_STEPS_MAX }
    }

    /// Whether `text` matches, wholly. Once the steps are used up nothing matches, and [`Matcher::gave_up`] says so.
    pub(super) fn matches(&mut self, text: &[u8]) -> bool {
        matches(self.pattern, text, &mut self.steps_left)
    }

    /// Whether some text took too long, so that what was found is not all.
    pub(super) fn gave_up(&self) -> bool {
        self.steps_left == 0
    }
}

/// Those of our own names, which are in lower case, that match `pattern`, in any case.
///
/// # Errors
/// When the steps are used up, which begin as [`MATCH_STEPS_MAX`] for all that a request asks for.
pub(super) fn matching(
    pattern: &[u8],
    names: &mut dyn FnMut() -> Option<&'static str>,
    steps_left: &mut usize,
) -> Result<Vec<&'static str>, CommandError> {
    if pattern.len() > *steps_left {
        return Err(CommandError::PatternTooCostly);
    }
    let pattern = pattern.to_ascii_lowercase();
    let found = std::iter::from_fn(names).filter(|name| matches(&pattern, name.as_bytes(), steps_left)).collect();
    if *steps_left == 0 { Err(CommandError::PatternTooCostly) } else { Ok(found) }
}

/// Whether `text` matches `pattern`, wholly. Takes at most the product of the two lengths: only the last `*` is ever
/// taken up again. Each byte that is looked at is a step.
pub(super) fn matches(pattern: &[u8], text: &[u8], steps_left: &mut usize) -> bool {
    if text.is_empty() {
        // As in Redis, where only the pattern for everything is known to match nothing at all.
        return pattern.is_empty() || pattern == b"*";
    }
    let (mut p, mut t) = (0, 0);
    // Where the pattern goes on after the last star, and how much text that star has taken.
    let mut star: Option<(usize, usize)> = None;
    loop {
        if *steps_left == 0 {
            return false;
        }
        *steps_left -= 1;
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            if p == pattern.len() {
                return true;
            }
            star = Some((p, t));
            continue;
        }
        match text.get(t) {
            None if p == pattern.len() => return true,
            None => return false,
            Some(&byte) => {
                if let Some(next) = matches_one(pattern, p, byte, steps_left) {
                    p = next;
                    t += 1;
                    continue;
                }
            }
        }
        let Some((after, taken)) = star else { return false };
        (p, t) = (after, taken + 1);
        star = Some((after, taken + 1));
    }
}

/// Where the pattern goes on if its part at `p` matches `byte`.
fn matches_one(pattern: &[u8], p: usize, byte: u8, steps_left: &mut usize) -> Option<usize> {
    match *pattern.get(p)? {
        b'?' => Some(p + 1),
        b'[' => {
            // A class is looked through anew for each byte of text, and no further than there are steps.
            let reach = pattern.len().min(p.saturating_add(1 + *steps_left));
            let (found, end) = class(&pattern[..reach], p + 1, byte);
            *steps_left = steps_left.saturating_sub(end - p);
            found.then_some(end)
        }
        b'\\' if p + 1 < pattern.len() => (pattern[p + 1] == byte).then_some(p + 2),
        literal => (literal == byte).then_some(p + 1),
    }
}

/// Whether the class that begins at `p`, after its bracket, has `byte` in it; and where the pattern goes on. A class
/// without a closing bracket goes to the pattern's end.
fn class(pattern: &[u8], mut p: usize, byte: u8) -> (bool, usize) {
    let negated = pattern.get(p) == Some(&b'^');
    p += usize::from(negated);
    let mut found = false;
    loop {
        match pattern[p.min(pattern.len())..] {
            [] => return (found != negated, pattern.len()),
            [b'\\', literal, ..] => {
                found |= literal == byte;
                p += 2;
            }
            [b']', ..] => return (found != negated, p + 1),
            [from, b'-', to, ..] => {
                found |= (from.min(to)..=from.max(to)).contains(&byte);
                p += 3;
            }
            [literal, ..] => {
                found |= literal == byte;
                p += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Matcher::new(pattern.as_bytes()).matches(text.as_bytes())
    }

    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        yes.iter().for_each(|text| assert!(matches(pattern, text), "{pattern} matches {text}"));
        no.iter().for_each(|text| assert!(!matches(pattern, text), "{pattern} and {text}"));
    }

    #[test]
    fn patterns() {
        check("", &[""], &["a"]);
        check("*", &["", "a", "abc"], &[]);
        check("a*c", &["ac", "abc", "abcbc"], &["a", "abcb", "xac"]);
        check("*a*b*", &["ab", "xaxbx", "aab"], &["ba", "b"]);
        check("h?llo", &["hello", "h\u{7f}llo"], &["hllo", "heello"]);
        check("h[ae]llo", &["hello", "hallo"], &["hillo", "h[ae]llo"]);
        check("h[^e]llo", &["hallo"], &["hello", "hllo"]);
        check("[a-c]", &["a", "b", "c"], &["d", "-", ""]);
        check("[c-a]", &["b"], &["d"]);
        // As in Redis, the bracket is the end of a range here, and the class is never closed.
        check("[a-]", &["a", "^", "]"], &["-", "b"]);
        check("[]", &[], &["", "]", "a"]);
        check("[^]", &["a"], &[""]);
        check("[abc", &["a", "c"], &["d", "ab"]);
        check("[\\]]", &["]"], &["\\"]);
        check("\\*", &["*"], &["a", "\\*"]);
        check("a\\", &["a\\"], &["a"]);
        check("**a", &["a", "xa"], &["ax"]);
        check("**", &["a", "ab"], &[""]);
    }

    #[test]
    fn many_stars_stay_cheap() {
        assert!(!matches(&("*a".repeat(200) + "b"), &"a".repeat(20_000)));
    }

    #[test]
    fn what_takes_too_long_is_given_up() {
        let (pattern, text) = ("*".to_owned() + &"a".repeat(1000) + "b", "a".repeat(1_000_000));
        let mut matcher = Matcher::new(pattern.as_bytes());
        assert!(!matcher.gave_up() && !matcher.matches(text.as_bytes()) && matcher.gave_up());
        let pattern = "*[".to_owned() + &"a".repeat(1_000_000);
        let mut matcher = Matcher::new(pattern.as_bytes());
        assert!(!matcher.matches("b".repeat(1000).as_bytes()) && matcher.gave_up());
    }

    #[test]
    fn a_class_is_not_looked_through_beyond_the_steps() {
        let mut matcher = Matcher { pattern: b"[abcdefgh]", steps_left: 5 };
        assert!(!matcher.matches(b"h") && matcher.gave_up());
        let mut matcher = Matcher { pattern: b"[abcdefgh]", steps_left: 50 };
        assert!(matcher.matches(b"h") && !matcher.gave_up());
    }

    #[test]
    fn names_share_the_steps_of_a_request() {
        let names = ["port", "save", "save-again"];
        let find = |pattern: &[u8], mut steps_left: usize| {
            let mut names = names.into_iter();
            matching(pattern, &mut || names.next(), &mut steps_left)
        };
        assert_eq!(find(b"SAVE*", 1000), Ok(vec!["save", "save-again"]));
        assert_eq!(find(b"nothing", 1000), Ok(vec![]));
        // Enough for one of them, and not for all.
        assert_eq!(find(b"*aaaa", 20), Err(CommandError::PatternTooCostly));
        assert_eq!(find(&[b'a'; 21], 20), Err(CommandError::PatternTooCostly));
    }
}
