//! The command table: one row a command, in alphabetical order.

use super::families;
use super::route::{Merge, Reach};
use super::sub;
use super::table::{CommandSpec, Family, Flags, Keys};
use super::{
    Shown, admin, bitfield, bits, cluster, counter, docs, dump, expiry, info, key, lcs, monitor, publish, session, set,
    string, transaction,
};
use crate::proto::Face;

const READ: Flags = Flags::READONLY;
const READ_FAST: Flags = Flags::READONLY.and(Flags::FAST);
const READ_BRIEF: Flags = READ_FAST.and(Flags::BRIEF);
const WRITE: Flags = Flags::WRITE;
const WRITE_FAST: Flags = Flags::WRITE.and(Flags::FAST);
const WRITE_BRIEF: Flags = WRITE_FAST.and(Flags::BRIEF);
const STORE: Flags = Flags::WRITE.and(Flags::DENYOOM);
const FREE: Flags = Flags::FAST.and(Flags::NO_AUTH);
const FREE_IMMEDIATE: Flags = FREE.and(Flags::IMMEDIATE).and(Flags::SUBSCRIBED);
const IMMEDIATE: Flags = Flags::FAST.and(Flags::IMMEDIATE);
const STORE_FAST: Flags = STORE.and(Flags::FAST);
const STORE_BRIEF: Flags = STORE.and(Flags::BRIEF);

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
const BITS: CommandSpec = CommandSpec { family: Family::Bits, ..SLOT };
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
const SUBSCRIBE: CommandSpec = CommandSpec { family: Family::Publish, arity: -2, flags: Flags::SUBSCRIBES, ..ROW };

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
        name: "bitcount",
        usage: "key [start end [BYTE | BIT]]",
        summary: "Count the bits that are set",
        arity: -2,
        flags: READ,
        run: bits::bitcount,
        ..BITS
    },
    CommandSpec {
        name: "bitfield",
        usage: "key [GET type offset | [OVERFLOW WRAP | SAT | FAIL] SET type offset value | INCRBY type offset qty ...]",
        summary: "Read and change integers of any width",
        arity: -2,
        flags: STORE,
        run: bitfield::bitfield,
        ..BITS
    },
    CommandSpec {
        name: "bitfield_ro",
        usage: "key [GET type offset ...]",
        summary: "Read integers of any width",
        arity: -2,
        flags: READ_FAST,
        run: bitfield::bitfield_ro,
        ..BITS
    },
    CommandSpec {
        name: "bitop",
        usage: "AND | OR | XOR | NOT destination key [key ...]",
        summary: "Combine values bit by bit into another one",
        arity: -4,
        keys: Keys::FROM_SECOND,
        flags: STORE,
        run: bits::bitop,
        ..BITS
    },
    CommandSpec {
        name: "bitpos",
        usage: "key bit [start [end [BYTE | BIT]]]",
        summary: "Find the first bit that is set, or clear",
        arity: -3,
        flags: READ,
        run: bits::bitpos,
        ..BITS
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
        name: "dump",
        usage: "key",
        summary: "Answer a value in the form that RESTORE takes",
        arity: 2,
        flags: READ,
        run: dump::dump,
        ..KEY
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
        flags: WRITE_BRIEF,
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
        flags: READ_BRIEF,
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
    CommandSpec { name: "get", usage: "key", summary: "Answer a value", flags: READ_BRIEF, run: string::get, ..STRING },
    CommandSpec {
        name: "getbit",
        usage: "key offset",
        summary: "Answer a bit of a value",
        arity: 3,
        flags: READ_FAST,
        run: bits::getbit,
        ..BITS
    },
    CommandSpec {
        name: "getdel",
        usage: "key",
        summary: "Answer a value and delete it",
        flags: WRITE_BRIEF,
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
        flags: STORE_FAST.and(Flags::BRIEF),
        run: set::getset,
        ..STRING
    },
    CommandSpec {
        name: "hello",
        usage: "[2 | 3 [AUTH user password] [SETNAME name]]",
        summary: "Choose the version of RESP, authenticate, and learn of the server",
        arity: -1,
        flags: FREE,
        shown: Shown::UpToAuth,
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
        name: "monitor",
        summary: "Stream every request that this node executes",
        flags: Flags::ADMIN,
        run: monitor::monitor,
        ..ROW
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
        flags: WRITE_BRIEF,
        run: expiry::persist,
        ..EXPIRY
    },
    CommandSpec {
        name: "pexpire",
        usage: "key milliseconds [NX | XX | GT | LT]",
        summary: "Let a key end after milliseconds",
        arity: -3,
        flags: WRITE_BRIEF,
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
        flags: READ_BRIEF,
        run: expiry::pexpiretime,
        ..EXPIRY
    },
    CommandSpec {
        name: "ping",
        usage: "[message]",
        summary: "Answer PONG, or the message",
        arity: -1,
        reach: Reach::Anywhere,
        flags: Flags::FAST.and(Flags::UNPROTECTED).and(Flags::SUBSCRIBED),
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
        flags: STORE_BRIEF,
        run: set::psetex,
        ..STRING
    },
    CommandSpec {
        name: "psubscribe",
        usage: "pattern [pattern ...]",
        summary: "Listen to all channels that match",
        run: publish::psubscribe,
        ..SUBSCRIBE
    },
    CommandSpec {
        name: "pttl",
        usage: "key",
        summary: "Answer how many milliseconds a key has left",
        flags: READ_BRIEF,
        run: expiry::pttl,
        ..EXPIRY
    },
    CommandSpec {
        name: "publish",
        usage: "channel message",
        summary: "Tell all who listen to a channel",
        family: Family::Publish,
        arity: 3,
        rest: 2,
        reach: Reach::Cluster(Merge::Reached),
        flags: Flags::PUBLISHES.and(Flags::FAST),
        run: publish::publish,
        ..ROW
    },
    CommandSpec {
        name: "pubsub",
        usage: "CHANNELS [pattern] | HELP | NUMPAT | NUMSUB [channel ...]",
        summary: "Tell who listens to what on this node",
        family: Family::Publish,
        subcommands: families::PUBSUB,
        ..FAMILY
    },
    CommandSpec {
        name: "punsubscribe",
        usage: "[pattern ...]",
        summary: "Stop listening to channels that match",
        arity: -1,
        run: publish::punsubscribe,
        ..SUBSCRIBE
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
        name: "restore",
        usage: "key ttl payload [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ count]",
        summary: "Set a value as DUMP has answered it, here or in Redis",
        arity: -4,
        flags: STORE,
        run: dump::restore,
        ..KEY
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
        flags: STORE_BRIEF,
        run: set::set,
        ..STRING
    },
    CommandSpec {
        name: "setbit",
        usage: "key offset bit",
        summary: "Set or clear a bit and answer what it was; what is missing before it becomes zeros",
        arity: 4,
        flags: STORE,
        run: bits::setbit,
        ..BITS
    },
    CommandSpec {
        name: "setex",
        usage: "key seconds value",
        summary: "Set a value that ends after seconds",
        arity: 4,
        rest: 3,
        flags: STORE_BRIEF,
        run: set::setex,
        ..STRING
    },
    CommandSpec {
        name: "setnx",
        usage: "key value",
        summary: "Set a value where there is none",
        arity: 3,
        rest: 2,
        flags: STORE_FAST.and(Flags::BRIEF),
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
        flags: READ_BRIEF,
        run: string::strlen,
        ..STRING
    },
    CommandSpec {
        name: "subscribe",
        usage: "channel [channel ...]",
        summary: "Listen to channels",
        run: publish::subscribe,
        ..SUBSCRIBE
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
        run: key::touch,
        ..KEY
    },
    CommandSpec {
        name: "ttl",
        usage: "key",
        summary: "Answer how many seconds a key has left",
        flags: READ_BRIEF,
        run: expiry::ttl,
        ..EXPIRY
    },
    CommandSpec {
        name: "type",
        usage: "key",
        summary: "Answer what a key holds: string, or none",
        arity: 2,
        flags: READ_BRIEF,
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
        name: "unsubscribe",
        usage: "[channel ...]",
        summary: "Stop listening to channels",
        arity: -1,
        run: publish::unsubscribe,
        ..SUBSCRIBE
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
