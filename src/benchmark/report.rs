//! Figures as text for people, and as tables for programs. Knows nothing of how they came to be.

use super::engine::Found;
use super::histogram::Histogram;
use super::options::{Form, Settings};
use super::text::Text;
use super::{push_rate, rate};

/// What the times are called that are told.
const NAMES: [&str; 8] = ["min", "mean", "p50", "p90", "p99", "p99.9", "p99.99", "max"];

/// Those that a short line has.
const SHORT: [usize; 3] = [2, 4, 7];

/// What was found out of one kind of request, or of several together, at one server.
pub(super) struct Row<'a> {
    pub(super) test: &'a str,
    pub(super) server: &'a str,
    pub(super) elapsed_ns: u64,
    pub(super) found: Found,
}

impl Row<'_> {
    fn requests(&self) -> u64 {
        self.found.times.count()
    }

    fn rate(&self) -> f64 {
        rate(self.requests(), self.elapsed_ns)
    }

    /// Its times in microseconds, by [`NAMES`].
    #[inline(never)]
    fn times_us(&self) -> [f64; 8] {
        let times: &Histogram = &self.found.times;
        let mut all = [times.min() as f64, times.mean(), 0.0, 0.0, 0.0, 0.0, 0.0, times.max() as f64];
        for (place, percent) in [5000, 9000, 9900, 9990, 9999].iter().enumerate() {
            all[2 + place] = times.percentile(*percent) as f64;
        }
        for time in &mut all {
            *time /= 1000.0;
        }
        all
    }
}

/// What stands before all figures.
#[inline(never)]
pub(super) fn head(settings: &Settings) -> String {
    let mut text = Text::default();
    let out = &mut text;
    let protocol = if settings.resp { "resp" } else { "text" };
    match settings.form {
        Form::Text if settings.quiet => {}
        Form::Text => {
            out.add(" clients: ").number(settings.connections).add("  threads: ").number(settings.threads);
            out.add("  pipeline: ").number(settings.pipeline as u64).add("  protocol: ").add(protocol);
            out.add("  keys: ").number(settings.key_space).add(" ");
            settings.keys.write(out);
            push_value_bytes(out.add("  value bytes: "), settings);
            out.add("  seed: ").number(settings.seed);
            if let Some(rate) = settings.rate {
                out.add("  rate: ").millionths(rate);
            }
            out.add("\n");
        }
        Form::Csv => {
            out.add("test,server,requests,misses,seconds,rate,rate_ratio");
            for name in NAMES {
                out.add(",").add(name).add("_us");
            }
            out.add("\n");
        }
        Form::Json => {
            out.add("{\"version\":\"").add(env!("CARGO_PKG_VERSION")).add("\",\"protocol\":\"").add(protocol);
            out.add("\",\"connections\":").number(settings.connections);
            out.add(",\"threads\":").number(settings.threads);
            out.add(",\"pipeline\":").number(settings.pipeline as u64).add(",\"rate\":");
            match settings.rate {
                Some(rate) => out.millionths(rate),
                None => out.add("null"),
            };
            out.add(",\"warmup\":").millionths(settings.warmup).add(",\"keys\":\"");
            settings.keys.write(out);
            out.add("\",\"key_space\":").number(settings.key_space);
            push_value_bytes(out.add(",\"value_bytes\":\""), settings);
            out.add("\",\"seed\":").number(settings.seed).add(",\"results\":[");
        }
    }
    text.0
}

fn push_value_bytes(out: &mut Text, settings: &Settings) {
    let (least, most) = settings.value_bytes;
    out.number(least as u64);
    if least < most {
        out.add("-").number(most as u64);
    }
}

/// The figures of one row: at one server, or at two, where the first one's are told through the second's as well.
#[inline(never)]
pub(super) fn figures(settings: &Settings, rows: &[&Row], is_first: bool) -> String {
    let mut text = Text::default();
    let out = &mut text;
    for (place, row) in rows.iter().enumerate() {
        // The first of two stands through the second.
        let ratio = rows.get(place + 1).map(|second| ratios(row, second));
        match settings.form {
            Form::Text => push_text(out, settings, row, rows.len() > 1),
            Form::Csv => push_csv(out, row, ratio),
            Form::Json => {
                out.add(if is_first && place == 0 { "\n" } else { ",\n" });
                push_json(out, row, ratio);
            }
        }
    }
    if let (Form::Text, [first, second]) = (settings.form, rows) {
        let (rate, times) = ratios(first, second);
        push_test(out, first);
        out.add(" ").add(first.server).add(" to ").add(second.server).add(" - Op/s: ").fixed(rate, 2);
        for (name, ratio) in NAMES.iter().zip(times) {
            out.add("  ").add(name).add(": ").fixed(ratio, 2);
        }
        out.add("\n");
    }
    text.0
}

/// What stands behind all figures.
pub(super) fn foot(settings: &Settings) -> &'static str {
    if settings.form == Form::Json { "\n]}\n" } else { "" }
}

/// How the same row fared at two servers: the first's rate and times through the second's.
fn ratios(first: &Row, second: &Row) -> (f64, [f64; 8]) {
    let through = |ours: f64, theirs: f64| if theirs > 0.0 { ours / theirs } else { 0.0 };
    let (mut times, theirs) = (first.times_us(), second.times_us());
    for (ours, theirs) in times.iter_mut().zip(&theirs) {
        *ours = through(*ours, *theirs);
    }
    (through(first.rate(), second.rate()), times)
}

fn push_test(out: &mut Text, row: &Row) {
    out.add(" [");
    // A command is told as it is sent.
    if row.test.contains(' ') {
        out.add(row.test);
    } else {
        out.add(&row.test.to_ascii_uppercase());
    }
    out.add("]");
}

#[inline(never)]
fn push_text(out: &mut Text, settings: &Settings, row: &Row, names_server: bool) {
    push_test(out, row);
    if names_server {
        out.add(" ").add(row.server);
    }
    push_rate(out, row.requests(), row.elapsed_ns);
    if !settings.quiet {
        out.add("\n   us");
    }
    for (place, us) in row.times_us().iter().enumerate() {
        if !settings.quiet || SHORT.contains(&place) {
            out.add("  ").add(NAMES[place]).add(": ").fixed(*us, 1);
        }
    }
    if row.found.misses > 0 {
        out.add("  misses: ").number(row.found.misses);
    }
    out.add("\n");
    if settings.histogram {
        row.found.times.picture(out);
    }
}

#[inline(never)]
fn push_csv(out: &mut Text, row: &Row, ratio: Option<(f64, [f64; 8])>) {
    push_field(out, row.test);
    push_field(out.add(","), row.server);
    out.add(",").number(row.requests()).add(",").number(row.found.misses);
    out.add(",").seconds(row.elapsed_ns).add(",").fixed(row.rate(), 2).add(",");
    if let Some((rate, _)) = ratio {
        out.fixed(rate, 4);
    }
    for us in &row.times_us() {
        out.add(",").fixed(*us, 3);
    }
    out.add("\n");
}

/// A field of a table. A comma, a quote or a line's end in a command would else be one of the table.
fn push_field(out: &mut Text, text: &str) {
    if !text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        out.add(text);
        return;
    }
    out.0.push('"');
    for letter in text.chars() {
        if letter == '"' {
            out.0.push('"');
        }
        out.0.push(letter);
    }
    out.0.push('"');
}

#[inline(never)]
fn push_json(out: &mut Text, row: &Row, ratio: Option<(f64, [f64; 8])>) {
    push_string(out.add("{\"test\":"), row.test);
    push_string(out.add(",\"server\":"), row.server);
    out.add(",\"requests\":").number(row.requests()).add(",\"misses\":").number(row.found.misses);
    out.add(",\"seconds\":").seconds(row.elapsed_ns).add(",\"rate\":").fixed(row.rate(), 2);
    push_members(out.add(",\"us\":{"), &row.times_us());
    if let Some((rate, times)) = ratio {
        out.add(",\"ratio\":{\"rate\":").fixed(rate, 4);
        push_members(out.add(","), &times);
    }
    out.add("}");
}

/// The times as members of an object, and its end.
fn push_members(out: &mut Text, times: &[f64; 8]) {
    for (place, time) in times.iter().enumerate() {
        out.add(if place > 0 { ",\"" } else { "\"" }).add(NAMES[place]).add("\":").fixed(*time, 3);
    }
    out.add("}");
}

/// A string of JSON.
fn push_string(out: &mut Text, text: &str) {
    out.0.push('"');
    for letter in text.chars() {
        if letter < ' ' {
            let digit = |value: u32| char::from(b"0123456789abcdef"[value as usize % 16]);
            out.add("\\u00").0.extend([digit(letter as u32 / 16), digit(letter as u32)]);
            continue;
        }
        if matches!(letter, '"' | '\\') {
            out.0.push('\\');
        }
        out.0.push(letter);
    }
    out.0.push('"');
}

#[cfg(test)]
mod tests {
    use super::super::options::{Parsed, parse};
    use super::*;

    /// What would be printed of two parts, the second at two servers.
    fn printed(form: &str) -> String {
        let line = format!("-t get --seed 7 --rate 1000 --keys zipf:0.99 -d 10-20 --warmup 0.5 {form}");
        let words: Vec<String> = line.split_ascii_whitespace().map(str::to_string).collect();
        let Ok(Parsed::Load(settings)) = parse(&words) else { panic!("{line}") };
        let row = |test, server, factor: u64| {
            let mut found = Found::new();
            found.times.record(1000 * factor, 90);
            found.times.record(1500 * factor, 9);
            found.times.record(2000 * factor, 1);
            found.misses = factor - 1;
            Row { test, server, elapsed_ns: 500_000_000 * factor, found }
        };
        let mut text = head(&settings);
        text += &figures(&settings, &[&row("get", "a:1", 1)], true);
        text += &figures(&settings, &[&row("ECHO \"x\",\\", "a:1", 2), &row("ECHO \"x\",\\", "b:2", 1)], false);
        text + foot(&settings)
    }

    #[test]
    fn text() {
        let wanted = r#" clients: 50  threads: 1  pipeline: 1  protocol: resp  keys: 100000 zipf:0.99  value bytes: 10-20  seed: 7  rate: 1000
 [GET] - Elapsed time: 0.500000 s  Op/s: 200.00
   us  min: 1.0  mean: 1.1  p50: 1.0  p90: 1.0  p99: 1.5  p99.9: 2.0  p99.99: 2.0  max: 2.0
 [ECHO "x",\] a:1 - Elapsed time: 1.000000 s  Op/s: 100.00
   us  min: 2.0  mean: 2.1  p50: 2.0  p90: 2.0  p99: 3.0  p99.9: 4.0  p99.99: 4.0  max: 4.0  misses: 1
 [ECHO "x",\] b:2 - Elapsed time: 0.500000 s  Op/s: 200.00
   us  min: 1.0  mean: 1.1  p50: 1.0  p90: 1.0  p99: 1.5  p99.9: 2.0  p99.99: 2.0  max: 2.0
 [ECHO "x",\] a:1 to b:2 - Op/s: 0.50  min: 2.00  mean: 2.00  p50: 2.00  p90: 2.00  p99: 2.00  p99.9: 2.00  p99.99: 2.00  max: 2.00
"#;
        assert_eq!(printed(""), wanted);
        let wanted = r#" [GET] - Elapsed time: 0.500000 s  Op/s: 200.00  p50: 1.0  p99: 1.5  max: 2.0
           1.0 us   90.000% ##################################################
           1.5 us    9.000% #####
           2.0 us    1.000% #
"#;
        assert!(printed("-q --histogram").starts_with(wanted), "{}", printed("-q --histogram"));
    }

    #[test]
    fn csv() {
        let wanted = r#"test,server,requests,misses,seconds,rate,rate_ratio,min_us,mean_us,p50_us,p90_us,p99_us,p99.9_us,p99.99_us,max_us
get,a:1,100,0,0.500000,200.00,,1.000,1.055,1.000,1.000,1.500,2.000,2.000,2.000
"ECHO ""x"",\",a:1,100,1,1.000000,100.00,0.5000,2.000,2.110,2.000,2.000,3.001,4.000,4.000,4.000
"ECHO ""x"",\",b:2,100,0,0.500000,200.00,,1.000,1.055,1.000,1.000,1.500,2.000,2.000,2.000
"#;
        assert_eq!(printed("--csv"), wanted);
    }

    #[test]
    fn json() {
        let wanted = r#"{"version":"VERSION","protocol":"resp","connections":50,"threads":1,"pipeline":1,"rate":1000,"warmup":0.5,"keys":"zipf:0.99","key_space":100000,"value_bytes":"10-20","seed":7,"results":[
{"test":"get","server":"a:1","requests":100,"misses":0,"seconds":0.500000,"rate":200.00,"us":{"min":1.000,"mean":1.055,"p50":1.000,"p90":1.000,"p99":1.500,"p99.9":2.000,"p99.99":2.000,"max":2.000}},
{"test":"ECHO \"x\",\\","server":"a:1","requests":100,"misses":1,"seconds":1.000000,"rate":100.00,"us":{"min":2.000,"mean":2.110,"p50":2.000,"p90":2.000,"p99":3.001,"p99.9":4.000,"p99.99":4.000,"max":4.000},"ratio":{"rate":0.5000,"min":2.000,"mean":2.000,"p50":2.000,"p90":2.000,"p99":2.001,"p99.9":2.000,"p99.99":2.000,"max":2.000}},
{"test":"ECHO \"x\",\\","server":"b:2","requests":100,"misses":0,"seconds":0.500000,"rate":200.00,"us":{"min":1.000,"mean":1.055,"p50":1.000,"p90":1.000,"p99":1.500,"p99.9":2.000,"p99.99":2.000,"max":2.000}}
]}
"#;
        assert_eq!(printed("--json"), wanted.replace("VERSION", env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn strings_of_json_hold_anything() {
        let mut out = Text::default();
        push_string(&mut out, "a\"b\\c\n\u{1f}\u{e9}");
        assert_eq!(out.0, "\"a\\\"b\\\\c\\u000a\\u001f\u{e9}\"");
    }
}
