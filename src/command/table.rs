//! The command table: one row a command, in alphabetical order. Everything that must know of commands reads it:
//! parsing (the rest of the line), arity errors, routing by key, COMMAND, help, the README.

use super::families;
use super::route::{Merge, Reach};
use super::sub::{self, Subcommand};
use super::{
    CommandError, Ctx, Outcome, Shown, admin, cluster, counter, docs, expiry, info, key, lcs, session, set, string,
    transaction,
};
use crate::proto::{Args, Face, Reply};

/// What runs a command.
pub type Handler = fn(&mut Ctx<'_>, Args<'_>, &mut Reply<'_>) -> Outcome;

/// Refuses a request by its words alone.
pub type Check = fn(Args<'_>) -> Result<(), CommandError>;

/// A command.
#[derive(Debug)]
pub struct CommandSpec {
    /// Its name, in lower case.
    pub name: &'static str,
    /// Its arguments as help shows them.
    pub usage: &'static str,
    /// What it does, in a sentence without a full stop.
    pub summary: &'static str,
    /// The family that it belongs to.
    pub family: Family,
    /// How many words a request has, the name included; negative: at least so many.
    pub arity: i32,
    /// Which of its words are keys.
    pub keys: Keys,
    /// What it concerns in a cluster.
    pub reach: Reach,
    /// What is wrong with a request of the right length that its handler would refuse whatever the keys hold; asked
    /// before it is cut up or sent to several nodes, since none may do its part then.
    pub check: Check,
    /// Which word takes the rest of the line in the text protocol; 0: none.
    pub rest: usize,
    /// What generic code must know of it.
    pub flags: Flags,
    /// How the text protocol writes its integer.
    pub face: Face,
    /// What of a request may be shown to others, in the slow log for example.
    pub shown: Shown,
    /// The commands that the second word chooses between; where there are any, `run` is for a request of one word.
    pub subcommands: &'static [Subcommand],
    /// The handler.
    pub run: Handler,
}

/// Commands that belong together; the README and COMMAND DOCS group by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Whole values.
    String,
    /// Values that are numbers.
    Counter,
    /// Keys, whatever they hold.
    Key,
    /// When keys end.
    Expiry,
    /// Several requests as one.
    Transaction,
    /// The client's own connection.
    Connection,
    /// The node and the whole store.
    Server,
    /// The cluster.
    Cluster,
}

impl Family {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Family::String => "string",
            Family::Counter => "counter",
            Family::Key => "key",
            Family::Expiry => "expiry",
            Family::Transaction => "transactions",
            Family::Connection => "connection",
            Family::Server => "server",
            Family::Cluster => "cluster",
        }
    }

    /// Redis's group of commands, for COMMAND DOCS.
    pub fn group(self) -> &'static str {
        match self {
            Family::String | Family::Counter => "string",
            Family::Key | Family::Expiry => "generic",
            Family::Transaction => "transactions",
            Family::Connection => "connection",
            Family::Server => "server",
            Family::Cluster => "cluster",
        }
    }

    /// Redis's category of commands for access control, where there is one for the family.
    pub fn category(self) -> Option<&'static str> {
        match self {
            Family::String | Family::Counter => Some("@string"),
            Family::Key | Family::Expiry => Some("@keyspace"),
            Family::Transaction => Some("@transaction"),
            Family::Connection => Some("@connection"),
            Family::Server | Family::Cluster => None,
        }
    }
}

/// Which words are keys: from `first` to `last` (negative: counted from the end), every `step`-th; all zero: none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The first key's place.
    pub first: i32,
    /// The last key's place.
    pub last: i32,
    /// The distance from key to key.
    pub step: i32,
}

impl Keys {
    /// No key.
    pub const NONE: Keys = Keys { first: 0, last: 0, step: 0 };
    const ONE: Keys = Keys { first: 1, last: 1, step: 1 };
    pub(super) const SECOND: Keys = Keys { first: 2, last: 2, step: 1 };
    pub(super) const ALL: Keys = Keys { first: 1, last: -1, step: 1 };
    const TWO: Keys = Keys { first: 1, last: 2, step: 1 };
    const PAIRS: Keys = Keys { first: 1, last: -1, step: 2 };

    /// The places of the keys in a request of `words` words.
    pub fn places(self, words: usize) -> impl Iterator<Item = usize> {
        let last = if self.last < 0 { words as i32 + self.last } else { self.last.min(words as i32 - 1) };
        let end = if self.step == 0 { 0 } else { last + 1 };
        (self.first..end).step_by(self.step.max(1) as usize).map(|place| place as usize)
    }
}

/// What generic code must know of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(u16);

impl Flags {
    /// Nothing.
    pub const NONE: Flags = Flags(0);
    /// It may change keys.
    pub const WRITE: Flags = Flags(1);
    /// It reads keys and changes none.
    pub const READONLY: Flags = Flags(2);
    /// It may need memory, and is refused when there is none.
    pub const DENYOOM: Flags = Flags(4);
    /// It does a constant amount of work.
    pub const FAST: Flags = Flags(8);
    /// It concerns the operator.
    pub const ADMIN: Flags = Flags(16);

    /// It may be used before AUTH, and under protected mode.
    pub const NO_AUTH: Flags = Flags(32 | 64);
    /// It may be used under protected mode.
    pub const UNPROTECTED: Flags = Flags(64);
    /// It is executed, not queued, between MULTI and EXEC.
    pub const IMMEDIATE: Flags = Flags(128);
    /// It ends a transaction, also by being refused.
    pub const ENDS_MULTI: Flags = Flags(512);
    /// It is refused unless `--enable-debug-command` allows it.
    pub const DEBUG: Flags = Flags(1024);
    /// It is refused between MULTI and EXEC.
    pub const NO_MULTI: Flags = Flags(256);

    const NAMES: [(Flags, &'static str); 7] = [
        (Flags::WRITE, "write"),
        (Flags::READONLY, "readonly"),
        (Flags::DENYOOM, "denyoom"),
        (Flags::FAST, "fast"),
        (Flags::ADMIN, "admin"),
        (Flags::NO_AUTH, "no_auth"),
        (Flags::NO_MULTI, "no_multi"),
    ];

    /// These and those.
    pub const fn and(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// Whether all of `other` are among these.
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// As a number that another node of the same version reads.
    pub fn bits(self) -> u16 {
        self.0
    }

    /// Their names, as COMMAND INFO gives them.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Flags::NAMES.into_iter().filter(move |&(flag, _)| self.has(flag)).map(|(_, name)| name)
    }
}

const READ: Flags = Flags::READONLY;
const READ_FAST: Flags = Flags::READONLY.and(Flags::FAST);
const WRITE: Flags = Flags::WRITE;
const WRITE_FAST: Flags = Flags::WRITE.and(Flags::FAST);
const STORE: Flags = Flags::WRITE.and(Flags::DENYOOM);
const FREE: Flags = Flags::FAST.and(Flags::NO_AUTH);
const FREE_IMMEDIATE: Flags = FREE.and(Flags::IMMEDIATE);
const IMMEDIATE: Flags = Flags::FAST.and(Flags::IMMEDIATE);
const STORE_FAST: Flags = STORE.and(Flags::FAST);

impl CommandSpec {
    /// Whether a request of `words` words, the name included, fits its arity.
    pub fn takes(&self, words: usize) -> bool {
        fits(self.arity, words)
    }

    /// Which row it is, counted from 0.
    pub fn place(&self) -> usize {
        // A row is only ever had from the table, so that its place is told by its address.
        (std::ptr::from_ref(self).addr() - COMMANDS.as_ptr().addr()) / size_of::<CommandSpec>()
    }

    /// The places of the keys in a request of `words` words.
    pub fn key_places(&self, words: usize) -> impl Iterator<Item = usize> + use<> {
        self.keys.places(words)
    }
}

/// Whether so many words fit an arity.
pub(super) fn fits(arity: i32, words: usize) -> bool {
    let least = arity.unsigned_abs() as usize;
    if arity < 0 { words >= least } else { words == least }
}

/// What a row says where it says nothing.
const ROW: CommandSpec = CommandSpec {
    name: "",
    usage: "",
    summary: "",
    family: Family::Server,
    arity: 1,
    keys: Keys::NONE,
    reach: Reach::Node,
    check: |_| Ok(()),
    rest: 0,
    flags: Flags::NONE,
    face: Face::Typed,
    shown: Shown::All,
    subcommands: &[],
    run: session::ping,
};

/// What a row with keys says where it says nothing.
const SLOT: CommandSpec = CommandSpec { keys: Keys::ONE, reach: Reach::Slot, ..ROW };
const STRING: CommandSpec = CommandSpec { family: Family::String, arity: 2, ..SLOT };
const COUNTER: CommandSpec = CommandSpec { family: Family::Counter, arity: -2, flags: STORE_FAST, ..SLOT };
const KEY: CommandSpec = CommandSpec { family: Family::Key, ..SLOT };
/// Rows of the whole keyspace.
const SPACE: CommandSpec = CommandSpec { family: Family::Key, ..ROW };
const FLUSH: CommandSpec = CommandSpec {
    summary: "Delete every key",
    reach: Reach::Cluster(Merge::Ok),
    flags: WRITE,
    run: key::flush,
    ..SPACE
};
const EXPIRY: CommandSpec = CommandSpec { family: Family::Expiry, arity: 2, ..SLOT };
const TRANSACTION: CommandSpec = CommandSpec { family: Family::Transaction, flags: IMMEDIATE, ..ROW };
const FAMILY: CommandSpec = CommandSpec { arity: -2, run: sub::alone, ..ROW };
const CONNECTION: CommandSpec = CommandSpec { family: Family::Connection, flags: Flags::FAST, ..ROW };
const CLUSTER: CommandSpec = CommandSpec { family: Family::Cluster, ..ROW };

/// Every command, ordered by name.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "acl",
        usage: "WHOAMI | HELP",
        summary: "Answer which user the client is: default, there is no other",
        subcommands: families::ACL,
        ..FAMILY
    },
    CommandSpec {
        name: "append",
        usage: "key value",
        summary: "Append to a value; a missing key counts as empty",
        arity: 3,
        rest: 2,
        flags: STORE_FAST,
        face: Face::Ok,
        run: string::append,
        ..STRING
    },
    CommandSpec {
        name: "asking",
        summary: "Do nothing: any node takes any command for any key",
        flags: Flags::FAST,
        run: cluster::asking,
        ..CLUSTER
    },
    CommandSpec {
        name: "auth",
        usage: "[user] password",
        summary: "Authenticate; the only user is default",
        arity: -2,
        flags: FREE,
        shown: Shown::Before(1),
        run: session::auth,
        ..CONNECTION
    },
    CommandSpec {
        name: "client",
        usage: "GETNAME | HELP | ID | INFO | KILL ... | LIST ... | NO-EVICT | NO-TOUCH | REPLY | SETINFO | SETNAME",
        summary: "Tell of clients, name this one, close others",
        family: Family::Connection,
        subcommands: families::CLIENT,
        ..FAMILY
    },
    CommandSpec {
        name: "cluster",
        usage: "COUNTKEYSINSLOT ... | GETKEYSINSLOT ... | HELP | INFO | KEYSLOT | LINKS | MYID | NODES | SHARDS | SLOTS",
        summary: "Tell of the cluster as Redis Cluster does",
        arity: -2,
        subcommands: families::CLUSTER,
        run: sub::alone,
        ..CLUSTER
    },
    CommandSpec {
        name: "clusterinfo",
        summary: "Show the nodes of the cluster in a table",
        run: cluster::table,
        ..CLUSTER
    },
    CommandSpec {
        name: "command",
        usage: "[COUNT | LIST | INFO [name ...] | DOCS [name ...] | GETKEYS command [arg ...] | HELP]",
        summary: "Tell of the commands that there are",
        arity: -1,
        reach: Reach::Anywhere,
        subcommands: families::COMMAND,
        run: docs::command,
        ..ROW
    },
    CommandSpec {
        name: "config",
        usage: "GET pattern [pattern ...] | SET name value [name value ...] | RESETSTAT | HELP",
        summary: "Answer or change settings, by Redis's names; forget what was counted",
        subcommands: families::CONFIG,
        ..FAMILY
    },
    CommandSpec {
        name: "copy",
        usage: "source destination [DB 0] [REPLACE]",
        summary: "Copy a value and its expiry to another key",
        arity: -3,
        keys: Keys::TWO,
        flags: STORE,
        run: key::copy,
        ..KEY
    },
    CommandSpec {
        name: "dbsize",
        summary: "Count the keys",
        reach: Reach::Cluster(Merge::Sum),
        flags: READ_FAST,
        run: key::dbsize,
        ..SPACE
    },
    CommandSpec {
        name: "debug",
        usage: "SLEEP seconds",
        summary: "Hold up the whole server, for tests; only with --enable-debug-command",
        arity: -2,
        flags: Flags::ADMIN.and(Flags::DEBUG),
        run: admin::debug,
        ..ROW
    },
    CommandSpec {
        name: "dec",
        usage: "key [qty]",
        summary: "Subtract from an integer, 1 where nothing is said",
        run: counter::dec,
        ..COUNTER
    },
    CommandSpec {
        name: "decf",
        usage: "key [qty]",
        summary: "Subtract from a decimal number, exactly, 1.0 where nothing is said",
        run: counter::decf,
        ..COUNTER
    },
    CommandSpec {
        name: "decr",
        usage: "key",
        summary: "Subtract 1 from an integer",
        arity: 2,
        run: counter::dec,
        ..COUNTER
    },
    CommandSpec {
        name: "decrby",
        usage: "key qty",
        summary: "Subtract from an integer",
        arity: 3,
        run: counter::decrby,
        ..COUNTER
    },
    CommandSpec {
        name: "del",
        usage: "key [key ...]",
        summary: "Delete keys",
        arity: -2,
        keys: Keys::ALL,
        reach: Reach::Split(Merge::Sum),
        flags: WRITE,
        face: Face::OkOrNull,
        run: key::del,
        ..KEY
    },
    CommandSpec {
        name: "delifeq",
        usage: "key value",
        summary: "Delete a key if it has this value",
        arity: 3,
        flags: WRITE_FAST,
        run: string::delifeq,
        ..STRING
    },
    CommandSpec {
        name: "discard",
        summary: "Forget what was queued since MULTI",
        run: transaction::discard,
        ..TRANSACTION
    },
    CommandSpec {
        name: "echo",
        usage: "message",
        summary: "Answer the message",
        arity: 2,
        reach: Reach::Anywhere,
        rest: 1,
        run: session::echo,
        ..CONNECTION
    },
    CommandSpec {
        name: "exec",
        shown: Shown::Nothing,
        summary: "Execute what was queued since MULTI, as one",
        reach: Reach::Handled,
        flags: Flags::IMMEDIATE.and(Flags::ENDS_MULTI),
        run: transaction::exec,
        ..TRANSACTION
    },
    CommandSpec {
        name: "exists",
        usage: "key [key ...]",
        summary: "Count how many of the keys exist",
        arity: -2,
        keys: Keys::ALL,
        reach: Reach::Split(Merge::Sum),
        flags: READ_FAST,
        run: key::exists,
        ..KEY
    },
    CommandSpec {
        name: "exit",
        usage: "[anything ...]",
        summary: "Close the connection",
        arity: -1,
        flags: FREE_IMMEDIATE,
        face: Face::Silent,
        run: session::quit,
        ..CONNECTION
    },
    CommandSpec {
        name: "expire",
        usage: "key seconds [NX | XX | GT | LT]",
        summary: "Let a key end after seconds",
        arity: -3,
        flags: WRITE_FAST,
        run: expiry::expire,
        ..EXPIRY
    },
    CommandSpec {
        name: "expireat",
        usage: "key unix-seconds [NX | XX | GT | LT]",
        summary: "Let a key end at a time in seconds since the Unix epoch",
        arity: -3,
        flags: WRITE_FAST,
        run: expiry::expireat,
        ..EXPIRY
    },
    CommandSpec {
        name: "expiretime",
        usage: "key",
        summary: "Answer when a key ends, in seconds since the Unix epoch",
        flags: READ_FAST,
        run: expiry::expiretime,
        ..EXPIRY
    },
    CommandSpec { name: "flush", ..FLUSH },
    CommandSpec {
        name: "flushall",
        usage: "[ASYNC | SYNC]",
        arity: -1,
        check: key::check_flush,
        run: key::flush_all,
        ..FLUSH
    },
    CommandSpec {
        name: "flushdb",
        usage: "[ASYNC | SYNC]",
        arity: -1,
        check: key::check_flush,
        run: key::flush_all,
        ..FLUSH
    },
    CommandSpec { name: "get", usage: "key", summary: "Answer a value", flags: READ_FAST, run: string::get, ..STRING },
    CommandSpec {
        name: "getdel",
        usage: "key",
        summary: "Answer a value and delete it",
        flags: WRITE_FAST,
        run: string::getdel,
        ..STRING
    },
    CommandSpec {
        name: "getex",
        usage: "key [EX s | PX ms | EXAT unix-s | PXAT unix-ms | PERSIST]",
        summary: "Answer a value and change when it ends",
        arity: -2,
        flags: WRITE_FAST,
        run: set::getex,
        ..STRING
    },
    CommandSpec {
        name: "getp",
        usage: "key",
        summary: "Answer a key's properties: value, creation and expiry time",
        arity: 2,
        flags: READ_FAST,
        run: key::getp,
        ..KEY
    },
    CommandSpec {
        name: "getrange",
        usage: "key start end",
        summary: "Answer a part of a value, both ends included",
        arity: 4,
        flags: READ,
        run: string::getrange,
        ..STRING
    },
    CommandSpec {
        name: "getset",
        usage: "key value",
        summary: "Set a value and answer the old one",
        arity: 3,
        rest: 2,
        flags: STORE_FAST,
        run: set::getset,
        ..STRING
    },
    CommandSpec {
        name: "hello",
        usage: "[2 | 3 [AUTH user password] [SETNAME name]]",
        summary: "Choose the version of RESP, authenticate, and learn of the server",
        arity: -1,
        flags: FREE,
        shown: Shown::UpTo("auth"),
        run: session::hello,
        ..CONNECTION
    },
    CommandSpec {
        name: "inc",
        usage: "key [qty]",
        summary: "Add to an integer, 1 where nothing is said",
        run: counter::inc,
        ..COUNTER
    },
    CommandSpec {
        name: "incf",
        usage: "key [qty]",
        summary: "Add to a decimal number, exactly, 1.0 where nothing is said",
        run: counter::incf,
        ..COUNTER
    },
    CommandSpec { name: "incr", usage: "key", summary: "Add 1 to an integer", arity: 2, run: counter::inc, ..COUNTER },
    CommandSpec {
        name: "incrby",
        usage: "key qty",
        summary: "Add to an integer",
        arity: 3,
        run: counter::inc,
        ..COUNTER
    },
    CommandSpec {
        name: "incrbyfloat",
        usage: "key qty",
        summary: "Add to a decimal number, exactly",
        arity: 3,
        run: counter::incrbyfloat,
        ..COUNTER
    },
    CommandSpec {
        name: "info",
        usage: "[section ...]",
        summary: "Tell of the node: version, clients, memory, counters, keys",
        arity: -1,
        run: info::info,
        ..ROW
    },
    CommandSpec {
        name: "keys",
        usage: "pattern",
        summary: "List the keys that match a glob pattern",
        arity: 2,
        reach: Reach::Cluster(Merge::List),
        flags: READ,
        run: key::keys,
        ..SPACE
    },
    CommandSpec {
        name: "latency",
        usage: "HISTOGRAM [command ...] | LATEST | RESET [event ...] | HELP",
        summary: "Answer how long commands took",
        subcommands: families::LATENCY,
        ..FAMILY
    },
    CommandSpec {
        name: "lcs",
        usage: "key1 key2 [LEN] [IDX] [MINMATCHLEN length] [WITHMATCHLEN]",
        summary: "Answer the longest common subsequence of two values",
        arity: -3,
        keys: Keys::TWO,
        flags: READ,
        run: lcs::lcs,
        ..STRING
    },
    CommandSpec {
        name: "memory",
        usage: "USAGE key [SAMPLES count] | STATS | DOCTOR | HELP",
        summary: "Answer what a key or the server takes, in bytes",
        subcommands: families::MEMORY,
        ..FAMILY
    },
    CommandSpec {
        name: "mget",
        usage: "key [key ...]",
        summary: "Answer several values",
        arity: -2,
        keys: Keys::ALL,
        reach: Reach::Split(Merge::Items),
        flags: READ_FAST,
        run: string::mget,
        ..STRING
    },
    CommandSpec {
        name: "mset",
        usage: "key value [key value ...]",
        summary: "Set several values",
        arity: -3,
        keys: Keys::PAIRS,
        check: set::check_mset,
        reach: Reach::Split(Merge::Ok),
        flags: STORE,
        run: set::mset,
        ..STRING
    },
    CommandSpec {
        name: "msetnx",
        usage: "key value [key value ...]",
        summary: "Set several values if none of the keys exists",
        arity: -3,
        keys: Keys::PAIRS,
        flags: STORE,
        run: set::msetnx,
        ..STRING
    },
    CommandSpec { name: "multi", summary: "Queue what follows until EXEC", run: transaction::multi, ..TRANSACTION },
    CommandSpec {
        name: "object",
        usage: "ENCODING key | REFCOUNT key | IDLETIME key | FREQ key | HELP",
        summary: "Tell how a value is stored, in the terms of Redis",
        family: Family::Key,
        keys: Keys::SECOND,
        reach: Reach::Slot,
        flags: READ,
        subcommands: families::OBJECT,
        ..FAMILY
    },
    CommandSpec {
        name: "persist",
        usage: "key",
        summary: "Let a key not end any more",
        flags: WRITE_FAST,
        run: expiry::persist,
        ..EXPIRY
    },
    CommandSpec {
        name: "pexpire",
        usage: "key milliseconds [NX | XX | GT | LT]",
        summary: "Let a key end after milliseconds",
        arity: -3,
        flags: WRITE_FAST,
        run: expiry::pexpire,
        ..EXPIRY
    },
    CommandSpec {
        name: "pexpireat",
        usage: "key unix-milliseconds [NX | XX | GT | LT]",
        summary: "Let a key end at a time in milliseconds since the Unix epoch",
        arity: -3,
        flags: WRITE_FAST,
        run: expiry::pexpireat,
        ..EXPIRY
    },
    CommandSpec {
        name: "pexpiretime",
        usage: "key",
        summary: "Answer when a key ends, in milliseconds since the Unix epoch",
        flags: READ_FAST,
        run: expiry::pexpiretime,
        ..EXPIRY
    },
    CommandSpec {
        name: "ping",
        usage: "[message]",
        summary: "Answer PONG, or the message",
        arity: -1,
        reach: Reach::Anywhere,
        flags: Flags::FAST.and(Flags::UNPROTECTED),
        run: session::ping,
        ..CONNECTION
    },
    CommandSpec {
        name: "prepend",
        usage: "key value",
        summary: "Put something before a value; a missing key counts as empty",
        arity: 3,
        rest: 2,
        flags: STORE,
        face: Face::Ok,
        run: string::prepend,
        ..STRING
    },
    CommandSpec {
        name: "psetex",
        usage: "key milliseconds value",
        summary: "Set a value that ends after milliseconds",
        arity: 4,
        rest: 3,
        flags: STORE,
        run: set::psetex,
        ..STRING
    },
    CommandSpec {
        name: "pttl",
        usage: "key",
        summary: "Answer how many milliseconds a key has left",
        flags: READ_FAST,
        run: expiry::pttl,
        ..EXPIRY
    },
    CommandSpec {
        name: "quit",
        usage: "[anything ...]",
        summary: "Close the connection",
        arity: -1,
        flags: FREE_IMMEDIATE,
        face: Face::Silent,
        run: session::quit,
        ..CONNECTION
    },
    CommandSpec {
        name: "randomkey",
        summary: "Answer some key",
        reach: Reach::Cluster(Merge::Any),
        flags: READ,
        run: key::randomkey,
        ..SPACE
    },
    CommandSpec {
        name: "readonly",
        summary: "Let KEYS, SCAN, DBSIZE and RANDOMKEY of this connection tell of this node alone",
        flags: Flags::FAST,
        run: cluster::readonly,
        ..CLUSTER
    },
    CommandSpec {
        name: "readwrite",
        summary: "Let KEYS, SCAN, DBSIZE and RANDOMKEY of this connection tell of the whole cluster again",
        flags: Flags::FAST,
        run: cluster::readwrite,
        ..CLUSTER
    },
    CommandSpec {
        name: "rename",
        usage: "key newkey",
        summary: "Give a key another name; one that has that name already is replaced",
        arity: 3,
        keys: Keys::TWO,
        flags: WRITE,
        run: key::rename,
        ..KEY
    },
    CommandSpec {
        name: "renamenx",
        usage: "key newkey",
        summary: "Give a key another name, if no key has it",
        arity: 3,
        keys: Keys::TWO,
        flags: WRITE_FAST,
        run: key::renamenx,
        ..KEY
    },
    CommandSpec {
        name: "reset",
        summary: "Start the connection over, as if it had just come",
        flags: FREE_IMMEDIATE,
        run: session::reset,
        ..CONNECTION
    },
    CommandSpec {
        name: "scan",
        usage: "cursor [MATCH pattern] [COUNT count] [TYPE type]",
        summary: "List keys a few at a time; a key present throughout is listed",
        arity: -2,
        reach: Reach::Scan,
        flags: READ,
        run: key::scan,
        ..SPACE
    },
    CommandSpec {
        name: "select",
        usage: "index",
        summary: "Choose the keyspace; there is one, 0",
        arity: 2,
        reach: Reach::Anywhere,
        run: session::select,
        ..CONNECTION
    },
    CommandSpec {
        name: "set",
        usage: "key value [NX | XX | IFEQ value] [GET] [EX s | PX ms | EXAT unix-s | PXAT unix-ms | KEEPTTL]",
        summary: "Set a value; in the text protocol without options",
        arity: -3,
        rest: 2,
        flags: STORE,
        run: set::set,
        ..STRING
    },
    CommandSpec {
        name: "setex",
        usage: "key seconds value",
        summary: "Set a value that ends after seconds",
        arity: 4,
        rest: 3,
        flags: STORE,
        run: set::setex,
        ..STRING
    },
    CommandSpec {
        name: "setnx",
        usage: "key value",
        summary: "Set a value where there is none",
        arity: 3,
        rest: 2,
        flags: STORE_FAST,
        run: set::setnx,
        ..STRING
    },
    CommandSpec {
        name: "setrange",
        usage: "key offset value",
        summary: "Write over a part of a value; what is missing before it becomes zeros",
        arity: 4,
        rest: 3,
        flags: STORE,
        run: string::setrange,
        ..STRING
    },
    CommandSpec {
        name: "shutdown",
        usage: "[NOSAVE] [NOW] [FORCE]",
        summary: "End the server as SIGTERM does: what is owed is sent first",
        arity: -1,
        flags: Flags::ADMIN.and(Flags::NO_MULTI),
        run: session::shutdown,
        ..ROW
    },
    CommandSpec {
        name: "slowlog",
        usage: "GET [count] | LEN | RESET | HELP",
        summary: "Answer the last requests that took long",
        subcommands: families::SLOWLOG,
        ..FAMILY
    },
    CommandSpec {
        name: "strlen",
        usage: "key",
        summary: "Answer a value's length in bytes",
        flags: READ_FAST,
        run: string::strlen,
        ..STRING
    },
    CommandSpec {
        name: "substr",
        usage: "key start end",
        summary: "Answer a part of a value, as GETRANGE does",
        arity: 4,
        flags: READ,
        run: string::getrange,
        ..STRING
    },
    CommandSpec {
        name: "time",
        summary: "Answer the wall clock: seconds since the Unix epoch, and microseconds",
        reach: Reach::Anywhere,
        flags: Flags::FAST,
        run: admin::time,
        ..ROW
    },
    CommandSpec {
        name: "touch",
        usage: "key [key ...]",
        summary: "Count how many of the keys exist",
        arity: -2,
        keys: Keys::ALL,
        reach: Reach::Split(Merge::Sum),
        flags: READ_FAST,
        run: key::exists,
        ..KEY
    },
    CommandSpec {
        name: "ttl",
        usage: "key",
        summary: "Answer how many seconds a key has left",
        flags: READ_FAST,
        run: expiry::ttl,
        ..EXPIRY
    },
    CommandSpec {
        name: "type",
        usage: "key",
        summary: "Answer what a key holds: string, or none",
        arity: 2,
        flags: READ_FAST,
        run: key::kind,
        ..KEY
    },
    CommandSpec {
        name: "unlink",
        usage: "key [key ...]",
        summary: "Delete keys",
        arity: -2,
        keys: Keys::ALL,
        reach: Reach::Split(Merge::Sum),
        flags: WRITE_FAST,
        face: Face::OkOrNull,
        run: key::del,
        ..KEY
    },
    CommandSpec {
        name: "unwatch",
        summary: "Forget the watched keys",
        reach: Reach::Anywhere,
        flags: Flags::FAST,
        run: transaction::unwatch_all,
        ..TRANSACTION
    },
    CommandSpec {
        name: "watch",
        usage: "key [key ...]",
        summary: "Let EXEC do nothing if one of the keys has changed by then",
        arity: -2,
        keys: Keys::ALL,
        reach: Reach::Handled,
        run: transaction::watch,
        ..TRANSACTION
    },
];

/// The row of a command, its name in any case.
pub fn lookup(name: &[u8]) -> Option<&'static CommandSpec> {
    let folded = fold(name)?;
    let mut place = place_of(folded);
    loop {
        let row = INDEX[place];
        if row == EMPTY {
            return None;
        }
        if FOLDED[row as usize] == folded {
            return Some(&COMMANDS[row as usize]);
        }
        place = (place + 1) % INDEX.len();
    }
}

/// A name in lower case in one number, or `None` for one that is longer than any command's.
const fn fold(name: &[u8]) -> Option<u128> {
    if name.is_empty() || name.len() > 16 {
        return None;
    }
    let (mut folded, mut at) = (0, 0);
    while at < name.len() {
        folded = folded << 8 | name[at].to_ascii_lowercase() as u128;
        at += 1;
    }
    Some(folded)
}

const EMPTY: u8 = u8::MAX;

/// Where a name is looked for first in [`INDEX`]: Fibonacci hashing (Knuth, volume 3, 6.4).
const fn place_of(folded: u128) -> usize {
    let half = folded as u64 ^ (folded >> 64) as u64;
    (half.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as usize
}

/// The rows' names, folded.
static FOLDED: [u128; COMMANDS.len()] = {
    let (mut folded, mut row) = ([0; COMMANDS.len()], 0);
    while row < COMMANDS.len() {
        folded[row] = match fold(COMMANDS[row].name.as_bytes()) {
            Some(name) => name,
            None => panic!("a command's name has at most 16 bytes"),
        };
        row += 1;
    }
    folded
};

/// An open hash table of rows, filled by the compiler.
static INDEX: [u8; 256] = {
    let (mut index, mut row) = ([EMPTY; 256], 0);
    while row < FOLDED.len() {
        let mut place = place_of(FOLDED[row]);
        while index[place] != EMPTY {
            place = (place + 1) % index.len();
        }
        index[place] = row as u8;
        row += 1;
    }
    index
};

/// The order of the rows, and that no name stands twice.
const _: () = {
    let mut row = 1;
    while row < COMMANDS.len() {
        assert!(before(COMMANDS[row - 1].name.as_bytes(), COMMANDS[row].name.as_bytes()), "rows stand by name");
        row += 1;
    }
};

const fn before(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() {
        if a[at] != b[at] {
            return a[at] < b[at];
        }
        at += 1;
    }
    a.len() < b.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_in_any_case_and_nothing_else() {
        for spec in COMMANDS {
            for name in [spec.name.to_string(), spec.name.to_uppercase()] {
                assert_eq!(lookup(name.as_bytes()).map(|found| found.name), Some(spec.name));
            }
        }
        for name in ["", "ge", "gett", "set\0", "averylongnamethatisnocommand", "\u{e9}"] {
            assert!(lookup(name.as_bytes()).is_none(), "{name}");
        }
    }

    #[test]
    fn rows_are_coherent() {
        for (place, spec) in COMMANDS.iter().enumerate() {
            assert_eq!(spec.place(), place);
            for sub in spec.subcommands {
                assert_eq!(sub.name, format!("{}|{}", spec.name, sub.word()));
                assert_eq!(sub.usage.is_empty(), sub.arity == 2, "{}: usage and arity", sub.name);
                assert!(!sub.summary.is_empty() && !sub.summary.ends_with('.'), "{}", sub.name);
                assert_eq!(spec.rest, 0, "{}: words and the rest of the line", sub.name);
            }
            assert!(spec.subcommands.is_sorted_by_key(|sub| sub.name), "{}: subcommands stand by name", spec.name);
            assert!(!spec.summary.is_empty() && !spec.summary.ends_with('.'), "{}", spec.name);
            assert_eq!(spec.usage.is_empty(), spec.arity == 1, "{}: usage and arity", spec.name);
            assert!(!(spec.flags.has(WRITE) && spec.flags.has(READ)), "{}", spec.name);
            assert!(!spec.flags.has(Flags::DENYOOM) || spec.flags.has(WRITE), "{}", spec.name);
            // The word that takes the rest of the line is the last one that a request must have: options behind it can
            // only be told from it where words have lengths of their own.
            let words_min = spec.arity.unsigned_abs() as usize;
            assert!(spec.rest == 0 || words_min == spec.rest + 1, "{}: rest and arity", spec.name);
        }
    }

    #[test]
    fn arity_and_keys() {
        let row = |name: &str| lookup(name.as_bytes()).unwrap();
        assert!(row("get").takes(2) && !row("get").takes(3) && !row("get").takes(1));
        assert!(row("mget").takes(2) && row("mget").takes(200) && !row("mget").takes(1));
        let places = |name: &str, words| row(name).key_places(words).collect::<Vec<_>>();
        assert_eq!(places("get", 2), [1]);
        assert_eq!(places("mget", 4), [1, 2, 3]);
        assert_eq!(places("mset", 5), [1, 3]);
        assert_eq!(places("ping", 1), [0; 0]);
        assert_eq!(places("get", 1), [0; 0]);
    }
}
