//! The subcommands of the commands that are families: rows within rows, in Redis's order of names.

use super::route::Reach;
use super::sub::Subcommand;
use super::table::{Flags, Keys};
use super::{admin, client, cluster, docs, latency, memory, object, publish, settings, slowlog};

const SUB: Subcommand = Subcommand::ROW;
const SUB_PUBSUB: Subcommand = Subcommand { flags: Flags::PUBSUB, ..SUB };
const SUB_ADMIN: Subcommand = Subcommand { flags: Flags::ADMIN, ..SUB };
const SUB_KEY: Subcommand =
    Subcommand { arity: 3, keys: Keys::SECOND, reach: Reach::Slot, flags: Flags::READONLY, ..SUB };
/// Of what is the same on every node.
const SUB_ANYWHERE: Subcommand = Subcommand { reach: Reach::Anywhere, ..SUB };

pub(super) const ACL: &[Subcommand] = &[Subcommand {
    name: "acl|whoami",
    summary: "Return the current connection username",
    run: admin::whoami,
    ..SUB_ANYWHERE
}];

pub(super) const CLIENT: &[Subcommand] = &[
    Subcommand { name: "client|getname", summary: "Return the connection's name", run: client::get_name, ..SUB },
    Subcommand { name: "client|id", summary: "Return the connection's number", run: client::id, ..SUB },
    Subcommand { name: "client|info", summary: "Return what is known of the connection", run: client::info, ..SUB },
    Subcommand {
        name: "client|kill",
        usage: "<ip:port> | <option> <value> ...",
        summary: "Close connections: by address, or by ADDR, LADDR, ID, TYPE, USER, SKIPME",
        arity: -3,
        run: client::kill,
        ..SUB_ADMIN
    },
    Subcommand {
        name: "client|list",
        usage: "[TYPE normal|pubsub | ID <id> ...]",
        summary: "Return what is known of connections, a line each",
        arity: -2,
        run: client::list,
        ..SUB_ADMIN
    },
    Subcommand {
        name: "client|no-evict",
        usage: "on|off",
        summary: "Let eviction pass the connection over, or not",
        arity: 3,
        run: client::no_evict,
        ..SUB_ADMIN
    },
    Subcommand {
        name: "client|no-touch",
        usage: "on|off",
        summary: "Let reads of the connection leave no trace in what eviction knows, or not",
        arity: 3,
        run: client::no_touch,
        ..SUB
    },
    Subcommand {
        name: "client|pause",
        usage: "<timeout> [WRITE|ALL]",
        summary: "Hold up all clients, or their writes, for so many milliseconds",
        arity: -3,
        run: client::pause,
        ..SUB_ADMIN
    },
    Subcommand {
        name: "client|reply",
        usage: "on|off|skip",
        summary: "Say which replies are sent",
        arity: 3,
        run: client::set_replies,
        ..SUB
    },
    Subcommand {
        name: "client|setinfo",
        usage: "LIB-NAME|LIB-VER <value>",
        summary: "Say what library the connection uses",
        arity: 4,
        run: client::set_info,
        ..SUB
    },
    Subcommand {
        name: "client|setname",
        usage: "<name>",
        summary: "Give the connection a name",
        arity: 3,
        run: client::set_name,
        ..SUB
    },
    Subcommand { name: "client|unpause", summary: "Let all clients go on", run: client::unpause, ..SUB_ADMIN },
];

pub(super) const CLUSTER: &[Subcommand] = &[
    Subcommand {
        name: "cluster|countkeysinslot",
        usage: "<slot>",
        summary: "Return the number of keys in <slot>, of 16384 that stand for 8192",
        arity: 3,
        reach: Reach::Number,
        flags: Flags::READONLY,
        run: cluster::count_keys_in_slot,
        ..SUB
    },
    Subcommand {
        name: "cluster|getkeysinslot",
        usage: "<slot> <count>",
        summary: "Return key names stored in <slot>, at most <count>",
        arity: 4,
        reach: Reach::Number,
        flags: Flags::READONLY,
        run: cluster::get_keys_in_slot,
        ..SUB
    },
    Subcommand { name: "cluster|info", summary: "Return information about the cluster", run: cluster::info, ..SUB },
    Subcommand {
        name: "cluster|keyslot",
        usage: "<key>",
        summary: "Return the hash slot for <key>, of 16384",
        arity: 3,
        run: cluster::key_slot,
        ..SUB_ANYWHERE
    },
    Subcommand {
        name: "cluster|links",
        summary: "Return information about all network links between this node and its peers",
        run: cluster::links,
        ..SUB
    },
    Subcommand { name: "cluster|myid", summary: "Return the node id", run: cluster::my_id, ..SUB },
    Subcommand {
        name: "cluster|nodes",
        summary: "Return cluster configuration seen by node, a line each node",
        run: cluster::nodes,
        ..SUB
    },
    Subcommand {
        name: "cluster|shards",
        summary: "Return information about slot range mappings and the nodes associated with them",
        run: cluster::shards,
        ..SUB
    },
    Subcommand {
        name: "cluster|slots",
        summary: "Return information about slots range mappings",
        run: cluster::slots,
        ..SUB
    },
];

pub(super) const OBJECT: &[Subcommand] = &[
    Subcommand {
        name: "object|encoding",
        usage: "<key>",
        summary: "Return how Redis would store the value",
        run: object::encoding,
        ..SUB_KEY
    },
    Subcommand {
        name: "object|freq",
        usage: "<key>",
        summary: "Return how often the key was accessed, under an LFU policy",
        run: object::freq,
        ..SUB_KEY
    },
    Subcommand {
        name: "object|idletime",
        usage: "<key>",
        summary: "Return how long the key was not accessed, under an LRU policy",
        run: object::idle_time,
        ..SUB_KEY
    },
    Subcommand {
        name: "object|refcount",
        usage: "<key>",
        summary: "Return how many references the value has: 1",
        run: object::ref_count,
        ..SUB_KEY
    },
];

pub(super) const COMMAND: &[Subcommand] = &[
    Subcommand {
        name: "command|count",
        summary: "Return the total number of commands in this server",
        run: docs::count,
        ..SUB_ANYWHERE
    },
    Subcommand {
        name: "command|docs",
        usage: "[<command-name> ...]",
        summary: "Return documentation details about several commands, all where none is named",
        arity: -2,
        run: docs::docs,
        ..SUB_ANYWHERE
    },
    Subcommand {
        name: "command|getkeys",
        usage: "<full-command>",
        summary: "Return the keys from a full command",
        arity: -4,
        run: docs::get_keys,
        ..SUB_ANYWHERE
    },
    Subcommand {
        name: "command|getkeysandflags",
        usage: "<full-command>",
        summary: "Return the keys and the access flags from a full command",
        arity: -4,
        run: docs::get_keys_and_flags,
        ..SUB_ANYWHERE
    },
    Subcommand {
        name: "command|info",
        usage: "[<command-name> ...]",
        summary: "Return details about several commands, all where none is named",
        arity: -2,
        run: docs::info,
        ..SUB_ANYWHERE
    },
    Subcommand {
        name: "command|list",
        usage: "[FILTERBY MODULE <name> | ACLCAT <category> | PATTERN <pattern>]",
        summary: "Return a list of all commands in this server",
        arity: -2,
        run: docs::list,
        ..SUB_ANYWHERE
    },
];

pub(super) const CONFIG: &[Subcommand] = &[
    Subcommand {
        name: "config|get",
        usage: "<pattern> [<pattern> ...]",
        summary: "Return parameters matching the glob-like <pattern> and their values",
        arity: -3,
        run: settings::get,
        ..SUB_ADMIN
    },
    Subcommand {
        name: "config|resetstat",
        summary: "Reset statistics reported by the INFO command",
        run: settings::reset_stat,
        ..SUB_ADMIN
    },
    Subcommand {
        name: "config|rewrite",
        summary: "Rewrite the configuration file; there is none",
        run: settings::rewrite,
        ..SUB_ADMIN
    },
    Subcommand {
        name: "config|set",
        usage: "<directive> <value> [<directive> <value> ...]",
        summary: "Set the configuration <directive> to <value>",
        arity: -4,
        run: settings::set,
        ..SUB_ADMIN
    },
];

pub(super) const LATENCY: &[Subcommand] = &[
    Subcommand {
        name: "latency|graph",
        usage: "<event>",
        summary: "Return an error: no events are recorded",
        arity: 3,
        run: latency::graph,
        ..SUB_ADMIN
    },
    Subcommand {
        name: "latency|histogram",
        usage: "[<command> ...]",
        summary: "Return a cumulative distribution of the latencies of commands, all where none is named",
        arity: -2,
        run: latency::histogram,
        ..SUB_ADMIN
    },
    Subcommand {
        name: "latency|history",
        usage: "<event>",
        summary: "Return nothing: no events are recorded",
        arity: 3,
        run: latency::none,
        ..SUB_ADMIN
    },
    Subcommand {
        name: "latency|latest",
        summary: "Return nothing: no events are recorded",
        run: latency::none,
        ..SUB_ADMIN
    },
    Subcommand {
        name: "latency|reset",
        usage: "[<event> ...]",
        summary: "Reset latency data of one or more <event> classes: of none",
        arity: -2,
        run: latency::reset,
        ..SUB_ADMIN
    },
];

pub(super) const MEMORY: &[Subcommand] = &[
    Subcommand { name: "memory|doctor", summary: "Return memory problems reports", run: memory::doctor, ..SUB },
    Subcommand {
        name: "memory|stats",
        summary: "Return information about the memory usage of the server",
        run: memory::stats,
        ..SUB
    },
    Subcommand {
        name: "memory|usage",
        usage: "<key> [SAMPLES <count>]",
        summary: "Return memory in bytes used by <key> and its value",
        arity: -3,
        run: memory::usage,
        ..SUB_KEY
    },
];

pub(super) const PUBSUB: &[Subcommand] = &[
    Subcommand {
        name: "pubsub|channels",
        usage: "[<pattern>]",
        summary: "Return the currently active channels matching a <pattern> (default: '*')",
        arity: -2,
        run: publish::channels,
        ..SUB_PUBSUB
    },
    Subcommand {
        name: "pubsub|numpat",
        summary: "Return number of subscriptions to patterns",
        run: publish::count_patterns,
        ..SUB_PUBSUB
    },
    Subcommand {
        name: "pubsub|numsub",
        usage: "[<channel> ...]",
        summary: "Return the number of subscribers for the specified channels, excluding pattern subscriptions",
        arity: -2,
        run: publish::count_subscribers,
        ..SUB_PUBSUB
    },
];

pub(super) const SLOWLOG: &[Subcommand] = &[
    Subcommand {
        name: "slowlog|get",
        usage: "[<count>]",
        summary: "Return top <count> entries from the slowlog (default: 10, -1 mean all)",
        arity: -2,
        run: slowlog::get,
        ..SUB_ADMIN
    },
    Subcommand { name: "slowlog|len", summary: "Return the length of the slowlog", run: slowlog::len, ..SUB_ADMIN },
    Subcommand { name: "slowlog|reset", summary: "Reset the slowlog", run: slowlog::reset, ..SUB_ADMIN },
];
