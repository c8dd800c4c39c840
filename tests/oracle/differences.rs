//! Where memento answers otherwise than Redis, each by name and with its reason. Whatever is not here must agree in
//! every byte.
//!
//! A difference is as narrow as it can be said. The run counts how often each was needed, and names those that never
//! were: an entry that no longer excuses anything is to be taken out.
//!
//! What the random requests do not ask for, each with a test of its own:
//!
//! - BITFIELD with OVERFLOW FAIL that makes a value, or a longer one, is a change to who watches the key: it is one. Redis
//!   tells only of the operations.
//! - BITFIELD with OVERFLOW SAT that sets a signed integer to less than -9,223,372,036,854,775,680 or so sets the least that
//!   fits: Redis's own check overflows there, and it sets the most.
//! - A BITFIELD that would make a value of more than 512 MiB is refused, as SETBIT and SETRANGE are.
//! - BITOP takes values of 8 MiB together, DUMP and RESTORE one of 4 MiB: more would make everybody wait.
//! - RESTORE takes payloads of the versions 11 and 12 as well, since strings have not changed; Redis 7.0 refuses them.
//! - RESTORE with a time whose sum with the clock is beyond 64 bits is refused, where Redis answers OK and stores nothing.

use memento::dump::decode;

use super::reply::Reply;

/// A request that the two answered differently.
pub struct Exchange<'a> {
    /// The request's words; for a connection of its own the bytes that were sent, as one word.
    pub words: &'a [Vec<u8>],
    /// What Redis answered.
    pub redis: &'a Reply,
    /// What memento answered.
    pub memento: &'a Reply,
}

impl Exchange<'_> {
    fn name(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.words[0].eq_ignore_ascii_case(name.as_bytes()))
    }

    fn word(&self, index: usize, word: &str) -> bool {
        self.words.get(index).is_some_and(|bytes| bytes.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// Both are of this kind, and neither is null.
    fn both(&self, kind: u8) -> bool {
        [self.redis, self.memento].iter().all(|reply| reply.kind == kind && !reply.null)
    }

    /// Both are integers that differ by at most so much; those that are not positive mean something else.
    fn near(&self, most: i64) -> bool {
        match (self.redis.integer(), self.memento.integer()) {
            (Some(redis), Some(memento)) => {
                self.both(b':') && redis > 0 && memento > 0 && redis.abs_diff(memento) <= most.unsigned_abs()
            }
            _ => false,
        }
    }
}

/// A deliberate difference.
pub struct Difference {
    /// What the report calls it.
    pub name: &'static str,
    /// Why it is right.
    pub reason: &'static str,
    /// Does it excuse this?
    pub excuses: fn(&Exchange) -> bool,
}

/// What Redis 7.0 has and memento has not, as far as the generator asks for it.
pub const ABSENT: &[&str] = &[
    "LPUSH",
    "RPUSH",
    "LLEN",
    "LRANGE",
    "HSET",
    "HGET",
    "HGETALL",
    "SADD",
    "SMEMBERS",
    "SCARD",
    "ZADD",
    "ZRANGE",
    "ZSCORE",
    "XADD",
    "XLEN",
    "PFADD",
    "PFCOUNT",
    "GEOADD",
    "GEOPOS",
    "EVAL",
    "EVALSHA",
    "SCRIPT",
    "FUNCTION",
    "FCALL",
    "SORT",
    "SORT_RO",
    "MOVE",
    "SWAPDB",
    "WAIT",
    "REPLICAOF",
    "SLAVEOF",
    "ROLE",
    "PSYNC",
    "MODULE",
    "BGREWRITEAOF",
    "FAILOVER",
    "LOLWUT",
    "BLPOP",
    "SPUBLISH",
    "SSUBSCRIBE",
];

/// What memento has and Redis 7.0 has not, in forms that change nothing.
pub const ADDED: &[&[&str]] = &[
    &["DELIFEQ", "nosuchkey", "never"],
    &["GETP", "nosuchkey"],
    &["DEC", "nosuchkey", "x"],
    &["INC", "nosuchkey", "x"],
    &["INCF", "nosuchkey", "x"],
    &["DECF", "nosuchkey", "x"],
    &["PREPEND", "nosuchkey"],
    &["CLIENT", "SETINFO", "LIB-NAME", "oracle"],
    &["CLIENT", "SETINFO", "LIB-VER", "1.0"],
    &["CLIENT", "NO-TOUCH", "OFF"],
    &["SET", "nosuchkey", "v", "IFEQ", "never"],
];

/// All of them.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        name: "remaining-time",
        reason: "the two execute a request some milliseconds apart, and TTL rounds",
        excuses: |exchange| {
            (exchange.name(&["TTL", "EXPIRETIME"]) && exchange.near(1))
                || (exchange.name(&["PTTL", "PEXPIRETIME"]) && exchange.near(1000))
        },
    },
    Difference {
        name: "time",
        reason: "each tells the moment at which it was asked",
        excuses: |exchange| {
            let seconds = |reply: &Reply| reply.items.first().and_then(Reply::integer);
            let (Some(redis), Some(memento)) = (seconds(exchange.redis), seconds(exchange.memento)) else {
                return false;
            };
            let same_shape = exchange.both(b'*') && exchange.memento.items.iter().all(Reply::is_bulk);
            exchange.name(&["TIME"])
                && same_shape
                && exchange.memento.items.len() == 2
                && redis.abs_diff(memento) <= 5
                && exchange.memento.items[1].integer().is_some_and(|rest| (0..1_000_000).contains(&rest))
        },
    },
    Difference {
        name: "keys-order",
        reason: "neither promises an order, and Redis's changes with every start",
        excuses: |exchange| {
            exchange.name(&["KEYS"])
                && exchange.both(b'*')
                && sorted(&exchange.redis.items) == sorted(&exchange.memento.items)
        },
    },
    Difference {
        name: "random-key",
        reason: "any key is a right answer, as long as there is one",
        excuses: |exchange| exchange.name(&["RANDOMKEY"]) && exchange.both(b'$'),
    },
    Difference {
        name: "scan-order",
        reason: "cursors and order are each server's own; one call may stop sooner. Whole walks are compared apart",
        excuses: |exchange| {
            let cursor = |reply: &Reply| {
                reply.items.len() == 2
                    && reply.items[0].is_bulk()
                    && reply.items[0].str().parse::<u64>().is_ok()
                    && reply.items[1].kind == b'*'
            };
            if !(exchange.name(&["SCAN"]) && exchange.both(b'*') && cursor(exchange.redis) && cursor(exchange.memento))
            {
                return false;
            }
            let whole = |reply: &Reply| exchange.word(1, "0") && reply.items[0].text == b"0";
            !(whole(exchange.redis) && whole(exchange.memento))
                || sorted(&exchange.redis.items[1].items) == sorted(&exchange.memento.items[1].items)
        },
    },
    Difference {
        name: "info",
        reason: "INFO tells of the server that answers, and has the fields that it has",
        excuses: |exchange| {
            let text = |reply: &Reply| {
                matches!(reply.kind, b'$' | b'=')
                    && !reply.null
                    && reply.str().trim_start_matches("txt:").starts_with('#')
            };
            exchange.name(&["INFO"])
                && exchange.redis.kind == exchange.memento.kind
                && text(exchange.redis)
                && text(exchange.memento)
        },
    },
    Difference {
        name: "client-id",
        reason: "each counts its own connections, which HELLO and CLIENT ID tell; a node of a cluster says that it is one",
        excuses: |exchange| {
            if exchange.name(&["CLIENT"]) && exchange.word(1, "ID") {
                return exchange.near(i64::MAX);
            }
            let masked = |reply: &Reply| {
                let mut items = reply.items.clone();
                let place = items.iter().position(|item| item.text == b"id")?;
                items.get_mut(place + 1).filter(|id| id.kind == b':')?.text.clear();
                let place = items.iter().position(|item| item.text == b"mode")?;
                let modes: [&[u8]; 2] = [b"standalone", b"cluster"];
                items.get_mut(place + 1).filter(|mode| modes.contains(&&mode.text[..]))?.text.clear();
                Some((reply.kind, items))
            };
            exchange.name(&["HELLO"])
                && masked(exchange.redis).is_some()
                && masked(exchange.redis) == masked(exchange.memento)
        },
    },
    Difference {
        name: "one-database",
        reason: "memento has database 0 alone",
        excuses: |exchange| {
            let other = |word: Option<&Vec<u8>>| {
                let number = word.and_then(|word| std::str::from_utf8(word).ok()).and_then(|text| text.parse().ok());
                number.is_some_and(|number: i64| (1..16).contains(&number))
            };
            let refused = exchange.memento.is_error("ERR DB index is out of range");
            let copy = exchange.name(&["COPY"])
                && exchange.words.iter().skip(3).any(|word| word.eq_ignore_ascii_case(b"DB"))
                && exchange.words.iter().skip(4).any(|word| other(Some(word)));
            refused && (copy || (exchange.name(&["SELECT"]) && other(exchange.words.get(1))))
        },
    },
    Difference {
        name: "float-places",
        reason: "memento adds decimal digits exactly, Redis in the 80 bits of the x87",
        excuses: |exchange| {
            let number = |reply: &Reply| reply.str().parse::<f64>().ok();
            let (Some(redis), Some(memento)) = (number(exchange.redis), number(exchange.memento)) else {
                return false;
            };
            exchange.name(&["INCRBYFLOAT"])
                && exchange.both(b'$')
                // The 17th place after the point is the last that either writes.
                && (redis - memento).abs() <= redis.abs().max(memento.abs()) * 1e-15 + 1e-16
        },
    },
    Difference {
        name: "float-forms",
        reason: "a decimal number has at most 308 digits before the point, and is not written as hex, inf or nan",
        excuses: |exchange| {
            exchange.name(&["INCRBYFLOAT"])
                && exchange.memento.is_error("ERR value is not a valid float")
                && (exchange.redis.is_bulk() || exchange.redis.is_error("ERR increment would produce NaN or Infinity"))
        },
    },
    Difference {
        name: "object-encoding",
        reason: "memento tells it from the bytes alone; in Redis it depends on how the value came about",
        excuses: |exchange| {
            let known = |reply: &Reply| ["int", "embstr", "raw"].contains(&reply.str());
            exchange.name(&["OBJECT"])
                && exchange.word(1, "ENCODING")
                && exchange.both(b'$')
                && known(exchange.redis)
                && known(exchange.memento)
        },
    },
    Difference {
        name: "object-refcount",
        reason: "memento shares no values between keys; Redis shares small integers",
        excuses: |exchange| {
            exchange.name(&["OBJECT"])
                && exchange.word(1, "REFCOUNT")
                && exchange.both(b':')
                && exchange.memento.text == b"1"
        },
    },
    Difference {
        name: "object-idletime",
        reason: "memento keeps no time of the last access unless its policy needs one, and says which would",
        excuses: |exchange| {
            let seconds = exchange.redis.integer().zip(exchange.memento.integer());
            exchange.name(&["OBJECT"])
                && exchange.word(1, "IDLETIME")
                && exchange.redis.kind == b':'
                && ((exchange.memento.is_error("ERR ") && exchange.memento.str().contains("policy"))
                    // Where both tell it, a second may have begun between them.
                    || seconds.is_some_and(|(redis, memento)| redis.abs_diff(memento) <= 1))
        },
    },
    Difference {
        name: "error-echo",
        reason: "memento shows what a client sent in printable ASCII only, and cuts it at 128 bytes",
        excuses: |exchange| {
            let odd = |word: &Vec<u8>| word.len() > 40 || word.iter().any(|byte| !(b' '..=b'~').contains(byte));
            let (redis, memento) = (&exchange.redis.text, &exchange.memento.text);
            let alike = redis.iter().zip(memento).take_while(|(redis, memento)| redis == memento).count();
            exchange.both(b'-')
                && exchange.words.iter().any(odd)
                // What comes before the first echo has to agree.
                && redis[..alike].contains(&b'\'')
                && memento.iter().all(|byte| (b' '..=b'~').contains(byte))
        },
    },
    Difference {
        name: "added",
        reason: "memento has commands of its own and of later versions, which Redis 7.0 refuses",
        excuses: |exchange| {
            let asked = |form: &&[&str]| {
                form.len() == exchange.words.len() && (0..form.len()).all(|index| exchange.word(index, form[index]))
            };
            let refused = ["ERR unknown command", "ERR unknown subcommand", "ERR syntax error"];
            ADDED.iter().any(asked)
                && refused.iter().any(|text| exchange.redis.is_error(text))
                && !refused.iter().any(|text| exchange.memento.is_error(text))
        },
    },
    Difference {
        name: "absent",
        reason: "memento has strings only: what it has not is an unknown command, in Redis's words",
        excuses: |exchange| exchange.name(ABSENT) && exchange.memento.is_error("ERR unknown command '"),
    },
    Difference {
        name: "clients-in-multi",
        reason: "a transaction runs where no other client can be seen: CLIENT LIST, INFO and KILL are refused in it",
        excuses: |exchange| {
            exchange.name(&["CLIENT"])
                && ["LIST", "INFO", "KILL"].iter().any(|sub| exchange.word(1, sub))
                && exchange.memento.is_error("ERR CLIENT LIST, INFO and KILL are not for a transaction")
        },
    },
    Difference {
        name: "lcs-bound",
        reason: "memento refuses an LCS of more than four million steps, which would make everybody wait",
        excuses: |exchange| {
            exchange.name(&["LCS"]) && exchange.memento.is_error("ERR ") && !exchange.redis.is_error("")
        },
    },
    Difference {
        name: "dump-unpacked",
        reason: "memento packs no value, and RESTORE makes the same of both",
        excuses: |exchange| {
            let value = |reply: &Reply| {
                let packed = decode(&reply.text).ok()?;
                let mut value = vec![0; packed.len()];
                packed.write_to(&mut value).then_some(value)
            };
            exchange.name(&["DUMP"])
                && exchange.both(b'$')
                && exchange.redis.text.get(1) == Some(&0xC3)
                && exchange.memento.text.get(1) != Some(&0xC3)
                && value(exchange.redis).is_some()
                && value(exchange.redis) == value(exchange.memento)
        },
    },
    Difference {
        name: "argument-count",
        reason: "memento takes at most 1,048,576 arguments in one request, Redis two thousand million",
        excuses: |exchange| {
            let count = exchange.words[0].strip_prefix(b"*").and_then(|rest| rest.split(|&byte| byte == b'\r').next());
            let count = count.and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<i64>().ok());
            count.is_some_and(|count| count > 1_048_576)
                && exchange.memento.is_error("ERR Protocol error: invalid multibulk length")
        },
    },
    Difference {
        name: "nul-in-framing",
        reason: "Redis looks for the end of a length as C does, stops at a NUL, and waits for ever; memento says what is wrong",
        excuses: |exchange| {
            let bytes = &exchange.words[0];
            bytes.starts_with(b"*")
                && bytes.contains(&0)
                && !exchange.redis.is_error("")
                && exchange.memento.is_error("ERR Protocol error: ")
        },
    },
];

/// The first difference that excuses this, as its place in the list.
pub fn excuse(exchange: &Exchange) -> Option<usize> {
    DIFFERENCES.iter().position(|difference| (difference.excuses)(exchange))
}

fn sorted(items: &[Reply]) -> Vec<&[u8]> {
    let mut texts: Vec<&[u8]> = items.iter().map(|item| &item.text[..]).collect();
    texts.sort_unstable();
    texts
}

#[test]
fn names_are_unique_and_reasons_are_given() {
    for (index, difference) in DIFFERENCES.iter().enumerate() {
        assert!(DIFFERENCES[..index].iter().all(|other| other.name != difference.name), "{}", difference.name);
        assert!(difference.reason.len() > 20, "{}", difference.name);
    }
}
