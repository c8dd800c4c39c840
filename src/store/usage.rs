//! Which entries go when memory is short: the memory policies, and what is remembered of each entry's use.
//!
//! Under a policy that asks for it, a page keeps a byte an entry: the more, the better is the entry worth keeping. The
//! byte fades by one at each tick of a clock, down to 0; a use makes it 255 (how lately) or now and then one more (how
//! often). Fading is done page by page, when a page's bytes are next looked at: the page remembers up to which tick they
//! have faded. So no byte is ever ambiguous, as a clock's would be that goes round.
//!
//! How lately: ticks come with insertions, one for each sixty-fourth of the entries that there are. An entry that nobody
//! asks for goes after about as many insertions as there are entries, so what decides lies well inside 255 ticks, whether
//! that takes a second or a month; a clock of seconds would tell nothing in the first case and have gone round in the
//! second. Where nothing is inserted, ticks come with time, ever more slowly. Tried on a Zipf trace (exponent 0.99,
//! 200,000 keys, room for 40,000): 80.55 % of hits with eight samples, exact times give 80.55 % as well; a clock of 100,000
//! accesses a tick, which is what one second is to a busy server, 80.35 %.
//!
//! How often: as in Redis a counter that grows by chance, the slower the larger it is, and fades by one a minute.

use std::fmt;

/// What happens when memory is short, in Redis's terms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Of entries that end, those not used for longest go.
    VolatileLru,
    /// Of entries that end, those used least often go.
    VolatileLfu,
    /// Of entries that end, any go.
    VolatileRandom,
    /// What ends first goes.
    VolatileTtl,
    /// Those not used for longest go.
    AllKeysLru,
    /// Those used least often go.
    AllKeysLfu,
    /// Any go.
    AllKeysRandom,
    /// None goes.
    #[default]
    NoEviction,
}

impl Policy {
    /// All, in the order in which Redis lists them.
    pub const ALL: [Policy; 8] = [
        Policy::VolatileLru,
        Policy::VolatileLfu,
        Policy::VolatileRandom,
        Policy::VolatileTtl,
        Policy::AllKeysLru,
        Policy::AllKeysLfu,
        Policy::AllKeysRandom,
        Policy::NoEviction,
    ];

    /// Redis's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Policy::VolatileLru => "volatile-lru",
            Policy::VolatileLfu => "volatile-lfu",
            Policy::VolatileRandom => "volatile-random",
            Policy::VolatileTtl => "volatile-ttl",
            Policy::AllKeysLru => "allkeys-lru",
            Policy::AllKeysLfu => "allkeys-lfu",
            Policy::AllKeysRandom => "allkeys-random",
            Policy::NoEviction => "noeviction",
        }
    }

    /// The policy of this name, in any case.
    pub fn of(name: &str) -> Option<Policy> {
        Policy::ALL.into_iter().find(|policy| policy.name().eq_ignore_ascii_case(name))
    }

    /// What it asks to be remembered of each entry.
    pub fn tracks(self) -> Option<Tracked> {
        match self {
            Policy::VolatileLru | Policy::AllKeysLru => Some(Tracked::Lately),
            Policy::VolatileLfu | Policy::AllKeysLfu => Some(Tracked::Often),
            _ => None,
        }
    }

    /// Whether only entries that end may go.
    pub(super) fn is_volatile(self) -> bool {
        use Policy::{VolatileLfu, VolatileLru, VolatileRandom, VolatileTtl};
        matches!(self, VolatileLru | VolatileLfu | VolatileRandom | VolatileTtl)
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is remembered of each entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracked {
    /// When it was used last.
    Lately,
    /// How often it is used.
    Often,
}

/// The byte of an entry that was used just now, where it counts when.
const JUST_USED: u8 = u8::MAX;

/// The byte of a new entry where it counts how often, so that it has time to be used again (Redis has the same).
const NEW_COUNT: u8 = 5;

/// How much rarer each step of the counter gets (Redis's `lfu-log-factor`).
const LOG_FACTOR: u32 = 10;

/// Counters fade by one in so many milliseconds (Redis's `lfu-decay-time`).
const DECAY_MS: u64 = 60_000;

/// One tick for each so-manieth part of the entries that is inserted.
const TICKS_PER_TURNOVER: usize = 64;

/// Without insertions a tick takes so long at least, and a sixty-fourth of the time that all ticks told apart took.
const TICK_MS_MIN: u64 = 1000;
const QUIET_TICKS_PER_SPAN: u64 = 64;

/// So many ticks are told apart.
const TICKS: usize = 256;

/// What is remembered of use, and how; the bytes themselves are in the pages.
#[derive(Default)]
pub(super) struct Usage {
    tracked: Option<Tracked>,
    /// Ticks so far. It never goes back, so that bytes of a former policy have faded to nothing.
    tick: u32,
    /// Insertions since the last tick.
    inserted: usize,
    /// The time as it was told last.
    now_ms: u64,
    /// At this time there is a tick, whatever was inserted.
    next_ms: u64,
    /// When each of the last ticks was; there while it is tracked how lately entries were used.
    ticked_ms: Vec<u64>,
    draws: Draws,
}

/// Random numbers for chance, not for secrecy (splitmix64, Steele et al., OOPSLA 2014).
#[derive(Default)]
pub(super) struct Draws {
    state: u64,
}

impl Draws {
    /// The next number.
    #[inline]
    pub(super) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ self.state >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }
}

impl Usage {
    /// What is tracked; none: nothing.
    #[inline]
    pub(super) fn tracked(&self) -> Option<Tracked> {
        self.tracked
    }

    /// Tracks this from now on. What was known is forgotten where it was something else.
    pub(super) fn track(&mut self, tracked: Option<Tracked>) {
        if self.tracked != tracked {
            self.tracked = tracked;
            self.tick += TICKS as u32;
            (self.inserted, self.next_ms) = (0, 0);
            self.ticked_ms = if tracked == Some(Tracked::Lately) { vec![self.now_ms; TICKS] } else { Vec::new() };
        }
    }

    /// Heap bytes of the clock.
    pub(super) fn bytes(&self) -> usize {
        self.ticked_ms.capacity() * size_of::<u64>()
    }

    /// The tick that it is.
    #[inline]
    pub(super) fn tick(&self) -> u32 {
        self.tick
    }

    /// The time goes on.
    #[inline]
    pub(super) fn pass(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        if now_ms >= self.next_ms {
            self.pass_tick();
        }
    }

    /// One of `entries` was inserted.
    #[inline]
    pub(super) fn insert(&mut self, entries: usize) {
        self.inserted += 1;
        if self.tracked == Some(Tracked::Lately) && self.inserted >= entries / TICKS_PER_TURNOVER {
            self.begin_tick();
        }
    }

    /// The byte of a new entry.
    #[inline]
    pub(super) fn of_new(&self) -> u8 {
        if self.tracked == Some(Tracked::Often) { NEW_COUNT } else { JUST_USED }
    }

    /// The byte, not faded, of an entry of which nothing is known.
    pub(super) fn of_unknown(&self) -> u8 {
        if self.tracked == Some(Tracked::Often) { NEW_COUNT } else { 0 }
    }

    /// The byte after a use; `byte` has faded up to now.
    #[inline]
    pub(super) fn after_use(&mut self, byte: u8) -> u8 {
        if self.tracked != Some(Tracked::Often) {
            return JUST_USED;
        }
        let above = u32::from(byte.saturating_sub(NEW_COUNT));
        let chance = u32::MAX / (above * LOG_FACTOR + 1);
        let grows = (self.draws.next() >> 32) as u32 <= chance;
        byte.saturating_add(u8::from(grows))
    }

    /// Random numbers of the caller's own.
    pub(super) fn draws(&mut self) -> Draws {
        Draws { state: self.draws.next() }
    }

    /// For how long an entry with this byte, faded up to now, was not used, in milliseconds: at least so long, and at most
    /// a tick longer.
    pub(super) fn idle_ms(&self, byte: u8) -> u64 {
        let Some(ticks_since) = (JUST_USED - byte).checked_sub(1) else { return 0 };
        // The tick after the one that it was used in.
        let ended_ms = self.ticked_ms.get((self.tick as usize).wrapping_sub(ticks_since.into()) % TICKS);
        ended_ms.map_or(0, |ended_ms| self.now_ms.saturating_sub(*ended_ms))
    }

    /// The byte of an entry that was not used for so many milliseconds: that of the first tick that is as long ago, or of
    /// the last one that is known.
    pub(super) fn of_idle(&self, idle_ms: u64) -> u8 {
        let mut byte = JUST_USED;
        while byte > 0 && self.idle_ms(byte) < idle_ms {
            byte -= 1;
        }
        byte
    }

    #[cold]
    fn pass_tick(&mut self) {
        match self.tracked {
            None => self.next_ms = u64::MAX,
            Some(Tracked::Lately) => self.begin_tick(),
            Some(Tracked::Often) => {
                let minute = self.now_ms / DECAY_MS;
                let passed = if self.next_ms == 0 { 0 } else { minute + 1 - self.next_ms / DECAY_MS };
                self.tick += passed.min(TICKS as u64) as u32;
                self.next_ms = (minute + 1) * DECAY_MS;
            }
        }
    }

    #[cold]
    fn begin_tick(&mut self) {
        let now_ms = self.now_ms;
        if self.next_ms == 0 {
            self.ticked_ms.fill(now_ms);
        }
        self.tick += 1;
        self.inserted = 0;
        self.ticked_ms[self.tick as usize % TICKS] = now_ms;
        let span_ms = now_ms - self.ticked_ms[(self.tick as usize + 1) % TICKS];
        self.next_ms = now_ms + (span_ms / QUIET_TICKS_PER_SPAN).max(TICK_MS_MIN);
    }
}

/// Lets bytes fade by so many ticks.
pub(super) fn fade(bytes: &mut [u8], ticks: u32) {
    let ticks = u8::try_from(ticks).unwrap_or(u8::MAX);
    bytes.iter_mut().for_each(|byte| *byte = byte.saturating_sub(ticks));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_have_names() {
        for policy in Policy::ALL {
            assert_eq!(Policy::of(policy.name()), Some(policy));
            assert_eq!(Policy::of(&policy.name().to_uppercase()), Some(policy));
            assert_eq!(policy.is_volatile(), policy.name().starts_with("volatile"));
            let tracked = match policy.name() {
                name if name.ends_with("lru") => Some(Tracked::Lately),
                name if name.ends_with("lfu") => Some(Tracked::Often),
                _ => None,
            };
            assert_eq!(policy.tracks(), tracked);
        }
        assert_eq!((Policy::of("lru"), Policy::default()), (None, Policy::NoEviction));
    }

    #[test]
    fn bytes_fade_to_nothing_and_no_further() {
        let mut bytes = [0, 1, 100, 255];
        fade(&mut bytes, 0);
        assert_eq!(bytes, [0, 1, 100, 255]);
        fade(&mut bytes, 100);
        assert_eq!(bytes, [0, 0, 0, 155]);
        fade(&mut bytes, 1_000_000);
        assert_eq!(bytes, [0; 4]);
    }

    #[test]
    fn a_turnover_of_entries_takes_a_quarter_of_the_ticks() {
        let mut usage = Usage::default();
        usage.track(Some(Tracked::Lately));
        usage.pass(1);
        let before = usage.tick();
        (0..64_000).for_each(|_| usage.insert(64_000));
        assert_eq!(usage.tick() - before, 64);
    }

    #[test]
    fn without_insertions_ticks_come_ever_more_slowly_and_tell_the_idle_time() {
        let mut usage = Usage::default();
        usage.track(Some(Tracked::Lately));
        let (mut ticks, mut used_ms) = (Vec::new(), 0);
        for second in 1..=200_000 {
            let before = usage.tick();
            usage.pass(second * 1000);
            if usage.tick() != before {
                ticks.push(second);
            }
            used_ms = second * 1000;
        }
        assert!(ticks[..60].iter().zip(1..).all(|(&tick, second)| tick == second), "{:?}", &ticks[..60]);
        let last = ticks.len() - 1;
        assert!(ticks[last] - ticks[last - 1] > 1000 && ticks.len() < 1000, "{} {:?}", ticks.len(), &ticks[last - 3..]);
        assert_eq!(usage.idle_ms(JUST_USED), 0);
        assert_eq!((usage.of_idle(0), usage.of_idle(u64::MAX)), (JUST_USED, 0));
        for age in 1..=200 {
            let (after, at) = (ticks[last + 1 - age] * 1000, ticks[last - age] * 1000);
            assert_eq!(usage.idle_ms(JUST_USED - age as u8), used_ms - after);
            assert_eq!(usage.of_idle(used_ms - after), JUST_USED - age as u8);
            assert!(after > at);
        }
    }

    #[test]
    fn counters_grow_ever_more_slowly_and_fade_by_the_minute() {
        let mut usage = Usage::default();
        usage.track(Some(Tracked::Often));
        usage.pass(1000);
        let mut counts = Vec::new();
        for uses in [10, 100, 1000, 100_000, 3_000_000] {
            counts.push((0..uses).fold(usage.of_new(), |byte, _| usage.after_use(byte)));
        }
        // What Redis's documentation gives for factor 10: 10, 18, 142, 255 after 100, 1000, 100,000 and a million uses.
        let wanted = [6..=9, 8..=13, 16..=23, 120..=165, 255..=255];
        assert!(counts.iter().zip(&wanted).all(|(count, wanted)| wanted.contains(count)), "{counts:?}");
        let tick = usage.tick();
        usage.pass(59_999);
        assert_eq!(usage.tick(), tick);
        usage.pass(60_000);
        assert_eq!(usage.tick(), tick + 1);
        usage.pass(60_001);
        usage.pass(300_000);
        assert_eq!(usage.tick(), tick + 5);
    }

    #[test]
    fn another_policy_begins_anew() {
        let mut usage = Usage::default();
        usage.track(Some(Tracked::Lately));
        usage.pass(1000);
        let tick = usage.tick();
        usage.track(Some(Tracked::Lately));
        assert_eq!(usage.tick(), tick);
        usage.track(Some(Tracked::Often));
        assert!(usage.tick() >= tick + 256);
        usage.track(None);
        assert_eq!(usage.bytes(), 0);
        usage.pass(5000);
        assert_eq!(usage.tracked(), None);
    }
}
