//! The settings by Redis's names, and CONFIG. A setting is a row: its name, what it is, how it is changed.

use super::sub::names;
use super::{CommandError, Ctx, Flags, Flow, Outcome, choice, echo, events, glob, short};
use crate::limits::{
    CLIENTS_MEMORY_PART, EVICTION_SAMPLES, EVICTION_SAMPLES_MAX, FIRST_REQUEST_SECONDS, MATCH_STEPS_MAX,
    SLOW_ENTRIES_MAX, TIMEOUT_SECONDS_MAX, VALUE_BYTES_MAX, WORD_MEMORY_PART,
};
use crate::log::{self, Level};
use crate::proto::{Args, Reply, memory_size};
use crate::stats::Stats;
use crate::store::Policy;

/// Who may use DEBUG.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DebugAccess {
    /// Nobody.
    #[default]
    No,
    /// Clients of this box.
    Local,
    /// Everybody.
    Yes,
}

impl DebugAccess {
    const WORDS: [(&'static str, DebugAccess); 3] =
        [("no", DebugAccess::No), ("local", DebugAccess::Local), ("yes", DebugAccess::Yes)];

    /// What a word of the command line says; nobody for any other.
    pub fn of(word: &str) -> DebugAccess {
        DebugAccess::WORDS.iter().find(|(name, _)| *name == word).map_or(DebugAccess::No, |&(_, access)| access)
    }
}

/// The settings as they are now. The server reads them each time that it needs one, and looks at `changed` after each
/// turn for those that it has passed on.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the server listens, as it was told.
    pub addresses: Vec<String>,
    /// The TCP port.
    pub port: u16,
    /// The Unix socket, empty where there is none.
    pub socket: String,
    /// Its file mode.
    pub socket_mode: u32,
    /// How many connections the kernel queues.
    pub backlog: i32,
    /// Who may use DEBUG.
    pub debug_access: DebugAccess,
    /// Seconds after which an idle client is closed; 0: never.
    pub timeout_s: u64,
    /// Clients that may be connected.
    pub clients_max: usize,
    /// Clients of one address that may be connected; 0: any number.
    pub clients_per_address_max: usize,
    /// Seconds within which a client is to have sent its first whole request; 0: any number.
    pub first_request_timeout_s: u64,
    /// Seconds of silence after which the kernel probes a new client; 0: never.
    pub keepalive_s: u32,
    /// A command that takes so many microseconds gets into the slow log; negative: none does.
    pub slower_than_us: i64,
    /// So many requests the slow log keeps.
    pub slow_entries_max: usize,
    /// What counts as used memory may be so many bytes; 0: any number.
    pub memory_bytes_max: u64,
    /// What happens then.
    pub memory_policy: Policy,
    /// So many entries are looked at for one that is to be evicted.
    pub memory_samples: usize,
    /// What all clients together make the server hold may take so many bytes, 0: any number; none: a part of the memory.
    pub clients_bytes_max: Option<u64>,
    /// Which events of keys are published, in Redis's classes; 0: none.
    pub events: u16,
    /// The box's memory, 0 where it is not known.
    pub box_bytes: u64,
    /// The least that is logged, one of Redis's words.
    pub log_level: &'static str,
    /// Where snapshots are kept; empty where none are made.
    pub snapshot: &'static str,
    /// Seconds after which the next one is made where keys have changed; 0: only when asked for, and at the end.
    pub snapshot_interval_s: u64,
    /// Whether it is a node of a cluster.
    pub is_clustered: bool,
    /// Whether a client has changed something that the server has not looked at yet.
    pub changed: bool,
    /// Descriptors that are kept back for what is not a client.
    pub reserved: usize,
    /// Makes room for so many clients beside so many reserved descriptors; gives for how many there is.
    pub make_room: fn(usize, usize) -> usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            addresses: Vec::new(),
            port: 0,
            socket: String::new(),
            socket_mode: 0o660,
            backlog: 511,
            debug_access: DebugAccess::No,
            timeout_s: 0,
            clients_max: crate::limits::CLIENTS_MAX,
            clients_per_address_max: 0,
            first_request_timeout_s: FIRST_REQUEST_SECONDS,
            keepalive_s: 300,
            slower_than_us: 10_000,
            slow_entries_max: 128,
            memory_bytes_max: 0,
            memory_policy: Policy::default(),
            memory_samples: EVICTION_SAMPLES,
            clients_bytes_max: None,
            events: 0,
            box_bytes: 0,
            log_level: "notice",
            snapshot: "",
            snapshot_interval_s: 0,
            is_clustered: false,
            changed: false,
            reserved: 0,
            make_room: |clients, _| clients,
        }
    }
}

/// What takes less than this is brief.
const BRIEF_US: i64 = 1000;

impl Settings {
    /// Whether each call has its own time measured, although it is brief: where the slow log is to have such, or where
    /// room has to be made for it.
    #[inline]
    pub(super) fn wants_every_time(&self, flags: Flags) -> bool {
        (0..BRIEF_US).contains(&self.slower_than_us) || self.memory_bytes_max > 0 && flags.has(Flags::DENYOOM)
    }

    /// What all clients together may make the server hold, in bytes; 0: any number.
    pub fn clients_bytes_max(&self) -> u64 {
        let memory_bytes = if self.memory_bytes_max > 0 { self.memory_bytes_max } else { self.box_bytes };
        self.clients_bytes_max.unwrap_or(memory_bytes / CLIENTS_MEMORY_PART)
    }

    /// What a long word that one client is sending may take without counting as what clients hold, in bytes; none may where
    /// it was said what clients may hold.
    pub fn word_bytes_max(&self) -> u64 {
        let memory_bytes = if self.memory_bytes_max > 0 { self.memory_bytes_max } else { self.box_bytes };
        if self.clients_bytes_max.is_some() { 0 } else { memory_bytes / WORD_MEMORY_PART }
    }

    /// Whether what took so long belongs into the slow log.
    pub(super) fn is_slow(&self, ns: u64) -> bool {
        u64::try_from(self.slower_than_us).is_ok_and(|us| ns / 1000 >= us)
    }
}

/// Redis's levels of the log, and ours that shows the same.
const LOG_LEVELS: [(&str, Level); 4] =
    [("debug", Level::Debug), ("verbose", Level::Debug), ("notice", Level::Info), ("warning", Level::Warn)];

/// How a setting is changed at run time. An error is what Redis says after the setting's name.
#[derive(Clone, Copy)]
enum Change {
    /// Not at all, as in Redis.
    Never,
    /// Redis can change it and memento cannot: to set it to what it is does nothing.
    Same,
    /// By this.
    By(fn(&mut Settings, &str) -> Result<(), String>),
}

struct Setting {
    name: &'static str,
    get: fn(&Settings) -> String,
    change: Change,
}

const IMMUTABLE: &str = "can't set immutable config";

macro_rules! settings {
    ($($name:literal, $change:expr, $get:expr;)*) => {
        /// Every setting, ordered by name.
        static SETTINGS: &[Setting] = &[$(Setting { name: $name, get: $get, change: $change },)*];
    };
}

settings! {
    "appendonly", Change::Same, |_| "no".into();
    "bind", Change::Same, |now| now.addresses.join(" ");
    "cluster-enabled", Change::Never, |now| (if now.is_clustered { "yes" } else { "no" }).into();
    "daemonize", Change::Never, |_| "no".into();
    "databases", Change::Never, |_| "1".into();
    "enable-debug-command", Change::Never, |now| {
        DebugAccess::WORDS.iter().find(|(_, access)| *access == now.debug_access).map_or("", |(word, _)| word).into()
    };
    "first-request-timeout", Change::Never, |now| now.first_request_timeout_s.to_string();
    "io-threads", Change::Never, |_| "1".into();
    "latency-tracking", Change::Same, |_| "yes".into();
    "latency-tracking-info-percentiles", Change::Same, |_| "50 99 99.9".into();
    "lfu-decay-time", Change::Same, |_| "1".into();
    "lfu-log-factor", Change::Same, |_| "10".into();
    "loglevel", Change::By(set_log_level), |now| now.log_level.into();
    "maxclients", Change::By(set_clients_max), |now| now.clients_max.to_string();
    "maxclients-per-address", Change::Never, |now| now.clients_per_address_max.to_string();
    "maxmemory", Change::By(set_memory), |now| now.memory_bytes_max.to_string();
    "maxmemory-clients", Change::By(set_clients_memory), |now| now.clients_bytes_max().to_string();
    "maxmemory-policy", Change::By(set_policy), |now| now.memory_policy.name().into();
    "maxmemory-samples", Change::By(set_samples), |now| now.memory_samples.to_string();
    "notify-keyspace-events", Change::By(set_events), |now| events::letters(now.events);
    "port", Change::Same, |now| now.port.to_string();
    "proto-max-bulk-len", Change::Same, |_| VALUE_BYTES_MAX.to_string();
    "save", Change::Same, |_| String::new();
    "slowlog-log-slower-than", Change::By(set_slower_than), |now| now.slower_than_us.to_string();
    "slowlog-max-len", Change::By(set_slow_entries_max), |now| now.slow_entries_max.to_string();
    "snapshot", Change::Never, |now| now.snapshot.into();
    "snapshot-interval", Change::By(set_snapshot_interval), |now| now.snapshot_interval_s.to_string();
    "tcp-backlog", Change::Never, |now| now.backlog.to_string();
    "tcp-keepalive", Change::By(set_keepalive), |now| now.keepalive_s.to_string();
    "timeout", Change::By(set_timeout), |now| now.timeout_s.to_string();
    "unixsocket", Change::Never, |now| now.socket.clone();
    "unixsocketperm", Change::Never, |now| format!("{:o}", now.socket_mode);
}

/// Reads a number between bounds, with Redis's errors.
fn number(text: &str, least: i64, most: i64) -> Result<i64, String> {
    let number = crate::proto::integer(text.as_bytes());
    let number = number.ok_or_else(|| String::from("argument couldn't be parsed into an integer"))?;
    let inside = (least..=most).contains(&number);
    inside.then_some(number).ok_or_else(|| format!("argument must be between {least} and {most} inclusive"))
}

/// Reads one of these words, in any case: its place.
fn one_of(text: &str, words: &[&str]) -> Result<usize, String> {
    let place = choice(text.as_bytes(), words);
    place.ok_or_else(|| format!("argument(s) must be one of the following: {}", words.join(", ")))
}

fn set_log_level(now: &mut Settings, text: &str) -> Result<(), String> {
    let names = LOG_LEVELS.map(|(name, _)| name);
    now.log_level = names[one_of(text, &names)?];
    Ok(())
}

fn set_memory(now: &mut Settings, text: &str) -> Result<(), String> {
    now.memory_bytes_max = memory_size(text.as_bytes()).ok_or("argument must be a memory value")?;
    Ok(())
}

fn set_clients_memory(now: &mut Settings, text: &str) -> Result<(), String> {
    now.clients_bytes_max = Some(memory_size(text.as_bytes()).ok_or("argument must be a memory value")?);
    Ok(())
}

fn set_policy(now: &mut Settings, text: &str) -> Result<(), String> {
    now.memory_policy = Policy::ALL[one_of(text, &Policy::ALL.map(Policy::name))?];
    Ok(())
}

fn set_events(now: &mut Settings, text: &str) -> Result<(), String> {
    now.events = events::parse(text).ok_or("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")?;
    Ok(())
}

fn set_samples(now: &mut Settings, text: &str) -> Result<(), String> {
    now.memory_samples = number(text, 1, EVICTION_SAMPLES_MAX as i64)? as usize;
    Ok(())
}

fn set_clients_max(now: &mut Settings, text: &str) -> Result<(), String> {
    let wanted = number(text, 1, u32::MAX.into())? as usize;
    let possible = (now.make_room)(wanted, now.reserved);
    if possible < wanted {
        let text = "The operating system is not able to handle the specified number of clients, try with";
        return Err(format!("{text} {possible}"));
    }
    now.clients_max = wanted;
    Ok(())
}

fn set_slower_than(now: &mut Settings, text: &str) -> Result<(), String> {
    now.slower_than_us = number(text, -1, i64::MAX)?;
    Ok(())
}

fn set_slow_entries_max(now: &mut Settings, text: &str) -> Result<(), String> {
    // More than is kept may be asked for, as of Redis.
    now.slow_entries_max = usize::try_from(number(text, 0, i64::MAX)?).unwrap_or(usize::MAX).min(SLOW_ENTRIES_MAX);
    Ok(())
}

fn set_keepalive(now: &mut Settings, text: &str) -> Result<(), String> {
    // The kernel takes no more than 32767 seconds (tcp(7), TCP_KEEPIDLE); Redis would let it fail unseen.
    now.keepalive_s = number(text, 0, i32::MAX.into())?.min(32_767) as u32;
    Ok(())
}

fn set_timeout(now: &mut Settings, text: &str) -> Result<(), String> {
    now.timeout_s = (number(text, 0, i32::MAX.into())? as u64).min(TIMEOUT_SECONDS_MAX);
    Ok(())
}

fn set_snapshot_interval(now: &mut Settings, text: &str) -> Result<(), String> {
    now.snapshot_interval_s = number(text, 0, TIMEOUT_SECONDS_MAX as i64)? as u64;
    Ok(())
}

/// Shows in the log what the level asks for.
pub fn apply_log_level(settings: &Settings) {
    let level = LOG_LEVELS.iter().find(|(name, _)| *name == settings.log_level);
    log::set_least(level.map_or(Level::Info, |&(_, level)| level));
}

fn find(name: &[u8]) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| name.eq_ignore_ascii_case(setting.name.as_bytes()))
}

/// `CONFIG GET pattern [pattern ...]`
pub(super) fn get(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    // A plain name is answered as it was asked.
    let mut found: Vec<(String, &Setting)> = Vec::new();
    // In order, and once, however often it was asked for.
    let mut add = |asked: &[u8]| {
        let (name, setting) = (String::from_utf8_lossy(asked).into_owned(), find(asked));
        if let (Some(setting), Err(place)) = (setting, found.binary_search_by(|(known, _)| known.cmp(&name))) {
            found.insert(place, (name, setting));
        }
    };
    let mut steps_left = MATCH_STEPS_MAX;
    for pattern in names(args, 2)? {
        if pattern.iter().any(|byte| b"[*?".contains(byte)) {
            let mut known = SETTINGS.iter().map(|setting| setting.name);
            let fitting = glob::matching(pattern, &mut || known.next(), &mut steps_left)?;
            fitting.into_iter().for_each(|name| add(name.as_bytes()));
        } else {
            add(short(pattern));
        }
    }
    reply.map(found.len());
    for (name, setting) in found {
        reply.field(&name);
        reply.bulk((setting.get)(&ctx.state.settings).as_bytes());
    }
    Ok(Flow::Continue)
}

/// `CONFIG SET name value [name value ...]`: all or nothing.
pub(super) fn set(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    if !args.len().is_multiple_of(2) {
        return Err(CommandError::Syntax);
    }
    let mut changed = ctx.state.settings.clone();
    for (place, setting) in named(args)? {
        let failed = |why: String| failed(&args[place], &why);
        // What is no text is no value of any setting.
        let text = std::str::from_utf8(&args[place + 1]).unwrap_or("\u{fffd}");
        match setting.change {
            Change::Never => return Err(failed(IMMUTABLE.into())),
            Change::Same if (setting.get)(&changed) == text => {}
            Change::Same => return Err(failed(IMMUTABLE.into())),
            Change::By(change) => change(&mut changed, text).map_err(failed)?,
        }
    }
    changed.changed = true;
    ctx.state.settings = changed;
    apply_log_level(&ctx.state.settings);
    ctx.state.store.set_policy(ctx.state.settings.memory_policy, ctx.state.settings.memory_samples);
    ctx.state.apply_events();
    reply.ok();
    Ok(Flow::Continue)
}

/// The settings that CONFIG SET names, each with its place; those that Redis refuses before it looks at any value are
/// refused here.
fn named(args: Args<'_>) -> Result<Vec<(usize, &'static Setting)>, CommandError> {
    let mut found: Vec<(usize, &'static Setting)> = Vec::new();
    for place in (2..args.len()).step_by(2) {
        let name = &args[place];
        let Some(setting) = find(name) else {
            let text = format!("ERR Unknown option or number of arguments for CONFIG SET - '{}'", echo(name));
            return Err(CommandError::Other(text));
        };
        if matches!(setting.change, Change::Never) {
            return Err(failed(name, IMMUTABLE));
        }
        if found.iter().any(|(_, other)| other.name == setting.name) {
            return Err(failed(name, "duplicate parameter"));
        }
        found.push((place, setting));
    }
    Ok(found)
}

fn failed(name: &[u8], why: &str) -> CommandError {
    CommandError::Other(format!("ERR CONFIG SET failed (possibly related to argument '{}') - {why}", echo(name)))
}

/// `CONFIG RESETSTAT`
pub(super) fn reset_stat(ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    ctx.state.stats = Stats::default();
    ctx.state.measures.reset();
    reply.ok();
    Ok(Flow::Continue)
}

/// `CONFIG REWRITE`
pub(super) fn rewrite(_ctx: &mut Ctx<'_>, _args: Args<'_>, _reply: &mut Reply<'_>) -> Outcome {
    Err(CommandError::Other("ERR The server is running without a config file".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_stand_by_name_and_take_what_they_give() {
        assert!(SETTINGS.is_sorted_by_key(|setting| setting.name));
        for setting in SETTINGS {
            let mut now = Settings::default();
            let value = (setting.get)(&now);
            if let Change::By(change) = setting.change {
                assert_eq!(change(&mut now, &value), Ok(()), "{}", setting.name);
                assert_eq!((setting.get)(&now), value);
                assert!(change(&mut now, "x y").is_err(), "{}", setting.name);
            }
        }
    }

    #[test]
    fn a_node_of_a_cluster_says_that_it_is_one() {
        let get = SETTINGS.iter().find(|setting| setting.name == "cluster-enabled").expect("Redis's setting").get;
        assert_eq!(get(&Settings::default()), "no");
        assert_eq!(get(&Settings { is_clustered: true, ..Settings::default() }), "yes");
    }

    #[test]
    fn values_have_bounds() {
        let mut now = Settings { make_room: |clients, _| clients.min(50), ..Settings::default() };
        let words = "argument must be between 1 and 4294967295 inclusive";
        assert_eq!(set_clients_max(&mut now, "0").unwrap_err(), words);
        let words = "The operating system is not able to handle the specified number of clients, try with 50";
        assert_eq!(set_clients_max(&mut now, "51").unwrap_err(), words);
        assert_eq!(set_timeout(&mut now, "1x").unwrap_err(), "argument couldn't be parsed into an integer");
        assert_eq!((set_clients_max(&mut now, "50"), now.clients_max), (Ok(()), 50));
        assert_eq!((set_memory(&mut now, "64mb"), now.memory_bytes_max), (Ok(()), 64 << 20));
        assert_eq!(set_memory(&mut now, "64mib").unwrap_err(), "argument must be a memory value");
        assert_eq!((set_policy(&mut now, "Volatile-TTL"), now.memory_policy), (Ok(()), Policy::VolatileTtl));
        let words = "argument(s) must be one of the following: volatile-lru, volatile-lfu, volatile-random, volatile-ttl, \
                     allkeys-lru, allkeys-lfu, allkeys-random, noeviction";
        assert_eq!(set_policy(&mut now, "lru").unwrap_err(), words);
        let words = "argument must be between 1 and 64 inclusive";
        assert_eq!(set_samples(&mut now, "65").unwrap_err(), words);
        assert_eq!(set_log_level(&mut now, "WARNING"), Ok(()));
        assert_eq!(now.log_level, "warning");
    }

    #[test]
    fn clients_may_take_a_part_of_the_memory_that_there_is() {
        let mut now = Settings { box_bytes: 80, ..Settings::default() };
        assert_eq!(now.clients_bytes_max(), 10);
        now.memory_bytes_max = 800;
        assert_eq!(now.clients_bytes_max(), 100);
        assert_eq!((set_clients_memory(&mut now, "1kb"), now.clients_bytes_max()), (Ok(()), 1024));
        assert_eq!((set_clients_memory(&mut now, "0"), now.clients_bytes_max()), (Ok(()), 0));
        assert_eq!(set_clients_memory(&mut now, "5%").unwrap_err(), "argument must be a memory value");
    }

    #[test]
    fn what_is_slow() {
        let slow = |slower_than_us, ns| Settings { slower_than_us, ..Settings::default() }.is_slow(ns);
        assert!(slow(0, 0) && slow(10, 10_000) && !slow(10, 9_999) && !slow(-1, u64::MAX));
    }
}
