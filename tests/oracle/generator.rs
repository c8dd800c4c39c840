//! Random requests, from a seed: what a client may send, what it may get wrong, and numbers at the edges.
//!
//! What follows from one request for the next is kept in a group: an expiry in the past is followed by a look at its
//! key (Redis counts the dead in DBSIZE until somebody looks), a sum of rough numbers by a new value (a difference in
//! the last place must not live on). Otherwise any group may be left out, which makes a failing run small.

use std::time::{SystemTime, UNIX_EPOCH};

use memento::dump::{encode, seal};

use super::differences::{ABSENT, ADDED};

/// A small generator (splitmix64, Steele et al., OOPSLA 2014): one seed, one sequence, on every machine.
pub struct Random(pub u64);

impl Random {
    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.bits() % bound as u64).expect("less than a usize")
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, share: usize) -> bool {
        self.below(100) < share
    }

    /// One of them.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }
}

/// A word of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A moment so many milliseconds from when the request is sent, in milliseconds or seconds since 1970.
    Moment {
        /// From now.
        offset_ms: i64,
        /// How many milliseconds the unit has.
        unit_ms: i64,
    },
}

impl Word {
    /// The bytes to send now.
    pub fn resolve(&self) -> Vec<u8> {
        match self {
            Word::Bytes(bytes) => bytes.clone(),
            Word::Moment { offset_ms, unit_ms } => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_millis();
                let now = i64::try_from(now).expect("a clock before the year 292278994");
                ((now + offset_ms) / unit_ms).to_string().into_bytes()
            }
        }
    }
}

impl From<&str> for Word {
    fn from(text: &str) -> Word {
        Word::Bytes(text.as_bytes().to_vec())
    }
}

impl From<String> for Word {
    fn from(text: String) -> Word {
        Word::Bytes(text.into_bytes())
    }
}

impl Word {
    /// Its bytes, if it is no moment.
    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Word::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
}

impl From<Vec<u8>> for Word {
    fn from(bytes: Vec<u8>) -> Word {
        Word::Bytes(bytes)
    }
}

/// A request; a silent one gets no reply.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its words, the name first.
    pub words: Vec<Word>,
    /// CLIENT REPLY has switched its answer off.
    pub silent: bool,
}

/// Requests that belong together.
pub type Group = Vec<Request>;

/// What is done with both servers before the next step begins.
#[derive(Clone, Debug)]
pub enum Step {
    /// A client sends these at once, in pieces that the seed cuts, and takes all replies.
    Talk {
        /// 0 or 1.
        client: usize,
        /// What it sends.
        groups: Vec<Group>,
        /// How the bytes are cut.
        cuts: u64,
    },
    /// Short expiries come due.
    Wait {
        /// For so long.
        ms: u64,
    },
    /// A client walks over all keys, with these words after the cursor.
    Walk {
        /// 0 or 1.
        client: usize,
        /// MATCH, COUNT, TYPE and what belongs to them.
        options: Vec<Word>,
    },
    /// A connection of its own sends these bytes and reads what comes; the server is to close it, or not, as the
    /// other one does.
    Alone {
        /// What is sent.
        bytes: Vec<u8>,
    },
}

macro_rules! words {
    ($($word:expr),* $(,)?) => { vec![$(Word::from($word)),*] };
}

fn one(words: Vec<Word>) -> Group {
    vec![Request { words, silent: false }]
}

const KEYS: &[&[u8]] = &[
    b"a",
    b"b",
    b"c",
    b"d",
    b"key:1",
    b"key:2",
    b"key:3",
    b"{tag}x",
    b"{tag}y",
    b"hello",
    b"hallo",
    b"h*llo",
    b"k[1]",
    b"",
    b"\0",
    b"\xff\xfe\x00\r\n",
    b"two words",
    b"a\r\n",
    b"\xd0\xba",
];

const INTEGERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "10",
    "-10",
    "42",
    "999",
    "65535",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "-9223372036854775809",
    "9223372036854775806",
    "-9223372036854775807",
    "007",
    "+1",
    " 1",
    "1 ",
    "-0",
    "0x10",
    "1e3",
    "1.0",
    "",
    "x",
    "-",
    "--1",
    "18446744073709551615",
    "99999999999999999999999",
];

/// Sums of these are exact in both, in any order.
const EXACT: &[&str] =
    &["0.5", "-0.25", "3", "1e2", "-7", "0.125", "2.75", "-1.5e1", "0", "-0.5", "1024", "5.0e-1", ".5", "5."];

const ROUGH: &[&str] = &[
    "0.1",
    "0.2",
    "-0.3",
    "1e-17",
    "1e-18",
    "123456789.123456789",
    "3.0e3",
    "1e17",
    "-1e17",
    "1e300",
    "1e308",
    "1e309",
    "1e4932",
    "1e5000",
    "nan",
    "NaN",
    "inf",
    "-inf",
    "Infinity",
    "0x1p3",
    "0x10",
    "",
    " 1",
    "1 ",
    "1e",
    "e1",
    "+0.1",
    "--1",
    "1.2.3",
    "x",
    "9223372036854775807",
    "-9223372036854775808",
    "99999999999999999999",
    "0.00000000000000001",
];

const JUNK: &[&[u8]] = &[
    b"junk",
    b"",
    b"\0",
    b"\xff",
    b"\r\n",
    b"NX",
    b"XX",
    b"GET",
    b"EX",
    b"COUNT",
    b"*",
    b"'quoted'",
    b"a b",
    b"-",
    b"%s%n",
    b"ERR",
    b"{}",
];

/// Lifetimes that are over at once, or are none. What is short and not over would race.
const DEAD: &[&str] = &[
    "0",
    "-1",
    "-1000",
    "-9223372036854775808",
    "9223372036854775807",
    "9223372036854775806",
    "9223372036854775808",
    "x",
    "1.5",
    "",
    "+100000000",
    "0100000000",
    " 100000000",
    "1e9",
    "999999999999999999",
    "9223372036854775",
    "9223372036854776",
];

/// Names that take a fixed number of words, and so can be called with a wrong one.
const FIXED: &[&str] = &[
    "GET",
    "GETSET",
    "GETDEL",
    "SETNX",
    "SETEX",
    "PSETEX",
    "APPEND",
    "STRLEN",
    "GETRANGE",
    "SUBSTR",
    "SETRANGE",
    "SETBIT",
    "GETBIT",
    "INCR",
    "DECR",
    "INCRBY",
    "DECRBY",
    "INCRBYFLOAT",
    "DUMP",
    "TYPE",
    "KEYS",
    "RANDOMKEY",
    "RENAME",
    "RENAMENX",
    "DBSIZE",
    "PUBLISH",
    "TTL",
    "PTTL",
    "EXPIRETIME",
    "PEXPIRETIME",
    "PERSIST",
    "MULTI",
    "EXEC",
    "DISCARD",
    "UNWATCH",
    "ECHO",
    "SELECT",
    "TIME",
];

/// Names that take some words at least.
const OPEN: &[&str] = &[
    "SET",
    "GETEX",
    "MGET",
    "MSET",
    "MSETNX",
    "LCS",
    "BITCOUNT",
    "BITPOS",
    "BITOP",
    "BITFIELD",
    "BITFIELD_RO",
    "DEL",
    "UNLINK",
    "EXISTS",
    "SCAN",
    "COPY",
    "RESTORE",
    "TOUCH",
    "OBJECT",
    "EXPIRE",
    "PEXPIRE",
    "EXPIREAT",
    "PEXPIREAT",
    "WATCH",
    "CLIENT",
    "CONFIG",
    "MEMORY",
    "SLOWLOG",
    "LATENCY",
    "ACL",
    "AUTH",
];

const PATTERNS: &[&[u8]] = &[
    b"*",
    b"a",
    b"?",
    b"h?llo",
    b"h*llo",
    b"h\\*llo",
    b"h[ae]llo",
    b"h[^e]llo",
    b"h[a-f]llo",
    b"h[f-a]llo",
    b"key:*",
    b"*1",
    b"**",
    b"",
    b"[",
    b"[a",
    b"[^",
    b"\\",
    b"k\\[1]",
    b"k[[]1]",
    b"*\r\n",
    b"\xff*",
    b"[\xf0-\xff]*",
    b"nothing*",
    b"{tag}?",
    b"[]",
    b"[a-",
    b"*a*",
    b"?*",
    b"\0",
];

/// Words of other lengths and values come from here.
pub struct Generator {
    random: Random,
    in_multi: [bool; 2],
    client: usize,
}

/// A run's steps: about so many requests, all from the seed.
pub fn steps(seed: u64, requests: usize) -> Vec<Step> {
    let mut random = Random(seed);
    random.0 = random.bits();
    let mut generator = Generator { random, in_multi: [false; 2], client: 0 };
    generator.steps(seed, requests)
}

/// Takes out the groups that ask for one of these commands.
pub fn leave_out(steps: &mut Vec<Step>, names: &[&str]) {
    let named = |request: &Request| match &request.words[0] {
        Word::Bytes(name) => names.iter().any(|other| name.eq_ignore_ascii_case(other.as_bytes())),
        Word::Moment { .. } => false,
    };
    steps.retain_mut(|step| match step {
        Step::Talk { groups, .. } => {
            groups.retain(|group| !group.iter().any(named));
            !groups.is_empty()
        }
        Step::Walk { .. } => !names.contains(&"SCAN"),
        Step::Wait { .. } | Step::Alone { .. } => true,
    });
}

/// Where the keys of these stand among the words: the first, and how far it is to the next; 0 where there is but one.
const KEY_PLACES: &[(&str, usize, usize)] = &[
    ("MGET", 1, 1),
    ("DEL", 1, 1),
    ("UNLINK", 1, 1),
    ("EXISTS", 1, 1),
    ("TOUCH", 1, 1),
    ("WATCH", 1, 1),
    ("BITOP", 2, 1),
    ("MSET", 1, 2),
    ("MSETNX", 1, 2),
    ("OBJECT", 2, 0),
    ("MEMORY", 2, 0),
];

/// Puts this before every key, and before the patterns that keys are looked for with: in a cluster all are then of one
/// slot. What tells of the whole cluster, or of a node alone, is no part of a transaction with keys of another node and is
/// left out; the walks are not.
pub fn put_in_one_slot(steps: &mut Vec<Step>, tag: &str) {
    leave_out(steps, &["KEYS", "RANDOMKEY", "DBSIZE", "FLUSHALL", "FLUSHDB"]);
    leave_out(steps, &["CLIENT", "CONFIG", "SLOWLOG", "LATENCY", "DEBUG", "INFO", "COMMAND", "ACL", "AUTH", "MEMORY"]);
    // Not by name, which would take the walks out as well.
    leave_out(steps, &["scan"]);
    let tagged = |word: &mut Word| {
        if let Word::Bytes(bytes) = word {
            bytes.splice(0..0, tag.bytes());
        }
    };
    for step in steps {
        match step {
            Step::Talk { groups, .. } => {
                for request in groups.iter_mut().flatten() {
                    let Word::Bytes(name) = &request.words[0] else { continue };
                    let name = name.to_ascii_uppercase();
                    let of_two: &[&[u8]] = &[b"RENAME", b"RENAMENX", b"COPY", b"LCS"];
                    let places: Vec<usize> = match KEY_PLACES.iter().find(|place| place.0.as_bytes() == name) {
                        Some((_, first, 0)) => vec![*first],
                        Some((_, first, step)) => (*first..request.words.len()).step_by(*step).collect(),
                        None if of_two.contains(&&name[..]) => vec![1, 2],
                        None if WITHOUT_KEYS.iter().any(|other| other.as_bytes() == name) => Vec::new(),
                        None => vec![1],
                    };
                    for place in places {
                        request.words.get_mut(place).map(tagged);
                    }
                }
            }
            Step::Walk { options, .. } => {
                let place = options.iter().position(|word| *word == Word::from("MATCH"));
                place.and_then(|place| options.get_mut(place + 1)).map(tagged);
            }
            Step::Wait { .. } | Step::Alone { .. } => {}
        }
    }
}

/// Names whose first word is no key.
const WITHOUT_KEYS: &[&str] = &[
    "PING", "ECHO", "HELLO", "RESET", "CLIENT", "CONFIG", "COMMAND", "SLOWLOG", "LATENCY", "DEBUG", "INFO", "TIME",
    "ACL", "AUTH", "SELECT", "MULTI", "EXEC", "DISCARD", "UNWATCH",
];

impl Generator {
    fn steps(&mut self, seed: u64, requests: usize) -> Vec<Step> {
        let mut steps = Vec::new();
        if seed.is_multiple_of(2) {
            for client in 0..2 {
                let groups = vec![one(words!["HELLO", "3"])];
                steps.push(Step::Talk { client, groups, cuts: 0 });
            }
        }
        let mut made = 0;
        // Waiting costs time in which nothing is compared: a scene with expiries in every third run.
        let mut scene_at = if seed.is_multiple_of(3) { requests / 2 } else { usize::MAX };
        while made < requests {
            if made >= scene_at {
                scene_at = usize::MAX;
                self.expiry_scene(&mut steps);
                continue;
            }
            match self.random.below(200) {
                0..4 if !self.in_multi[self.client] => {
                    let options = self.walk_options();
                    steps.push(Step::Walk { client: self.client, options });
                    made += 1;
                }
                4..7 => {
                    let bytes = self.alone();
                    steps.push(Step::Alone { bytes });
                    made += 1;
                }
                _ => {
                    let length = match self.random.below(10) {
                        0..4 => 1,
                        4..8 => 1 + self.random.below(10),
                        _ => 1 + self.random.below(50),
                    };
                    let groups: Vec<Group> = (0..length).map(|_| self.group()).collect();
                    made += groups.iter().map(Vec::len).sum::<usize>();
                    steps.push(Step::Talk { client: self.client, groups, cuts: self.random.bits() });
                }
            }
            if self.random.percent(40) {
                self.client = 1 - self.client;
            }
        }
        self.inspection(&mut steps);
        steps
    }

    /// At the end both must hold the same.
    fn inspection(&mut self, steps: &mut Vec<Step>) {
        let mut groups = vec![one(words!["RESET"])];
        for key in KEYS {
            groups.push(one(words!["GET", key.to_vec()]));
            groups.push(one(words!["PTTL", key.to_vec()]));
        }
        groups.push(one(words!["DBSIZE"]));
        groups.push(one(words!["KEYS", "*"]));
        steps.push(Step::Talk { client: 0, groups, cuts: 0 });
    }

    /// Short expiries of every kind, a WATCH of some of them by both clients, and a look after the last is due.
    fn expiry_scene(&mut self, steps: &mut Vec<Step>) {
        let (client, other) = (self.client, 1 - self.client);
        let leave = |client: usize| Step::Talk { client, groups: vec![one(words!["RESET"])], cuts: 0 };
        steps.extend([leave(client), leave(other)]);
        self.in_multi = [false; 2];
        // The whole scene takes longer than this on no machine that is not stuck.
        let soon = || Word::Moment { offset_ms: 100, unit_ms: 1 };
        let mut groups = Vec::new();
        let keys: Vec<Vec<u8>> = (0..5).map(|_| self.key()).collect();
        for key in &keys {
            groups.push(one(words!["SET", key.clone(), self.value()]));
            let key = key.clone();
            groups.push(match self.random.below(7) {
                0 => one(words!["PEXPIRE", key, "100"]),
                1 => one(vec!["PEXPIREAT".into(), key.into(), soon()]),
                2 => one(words!["SET", key, "short", "PX", "100"]),
                3 => one(vec!["SET".into(), key.into(), "short".into(), "PXAT".into(), soon()]),
                4 => one(words!["PSETEX", key, "100", "short"]),
                5 => one(words!["GETEX", key, "PX", "100"]),
                _ => one(vec!["GETEX".into(), key.into(), "PXAT".into(), soon()]),
            });
        }
        groups.push(one(words!["WATCH", keys[0].clone()]));
        steps.push(Step::Talk { client, groups, cuts: 0 });
        let groups = vec![
            one(words!["WATCH", keys[1].clone(), "nosuchkey"]),
            one(words!["MULTI"]),
            one(words!["GET", keys[1].clone()]),
            one(words!["EXISTS", keys[2].clone()]),
        ];
        steps.push(Step::Talk { client: other, groups, cuts: 0 });
        steps.push(Step::Wait { ms: 150 });
        let mut groups = vec![one(words!["EXEC"])];
        for key in &keys {
            for name in ["TTL", "EXISTS", "GET", "STRLEN"] {
                groups.push(one(words![name, key.clone()]));
            }
            groups.push(one(words!["INCR", key.clone()]));
            groups.push(one(words!["PTTL", key.clone()]));
        }
        groups.push(one(words!["DBSIZE"]));
        steps.push(Step::Talk { client: other, groups, cuts: 0 });
        let groups = vec![one(words!["MULTI"]), one(words!["PING"]), one(words!["EXEC"])];
        steps.push(Step::Talk { client, groups, cuts: 0 });
    }

    fn key(&mut self) -> Vec<u8> {
        self.random.pick(KEYS).to_vec()
    }

    fn value(&mut self) -> Vec<u8> {
        match self.random.below(20) {
            0..8 => self.random.pick(INTEGERS).as_bytes().to_vec(),
            8..10 => self.random.pick(EXACT).as_bytes().to_vec(),
            10..17 => {
                let length = self.random.below(60);
                self.bytes(length)
            }
            17 => self.random.pick(JUNK).to_vec(),
            18 => {
                let length = self.random.below(600);
                self.bytes(length)
            }
            _ if self.random.percent(30) => {
                let length = self.random.below(20_001);
                self.bytes(length)
            }
            _ => Vec::new(),
        }
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let binary = self.random.percent(30);
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend(self.random.bits().to_le_bytes());
        }
        bytes.truncate(length);
        if !binary {
            bytes.iter_mut().for_each(|byte| *byte = b'a' + *byte % 26);
        }
        bytes
    }

    fn integer(&mut self) -> Word {
        if self.random.percent(40) { self.random.pick(INTEGERS).into() } else { self.small().into() }
    }

    fn small(&mut self) -> String {
        self.random.below(200).to_string().parse::<i64>().map(|number| (number - 100).to_string()).expect("digits")
    }

    /// A distance that is over, wrong or far: never one that comes due while the run lasts. Far ones are spread so wide
    /// that no two are a few milliseconds apart, since GT and LT would then depend on the moment.
    fn lifetime(&mut self, unit_ms: i64) -> Word {
        if self.random.percent(25) {
            return self.random.pick(DEAD).into();
        }
        let seconds = 10_000 + i64::try_from(self.random.below(1_000_000_000)).expect("small");
        (seconds * (1000 / unit_ms)).to_string().into()
    }

    /// A moment that is past, wrong or far.
    fn moment(&mut self, unit_ms: i64) -> Word {
        match self.random.below(10) {
            0 => self.random.pick(DEAD).into(),
            1 => "1".into(),
            2 => Word::Moment { offset_ms: -2000, unit_ms },
            // The same for all, so that GT and LT see equal times.
            3 => (4_102_444_800_000 / unit_ms).to_string().into(),
            _ => {
                let offset_ms = 10_000_000 + i64::try_from(self.random.below(1_000_000_000)).expect("small") * 1000;
                Word::Moment { offset_ms, unit_ms }
            }
        }
    }

    fn group(&mut self) -> Group {
        let in_multi = self.in_multi[self.client];
        let mut group = match self.random.below(1000) {
            0..270 => self.strings(),
            270..370 => self.counters(),
            370..550 => self.keys(),
            550..650 => self.expiry(),
            650..760 => self.bits(),
            760..800 => self.dumps(),
            800..885 => self.transactions(),
            885..930 => self.connection(),
            930..952 => self.server(),
            952..960 => self.messages(),
            960..990 => self.wrong(),
            _ if in_multi => one(words!["PING"]),
            _ => self.different(),
        };
        for request in &mut group {
            self.mangle_name(request);
        }
        if group.len() == 1 && self.random.percent(4) {
            self.mangle_words(&mut group[0]);
        }
        group
    }

    /// Names are found in any case.
    fn mangle_name(&mut self, request: &mut Request) {
        if let Word::Bytes(name) = &mut request.words[0] {
            match self.random.below(10) {
                0..3 => name.make_ascii_lowercase(),
                3 => name.iter_mut().for_each(|byte| {
                    if self.random.percent(50) {
                        byte.make_ascii_lowercase();
                    }
                }),
                _ => {}
            }
        }
    }

    /// One word less, one more, or another one. A number that is short and not over must not become a lifetime.
    fn mangle_words(&mut self, request: &mut Request) {
        let name = request.words[0].resolve().to_ascii_uppercase();
        // These change what later replies look like, or the generator's own account of transactions, or would tell
        // of the server that answers.
        let fixed: &[&[u8]] = &[
            b"CLIENT", b"HELLO", b"RESET", b"MULTI", b"EXEC", b"DISCARD", b"SELECT", b"LCS", b"LATENCY", b"SLOWLOG",
            b"CONFIG", b"COMMAND", b"INFO", b"MEMORY",
        ];
        // These allocate what their offset says.
        let large: &[&[u8]] = &[b"SETRANGE"];
        // With other words these would do something.
        let different = |form: &&[&str]| form[0].as_bytes() == name && form[0] != "SET";
        if ADDED.iter().any(different)
            || request.words.contains(&"IFEQ".into())
            || fixed.contains(&&name[..])
            || large.contains(&&name[..])
            || ABSENT.iter().any(|absent| absent.as_bytes() == name)
        {
            return;
        }
        let words = &mut request.words;
        let junk: Word = self.random.pick(JUNK).to_vec().into();
        match self.random.below(4) {
            0 if words.len() > 1 => drop(words.pop()),
            1 => words.push(junk),
            2 => {
                let place = 1 + self.random.below(words.len());
                words.insert(place, junk);
            }
            _ => {
                let place = self.random.below(words.len() + 1).min(words.len() - 1).max(1);
                if place < words.len() {
                    words[place] = junk;
                }
            }
        }
    }

    /// A key with a past expiry is looked at, since Redis takes it for alive in DBSIZE until then.
    fn with_look(&mut self, key: Vec<u8>, words: Vec<Word>) -> Group {
        let mut group = one(words);
        group.extend(one(words!["EXISTS", key]));
        group
    }

    fn set_options(&mut self, words: &mut Vec<Word>, names: &[&str]) {
        let count = self.random.pick(&[0, 1, 1, 1, 2, 2, 3]);
        for _ in 0..count {
            let name = self.random.pick(names);
            words.push(if self.random.percent(30) { name.to_ascii_lowercase().into() } else { name.into() });
            match name {
                "EX" => words.push(self.lifetime(1000)),
                "PX" => words.push(self.lifetime(1)),
                "EXAT" => words.push(self.moment(1000)),
                "PXAT" => words.push(self.moment(1)),
                _ => {}
            }
        }
    }

    fn strings(&mut self) -> Group {
        let key = self.key();
        match self.random.below(100) {
            0..15 => one(words!["SET", key, self.value()]),
            15..30 => {
                let mut words = words!["SET", key.clone(), self.value()];
                self.set_options(&mut words, &["NX", "XX", "GET", "GET", "KEEPTTL", "EX", "PX", "EXAT", "PXAT"]);
                self.with_look(key, words)
            }
            30..45 => one(words!["GET", key]),
            45..48 => one(words!["GETSET", key, self.value()]),
            48..51 => one(words!["GETDEL", key]),
            51..57 => {
                let mut words = words!["GETEX", key.clone()];
                self.set_options(&mut words, &["PERSIST", "EX", "PX", "EXAT", "PXAT"]);
                self.with_look(key, words)
            }
            57..61 => one(words!["SETNX", key, self.value()]),
            61..64 => one(vec!["SETEX".into(), key.into(), self.lifetime(1000), self.value().into()]),
            64..67 => one(vec!["PSETEX".into(), key.into(), self.lifetime(1), self.value().into()]),
            67..71 => self.several("MGET"),
            71..75 => self.pairs("MSET"),
            75..78 => self.pairs("MSETNX"),
            78..83 => one(words!["APPEND", key, self.value()]),
            83..87 => one(words!["STRLEN", key]),
            87..93 => {
                let name = self.random.pick(&["GETRANGE", "GETRANGE", "SUBSTR"]);
                one(vec![name.into(), key.into(), self.integer(), self.integer()])
            }
            93..97 => {
                let offset = match self.random.below(10) {
                    0..6 => self.random.below(100).to_string(),
                    6 => self.random.below(30_000).to_string(),
                    7 => "536870912".to_string(),
                    _ => self
                        .random
                        .pick(&["-1", "9223372036854775807", "x", "", "007", "99999999999999999999"])
                        .to_string(),
                };
                one(words!["SETRANGE", key, offset, self.value()])
            }
            _ => self.lcs(),
        }
    }

    fn bits(&mut self) -> Group {
        let key = self.key();
        match self.random.below(100) {
            0..22 => {
                let bit = self.random.pick(&["0", "1", "1", "1", "0", "1", "2", "x", "", "-1", "01"]);
                one(words!["SETBIT", key, self.bit_offset(), bit])
            }
            22..32 => one(words!["GETBIT", key, self.bit_offset()]),
            32..47 => {
                let mut words = words!["BITCOUNT", key];
                if self.random.percent(80) {
                    words.extend([self.integer(), self.integer()]);
                    words.extend(self.unit());
                }
                one(words)
            }
            47..62 => {
                let mut words = words!["BITPOS", key, self.random.pick(&["0", "1", "0", "1", "2", "x", "-1", ""])];
                for _ in 0..self.random.below(3) {
                    words.push(self.integer());
                }
                if words.len() == 5 {
                    words.extend(self.unit());
                }
                one(words)
            }
            62..75 => {
                let operator = self.random.pick(&["AND", "OR", "XOR", "NOT", "and", "Xor", "not", "nor", ""]);
                let mut words = words!["BITOP", operator, key];
                let not = operator.eq_ignore_ascii_case("not") && self.random.percent(80);
                for _ in 0..if not { 1 } else { 1 + self.random.below(4) } {
                    words.push(self.key().into());
                }
                one(words)
            }
            75..80 => self.bitfield("BITFIELD_RO", key),
            _ => self.bitfield("BITFIELD", key),
        }
    }

    fn dumps(&mut self) -> Group {
        const LONG_OVER_MS: &str = "100000000";
        let key = self.key();
        if self.random.percent(40) {
            return one(words!["DUMP", key]);
        }
        let payload = match self.random.below(20) {
            0..12 => encode(&self.value()).expect("memory").to_vec(),
            12..16 => self.packed(),
            16 => self.random.pick(JUNK).to_vec(),
            17 => {
                // A string all the same, or none; nothing else that Redis knows.
                let mut body = self.value();
                body.insert(0, 0);
                body.extend(seal(&body));
                body
            }
            _ => {
                let mut payload = self.packed();
                let place = self.random.below(payload.len());
                payload[place] ^= 1 << self.random.below(8);
                payload
            }
        };
        let mut words = words!["RESTORE", key];
        words.push(match self.random.below(10) {
            0..6 => "0".into(),
            6 => self.random.pick(&["x", "-1", "", "1.5"]).into(),
            7 => (10_000_000 + self.random.below(1_000_000_000)).to_string().into(),
            8 => LONG_OVER_MS.into(),
            _ => Word::Moment { offset_ms: 10_000_000, unit_ms: 1 },
        });
        // What ends in a moment would race, also where the last word is taken away: since 1970 it is long over, and from now
        // on it is long to come.
        let absolute =
            words[2] == LONG_OVER_MS.into() || matches!(words[2], Word::Moment { .. }) || self.random.percent(10);
        words.push(payload.into());
        if self.random.percent(60) {
            words.push(self.random.pick(&["REPLACE", "replace"]).into());
        }
        if absolute {
            words.push("ABSTTL".into());
        }
        match self.random.below(10) {
            0 => words.extend(words!["FREQ", self.random.pick(&["0", "5", "255", "256", "-1", "x"])]),
            1 => words.extend(words!["IDLETIME", self.random.pick(&["0", "5", "100000", "-1", "x"])]),
            2 => words.extend(words!["IDLETIME", "1", "FREQ", "1"]),
            3 => words.push(self.random.pick(&["FREQ", "IDLETIME", "NX", ""]).into()),
            _ => {}
        }
        one(words)
    }

    /// A payload of the same byte again and again, packed as Redis might do it.
    fn packed(&mut self) -> Vec<u8> {
        let length = 1 + self.random.below(600);
        let byte = self.random.bits() as u8;
        let (mut packed, mut left) = (vec![0, byte], length - 1);
        while left >= 3 {
            let count = left.min(264).min(3 + self.random.below(300));
            match count - 2 {
                more @ 0..7 => packed.extend([(more as u8) << 5, 0]),
                more => packed.extend([7 << 5, (more - 7) as u8, 0]),
            }
            left -= count;
        }
        if left > 0 {
            packed.push(left as u8 - 1);
            packed.resize(packed.len() + left, byte);
        }
        let mut payload = vec![0, 0xC3];
        for length in [packed.len(), length] {
            payload.extend((0x4000 | length as u16).to_be_bytes());
        }
        payload.extend(packed);
        payload.extend(seal(&payload));
        payload
    }

    fn bit_offset(&mut self) -> String {
        match self.random.below(20) {
            0..17 => self.random.below(700).to_string(),
            17 => self.random.below(100_000).to_string(),
            _ => self.random.pick(&["-1", "4294967296", "9223372036854775807", "x", "", "007", "#1"]).to_string(),
        }
    }

    fn unit(&mut self) -> Vec<Word> {
        let unit = self.random.pick(&["BIT", "bit", "BYTE", "Byte", "BIT", "", "bits"]);
        if self.random.percent(60) { words![unit] } else { Vec::new() }
    }

    /// Where an operation may fail, its bits are there before: Redis makes a value longer for one that fails and does not
    /// tell who watches it.
    fn bitfield(&mut self, name: &str, key: Vec<u8>) -> Group {
        let mut words = words![name, key.clone()];
        for _ in 0..self.random.below(5) {
            if self.random.percent(30) {
                let overflow = self.random.pick(&["WRAP", "SAT", "FAIL", "sat", "fail", "WRAP", "FAIL", "none"]);
                words.extend(words![self.random.pick(&["OVERFLOW", "overflow"]), overflow]);
            }
            let verb = match name {
                "BITFIELD" => self.random.pick(&["GET", "SET", "INCRBY", "get", "Set", "incrby", "SET", "INCRBY", "x"]),
                _ => self.random.pick(&["GET", "get", "GET", "GET", "GET", "GET", "SET"]),
            };
            let width = if self.random.percent(50) { self.random.below(66) } else { 8 };
            let sign = self.random.pick(&["i", "u", "i", "u", "i", "u", "i", "u", "I", ""]);
            let offset = match self.random.below(10) {
                0..6 => self.random.below(300).to_string(),
                6..9 => format!("#{}", self.random.below(10)),
                _ => self.bit_offset(),
            };
            words.extend(words![verb, format!("{sign}{width}"), offset]);
            if !verb.eq_ignore_ascii_case("get") {
                // Of so low a number Redis computes that it is too high.
                let operand = self.integer();
                let lowest = operand.bytes().is_some_and(|text| text.starts_with(b"-922337203685477"));
                words.push(if lowest { "-4611686018427387904".into() } else { operand });
            }
        }
        let may_fail = words.iter().any(|word| *word == "FAIL".into() || *word == "fail".into());
        let mut group = if may_fail { one(words!["SETBIT", key, "100100", "0"]) } else { Group::new() };
        group.extend(one(words));
        group
    }

    /// Its values are set just before, since what Redis takes for it is the product of their lengths.
    fn lcs(&mut self) -> Group {
        let longest = if self.random.percent(3) { 2500 } else { 40 };
        let mut word = || {
            let length = longest / 2 + self.random.below(longest);
            let letters: Vec<u8> = self.bytes(length).iter().map(|byte| b'a' + byte % 4).collect();
            letters
        };
        let (first, second) = (word(), word());
        let mut words = words!["LCS", "{l}1", "{l}2"];
        match self.random.below(5) {
            0 => words.extend(words!["LEN"]),
            1 => words.extend(words!["IDX"]),
            2 => words.extend(words!["IDX", "MINMATCHLEN", self.random.below(6).to_string(), "WITHMATCHLEN"]),
            3 => {
                for _ in 0..2 {
                    words.push(self.random.pick(&["IDX", "LEN", "WITHMATCHLEN", "MINMATCHLEN", "x", "1"]).into());
                }
            }
            _ => {}
        }
        let mut group = one(words!["MSET", "{l}1", first, "{l}2", second]);
        group.extend(one(words));
        group.extend(one(words!["LCS", "{l}1", "nosuchkey"]));
        group.extend(one(words!["DEL", "{l}1", "{l}2"]));
        group
    }

    fn several(&mut self, name: &str) -> Group {
        let mut words = words![name];
        for _ in 0..1 + self.random.below(5) {
            words.push(self.key().into());
        }
        one(words)
    }

    fn pairs(&mut self, name: &str) -> Group {
        let mut words = words![name];
        for _ in 0..1 + self.random.below(4) {
            words.push(self.key().into());
            words.push(self.value().into());
        }
        if self.random.percent(10) {
            words.pop();
        }
        one(words)
    }

    fn counters(&mut self) -> Group {
        let key = self.key();
        match self.random.below(100) {
            0..20 => one(words!["INCR", key]),
            20..40 => one(words!["DECR", key]),
            40..55 => one(vec!["INCRBY".into(), key.into(), self.integer()]),
            55..70 => one(vec!["DECRBY".into(), key.into(), self.integer()]),
            70..85 => {
                let start = self.random.pick(EXACT);
                let mut group = one(words!["SET", key.clone(), start]);
                for _ in 0..1 + self.random.below(4) {
                    group.extend(one(words!["INCRBYFLOAT", key.clone(), self.random.pick(EXACT)]));
                }
                group.extend(one(words!["GET", key]));
                group
            }
            _ => {
                let mut group = one(words!["INCRBYFLOAT", key.clone(), self.random.pick(ROUGH)]);
                group.extend(one(words!["SET", key, self.value(), "KEEPTTL"]));
                group
            }
        }
    }

    fn keys(&mut self) -> Group {
        let key = self.key();
        match self.random.below(100) {
            0..14 => self.several("DEL"),
            14..20 => self.several("UNLINK"),
            20..32 => self.several("EXISTS"),
            32..38 => one(words!["TYPE", key]),
            38..46 => one(words!["KEYS", self.random.pick(PATTERNS).to_vec()]),
            46..50 => one(words!["RANDOMKEY"]),
            50..58 => one(words!["RENAME", key, self.key()]),
            58..64 => one(words!["RENAMENX", key, self.key()]),
            64..74 => {
                let mut words = words!["COPY", key, self.key()];
                match self.random.below(6) {
                    0 => words.extend(words!["REPLACE"]),
                    1 => words.extend(words!["DB", "0"]),
                    2 => words.extend(words!["replace", "DB", "0"]),
                    3 => words.extend(words!["DB", self.random.pick(&["x", "-1", "16", ""])]),
                    _ => {}
                }
                one(words)
            }
            74..78 => self.several("TOUCH"),
            78..84 => one(words!["DBSIZE"]),
            84..92 => {
                let name = self.random.pick(&["ENCODING", "encoding", "REFCOUNT", "FREQ", "IDLETIME", "nosuch"]);
                let mut words = words!["OBJECT", name];
                if self.random.percent(90) {
                    words.push(key.into());
                }
                one(words)
            }
            _ => {
                let cursor = self.random.pick(&["0", "0", "0", "0", "x", "", "-1", "1.5", "99999999999999999999"]);
                let mut words = words!["SCAN", cursor];
                words.extend(self.walk_options());
                if self.random.percent(20) {
                    words.push(self.random.pick(&["COUNT", "MATCH", "TYPE", "FOO"]).into());
                    words.push(self.random.pick(&["0", "-1", "x", ""]).into());
                }
                one(words)
            }
        }
    }

    fn walk_options(&mut self) -> Vec<Word> {
        let mut words = Vec::new();
        if self.random.percent(50) {
            words.extend(words!["MATCH", self.random.pick(PATTERNS).to_vec()]);
        }
        if self.random.percent(60) {
            words.extend(words!["COUNT", self.random.pick(&["1", "3", "10", "100", "1000", "1000000"])]);
        }
        if self.random.percent(20) {
            words.extend(words!["TYPE", self.random.pick(&["string", "STRING", "list", "nosuch"])]);
        }
        words
    }

    fn expiry(&mut self) -> Group {
        let key = self.key();
        match self.random.below(100) {
            0..50 => {
                let (name, time) = match self.random.below(4) {
                    0 => ("EXPIRE", self.lifetime(1000)),
                    1 => ("PEXPIRE", self.lifetime(1)),
                    2 => ("EXPIREAT", self.moment(1000)),
                    _ => ("PEXPIREAT", self.moment(1)),
                };
                let mut words = vec![name.into(), key.clone().into(), time];
                for _ in 0..self.random.pick(&[0, 0, 1, 1, 1, 2]) {
                    words.push(self.random.pick(&["NX", "XX", "GT", "LT", "gt", "FOO"]).into());
                }
                self.with_look(key, words)
            }
            50..62 => one(words!["TTL", key]),
            62..74 => one(words!["PTTL", key]),
            74..80 => one(words!["EXPIRETIME", key]),
            80..86 => one(words!["PEXPIRETIME", key]),
            _ => one(words!["PERSIST", key]),
        }
    }

    fn transactions(&mut self) -> Group {
        let client = self.client;
        if self.in_multi[client] {
            return match self.random.below(100) {
                0..70 => {
                    self.in_multi[client] = false;
                    one(words!["EXEC"])
                }
                70..80 => {
                    self.in_multi[client] = false;
                    one(words!["DISCARD"])
                }
                80..85 => one(words!["MULTI"]),
                85..92 => self.several("WATCH"),
                92..97 => one(words!["UNWATCH"]),
                // An error while queueing poisons the transaction.
                _ => self.wrong(),
            };
        }
        match self.random.below(100) {
            0..60 => {
                self.in_multi[client] = true;
                one(words!["MULTI"])
            }
            60..85 => self.several("WATCH"),
            85..90 => one(words!["UNWATCH"]),
            90..95 => one(words!["EXEC"]),
            _ => one(words!["DISCARD"]),
        }
    }

    fn connection(&mut self) -> Group {
        let in_multi = self.in_multi[self.client];
        match self.random.below(100) {
            0..20 => one(words!["PING"]),
            20..30 => one(words!["PING", self.value()]),
            30..40 => one(words!["ECHO", self.value()]),
            40..46 => one(words!["SELECT", self.random.pick(&["0", "0", "-1", "16", "x", "", "99999999999999999999"])]),
            46..58 if !in_multi => {
                let mut words = words!["HELLO"];
                match self.random.below(9) {
                    0 => {}
                    1..3 => words.extend(words!["2"]),
                    3..5 => words.extend(words!["3"]),
                    5 => words.extend(words![self.random.pick(&["1", "4", "x", "", "-3", "3.0"])]),
                    6 => words.extend(words!["3", "SETNAME", self.random.pick(&["me", "", "a b", "new\nline"])]),
                    7 => words.extend(words!["2", self.random.pick(&["SETNAME", "AUTH", "FOO"]), "x"]),
                    _ => words.extend(words!["3", "AUTH", "default", "anything", "SETNAME", "both"]),
                }
                one(words)
            }
            58..62 => {
                self.in_multi[self.client] = false;
                one(words!["RESET"])
            }
            62..68 => one(words!["CLIENT", "GETNAME"]),
            68..76 => {
                one(words!["CLIENT", "SETNAME", self.random.pick(&["name", "", "a b", "x\n", "\u{e9}", "a-b:c"])])
            }
            76..80 => one(words!["CLIENT", "ID"]),
            80..84 => one(words![
                "CLIENT",
                self.random.pick(&["NO-EVICT", "no-evict"]),
                self.random.pick(&["on", "OFF", "x"])
            ]),
            84..88 => match self.random.below(8) {
                0 => one(words!["CLIENT", "KILL", "ID", "9999999"]),
                1 => one(words!["CLIENT", "KILL", "127.0.0.1:1"]),
                2 => one(words!["CLIENT", "KILL", "TYPE", "nosuch"]),
                3 => one(words!["CLIENT", "KILL", "ID", "x"]),
                4 => one(words!["CLIENT", "UNPAUSE"]),
                5 => one(words!["CLIENT", "PAUSE", self.random.pick(&["x", "-1", "1.5"])]),
                6 => one(words!["CLIENT", "LIST", "TYPE", "nosuch"]),
                _ => one(words!["CLIENT", "REPLY", "x"]),
            },
            88..92 if !in_multi => self.quiet(),
            92..94 => one(words!["CLIENT", self.random.pick(&["nosuch", "", "GETNAME x"])]),
            94..96 => one(words!["ACL", "WHOAMI"]),
            96..98 => one(words!["AUTH", "x"]),
            _ => one(words!["AUTH", self.random.pick(&["default", "nobody"]), "x"]),
        }
    }

    fn quiet(&mut self) -> Group {
        let silent = |words: Vec<Word>| Request { words, silent: true };
        let key = self.key();
        if self.random.percent(50) {
            let mut group = vec![silent(words!["CLIENT", "REPLY", "SKIP"]), silent(words!["SET", key, self.value()])];
            group.extend(one(words!["PING"]));
            return group;
        }
        let mut group = vec![silent(words!["CLIENT", "REPLY", "OFF"])];
        for _ in 0..self.random.below(4) {
            group.push(silent(words!["APPEND", key.clone(), "x"]));
        }
        group.extend(one(words!["CLIENT", "REPLY", "ON"]));
        group
    }

    fn server(&mut self) -> Group {
        match self.random.below(100) {
            0..4 => one(words!["FLUSHALL"]),
            4..8 => one(words!["FLUSHDB"]),
            8..12 => one(words!["FLUSHALL", self.random.pick(&["ASYNC", "sync", "x", ""])]),
            12..40 => {
                let name = self.random.pick(&[
                    "maxmemory",
                    "MaxMemory",
                    "maxmemory-policy",
                    "lfu-log-factor",
                    "timeout",
                    "tcp-keepalive",
                    "save",
                    "appendonly",
                    "proto-max-bulk-len",
                    "slowlog-max-len",
                    "slowlog-log-slower-than",
                    "nosuchsetting",
                    "",
                ]);
                one(words!["CONFIG", self.random.pick(&["GET", "get"]), name])
            }
            40..50 => match self.random.below(7) {
                0 => one(words!["CONFIG", "SET", "nosuchsetting", "1"]),
                1 => one(words!["CONFIG", "SET", "timeout", self.random.pick(&["x", "-1", ""])]),
                2 => one(words!["CONFIG", "SET", "timeout"]),
                // Under these nothing is told of a key's use, and so much is never stored.
                3 => {
                    let policy = self.random.pick(&["nosuch", "noeviction", "allkeys-random", "Volatile-TTL", ""]);
                    one(words!["CONFIG", "SET", "maxmemory-policy", policy])
                }
                5 => {
                    let size = self.random.pick(&["0", "1gb", "2G", "3000MB", "4000000k", "1x", "-1", "1.5gb"]);
                    one(words!["CONFIG", "SET", "maxmemory", size])
                }
                4 => one(words!["CONFIG", "SET", "slowlog-max-len", self.random.pick(&["128", "x"])]),
                _ => one(words!["CONFIG", "nosuch"]),
            },
            50..54 => one(words!["CONFIG", "RESETSTAT"]),
            54..74 => {
                let mut words = words!["COMMAND", "GETKEYS"];
                match self.random.below(8) {
                    0 => words.extend(words!["GET", self.key()]),
                    1 => words.extend(words!["SET", self.key(), self.value(), "EX", "10"]),
                    2 => words.extend(words!["MSET", self.key(), "1", self.key(), "2"]),
                    3 => words.extend(words!["MGET", self.key(), self.key()]),
                    4 => words.extend(words!["PING"]),
                    5 => words.extend(words!["GET"]),
                    6 => words.extend(words!["nosuchcommand", "x"]),
                    _ => words.extend(words!["RENAME", self.key(), self.key()]),
                }
                one(words)
            }
            74..78 => one(words!["COMMAND", "INFO", "nosuchcommand"]),
            78..80 => one(words!["COMMAND", "nosuch"]),
            80..82 => one(words!["COMMAND", "COUNT", "x"]),
            82..85 => one(words!["SLOWLOG", "GET", "0"]),
            85..87 => one(words!["SLOWLOG", "GET", self.random.pick(&["x", "-2"])]),
            87..89 => one(words!["SLOWLOG", self.random.pick(&["RESET", "nosuch"])]),
            89..91 => one(words!["LATENCY", "HISTOGRAM", "nosuchcommand"]),
            91..93 => one(words!["LATENCY", self.random.pick(&["RESET", "nosuch"])]),
            93..95 => one(words!["MEMORY", "USAGE", "nosuchkey"]),
            95..96 => one(words!["MEMORY", "USAGE", self.key(), "SAMPLES", self.random.pick(&["x", "-1"])]),
            96..97 => one(words!["MEMORY", "nosuch"]),
            97..98 => one(words!["DEBUG", "SLEEP", "0"]),
            98..99 => one(words!["INFO", "server"]),
            _ => one(words!["TIME"]),
        }
    }

    /// Messages that nobody gets, and a subscriber that may use nothing but what begins and ends subscriptions, or in RESP3
    /// all: a subscription ends in the group in which it begins.
    fn messages(&mut self) -> Group {
        let (one_name, other) = (self.key(), self.key());
        match self.random.below(6) {
            0..2 => one(words!["PUBLISH", one_name, self.value()]),
            2 => one(words!["PUBSUB", "NUMSUB", one_name, other]),
            3 => one(words!["PUBSUB", self.random.pick(&["CHANNELS", "NUMPAT", "nosuch", "NUMSUB"])]),
            // Where keys are another node's, a transaction cannot have what concerns a connection.
            _ if self.in_multi[self.client] => one(words!["PUBLISH", one_name, other]),
            _ => {
                let requests = [
                    words!["SUBSCRIBE", one_name.clone()],
                    words!["PSUBSCRIBE", other.clone()],
                    words!["GET", one_name.clone()],
                    words!["PING", self.value()],
                    words![self.random.pick(&["PING", "UNWATCH", "nosuchcommand", "GET"])],
                    words!["SUBSCRIBE", one_name],
                    words!["UNSUBSCRIBE"],
                    words!["PUNSUBSCRIBE", other],
                    words!["PUNSUBSCRIBE"],
                ];
                requests.map(one).concat()
            }
        }
    }

    /// Names that do not exist and numbers of words that are wrong.
    fn wrong(&mut self) -> Group {
        let mut words: Vec<Word> = match self.random.below(10) {
            0..3 => {
                words![self.random.pick(&["FOO", "foo", "GETT", "", "SE", "GET ", "\r\n", "\0", "\u{e9}", "-ERR x"])]
            }
            3..5 => {
                // In Redis such a name is cut, and so are the words after it.
                let length = self.random.below(300);
                vec![Word::Bytes(self.bytes(length).iter().map(|byte| b'a' + byte % 26).collect())]
            }
            5..8 => {
                let mut words = words![self.random.pick(FIXED)];
                words.extend((0..7).map(|_| Word::from("x")));
                return one(words);
            }
            // Without words some of these are whole, and MULTI would not be in the account of transactions.
            _ => return one(words![self.random.pick(OPEN)]),
        };
        // A name that is none may have anything behind it.
        for _ in 0..self.random.below(5) {
            words.push(self.value().into());
        }
        one(words)
    }

    /// What memento does on purpose otherwise than Redis, in forms that leave both with the same keys. Never in a
    /// transaction, which an error would poison in the one and not in the other.
    fn different(&mut self) -> Group {
        match self.random.below(10) {
            0..4 => one(self.random.pick(ADDED).iter().map(|&word| word.into()).collect()),
            4..7 => {
                let mut words = words![self.random.pick(ABSENT)];
                // Too few words to do anything.
                if self.random.percent(20) {
                    words = words!["LLEN", "nosuchkey"];
                }
                one(words)
            }
            7 => {
                let mut group = one(words!["SELECT", (1 + self.random.below(15)).to_string()]);
                group.extend(one(words!["SELECT", "0"]));
                group
            }
            8 => {
                // What lands in the other database of Redis is out of the way of all that follows.
                let key = self.key();
                one(words!["COPY", key.clone(), key, "DB", "3", "REPLACE"])
            }
            _ => {
                // The sum stays in Redis alone, and must not.
                let mut group = one(words!["INCRBYFLOAT", "nosuchkey", "1e4000"]);
                group.extend(one(words!["SET", "nosuchkey", "1"]));
                group.extend(one(words!["DEL", "nosuchkey"]));
                group
            }
        }
    }

    /// Bytes on a connection of their own: framing that is wrong, blanks between requests, ends in the middle.
    fn alone(&mut self) -> Vec<u8> {
        const NUMBERS: &[&str] = &[
            "0",
            "-1",
            "-2",
            "",
            "x",
            "+1",
            " 1",
            "1 ",
            "01",
            "1x",
            "1.0",
            "2147483647",
            "2147483648",
            "4294967297",
            "536870912",
            "536870913",
            "1048576",
            "1048577",
            "-9223372036854775808",
            "9223372036854775807",
            "9223372036854775808",
            "99999999999999999999",
            "0x1",
            "\0",
            "\u{e9}",
        ];
        const PING: &str = "*1\r\n$4\r\nPING\r\n";
        let number = self.random.pick(NUMBERS);
        match self.random.below(12) {
            0..3 => format!("{PING}*{number}\r\n{PING}").into_bytes(),
            // The bytes behind an empty word would be a line of text, which each reads in its own way.
            3..6 if number == "0" => format!("{PING}*1\r\n$0\r\n\r\n{PING}").into_bytes(),
            3..6 => format!("{PING}*1\r\n${number}\r\nPING\r\n").into_bytes(),
            6 => format!("*2\r\n$4\r\nECHO\r\n${number}\r\nx\r\n").into_bytes(),
            7 => {
                let wrong = self.random.pick(&[":", "+", "*", "x", "\0", " ", "P", "\r", "\n", "'", "\u{e9}"]);
                format!("{PING}*1\r\n{wrong}4\r\nPING\r\n").into_bytes()
            }
            8 => format!("*1\r\n$4\r\nQUIT\r\n{PING}").into_bytes(),
            9 => format!("{PING}*2\r\n$4\r\nquit\r\n$1\r\nx\r\n{PING}").into_bytes(),
            10 => {
                // Half a request, then the end: nothing is executed.
                let whole = format!("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$8\r\n{}\r\n", "halfhalf");
                let cut = self.random.below(whole.len());
                format!("{PING}{}", &whole[..cut]).into_bytes()
            }
            _ => {
                let digits = "1".repeat(self.random.pick(&[21, 70_000]));
                let start = self.random.pick(&["*", "*1\r\n$"]);
                format!("{start}{digits}").into_bytes()
            }
        }
    }
}
