//! The cluster as its commands show it: CLUSTER in the shapes of Redis Cluster, CLUSTERINFO for people, READONLY.
//!
//! Redis Cluster has 16384 slots where there are 8192 here. A client's slot modulo 8192 is ours, so each node's range
//! is shown twice, and a client that computes slots finds every key's owner at the first try.

use super::walk::Found;
use super::{CommandError, Ctx, Flow, Now, Outcome, integer};
use crate::limits::{SCAN_ENTRIES_MAX, SLOTS};
use crate::proto::{Args, Reply};
use crate::store::{Cursor, SlotId};
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

/// As many slots as clients of Redis Cluster know.
const CLIENT_SLOTS: usize = 16384;

const _: () = assert!(CLIENT_SLOTS == 2 * SLOTS);

/// What commands may learn of the cluster. Made anew by each call, so it is asked only where it is shown.
pub trait Topology {
    /// Whether the node is in a cluster at all.
    fn is_cluster(&self) -> bool;

    /// The map's number: 1 as long as it never changes.
    fn epoch(&self) -> u64;

    /// Every node in the order of the map, this one among them.
    fn nodes(&self) -> Vec<NodeView>;
}

/// The topology of a node that is in no cluster.
pub struct NoCluster;

impl Topology for NoCluster {
    fn is_cluster(&self) -> bool {
        false
    }

    fn epoch(&self) -> u64 {
        0
    }

    fn nodes(&self) -> Vec<NodeView> {
        Vec::new()
    }
}

/// A node as this one sees it. Times are of the boot clock; what is counted is counted since this node's start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeView {
    /// Forty hexadecimal digits, the same on every node and after every start.
    pub id: String,
    /// What it is called in the cluster's file, or announces.
    pub name: String,
    /// Its address.
    pub ip: IpAddr,
    /// The port for clients.
    pub port: u16,
    /// The port for nodes.
    pub bus_port: u16,
    /// The slots that it owns.
    pub slots: Range<usize>,
    /// Whether it is this node.
    pub own: bool,
    /// Whether there is a link to it; of this node it does not matter.
    pub up: bool,
    /// Since when that is so.
    pub since_ms: u64,
    /// How long the last heartbeat took there and back.
    pub rtt_us: Option<u64>,
    /// How many keys it holds, as far as it has told; of this node it does not matter.
    pub keys: Option<u64>,
    /// When the heartbeat was sent that it has not answered yet.
    pub ping_sent_ms: Option<u64>,
    /// When it last answered one.
    pub pong_received_ms: Option<u64>,
    /// Requests that it has not answered yet.
    pub in_flight: usize,
    /// Bytes on their way to it that are not sent yet.
    pub unsent_bytes: usize,
    /// Frames sent to it.
    pub frames_sent: u64,
    /// Frames received from it.
    pub frames_received: u64,
}

impl NodeView {
    /// Whether it can be reached from here.
    fn is_there(&self) -> bool {
        self.own || self.up
    }

    /// Its slots as clients count them.
    fn client_ranges(&self) -> impl Iterator<Item = Range<usize>> {
        let Range { start, end } = self.slots;
        let ranges = [start..end, start + SLOTS..end + SLOTS];
        ranges.into_iter().filter(|range| !range.is_empty())
    }

    /// Its slots, the last one included, as people and CLUSTER NODES have them.
    fn write_range(range: &Range<usize>) -> String {
        match range.len() {
            0 => "-".into(),
            1 => range.start.to_string(),
            _ => format!("{}-{}", range.start, range.end - 1),
        }
    }
}

/// The nodes, or an error where there is no cluster, in Redis's words.
fn nodes_of(ctx: &Ctx<'_>) -> Result<Vec<NodeView>, CommandError> {
    check_enabled(ctx)?;
    Ok(ctx.topology.nodes())
}

fn check_enabled(ctx: &Ctx<'_>) -> Result<(), CommandError> {
    let disabled = || CommandError::other("This instance has cluster support disabled");
    if ctx.topology.is_cluster() { Ok(()) } else { Err(disabled()) }
}

/// Whether every slot has an owner that can be reached.
pub(super) fn state(nodes: &[NodeView]) -> &'static str {
    if nodes.iter().all(NodeView::is_there) { "ok" } else { "fail" }
}

/// The slot that a client's number of a slot means, unless it is none.
pub(super) fn slot_of_number(word: &[u8]) -> Option<SlotId> {
    let number = crate::proto::integer(word).and_then(|number| usize::try_from(number).ok())?;
    (number < CLIENT_SLOTS).then(|| SlotId::wrapping(number))
}

/// `CLUSTER INFO`
pub(super) fn info(ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let nodes = nodes_of(ctx)?;
    let slots = |nodes: &mut dyn Iterator<Item = &NodeView>| 2 * nodes.map(|node| node.slots.len()).sum::<usize>();
    let assigned = slots(&mut nodes.iter());
    let ok = slots(&mut nodes.iter().filter(|node| node.is_there()));
    let owners = nodes.iter().filter(|node| !node.slots.is_empty()).count();
    let epoch = ctx.topology.epoch();
    let (known, state, fail) = (nodes.len(), state(&nodes), assigned - ok);
    let sent: u64 = nodes.iter().map(|node| node.frames_sent).sum();
    let received: u64 = nodes.iter().map(|node| node.frames_received).sum();
    reply.verbatim(&format!(
        "cluster_state:{state}\r\ncluster_slots_assigned:{assigned}\r\ncluster_slots_ok:{ok}\r\n\
         cluster_slots_pfail:0\r\ncluster_slots_fail:{fail}\r\ncluster_known_nodes:{known}\r\n\
         cluster_size:{owners}\r\ncluster_current_epoch:{epoch}\r\ncluster_my_epoch:{epoch}\r\n\
         cluster_stats_messages_sent:{sent}\r\ncluster_stats_messages_received:{received}\r\n\
         total_cluster_links_buffer_limit_exceeded:0\r\n"
    ));
    Ok(Flow::Continue)
}

/// `CLUSTER MYID`
pub(super) fn my_id(ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let nodes = nodes_of(ctx)?;
    reply.bulk(nodes.iter().find(|node| node.own).map_or(&b""[..], |node| node.id.as_bytes()));
    Ok(Flow::Continue)
}

/// `CLUSTER NODES`: a line each, as Redis writes them into its nodes.conf.
pub(super) fn nodes(ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let (nodes, epoch) = (nodes_of(ctx)?, ctx.topology.epoch());
    let wall_ms = |boot_ms: Option<u64>| boot_ms.map_or(0, |boot_ms| ctx.state.now.to_wall_ms(boot_ms));
    let mut text = String::new();
    for node in &nodes {
        let NodeView { id, ip, port, bus_port, .. } = node;
        let flags = match (node.own, node.up) {
            (true, _) => "myself,master",
            (false, true) => "master",
            (false, false) => "master,fail",
        };
        let link = if node.is_there() { "connected" } else { "disconnected" };
        let (ping, pong) = (wall_ms(node.ping_sent_ms), wall_ms(node.pong_received_ms));
        // Writing into a String cannot fail, here and below.
        let _ = write!(text, "{id} {ip}:{port}@{bus_port} {flags} - {ping} {pong} {epoch} {link}");
        for range in node.client_ranges() {
            let _ = write!(text, " {}", NodeView::write_range(&range));
        }
        text.push('\n');
    }
    reply.verbatim(&text);
    Ok(Flow::Continue)
}

/// `CLUSTER SLOTS`: for each range its first and last slot and its owner, with no further names for its address.
pub(super) fn slots(ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let nodes = nodes_of(ctx)?;
    let ranges = || nodes.iter().flat_map(|node| node.client_ranges().map(move |range| (node, range)));
    reply.array(ranges().count());
    for (node, range) in ranges() {
        reply.array(3);
        reply.integer(range.start as i64);
        reply.integer(range.end as i64 - 1);
        reply.array(4);
        reply.bulk(node.ip.to_string().as_bytes());
        reply.integer(node.port.into());
        reply.bulk(node.id.as_bytes());
        reply.map(0);
    }
    Ok(Flow::Continue)
}

/// `CLUSTER SHARDS`: each node is a shard of its own.
pub(super) fn shards(ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let nodes = nodes_of(ctx)?;
    reply.array(nodes.len());
    for node in &nodes {
        let ip = node.ip.to_string();
        reply.map(2);
        reply.field("slots");
        reply.array(2 * node.client_ranges().count());
        for range in node.client_ranges() {
            reply.integer(range.start as i64);
            reply.integer(range.end as i64 - 1);
        }
        reply.field("nodes");
        reply.array(1);
        reply.map(7);
        reply.named_bulk("id", node.id.as_bytes());
        reply.named_integer("port", node.port.into());
        reply.named_bulk("ip", ip.as_bytes());
        reply.named_bulk("endpoint", ip.as_bytes());
        reply.named_bulk("role", b"master");
        reply.named_integer("replication-offset", 0);
        reply.named_bulk("health", if node.is_there() { b"online" } else { b"fail" });
    }
    Ok(Flow::Continue)
}

/// `CLUSTER LINKS`: one for each node that is linked; it serves both ways.
pub(super) fn links(ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let mut nodes = nodes_of(ctx)?;
    nodes.retain(|node| node.up && !node.own);
    reply.array(nodes.len());
    for node in &nodes {
        reply.map(6);
        reply.named_bulk("direction", b"to");
        reply.named_bulk("node", node.id.as_bytes());
        reply.named_integer("create-time", ctx.state.now.to_wall_ms(node.since_ms));
        reply.named_bulk("events", if node.unsent_bytes > 0 { b"rw" } else { b"r" });
        // What is sent from where it lies has no buffer: what is used is what there is.
        reply.named_integer("send-buffer-allocated", node.unsent_bytes as i64);
        reply.named_integer("send-buffer-used", node.unsent_bytes as i64);
    }
    Ok(Flow::Continue)
}

/// `CLUSTER KEYSLOT key`: as clients count slots; it needs no cluster.
pub(super) fn key_slot(_ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    reply.integer((SlotId::crc_of_key(&args[2]) as usize % CLIENT_SLOTS) as i64);
    Ok(Flow::Continue)
}

/// `CLUSTER COUNTKEYSINSLOT slot`
pub(super) fn count_keys_in_slot(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    check_enabled(ctx)?;
    integer(&args[2])?;
    let slot = slot_of_number(&args[2]).ok_or_else(|| CommandError::other("Invalid slot"))?;
    reply.integer(ctx.state.store.slot_len(slot) as i64);
    Ok(Flow::Continue)
}

/// `CLUSTER GETKEYSINSLOT slot count`: no more keys than one SCAN looks at, however many are asked for.
pub(super) fn get_keys_in_slot(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    check_enabled(ctx)?;
    integer(&args[2])?;
    let invalid = || CommandError::other("Invalid slot or number of keys");
    let count = usize::try_from(integer(&args[3])?).map_err(|_| invalid())?.min(SCAN_ENTRIES_MAX);
    let slot = slot_of_number(&args[2]).ok_or_else(invalid)?;
    let (mut found, mut has_room) = (Found::default(), true);
    let mut next = Some(Cursor::START);
    while let Some(from) = next.filter(|_| has_room && found.len() < count) {
        next = ctx.state.store.scan_slot(slot, from, count, ctx.state.now.ms, &mut |entry| {
            has_room &= found.push(entry.key());
        });
    }
    if !has_room {
        return Err(CommandError::NoMemory);
    }
    found.answer(found.len().min(count), reply);
    Ok(Flow::Continue)
}

/// `READONLY`: what tells of the whole cluster tells of this node alone, to a client that asks each by itself.
pub(super) fn readonly(ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    set_readonly(ctx, true, reply)
}

/// `READWRITE`
pub(super) fn readwrite(ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    set_readonly(ctx, false, reply)
}

fn set_readonly(ctx: &mut Ctx<'_>, readonly: bool, reply: &mut Reply<'_>) -> Outcome {
    check_enabled(ctx)?;
    ctx.session.readonly = readonly;
    reply.ok();
    Ok(Flow::Continue)
}

/// `ASKING`: no slot is ever between two nodes.
pub(super) fn asking(ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    check_enabled(ctx)?;
    reply.ok();
    Ok(Flow::Continue)
}

/// `CLUSTERINFO`: a table for people; a star marks this node.
pub(super) fn table(ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    if !ctx.topology.is_cluster() {
        reply.verbatim("This node is alone: it was started without a cluster.\r\n");
        return Ok(Flow::Continue);
    }
    let mut table = String::from("\tnode\taddress\tslots\tstate\tkeys\tround trip\n");
    for node in ctx.topology.nodes() {
        put_row(&mut table, &node, ctx.state.store.len() as u64, ctx.state.now);
    }
    reply.verbatim(&align(&table));
    Ok(Flow::Continue)
}

/// What the table tells of a node: a line whose columns have a tab between them.
fn put_row(table: &mut String, node: &NodeView, own_keys: u64, now: Now) {
    let address = SocketAddr::new(node.ip, node.port);
    let (star, state) = match (node.own, node.up) {
        (true, _) => ("*", "this node"),
        (false, true) => ("", "up"),
        (false, false) => ("", "down"),
    };
    let _ = write!(table, "{star}\t{}\t{address}\t{}\t{state}", node.name, NodeView::write_range(&node.slots));
    if !node.own {
        let _ = write!(table, " {} s", now.ms.saturating_sub(node.since_ms) / 1000);
    }
    let _ = match if node.own { Some(own_keys) } else { node.keys.filter(|_| node.up) } {
        Some(keys) => write!(table, "\t{keys}\t"),
        None => write!(table, "\t-\t"),
    };
    let _ = match node.rtt_us.filter(|_| node.up && !node.own) {
        Some(us) => writeln!(table, "{}.{:02} ms", us / 1000, us % 1000 / 10),
        None => writeln!(table, "-"),
    };
}

/// The columns of numbers, which stand to the right.
const RIGHT: Range<usize> = 5..7;

/// The lines of a table with its columns below each other.
fn align(table: &str) -> String {
    let mut widths = [0; RIGHT.end];
    for line in table.lines() {
        for (cell, width) in line.split('\t').zip(&mut widths) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for line in table.lines() {
        for (column, (cell, &width)) in line.split('\t').zip(&widths).enumerate() {
            text += &"  "[..column.min(2)];
            let _ =
                if RIGHT.contains(&column) { write!(text, "{cell:>width$}") } else { write!(text, "{cell:width$}") };
        }
        text.truncate(text.trim_end().len());
        text += "\r\n";
    }
    text
}
