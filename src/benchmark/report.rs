//! Figures as text for people, and as tables for programs. Knows nothing of how they came to be.

use std::fmt::Write as _;

use super::decimal;
use super::engine::Found;
use super::histogram::Histogram;
use super::options::{Form, Settings};

/// The percentiles that are told, and what they are called.
const PERCENTILES: &[(f64, &str)] = &[(50.0, "p50"), (90.0, "p90"), (99.0, "p99"), (99.9, "p99.9"), (99.99, "p99.99")];

/// What was found out of one kind of request, or of several together, at one server.
pub(super) struct Row {
    pub(super) test: String,
    pub(super) server: String,
    pub(super) seconds: f64,
    pub(super) found: Found,
}

/// How the same row fared at two servers: the first's figures through the second's.
struct Ratio {
    rate: f64,
    times: Vec<(&'static str, f64)>,
}

impl Row {
    fn requests(&self) -> u64 {
        self.found.times.count()
    }

    fn rate(&self) -> f64 {
        // A part of nothing takes no time at all on a coarse clock.
        self.requests() as f64 / self.seconds.max(1e-9)
    }

    fn ratio(&self, second: &Row) -> Ratio {
        let through = |ours: f64, theirs: f64| if theirs > 0.0 { ours / theirs } else { 0.0 };
        let (ours, theirs) = (times_us(&self.found.times), times_us(&second.found.times));
        let times = ours.iter().zip(&theirs).map(|(&(name, ours), &(_, theirs))| (name, through(ours, theirs)));
        Ratio { rate: through(self.rate(), second.rate()), times: times.collect() }
    }
}

/// The times that are told, in microseconds.
fn times_us(times: &Histogram) -> Vec<(&'static str, f64)> {
    let mut all = vec![("min", times.min() as f64), ("mean", times.mean())];
    all.extend(PERCENTILES.iter().map(|&(percent, name)| (name, times.percentile(percent) as f64)));
    all.push(("max", times.max() as f64));
    all.iter_mut().for_each(|(_, ns)| *ns /= 1000.0);
    all
}

/// What stands before all figures.
pub(super) fn head(settings: &Settings) -> String {
    match settings.form {
        Form::Text if settings.quiet => String::new(),
        Form::Text => {
            let mut text = format!(
                " clients: {}  threads: {}  pipeline: {}  protocol: {}  keys: {} {}  value bytes: {}  seed: {}",
                settings.connections,
                settings.threads,
                settings.pipeline,
                protocol(settings),
                settings.key_space,
                settings.keys.text(),
                value_bytes(settings),
                settings.seed
            );
            if let Some(rate) = settings.rate {
                append(&mut text, format_args!("  rate: {}", decimal::text(rate)));
            }
            text + "\n"
        }
        Form::Csv => {
            let mut text = "test,server,requests,misses,seconds,rate,rate_ratio".to_string();
            times_us(&Histogram::new()).iter().for_each(|(name, _)| text.extend([",", name, "_us"]));
            text + "\n"
        }
        Form::Json => {
            let rate = settings.rate.map_or("null".to_string(), decimal::text);
            format!(
                "{{\"version\":\"{}\",\"protocol\":\"{}\",\"connections\":{},\"threads\":{},\"pipeline\":{},\"rate\":{rate},\
                 \"warmup\":{},\"keys\":\"{}\",\"key_space\":{},\"value_bytes\":\"{}\",\"seed\":{},\"results\":[",
                env!("CARGO_PKG_VERSION"),
                protocol(settings),
                settings.connections,
                settings.threads,
                settings.pipeline,
                decimal::text(settings.warmup),
                settings.keys.text(),
                settings.key_space,
                value_bytes(settings),
                settings.seed
            )
        }
    }
}

fn protocol(settings: &Settings) -> &'static str {
    if settings.resp { "resp" } else { "text" }
}

fn value_bytes(settings: &Settings) -> String {
    let (least, most) = settings.value_bytes;
    if least == most { least.to_string() } else { format!("{least}-{most}") }
}

/// The figures of one row: at one server, or at two.
pub(super) fn figures(settings: &Settings, rows: &[Row], is_first: bool) -> String {
    let mut out = String::new();
    let ratio = match rows {
        [first, second] => Some(first.ratio(second)),
        _ => None,
    };
    for (place, row) in rows.iter().enumerate() {
        match settings.form {
            Form::Text => text(&mut out, settings, row, rows.len() > 1),
            Form::Csv => csv(&mut out, row, ratio.as_ref().filter(|_| place == 0)),
            Form::Json => {
                out.push_str(if is_first && place == 0 { "\n" } else { ",\n" });
                json(&mut out, row, ratio.as_ref().filter(|_| place == 0));
            }
        }
    }
    if let (Form::Text, Some(ratio), [first, second]) = (settings.form, ratio, rows) {
        let (test, ours, theirs) = (first.test.to_ascii_uppercase(), &first.server, &second.server);
        append(&mut out, format_args!(" [{test}] {ours} to {theirs} - Op/s: {:.2}", ratio.rate));
        ratio.times.iter().for_each(|(name, ratio)| append(&mut out, format_args!("  {name}: {ratio:.2}")));
        out.push('\n');
    }
    out
}

/// What stands behind all figures.
pub(super) fn foot(settings: &Settings) -> &'static str {
    if settings.form == Form::Json { "\n]}\n" } else { "" }
}

fn text(out: &mut String, settings: &Settings, row: &Row, names_server: bool) {
    out.push_str(" [");
    out.push_str(&row.test.to_ascii_uppercase());
    out.push(']');
    if names_server {
        append(out, format_args!(" {}", row.server));
    }
    append(out, format_args!(" - Elapsed time: {:.6} s  Op/s: {:.2}", row.seconds, row.rate()));
    let times = times_us(&row.found.times);
    let told = |name: &str| !settings.quiet || ["p50", "p99", "max"].contains(&name);
    if !settings.quiet {
        out.push_str("\n   us");
    }
    times.iter().filter(|(name, _)| told(name)).for_each(|(name, us)| append(out, format_args!("  {name}: {us:.1}")));
    if row.found.misses > 0 {
        append(out, format_args!("  misses: {}", row.found.misses));
    }
    out.push('\n');
    if settings.histogram {
        out.push_str(&row.found.times.picture());
    }
}

fn csv(out: &mut String, row: &Row, ratio: Option<&Ratio>) {
    // A comma, a quote or a line's end in a command would else be one of the table.
    let field = |text: &str| {
        if text.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text.to_string()
        }
    };
    let (test, server) = (field(&row.test), field(&row.server));
    let (requests, misses, rate) = (row.requests(), row.found.misses, row.rate());
    append(out, format_args!("{test},{server},{requests},{misses},{:.6},{rate:.2},", row.seconds));
    if let Some(ratio) = ratio {
        append(out, format_args!("{:.4}", ratio.rate));
    }
    times_us(&row.found.times).iter().for_each(|(_, us)| append(out, format_args!(",{us:.3}")));
    out.push('\n');
}

fn json(out: &mut String, row: &Row, ratio: Option<&Ratio>) {
    let (test, server) = (quoted(&row.test), quoted(&row.server));
    let (requests, misses, rate) = (row.requests(), row.found.misses, row.rate());
    append(
        out,
        format_args!(
            "{{\"test\":{test},\"server\":{server},\"requests\":{requests},\"misses\":{misses},\
             \"seconds\":{:.6},\"rate\":{rate:.2},\"us\":{{",
            row.seconds
        ),
    );
    let members = |out: &mut String, all: &[(&str, f64)]| {
        for (place, (name, number)) in all.iter().enumerate() {
            append(out, format_args!("{}\"{name}\":{number:.3}", if place > 0 { "," } else { "" }));
        }
    };
    members(out, &times_us(&row.found.times));
    out.push('}');
    if let Some(ratio) = ratio {
        append(out, format_args!(",\"ratio\":{{\"rate\":{:.4},", ratio.rate));
        members(out, &ratio.times);
        out.push('}');
    }
    out.push('}');
}

/// A string of JSON.
fn quoted(text: &str) -> String {
    let mut out = "\"".to_string();
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            letter if letter < ' ' => append(&mut out, format_args!("\\u{:04x}", letter as u32)),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

fn append(out: &mut String, what: std::fmt::Arguments) {
    out.write_fmt(what).expect("a String takes every write");
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
        let row = |test: &str, server: &str, factor: u64| {
            let mut found = Found::new();
            found.times.record(1000 * factor, 90);
            found.times.record(1500 * factor, 9);
            found.times.record(2000 * factor, 1);
            found.misses = factor - 1;
            Row { test: test.to_string(), server: server.to_string(), seconds: 0.5 * factor as f64, found }
        };
        let mut text = head(&settings);
        text += &figures(&settings, &[row("get", "a:1", 1)], true);
        text += &figures(&settings, &[row("ECHO \"x\",\\", "a:1", 2), row("ECHO \"x\",\\", "b:2", 1)], false);
        text + foot(&settings)
    }

    #[test]
    fn text() {
        let wanted = r#" clients: 50  threads: 1  pipeline: 1  protocol: resp  keys: 100000 zipf:0.99  value bytes: 10-20  seed: 7  rate: 1000
 [GET] - Elapsed time: 0.500000 s  Op/s: 200.00
   us  min: 1.0  mean: 1.1  p50: 1.0  p90: 1.0  p99: 1.5  p99.9: 2.0  p99.99: 2.0  max: 2.0
 [ECHO "X",\] a:1 - Elapsed time: 1.000000 s  Op/s: 100.00
   us  min: 2.0  mean: 2.1  p50: 2.0  p90: 2.0  p99: 3.0  p99.9: 4.0  p99.99: 4.0  max: 4.0  misses: 1
 [ECHO "X",\] b:2 - Elapsed time: 0.500000 s  Op/s: 200.00
   us  min: 1.0  mean: 1.1  p50: 1.0  p90: 1.0  p99: 1.5  p99.9: 2.0  p99.99: 2.0  max: 2.0
 [ECHO "X",\] a:1 to b:2 - Op/s: 0.50  min: 2.00  mean: 2.00  p50: 2.00  p90: 2.00  p99: 2.00  p99.9: 2.00  p99.99: 2.00  max: 2.00
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
        assert_eq!(quoted("a\"b\\c\n\u{e9}"), "\"a\\\"b\\\\c\\u000a\u{e9}\"");
    }
}
