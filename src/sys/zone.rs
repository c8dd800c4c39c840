//! The box's time zone: `TZ`, else /etc/localtime; what the C library has for it takes 6 kB.
//!
//! A zone is a file as tzfile(5) has it, whose changes of 64 bits are read where there are such, or a rule as POSIX has it
//! (`CET-1CEST,M3.5.0,M10.5.0/3`), which such a file ends with as well: it holds behind the last change. Where neither is
//! found it is UTC.

use super::clock::{DAY, DAYS_BEFORE, HOUR, LocalTime, date};
use super::{files, program};
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering::AcqRel, Ordering::Acquire};

/// Where a zone's name is looked for.
const FOLDERS: [&str; 3] = ["/usr/share/zoneinfo/", "/share/zoneinfo/", "/etc/zoneinfo/"];

/// Of a zone's file: the longest there is has under 4 kB.
const FILE_BYTES_MAX: usize = 64 * 1024;
const HEADER_BYTES: usize = 44;

/// This moment, which is told from the Unix epoch, in the box's time zone.
pub(super) fn local(seconds: i64) -> LocalTime {
    date(seconds + offset(here(), seconds))
}

/// The box's zone. It is looked for once: later the file may be out of reach.
fn here() -> &'static [u8] {
    static ZONE: AtomicPtr<Vec<u8>> = AtomicPtr::new(ptr::null_mut());
    let mut zone = ZONE.load(Acquire);
    if zone.is_null() {
        zone = Box::into_raw(Box::new(find()));
        // Of two threads that look at once, the first one's holds.
        if let Err(first) = ZONE.compare_exchange(ptr::null_mut(), zone, AcqRel, Acquire) {
            zone = first;
        }
    }
    // SAFETY: whatever is stored there was a box, is never changed and never given back.
    unsafe { &*zone }
}

/// The zone's file, or its rule; empty where there is neither.
#[cold]
fn find() -> Vec<u8> {
    let said = program::variable(c"TZ").map(|zone| zone.into_encoded_bytes());
    let mut zone = said.as_deref().unwrap_or(b"/etc/localtime");
    if let Some(file) = zone.strip_prefix(b":") {
        zone = file;
    } else if is_rule(zone) {
        return zone.to_vec();
    }
    let zone = str::from_utf8(zone).unwrap_or_default();
    // A name has no points, so that it leads nowhere else.
    let folders = match zone.as_bytes().first() {
        Some(b'/' | b'.') => &[""][..],
        Some(_) if !zone.contains('.') => &FOLDERS,
        _ => &[],
    };
    for folder in folders {
        if let Ok(file) = files::read_at_most(Path::new(&[*folder, zone].concat()), FILE_BYTES_MAX) {
            return if file.starts_with(b"TZif") { file } else { Vec::new() };
        }
    }
    Vec::new()
}

/// Whether this is a rule and not the name of a file: a number stands behind the zone's short name.
fn is_rule(zone: &[u8]) -> bool {
    let mut rest = zone;
    let name = name(&mut rest);
    name == b"UTC" || name == b"GMT" || (!name.is_empty() && is_number(rest))
}

fn is_number(text: &[u8]) -> bool {
    matches!(text, [b'+' | b'-' | b'0'..=b'9', ..])
}

/// How many seconds the zone's clocks are before those of UTC at this moment.
#[inline(never)]
fn offset(zone: &[u8], seconds: i64) -> i64 {
    if zone.starts_with(b"TZif") { in_file(zone, seconds).unwrap_or(0) } else { by_rule(zone, seconds) }
}

/// The number of 32 bits at this place of a file.
fn number(file: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_be_bytes(*file.get(at..)?.first_chunk()?))
}

/// How many of something the header at this place tells of.
fn count(file: &[u8], header: usize, place: usize) -> Option<usize> {
    usize::try_from(number(file, header + 20 + 4 * place)?).ok()
}

/// As [`offset`]; nothing where the file is cut off.
fn in_file(file: &[u8], seconds: i64) -> Option<i64> {
    // Everything is there twice, first with times of 32 bits. Of each: marks of two kinds, leap seconds, times with the
    // numbers of their kinds, kinds, letters.
    const WIDTHS: [[usize; 6]; 2] = [[1, 1, 8, 5, 6, 1], [1, 1, 12, 9, 6, 1]];
    // An old file has the first alone.
    let is_old = file.get(4) == Some(&0);
    let (mut header, mut end) = (0, 0);
    for widths in &WIDTHS[..if is_old { 1 } else { 2 }] {
        header = end;
        end += HEADER_BYTES;
        for (place, &width) in widths.iter().enumerate() {
            end += count(file, header, place)? * width;
        }
    }
    let (changes, kinds) = (count(file, header, 3)?, count(file, header, 4)?);
    let (times, width) = (header + HEADER_BYTES, if is_old { 4 } else { 8 });
    let time = |place: usize| match is_old {
        true => number(file, times + width * place).map(i64::from),
        false => Some(i64::from_be_bytes(*file.get(times + width * place..)?.first_chunk()?)),
    };
    let mut place = 0;
    while place < changes && time(place)? <= seconds {
        place += 1;
    }
    // The rule is a line of its own.
    let rule = file.get(end..)?.trim_ascii();
    if place == changes && changes > 0 && !rule.is_empty() {
        return Some(by_rule(rule, seconds));
    }
    let numbers = times + width * changes;
    let first = numbers + changes;
    let kind = match place {
        // Before the first change: the first kind that is no summer time.
        0 => (0..kinds).find(|kind| file.get(first + 6 * kind + 4) == Some(&0)).unwrap_or(0),
        _ => usize::from(*file.get(numbers + place - 1)?),
    };
    number(file, first + 6 * kind).map(i64::from)
}

/// What a rule gives. Numbers in it are those of who is west of Greenwich.
fn by_rule(mut rule: &[u8], seconds: i64) -> i64 {
    name(&mut rule);
    let winter = -time(&mut rule);
    if name(&mut rule).is_empty() {
        return winter;
    }
    let summer = if is_number(rule) { -time(&mut rule) } else { winter + HOUR };
    if rule.is_empty() {
        // What the C library takes where nothing is said.
        rule = b",M3.2.0,M11.1.0";
    }
    let year = date(seconds).year.into();
    let begin = change(&mut rule, year) - winter;
    let end = change(&mut rule, year) - summer;
    let is_summer = match begin < end {
        true => (begin..end).contains(&seconds),
        // South of the equator.
        false => !(end..begin).contains(&seconds),
    };
    if is_summer { summer } else { winter }
}

/// Takes a zone's short name: letters, or anything between `<` and `>`.
fn name<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let whole = *text;
    let (start, end) = match whole {
        [b'<', ..] => (1, whole.iter().position(|&byte| byte == b'>').unwrap_or(whole.len())),
        _ => (0, whole.iter().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(whole.len())),
    };
    *text = &whole[(start + end).min(whole.len())..];
    &whole[start..end]
}

/// Takes the byte that comes next, where it is this one.
fn take(text: &mut &[u8], wanted: u8) -> bool {
    let rest = text.strip_prefix(&[wanted]);
    *text = rest.unwrap_or(text);
    rest.is_some()
}

/// Takes digits.
fn digits(text: &mut &[u8]) -> i64 {
    let mut number = 0_i64;
    while let Some((&digit @ b'0'..=b'9', rest)) = text.split_first() {
        number = number.wrapping_mul(10).wrapping_add(i64::from(digit - b'0')) & 0xFFFF_FFFF;
        *text = rest;
    }
    number
}

/// Takes hours, and minutes and seconds where they are said, with a sign before them.
fn time(text: &mut &[u8]) -> i64 {
    let is_negative = take(text, b'-');
    if !is_negative {
        take(text, b'+');
    }
    let mut seconds = HOUR * digits(text);
    for unit in [60, 1] {
        if take(text, b':') {
            seconds += unit * digits(text);
        }
    }
    if is_negative { -seconds } else { seconds }
}

/// Takes a day with the time of day at which a year's clocks change, and gives that by the clocks before.
fn change(rule: &mut &[u8], year: i64) -> i64 {
    let first = days(year, 1, 1);
    if !take(rule, b',') {
        return first * DAY;
    }
    let day = if take(rule, b'M') {
        let month = digits(rule);
        take(rule, b'.');
        let week = digits(rule);
        take(rule, b'.');
        let (first, next) = (days(year, month, 1), days(year, month + 1, 1));
        // The Unix epoch was a Thursday.
        let day = first + (digits(rule) - first - 4).rem_euclid(7) + 7 * (week - 1);
        // The fifth one is the last one.
        if day < next { day } else { day - 7 }
    } else if take(rule, b'J') {
        // From 1, and no 29th of February is counted.
        match digits(rule) {
            day @ ..60 => first + day - 1,
            day => days(year, 3, 1) + day - 60,
        }
    } else {
        first + digits(rule)
    };
    day * DAY + if take(rule, b'/') { time(rule) } else { 2 * HOUR }
}

/// The days from the Unix epoch to this one. Years begin in March here, so that the leap day is the last of its year.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - DAYS_BEFORE
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::process::{Command, Stdio};

    /// What the C library says.
    fn by_the_system(seconds: i64) -> LocalTime {
        // SAFETY: `tm` is plain numbers and a pointer that may be null; all zeros is a value of it.
        let mut tm: libc::tm = unsafe { std::mem::zeroed() };
        // SAFETY: both pointers are to live locals of the right types; localtime_r(3) keeps neither.
        assert!(!unsafe { libc::localtime_r(&seconds, &mut tm) }.is_null());
        LocalTime {
            year: tm.tm_year + 1900,
            month: tm.tm_mon + 1,
            day: tm.tm_mday,
            hour: tm.tm_hour,
            minute: tm.tm_min,
            second: tm.tm_sec,
        }
    }

    /// The C library reads `TZ` when it likes, so that each zone is looked at in a process of its own.
    #[test]
    fn the_system_says_the_same() {
        const MARK: &str = "MEMENTO_TEST_ZONE";
        if std::env::var_os(MARK).is_some() {
            // From 1970 to 2110, at all times of the day, and around each turn of an hour for two years.
            for seconds in (0..4_400_000_000).step_by(40_009).chain((1_735_000_000..1_800_000_000).step_by(599)) {
                assert_eq!(local(seconds), by_the_system(seconds), "{seconds}");
            }
            return;
        }
        let zones = [
            None,
            Some(""),
            Some("UTC"),
            Some("UTC0"),
            Some("GMT"),
            Some("no/such/zone"),
            Some("Europe/Berlin"),
            Some(":Europe/Berlin"),
            Some("/usr/share/zoneinfo/Europe/London"),
            Some(":/usr/share/zoneinfo/Europe/Dublin"),
            Some("America/New_York"),
            Some("America/Sao_Paulo"),
            Some("America/St_Johns"),
            Some("Australia/Lord_Howe"),
            Some("Asia/Kolkata"),
            Some("Asia/Tokyo"),
            Some("Africa/Casablanca"),
            Some("Pacific/Chatham"),
            Some("Etc/GMT-3"),
            Some("CET-1CEST,M3.5.0,M10.5.0/3"),
            Some("EST5EDT,M3.2.0,M11.1.0"),
            Some("AEST-10AEDT,M10.1.0,M4.1.0/3"),
            Some("<-03>3"),
            Some("<+0330>-3:30:15"),
            Some("IST-2IDT,M3.4.4/26,M10.5.0"),
            Some("WGT3WGST,M3.5.0/-2,M10.5.0/-1"),
            Some("AAA3BBB1:30,J60/0,J300"),
            Some("AAA3BBB,59/1:30,299/5"),
            Some("JST-9"),
        ];
        let test = std::thread::current().name().expect("the name of the test").to_string();
        for zone in zones {
            let mut again = Command::new(std::env::current_exe().expect("our own path"));
            again.args(["--exact", &test]).env(MARK, "1").env_remove("TZ").envs(zone.map(|zone| ("TZ", zone)));
            // Tests of the server, in this process, ignore SIGCHLD: what became of a child is nobody's to ask.
            let mut said = String::new();
            let mut again = again.stdout(Stdio::piped()).spawn().expect("to run it again");
            again.stdout.take().expect("its output").read_to_string(&mut said).expect("text");
            let _ = again.wait();
            assert!(said.contains("1 passed"), "{zone:?}: {said}");
        }
    }

    #[test]
    fn files_that_are_cut_off_are_utc() {
        let Ok(file) = std::fs::read("/usr/share/zoneinfo/Europe/Berlin") else { return };
        assert_eq!(offset(&file, 1_750_000_000), 2 * HOUR);
        assert_eq!(offset(&file, 1_735_700_000), HOUR);
        for length in 0..file.len() {
            let offset = offset(&file[..length], 1_750_000_000);
            assert!(offset == 0 || offset == HOUR || offset == 2 * HOUR, "{length}: {offset}");
        }
    }

    #[test]
    fn an_old_file_is_read_and_a_rule_without_days_has_those_of_the_c_library() {
        // Berlin since 1996, as a file of the first version: a change in spring and one in autumn.
        let mut file = b"TZif\0".to_vec();
        file.resize(20, 0);
        for count in [0, 0, 0, 2, 2, 9_i32] {
            file.extend(count.to_be_bytes());
        }
        for seconds in [1_743_296_400_i32, 1_761_440_400] {
            file.extend(seconds.to_be_bytes());
        }
        file.extend([1, 0]);
        for (offset, is_summer) in [(3600_i32, 0), (7200, 1)] {
            file.extend(offset.to_be_bytes());
            file.extend([is_summer, 0]);
        }
        file.extend(b"CET\0CEST\0");
        let offsets = [1_743_296_399, 1_743_296_400, 1_761_440_399, 1_761_440_400].map(|at| offset(&file, at));
        assert_eq!(offsets, [HOUR, 2 * HOUR, 2 * HOUR, HOUR]);
        // New York's, on 1 January, 1 July.
        assert_eq!([1_735_707_600, 1_751_342_400].map(|at| offset(b"EST5EDT", at)), [-5 * HOUR, -4 * HOUR]);
    }

    #[test]
    fn nonsense_is_no_rule_and_harms_nobody() {
        for zone in ["", "Europe/Berlin", "CET", "1", "+1", "<+03", "-3"] {
            assert!(!is_rule(zone.as_bytes()), "{zone}");
        }
        for seed in crate::testkit::seeds(2000) {
            let mut random = crate::testkit::Random::new(seed);
            let rule: Vec<u8> = (0..random.below(30)).map(|_| b"<>+-0159:/,.MJABc"[random.below(17)]).collect();
            offset(&rule, random.below(5_000_000_000) as i64);
        }
    }
}
