//! The subcommands of the commands that are families: rows within rows, in Redis's order of names.

use super::route::Reach;
use super::table::{Flags, Keys};
use super::texts::{WrittenSub as Subcommand, text};
use super::{admin, client, cluster, docs, latency, memory, object, publish, settings, slowlog};

const SUB: Subcommand = Subcommand::ROW;
const SUB_PUBSUB: Subcommand = Subcommand { flags: Flags::PUBSUB, ..SUB };
const SUB_ADMIN: Subcommand = Subcommand { flags: Flags::ADMIN, ..SUB };
const SUB_KEY: Subcommand =
    Subcommand { arity: 3, keys: Keys::SECOND, reach: Reach::Slot, flags: Flags::READONLY, ..SUB };
/// Of what is the same on every node.
const SUB_ANYWHERE: Subcommand = Subcommand { reach: Reach::Anywhere, ..SUB };

pub(super) const ACL: &[Subcommand] = &[Subcommand {
    text: text!("acl|whoami", "", "Return the current connection username"),
    run: admin::whoami,
    ..SUB_ANYWHERE
}];

pub(super) const CLIENT: &[Subcommand] = &[
    Subcommand { text: text!("client|getname", "", "Return the connection's name"), run: client::get_name, ..SUB },
    Subcommand { text: text!("client|id", "", "Return the connection's number"), run: client::id, ..SUB },
    Subcommand { text: text!("client|info", "", "Return what is known of the connection"), run: client::info, ..SUB },
    Subcommand {
        text: text!(
            "client|kill",
            "<ip:port> | <option> <value> ...",
            "Close connections: by address, or by ADDR, LADDR, ID, TYPE, USER, SKIPME"
        ),
        arity: -3,
        run: client::kill,
        ..SUB_ADMIN
    },
    Subcommand {
        text: text!(
            "client|list",
            "[TYPE normal|pubsub | ID <id> ...]",
            "Return what is known of connections, a line each"
        ),
        arity: -2,
        run: client::list,
        ..SUB_ADMIN
    },
    Subcommand {
        text: text!("client|no-evict", "on|off", "Let eviction pass the connection over, or not"),
        arity: 3,
        run: client::no_evict,
        ..SUB_ADMIN
    },
    Subcommand {
        text: text!(
            "client|no-touch",
            "on|off",
            "Let reads of the connection leave no trace in what eviction knows, or not"
        ),
        arity: 3,
        run: client::no_touch,
        ..SUB
    },
    Subcommand {
        text: text!(
            "client|pause",
            "<timeout> [WRITE|ALL]",
            "Hold up all clients, or their writes, for so many milliseconds"
        ),
        arity: -3,
        run: client::pause,
        ..SUB_ADMIN
    },
    Subcommand {
        text: text!("client|reply", "on|off|skip", "Say which replies are sent"),
        arity: 3,
        run: client::set_replies,
        ..SUB
    },
    Subcommand {
        text: text!("client|setinfo", "LIB-NAME|LIB-VER <value>", "Say what library the connection uses"),
        arity: 4,
        run: client::set_info,
        ..SUB
    },
    Subcommand {
        text: text!("client|setname", "<name>", "Give the connection a name"),
        arity: 3,
        run: client::set_name,
        ..SUB
    },
    Subcommand { text: text!("client|unpause", "", "Let all clients go on"), run: client::unpause, ..SUB_ADMIN },
];

pub(super) const CLUSTER: &[Subcommand] = &[
    Subcommand {
        text: text!(
            "cluster|countkeysinslot",
            "<slot>",
            "Return the number of keys in <slot>, of 16384 that stand for 8192"
        ),
        arity: 3,
        reach: Reach::Number,
        flags: Flags::READONLY,
        run: cluster::count_keys_in_slot,
        ..SUB
    },
    Subcommand {
        text: text!("cluster|getkeysinslot", "<slot> <count>", "Return key names stored in <slot>, at most <count>"),
        arity: 4,
        reach: Reach::Number,
        flags: Flags::READONLY,
        run: cluster::get_keys_in_slot,
        ..SUB
    },
    Subcommand { text: text!("cluster|info", "", "Return information about the cluster"), run: cluster::info, ..SUB },
    Subcommand {
        text: text!("cluster|keyslot", "<key>", "Return the hash slot for <key>, of 16384"),
        arity: 3,
        run: cluster::key_slot,
        ..SUB_ANYWHERE
    },
    Subcommand {
        text: text!("cluster|links", "", "Return information about all network links between this node and its peers"),
        run: cluster::links,
        ..SUB
    },
    Subcommand { text: text!("cluster|myid", "", "Return the node id"), run: cluster::my_id, ..SUB },
    Subcommand {
        text: text!("cluster|nodes", "", "Return cluster configuration seen by node, a line each node"),
        run: cluster::nodes,
        ..SUB
    },
    Subcommand {
        text: text!(
            "cluster|shards",
            "",
            "Return information about slot range mappings and the nodes associated with them"
        ),
        run: cluster::shards,
        ..SUB
    },
    Subcommand {
        text: text!("cluster|slots", "", "Return information about slots range mappings"),
        run: cluster::slots,
        ..SUB
    },
];

pub(super) const OBJECT: &[Subcommand] = &[
    Subcommand {
        text: text!("object|encoding", "<key>", "Return how Redis would store the value"),
        run: object::encoding,
        ..SUB_KEY
    },
    Subcommand {
        text: text!("object|freq", "<key>", "Return how often the key was accessed, under an LFU policy"),
        run: object::freq,
        ..SUB_KEY
    },
    Subcommand {
        text: text!("object|idletime", "<key>", "Return how long the key was not accessed, under an LRU policy"),
        run: object::idle_time,
        ..SUB_KEY
    },
    Subcommand {
        text: text!("object|refcount", "<key>", "Return how many references the value has: 1"),
        run: object::ref_count,
        ..SUB_KEY
    },
];

pub(super) const COMMAND: &[Subcommand] = &[
    Subcommand {
        text: text!("command|count", "", "Return the total number of commands in this server"),
        run: docs::count,
        ..SUB_ANYWHERE
    },
    Subcommand {
        text: text!(
            "command|docs",
            "[<command-name> ...]",
            "Return documentation details about several commands, all where none is named"
        ),
        arity: -2,
        run: docs::docs,
        ..SUB_ANYWHERE
    },
    Subcommand {
        text: text!("command|getkeys", "<full-command>", "Return the keys from a full command"),
        arity: -4,
        run: docs::get_keys,
        ..SUB_ANYWHERE
    },
    Subcommand {
        text: text!(
            "command|getkeysandflags",
            "<full-command>",
            "Return the keys and the access flags from a full command"
        ),
        arity: -4,
        run: docs::get_keys_and_flags,
        ..SUB_ANYWHERE
    },
    Subcommand {
        text: text!(
            "command|info",
            "[<command-name> ...]",
            "Return details about several commands, all where none is named"
        ),
        arity: -2,
        run: docs::info,
        ..SUB_ANYWHERE
    },
    Subcommand {
        text: text!(
            "command|list",
            "[FILTERBY MODULE <name> | ACLCAT <category> | PATTERN <pattern>]",
            "Return a list of all commands in this server"
        ),
        arity: -2,
        run: docs::list,
        ..SUB_ANYWHERE
    },
];

pub(super) const CONFIG: &[Subcommand] = &[
    Subcommand {
        text: text!(
            "config|get",
            "<pattern> [<pattern> ...]",
            "Return parameters matching the glob-like <pattern> and their values"
        ),
        arity: -3,
        run: settings::get,
        ..SUB_ADMIN
    },
    Subcommand {
        text: text!("config|resetstat", "", "Reset statistics reported by the INFO command"),
        run: settings::reset_stat,
        ..SUB_ADMIN
    },
    Subcommand {
        text: text!("config|rewrite", "", "Rewrite the configuration file; there is none"),
        run: settings::rewrite,
        ..SUB_ADMIN
    },
    Subcommand {
        text: text!(
            "config|set",
            "<directive> <value> [<directive> <value> ...]",
            "Set the configuration <directive> to <value>"
        ),
        arity: -4,
        run: settings::set,
        ..SUB_ADMIN
    },
];

pub(super) const LATENCY: &[Subcommand] = &[
    Subcommand {
        text: text!("latency|graph", "<event>", "Return an error: no events are recorded"),
        arity: 3,
        run: latency::graph,
        ..SUB_ADMIN
    },
    Subcommand {
        text: text!(
            "latency|histogram",
            "[<command> ...]",
            "Return a cumulative distribution of the latencies of commands, all where none is named"
        ),
        arity: -2,
        run: latency::histogram,
        ..SUB_ADMIN
    },
    Subcommand {
        text: text!("latency|history", "<event>", "Return nothing: no events are recorded"),
        arity: 3,
        run: latency::none,
        ..SUB_ADMIN
    },
    Subcommand {
        text: text!("latency|latest", "", "Return nothing: no events are recorded"),
        run: latency::none,
        ..SUB_ADMIN
    },
    Subcommand {
        text: text!("latency|reset", "[<event> ...]", "Reset latency data of one or more <event> classes: of none"),
        arity: -2,
        run: latency::reset,
        ..SUB_ADMIN
    },
];

pub(super) const MEMORY: &[Subcommand] = &[
    Subcommand { text: text!("memory|doctor", "", "Return memory problems reports"), run: memory::doctor, ..SUB },
    Subcommand {
        text: text!("memory|stats", "", "Return information about the memory usage of the server"),
        run: memory::stats,
        ..SUB
    },
    Subcommand {
        text: text!("memory|usage", "<key> [SAMPLES <count>]", "Return memory in bytes used by <key> and its value"),
        arity: -3,
        run: memory::usage,
        ..SUB_KEY
    },
];

pub(super) const PUBSUB: &[Subcommand] = &[
    Subcommand {
        text: text!(
            "pubsub|channels",
            "[<pattern>]",
            "Return the currently active channels matching a <pattern> (default: '*')"
        ),
        arity: -2,
        run: publish::channels,
        ..SUB_PUBSUB
    },
    Subcommand {
        text: text!("pubsub|numpat", "", "Return number of subscriptions to patterns"),
        run: publish::count_patterns,
        ..SUB_PUBSUB
    },
    Subcommand {
        text: text!(
            "pubsub|numsub",
            "[<channel> ...]",
            "Return the number of subscribers for the specified channels, excluding pattern subscriptions"
        ),
        arity: -2,
        run: publish::count_subscribers,
        ..SUB_PUBSUB
    },
];

pub(super) const SLOWLOG: &[Subcommand] = &[
    Subcommand {
        text: text!(
            "slowlog|get",
            "[<count>]",
            "Return top <count> entries from the slowlog (default: 10, -1 mean all)"
        ),
        arity: -2,
        run: slowlog::get,
        ..SUB_ADMIN
    },
    Subcommand { text: text!("slowlog|len", "", "Return the length of the slowlog"), run: slowlog::len, ..SUB_ADMIN },
    Subcommand { text: text!("slowlog|reset", "", "Reset the slowlog"), run: slowlog::reset, ..SUB_ADMIN },
];
