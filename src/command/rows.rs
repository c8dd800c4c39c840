//! The command table: one row a command, in alphabetical order.

use super::families;
use super::route::{Merge, Reach};
use super::sub;
use super::table::{Check, Family, Flags, Keys};
use super::texts::{Written as CommandSpec, cut, text};
use super::{
    Shown, admin, bitfield, bits, cluster, counter, docs, dump, expiry, info, key, lcs, monitor, publish, session, set,
    snapshot, string, transaction,
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
    text: text!("", "", ""),
    family: Family::Server,
    arity: 1,
    keys: Keys::NONE,
    reach: Reach::Node,
    check: Check::Nothing,
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
const FLUSH: CommandSpec = CommandSpec { reach: Reach::Cluster(Merge::Ok), flags: WRITE, run: key::flush, ..SPACE };
const EXPIRY: CommandSpec = CommandSpec { family: Family::Expiry, arity: 2, ..SLOT };
const TRANSACTION: CommandSpec = CommandSpec { family: Family::Transaction, flags: IMMEDIATE, ..ROW };
const FAMILY: CommandSpec = CommandSpec { arity: -2, run: sub::alone, ..ROW };
const CONNECTION: CommandSpec = CommandSpec { family: Family::Connection, flags: Flags::FAST, ..ROW };
const CLUSTER: CommandSpec = CommandSpec { family: Family::Cluster, ..ROW };
const SUBSCRIBE: CommandSpec = CommandSpec { family: Family::Publish, arity: -2, flags: Flags::SUBSCRIBES, ..ROW };

const SNAPSHOT: CommandSpec =
    CommandSpec { flags: Flags::ADMIN.and(Flags::NO_MULTI).and(Flags::LOADED), run: snapshot::save, ..ROW };

/// Every command, ordered by name.
pub(super) const ROWS: &[CommandSpec] = &[
    CommandSpec {
        text: text!("acl", "WHOAMI | HELP", "Answer which user the client is: default, there is no other"),
        subcommands: families::ACL,
        ..FAMILY
    },
    CommandSpec {
        text: text!("append", "key value", "Append to a value; a missing key counts as empty"),
        arity: 3,
        rest: 2,
        flags: STORE_FAST,
        face: Face::Ok,
        run: string::append,
        ..STRING
    },
    CommandSpec {
        text: text!("asking", "", "Do nothing: any node takes any command for any key"),
        flags: Flags::FAST,
        run: cluster::asking,
        ..CLUSTER
    },
    CommandSpec {
        text: text!("auth", "[user] password", "Authenticate; the only user is default"),
        arity: -2,
        flags: FREE,
        shown: Shown::Before(1),
        run: session::auth,
        ..CONNECTION
    },
    CommandSpec {
        text: text!("bgsave", "[SCHEDULE]", "Begin a snapshot of all keys"),
        arity: -1,
        run: snapshot::bgsave,
        ..SNAPSHOT
    },
    CommandSpec {
        text: text!("bitcount", "key [start end [BYTE | BIT]]", "Count the bits that are set"),
        arity: -2,
        flags: READ,
        run: bits::bitcount,
        ..BITS
    },
    CommandSpec {
        text: text!(
            "bitfield",
            "key [GET type offset | [OVERFLOW WRAP | SAT | FAIL] SET type offset value | INCRBY type offset qty ...]",
            "Read and change integers of any width"
        ),
        arity: -2,
        flags: STORE,
        run: bitfield::bitfield,
        ..BITS
    },
    CommandSpec {
        text: text!("bitfield_ro", "key [GET type offset ...]", "Read integers of any width"),
        arity: -2,
        flags: READ_FAST,
        run: bitfield::bitfield_ro,
        ..BITS
    },
    CommandSpec {
        text: text!(
            "bitop",
            "AND | OR | XOR | NOT destination key [key ...]",
            "Combine values bit by bit into another one"
        ),
        arity: -4,
        keys: Keys::FROM_SECOND,
        flags: STORE,
        run: bits::bitop,
        ..BITS
    },
    CommandSpec {
        text: text!("bitpos", "key bit [start [end [BYTE | BIT]]]", "Find the first bit that is set, or clear"),
        arity: -3,
        flags: READ,
        run: bits::bitpos,
        ..BITS
    },
    CommandSpec {
        text: text!(
            "client",
            "GETNAME | HELP | ID | INFO | KILL ... | LIST ... | NO-EVICT | NO-TOUCH | REPLY | SETINFO | SETNAME",
            "Tell of clients, name this one, close others"
        ),
        family: Family::Connection,
        subcommands: families::CLIENT,
        ..FAMILY
    },
    CommandSpec {
        text: text!(
            "cluster",
            "COUNTKEYSINSLOT ... | GETKEYSINSLOT ... | HELP | INFO | KEYSLOT | LINKS | MYID | NODES | SHARDS | SLOTS",
            "Tell of the cluster as Redis Cluster does"
        ),
        arity: -2,
        subcommands: families::CLUSTER,
        run: sub::alone,
        ..CLUSTER
    },
    CommandSpec {
        text: text!("clusterinfo", "", "Show the nodes of the cluster in a table"),
        run: cluster::table,
        ..CLUSTER
    },
    CommandSpec {
        text: text!(
            "command",
            "[COUNT | LIST | INFO [name ...] | DOCS [name ...] | GETKEYS command [arg ...] | HELP]",
            "Tell of the commands that there are"
        ),
        arity: -1,
        reach: Reach::Anywhere,
        subcommands: families::COMMAND,
        run: docs::command,
        ..ROW
    },
    CommandSpec {
        text: text!(
            "config",
            "GET pattern [pattern ...] | SET name value [name value ...] | RESETSTAT | HELP",
            "Answer or change settings, by Redis's names; forget what was counted"
        ),
        subcommands: families::CONFIG,
        ..FAMILY
    },
    CommandSpec {
        text: text!("copy", "source destination [DB 0] [REPLACE]", "Copy a value and its expiry to another key"),
        arity: -3,
        keys: Keys::TWO,
        flags: STORE,
        run: key::copy,
        ..KEY
    },
    CommandSpec {
        text: text!("dbsize", "", "Count the keys"),
        reach: Reach::Cluster(Merge::Sum),
        flags: READ_FAST,
        run: key::dbsize,
        ..SPACE
    },
    CommandSpec {
        text: text!("debug", "SLEEP seconds", "Hold up the whole server, for tests; only with --enable-debug-command"),
        arity: -2,
        flags: Flags::ADMIN.and(Flags::DEBUG),
        run: admin::debug,
        ..ROW
    },
    CommandSpec {
        text: text!("dec", "key [qty]", "Subtract from an integer, 1 where nothing is said"),
        run: counter::dec,
        ..COUNTER
    },
    CommandSpec {
        text: text!("decf", "key [qty]", "Subtract from a decimal number, exactly, 1.0 where nothing is said"),
        run: counter::decf,
        ..COUNTER
    },
    CommandSpec { text: text!("decr", "key", "Subtract 1 from an integer"), arity: 2, run: counter::dec, ..COUNTER },
    CommandSpec {
        text: text!("decrby", "key qty", "Subtract from an integer"),
        arity: 3,
        run: counter::decrby,
        ..COUNTER
    },
    CommandSpec {
        text: text!("del", "key [key ...]", "Delete keys"),
        arity: -2,
        keys: Keys::ALL,
        reach: Reach::Split(Merge::Sum),
        flags: WRITE,
        face: Face::OkOrNull,
        run: key::del,
        ..KEY
    },
    CommandSpec {
        text: text!("delifeq", "key value", "Delete a key if it has this value"),
        arity: 3,
        flags: WRITE_FAST,
        run: string::delifeq,
        ..STRING
    },
    CommandSpec {
        text: text!("discard", "", "Forget what was queued since MULTI"),
        run: transaction::discard,
        ..TRANSACTION
    },
    CommandSpec {
        text: text!("dump", "key", "Answer a value in the form that RESTORE takes"),
        arity: 2,
        flags: READ,
        run: dump::dump,
        ..KEY
    },
    CommandSpec {
        text: text!("echo", "message", "Answer the message"),
        arity: 2,
        reach: Reach::Anywhere,
        rest: 1,
        run: session::echo,
        ..CONNECTION
    },
    CommandSpec {
        text: text!("exec", "", "Execute what was queued since MULTI, as one"),
        shown: Shown::Nothing,
        reach: Reach::Handled,
        flags: Flags::IMMEDIATE.and(Flags::ENDS_MULTI),
        run: transaction::exec,
        ..TRANSACTION
    },
    CommandSpec {
        text: text!("exists", "key [key ...]", "Count how many of the keys exist"),
        arity: -2,
        keys: Keys::ALL,
        reach: Reach::Split(Merge::Sum),
        flags: READ_FAST,
        run: key::exists,
        ..KEY
    },
    CommandSpec {
        text: text!("exit", "[anything ...]", "Close the connection"),
        arity: -1,
        flags: FREE_IMMEDIATE,
        face: Face::Silent,
        run: session::quit,
        ..CONNECTION
    },
    CommandSpec {
        text: text!("expire", "key seconds [NX | XX | GT | LT]", "Let a key end after seconds"),
        arity: -3,
        flags: WRITE_BRIEF,
        run: expiry::expire,
        ..EXPIRY
    },
    CommandSpec {
        text: text!(
            "expireat",
            "key unix-seconds [NX | XX | GT | LT]",
            "Let a key end at a time in seconds since the Unix epoch"
        ),
        arity: -3,
        flags: WRITE_FAST,
        run: expiry::expireat,
        ..EXPIRY
    },
    CommandSpec {
        text: text!("expiretime", "key", "Answer when a key ends, in seconds since the Unix epoch"),
        flags: READ_BRIEF,
        run: expiry::expiretime,
        ..EXPIRY
    },
    CommandSpec { text: text!("flush", "", "Delete every key"), ..FLUSH },
    CommandSpec {
        text: text!("flushall", "[ASYNC | SYNC]", "Delete every key"),
        arity: -1,
        check: Check::Flush,
        run: key::flush_all,
        ..FLUSH
    },
    CommandSpec {
        text: text!("flushdb", "[ASYNC | SYNC]", "Delete every key"),
        arity: -1,
        check: Check::Flush,
        run: key::flush_all,
        ..FLUSH
    },
    CommandSpec { text: text!("get", "key", "Answer a value"), flags: READ_BRIEF, run: string::get, ..STRING },
    CommandSpec {
        text: text!("getbit", "key offset", "Answer a bit of a value"),
        arity: 3,
        flags: READ_FAST,
        run: bits::getbit,
        ..BITS
    },
    CommandSpec {
        text: text!("getdel", "key", "Answer a value and delete it"),
        flags: WRITE_BRIEF,
        run: string::getdel,
        ..STRING
    },
    CommandSpec {
        text: text!(
            "getex",
            "key [EX s | PX ms | EXAT unix-s | PXAT unix-ms | PERSIST]",
            "Answer a value and change when it ends"
        ),
        arity: -2,
        flags: WRITE_FAST,
        run: set::getex,
        ..STRING
    },
    CommandSpec {
        text: text!("getp", "key", "Answer a key's properties: value, creation and expiry time"),
        arity: 2,
        flags: READ_FAST,
        run: key::getp,
        ..KEY
    },
    CommandSpec {
        text: text!("getrange", "key start end", "Answer a part of a value, both ends included"),
        arity: 4,
        flags: READ,
        run: string::getrange,
        ..STRING
    },
    CommandSpec {
        text: text!("getset", "key value", "Set a value and answer the old one"),
        arity: 3,
        rest: 2,
        flags: STORE_FAST.and(Flags::BRIEF),
        run: set::getset,
        ..STRING
    },
    CommandSpec {
        text: text!(
            "hello",
            "[2 | 3 [AUTH user password] [SETNAME name]]",
            "Choose the version of RESP, authenticate, and learn of the server"
        ),
        arity: -1,
        flags: FREE,
        shown: Shown::UpToAuth,
        run: session::hello,
        ..CONNECTION
    },
    CommandSpec {
        text: text!("inc", "key [qty]", "Add to an integer, 1 where nothing is said"),
        run: counter::inc,
        ..COUNTER
    },
    CommandSpec {
        text: text!("incf", "key [qty]", "Add to a decimal number, exactly, 1.0 where nothing is said"),
        run: counter::incf,
        ..COUNTER
    },
    CommandSpec { text: text!("incr", "key", "Add 1 to an integer"), arity: 2, run: counter::inc, ..COUNTER },
    CommandSpec { text: text!("incrby", "key qty", "Add to an integer"), arity: 3, run: counter::inc, ..COUNTER },
    CommandSpec {
        text: text!("incrbyfloat", "key qty", "Add to a decimal number, exactly"),
        arity: 3,
        run: counter::incrbyfloat,
        ..COUNTER
    },
    CommandSpec {
        text: text!("info", "[section ...]", "Tell of the node: version, clients, memory, counters, keys"),
        arity: -1,
        run: info::info,
        ..ROW
    },
    CommandSpec {
        text: text!("keys", "pattern", "List the keys that match a glob pattern"),
        arity: 2,
        reach: Reach::Cluster(Merge::List),
        flags: READ,
        run: key::keys,
        ..SPACE
    },
    CommandSpec {
        text: text!("lastsave", "", "Answer when the last snapshot was made, in seconds since the Unix epoch"),
        flags: Flags::FAST,
        run: snapshot::lastsave,
        ..ROW
    },
    CommandSpec {
        text: text!(
            "latency",
            "HISTOGRAM [command ...] | LATEST | RESET [event ...] | HELP",
            "Answer how long commands took"
        ),
        subcommands: families::LATENCY,
        ..FAMILY
    },
    CommandSpec {
        text: text!(
            "lcs",
            "key1 key2 [LEN] [IDX] [MINMATCHLEN length] [WITHMATCHLEN]",
            "Answer the longest common subsequence of two values"
        ),
        arity: -3,
        keys: Keys::TWO,
        flags: READ,
        run: lcs::lcs,
        ..STRING
    },
    CommandSpec {
        text: text!(
            "memory",
            "USAGE key [SAMPLES count] | STATS | DOCTOR | HELP",
            "Answer what a key or the server takes, in bytes"
        ),
        subcommands: families::MEMORY,
        ..FAMILY
    },
    CommandSpec {
        text: text!("mget", "key [key ...]", "Answer several values"),
        arity: -2,
        keys: Keys::ALL,
        reach: Reach::Split(Merge::Items),
        flags: READ_FAST,
        run: string::mget,
        ..STRING
    },
    CommandSpec {
        text: text!("monitor", "", "Stream every request that this node executes"),
        flags: Flags::ADMIN,
        run: monitor::monitor,
        ..ROW
    },
    CommandSpec {
        text: text!("mset", "key value [key value ...]", "Set several values"),
        arity: -3,
        keys: Keys::PAIRS,
        check: Check::Pairs,
        reach: Reach::Split(Merge::Ok),
        flags: STORE,
        run: set::mset,
        ..STRING
    },
    CommandSpec {
        text: text!("msetnx", "key value [key value ...]", "Set several values if none of the keys exists"),
        arity: -3,
        keys: Keys::PAIRS,
        flags: STORE,
        run: set::msetnx,
        ..STRING
    },
    CommandSpec { text: text!("multi", "", "Queue what follows until EXEC"), run: transaction::multi, ..TRANSACTION },
    CommandSpec {
        text: text!(
            "object",
            "ENCODING key | REFCOUNT key | IDLETIME key | FREQ key | HELP",
            "Tell how a value is stored, in the terms of Redis"
        ),
        family: Family::Key,
        keys: Keys::SECOND,
        reach: Reach::Slot,
        flags: READ,
        subcommands: families::OBJECT,
        ..FAMILY
    },
    CommandSpec {
        text: text!("persist", "key", "Let a key not end any more"),
        flags: WRITE_BRIEF,
        run: expiry::persist,
        ..EXPIRY
    },
    CommandSpec {
        text: text!("pexpire", "key milliseconds [NX | XX | GT | LT]", "Let a key end after milliseconds"),
        arity: -3,
        flags: WRITE_BRIEF,
        run: expiry::pexpire,
        ..EXPIRY
    },
    CommandSpec {
        text: text!(
            "pexpireat",
            "key unix-milliseconds [NX | XX | GT | LT]",
            "Let a key end at a time in milliseconds since the Unix epoch"
        ),
        arity: -3,
        flags: WRITE_FAST,
        run: expiry::pexpireat,
        ..EXPIRY
    },
    CommandSpec {
        text: text!("pexpiretime", "key", "Answer when a key ends, in milliseconds since the Unix epoch"),
        flags: READ_BRIEF,
        run: expiry::pexpiretime,
        ..EXPIRY
    },
    CommandSpec {
        text: text!("ping", "[message]", "Answer PONG, or the message"),
        arity: -1,
        reach: Reach::Anywhere,
        flags: Flags::FAST.and(Flags::UNPROTECTED).and(Flags::SUBSCRIBED).and(Flags::LOADED),
        run: session::ping,
        ..CONNECTION
    },
    CommandSpec {
        text: text!("prepend", "key value", "Put something before a value; a missing key counts as empty"),
        arity: 3,
        rest: 2,
        flags: STORE,
        face: Face::Ok,
        run: string::prepend,
        ..STRING
    },
    CommandSpec {
        text: text!("psetex", "key milliseconds value", "Set a value that ends after milliseconds"),
        arity: 4,
        rest: 3,
        flags: STORE_BRIEF,
        run: set::psetex,
        ..STRING
    },
    CommandSpec {
        text: text!("psubscribe", "pattern [pattern ...]", "Listen to all channels that match"),
        run: publish::psubscribe,
        ..SUBSCRIBE
    },
    CommandSpec {
        text: text!("pttl", "key", "Answer how many milliseconds a key has left"),
        flags: READ_BRIEF,
        run: expiry::pttl,
        ..EXPIRY
    },
    CommandSpec {
        text: text!("publish", "channel message", "Tell all who listen to a channel"),
        family: Family::Publish,
        arity: 3,
        rest: 2,
        reach: Reach::Cluster(Merge::Reached),
        flags: Flags::PUBLISHES.and(Flags::FAST),
        run: publish::publish,
        ..ROW
    },
    CommandSpec {
        text: text!(
            "pubsub",
            "CHANNELS [pattern] | HELP | NUMPAT | NUMSUB [channel ...]",
            "Tell who listens to what on this node"
        ),
        family: Family::Publish,
        subcommands: families::PUBSUB,
        ..FAMILY
    },
    CommandSpec {
        text: text!("punsubscribe", "[pattern ...]", "Stop listening to channels that match"),
        arity: -1,
        run: publish::punsubscribe,
        ..SUBSCRIBE
    },
    CommandSpec {
        text: text!("quit", "[anything ...]", "Close the connection"),
        arity: -1,
        flags: FREE_IMMEDIATE,
        face: Face::Silent,
        run: session::quit,
        ..CONNECTION
    },
    CommandSpec {
        text: text!("randomkey", "", "Answer some key"),
        reach: Reach::Cluster(Merge::Any),
        flags: READ,
        run: key::randomkey,
        ..SPACE
    },
    CommandSpec {
        text: text!("readonly", "", "Let KEYS, SCAN, DBSIZE and RANDOMKEY of this connection tell of this node alone"),
        flags: Flags::FAST,
        run: cluster::readonly,
        ..CLUSTER
    },
    CommandSpec {
        text: text!(
            "readwrite",
            "",
            "Let KEYS, SCAN, DBSIZE and RANDOMKEY of this connection tell of the whole cluster again"
        ),
        flags: Flags::FAST,
        run: cluster::readwrite,
        ..CLUSTER
    },
    CommandSpec {
        text: text!("rename", "key newkey", "Give a key another name; one that has that name already is replaced"),
        arity: 3,
        keys: Keys::TWO,
        flags: WRITE,
        run: key::rename,
        ..KEY
    },
    CommandSpec {
        text: text!("renamenx", "key newkey", "Give a key another name, if no key has it"),
        arity: 3,
        keys: Keys::TWO,
        flags: WRITE_FAST,
        run: key::renamenx,
        ..KEY
    },
    CommandSpec {
        text: text!("reset", "", "Start the connection over, as if it had just come"),
        flags: FREE_IMMEDIATE,
        run: session::reset,
        ..CONNECTION
    },
    CommandSpec {
        text: text!(
            "restore",
            "key ttl payload [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ count]",
            "Set a value as DUMP has answered it, here or in Redis"
        ),
        arity: -4,
        flags: STORE,
        run: dump::restore,
        ..KEY
    },
    CommandSpec {
        text: text!("save", "", "Make a snapshot of all keys, and wait for it"),
        run: snapshot::save,
        ..SNAPSHOT
    },
    CommandSpec {
        text: text!(
            "scan",
            "cursor [MATCH pattern] [COUNT count] [TYPE type]",
            "List keys a few at a time; a key present throughout is listed"
        ),
        arity: -2,
        reach: Reach::Scan,
        flags: READ,
        run: key::scan,
        ..SPACE
    },
    CommandSpec {
        text: text!("select", "index", "Choose the keyspace; there is one, 0"),
        arity: 2,
        reach: Reach::Anywhere,
        run: session::select,
        ..CONNECTION
    },
    CommandSpec {
        text: text!(
            "set",
            "key value [NX | XX | IFEQ value] [GET] [EX s | PX ms | EXAT unix-s | PXAT unix-ms | KEEPTTL]",
            "Set a value; in the text protocol without options"
        ),
        arity: -3,
        rest: 2,
        flags: STORE_BRIEF,
        run: set::set,
        ..STRING
    },
    CommandSpec {
        text: text!(
            "setbit",
            "key offset bit",
            "Set or clear a bit and answer what it was; what is missing before it becomes zeros"
        ),
        arity: 4,
        flags: STORE,
        run: bits::setbit,
        ..BITS
    },
    CommandSpec {
        text: text!("setex", "key seconds value", "Set a value that ends after seconds"),
        arity: 4,
        rest: 3,
        flags: STORE_BRIEF,
        run: set::setex,
        ..STRING
    },
    CommandSpec {
        text: text!("setnx", "key value", "Set a value where there is none"),
        arity: 3,
        rest: 2,
        flags: STORE_FAST.and(Flags::BRIEF),
        run: set::setnx,
        ..STRING
    },
    CommandSpec {
        text: text!(
            "setrange",
            "key offset value",
            "Write over a part of a value; what is missing before it becomes zeros"
        ),
        arity: 4,
        rest: 3,
        flags: STORE,
        run: string::setrange,
        ..STRING
    },
    CommandSpec {
        text: text!(
            "shutdown",
            "[NOSAVE | SAVE] [NOW] [FORCE]",
            "End the server as SIGTERM does: what is owed is sent first"
        ),
        arity: -1,
        flags: Flags::ADMIN.and(Flags::NO_MULTI),
        run: session::shutdown,
        ..ROW
    },
    CommandSpec {
        text: text!("slowlog", "GET [count] | LEN | RESET | HELP", "Answer the last requests that took long"),
        subcommands: families::SLOWLOG,
        ..FAMILY
    },
    CommandSpec {
        text: text!("strlen", "key", "Answer a value's length in bytes"),
        flags: READ_BRIEF,
        run: string::strlen,
        ..STRING
    },
    CommandSpec {
        text: text!("subscribe", "channel [channel ...]", "Listen to channels"),
        run: publish::subscribe,
        ..SUBSCRIBE
    },
    CommandSpec {
        text: text!("substr", "key start end", "Answer a part of a value, as GETRANGE does"),
        arity: 4,
        flags: READ,
        run: string::getrange,
        ..STRING
    },
    CommandSpec {
        text: text!("time", "", "Answer the wall clock: seconds since the Unix epoch, and microseconds"),
        reach: Reach::Anywhere,
        flags: Flags::FAST,
        run: admin::time,
        ..ROW
    },
    CommandSpec {
        text: text!("touch", "key [key ...]", "Count how many of the keys exist"),
        arity: -2,
        keys: Keys::ALL,
        reach: Reach::Split(Merge::Sum),
        flags: READ_FAST,
        run: key::touch,
        ..KEY
    },
    CommandSpec {
        text: text!("ttl", "key", "Answer how many seconds a key has left"),
        flags: READ_BRIEF,
        run: expiry::ttl,
        ..EXPIRY
    },
    CommandSpec {
        text: text!("type", "key", "Answer what a key holds: string, or none"),
        arity: 2,
        flags: READ_BRIEF,
        run: key::kind,
        ..KEY
    },
    CommandSpec {
        text: text!("unlink", "key [key ...]", "Delete keys"),
        arity: -2,
        keys: Keys::ALL,
        reach: Reach::Split(Merge::Sum),
        flags: WRITE_FAST,
        face: Face::OkOrNull,
        run: key::del,
        ..KEY
    },
    CommandSpec {
        text: text!("unsubscribe", "[channel ...]", "Stop listening to channels"),
        arity: -1,
        run: publish::unsubscribe,
        ..SUBSCRIBE
    },
    CommandSpec {
        text: text!("unwatch", "", "Forget the watched keys"),
        reach: Reach::Anywhere,
        flags: Flags::FAST,
        run: transaction::unwatch_all,
        ..TRANSACTION
    },
    CommandSpec {
        text: text!("watch", "key [key ...]", "Let EXEC do nothing if one of the keys has changed by then"),
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
    while row < ROWS.len() {
        let (name, next) = (cut(ROWS[row - 1].text).0, cut(ROWS[row].text).0);
        assert!(before(name.as_bytes(), next.as_bytes()), "rows stand by name");
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
