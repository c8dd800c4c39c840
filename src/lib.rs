//! memento: an in-memory key-value store for small Linux boxes.
//!
//! One thread runs around one `epoll_wait(2)`. What is readable is received into one buffer that the loop owns and
//! lends, requests are parsed where they lie, executed against a slot table that has a single owner, and what they
//! answer is sent with one call. Nothing blocks, nothing is shared, nothing is locked.
//!
//! # The way of a GET
//!
//! [`reactor`] reports a client readable; [`server`] receives into its buffer and hands the bytes to the client's
//! [`conn::Connection`], which has [`proto`] find a request in them and hands that back; the row of [`command::COMMANDS`]
//! runs; [`store`] finds the slot, the page, the entry; [`proto::Reply`] writes the value into the loop's output; one
//! `send(2)` ends it. No allocation on that way.
//!
//! # Small and fast
//!
//! The static program is compiled for size (scripts/build-static.sh says `memento_small`), other than the functions that
//! nearly every request or turn goes through: these say `optimize(speed)`, which only that compiler knows. What they call
//! is put into them as far as it is small; what is large and seldom called there says `inline(never)`, so that it stays
//! small. `scripts/instructions.py` shows what a mark is worth, with `BIN=bin/static/x86_64`.
//! Large structures say `repr(C)` where their order matters: what many places ask for lies at the front, where the instructions
//! that reach it are shorter.
//!
//! What the standard library has for every program and takes much room is not asked for, so that it is not there: its start
//! (`sys/program.rs`), threads (`sys/threads.rs`), standard output with a buffer (`sys/stdio.rs`), files (`sys/files.rs`),
//! the environment, errors made of a text ([`sys::sentence`]). One use of it brings all of it.
//!
//! # Code map
//!
//! Entry points: main.rs looks at the name it was called by; `server/mod.rs` has the loop.
//!
//! | files | what they do |
//! | --- | --- |
//! | `main.rs` | server, client, benchmark or a server's child, by name |
//! | `config.rs`, `config/nodes.rs` | the server's command line; the cluster's file |
//! | `secret.rs` | passwords and other secrets, from a file or the environment |
//! | `limits.rs` | every bound, and how bounds relate |
//! | `log.rs`, `stats.rs` | one line per event; what is counted |
//! | `stats/histogram.rs`, `fixed.rs` | how long things took; numbers with a fraction |
//! | `sys/mod.rs` | the operating system behind one wall; the only unsafe code |
//! | `sys/program.rs`, `stdio.rs`, `threads.rs` | how the program begins; standard input, output and error; threads |
//! | `sys/epoll.rs`, `alarm.rs`, `socket.rs`, `signal.rs`, `clock.rs`, `stdout.rs` | one kind of system call each |
//! | `sys/zone.rs` | the box's time zone |
//! | `sys/dial.rs` | connecting as a client; waiting for one socket |
//! | `sys/files.rs`, `resolve.rs`, `resource.rs` | files; names by /etc/hosts; what the box allows |
//! | `sys/tty.rs` | the terminal of the tools |
//! | `sys/pages.rs`, `mapping.rs` | memory in steps; memory for one long value, given back in steps |
//! | `sys/reserve.rs` | memory kept back for when the system has none to give |
//! | `sys/spawn.rs` | the program started once more, for what may block |
//! | `sys/service.rs` | the service manager: sockets that it passes, what it is told |
//! | `sys/descriptors.rs` | standard input, output and error are open before anything runs |
//! | `sys/simd.rs` | sixteen bytes compared at once |
//! | `sys/fault.rs` | tests only: calls that fail, fall short or come late, by a seed |
//! | `sys/allocations.rs` | no part of the library: the counting allocator of the test of this name |
//! | `pairs.rs` | an ordered set of pairs of numbers |
//! | `names.rs` | names that are found by their bytes, with numbers of who refers to them |
//! | `blob.rs` | the bytes of a long value, from the parser over the store to the reply |
//! | `pubsub.rs` | who listens to what, and the messages on their way |
//! | `dump.rs`, `dump/crc64.rs` | a value in Redis's serialised form; its checksum |
//! | `lzf.rs` | LZF: values that Redis has packed, and the program's own long texts |
//! | `timer.rs` | deadlines |
//! | `reactor.rs` | which descriptor is ready, which deadline is due; drops stale events |
//! | `buffer.rs` | buffers that are lent |
//! | `proto/mod.rs` | which protocol a request is in; the parser, which resumes |
//! | `proto/text.rs`, `resp.rs` | the line protocol; RESP requests |
//! | `proto/words.rs` | a request's words as spans of the bytes received |
//! | `proto/reply.rs`, `output.rs`, `number.rs` | answers, typed, and what they are written to; integers |
//! | `proto/typed.rs` | answers between nodes, before any client's encoding |
//! | `conn.rs` | one client's conversation: what is not executed yet, what is not sent yet, in order |
//! | `conn/batch.rs`, `conn/tests.rs` | requests of many that are parsed and not executed yet; its tests |
//! | `command/mod.rs` | the one door into the handlers; the errors that they answer |
//! | `command/rows.rs`, `command/table.rs` | a row a command: everything that generic code knows of it; what a row can say |
//! | `command/texts.rs` | the table as the program holds it, its texts packed |
//! | `command/string.rs`, `set.rs`, `counter.rs`, `key.rs`, `expiry.rs`, `session.rs`, `admin.rs` | the handlers, a family a file |
//! | `command/bits.rs`, `bitfield.rs` | values as rows of bits; integers of any width in them |
//! | `command/lcs.rs`, `object.rs`, `command/dump.rs` | commands with a file of their own |
//! | `command/tests.rs` | tests of what the text protocol cannot ask for |
//! | `command/tests/cluster.rs` | tests of commands in a cluster |
//! | `command/transaction.rs`, `command/client.rs` | MULTI and WATCH; CLIENT |
//! | `command/sub.rs`, `families.rs` | families of subcommands, and HELP; their rows |
//! | `command/route.rs`, `cluster.rs` | where in a cluster a request is executed; the cluster, shown |
//! | `command/info.rs`, `docs.rs`, `settings.rs`, `memory.rs`, `slowlog.rs`, `latency.rs` | INFO, COMMAND, CONFIG, MEMORY, SLOWLOG, LATENCY |
//! | `command/publish.rs`, `events.rs` | SUBSCRIBE, PUBLISH and their kin; what becomes of keys, published |
//! | `command/monitor.rs`, `snapshot.rs` | MONITOR; SAVE, BGSAVE, LASTSAVE |
//! | `command/state.rs` | what commands work on, whoever asks |
//! | `command/measure.rs` | what is measured of commands: calls, failures, times |
//! | `command/walk.rs`, `glob.rs`, `decimal.rs` | what takes many turns; patterns; exact decimal sums |
//! | `store/mod.rs`, `upkeep.rs` | the slot table: keys, values, times; taking memory back a piece at a time |
//! | `store/slot.rs`, `hash.rs`, `key.rs` | key to slot; place and tag of a key in its slot; a key with both |
//! | `store/slots.rs` | the slots' indexes, in blocks |
//! | `store/node.rs`, `directory.rs`, `page.rs` | a slot's index: extendible hashing over pages of entries |
//! | `store/table.rs`, `tables.rs`, `tidy.rs` | the bytes of a page's table; the memory of all; when it is made smaller |
//! | `store/entry.rs`, `view.rs` | a key with its value and times; how callers see it |
//! | `store/heap.rs`, `arena.rs`, `long.rs` | where entries lie: blocks of memory, and what is too long for one |
//! | `store/arena/thin.rs` | memory between blocks, and how it goes back |
//! | `store/heap/tests.rs`, `store/arena/tests.rs`, `store/eviction/tests.rs` | their tests, and those of eviction |
//! | `store/cursor.rs` | where a scan stands |
//! | `store/usage.rs`, `eviction.rs` | the memory policies, and what is remembered of use; letting entries go |
//! | `store/changes.rs`, `trail.rs` | which keys were changed; which of them behind a walk |
//! | `store/expiry.rs`, `graveyard.rs`, `account.rs` | which pages are due when; what a flush left; which bytes are in use |
//! | `store/check.rs`, `model.rs`, `spread.rs`, `walk.rs` | tests only: invariants, a model, attacks and a million keys |
//! | `cluster/mod.rs` | what the cluster is told, asked and asks for: a state machine without sockets or clock |
//! | `cluster/map.rs` | which node owns which slot |
//! | `cluster/links.rs`, `handshake.rs`, `messages.rs` | how links begin and end; who the peer is; requests and replies |
//! | `cluster/node.rs`, `link.rs`, `requests.rs` | what is known of a node, of a link; requests that are not answered yet |
//! | `cluster/outbox.rs`, `inbox.rs` | what is to be sent on a link; what came in pieces |
//! | `cluster/tests.rs`, `cluster/tests/wires.rs`, `handshake.rs`, `messages.rs` | its tests, over wires in memory |
//! | `cluster/wire.rs`, `cluster/wire/encode.rs`, `cluster/wire/words.rs` | the frames between nodes, read and written |
//! | `cluster/wire/tests.rs` | their tests |
//! | `cluster/sha256.rs` | SHA-256 and HMAC, for the proof of the secret |
//! | `cluster/sim.rs`, `cluster/sim/network.rs`, `node.rs`, `world.rs`, `mutant.rs` | tests only: a cluster on virtual time, and what must hold |
//! | `server/mod.rs` | the loop: the only glue of sockets, connections, commands and store |
//! | `server/start.rs`, `server/client.rs`, `server/engine.rs` | from a configuration to a server; serving a client; executing requests |
//! | `server/arrivals.rs` | what arrives from all who are ready: parsed first, then executed |
//! | `server/newcomers.rs` | clients that have to ask for something in time |
//! | `server/refused.rs` | connections beyond a limit |
//! | `server/clients.rs` | what CLIENT asks about all clients; who goes when they hold too much |
//! | `server/bus.rs`, `server/links.rs`, `server/hands.rs` | what a server has of its cluster; its connections; what it does here |
//! | `server/forward.rs`, `server/forwards.rs` | requests for other nodes; what is on its way |
//! | `server/merge.rs`, `server/offers.rs` | one answer from several; long ones, when they may come |
//! | `server/messages.rs` | published messages are given out |
//! | `server/snapshots.rs`, `server/saving.rs`, `server/loading.rs` | when a snapshot is made and loaded; making it; loading it |
//! | `server/manager.rs` | when the service manager is told that the server serves, lives, ends |
//! | `server/topology.rs` | the cluster as commands show it |
//! | `server/tests.rs`, `server/faults.rs` | tests only: the whole server, and a cluster, under faulty system calls |
//! | `snapshot/mod.rs`, `record.rs`, `feed.rs`, `intake.rs` | snapshots: what they say of keys; how that leaves the server and comes back |
//! | `snapshot/child.rs`, `blocks.rs` | the process that has their file; the file |
//! | `client/mod.rs` | where a server is, for the tools and the library for C |
//! | `client/resp.rs`, `reply.rs` | a blocking client of RESP, with deadlines; replies of any kind, as they lie in what was received |
//! | `client/reply/tests.rs`, `client/resp/tests.rs` | tests only: replies however they are cut; servers that break off, stall, talk nonsense |
//! | `cli/mod.rs`, `options.rs` | memento-cli: one command, or lines whose answers are looked at; its command line |
//! | `cli/talk.rs`, `lines.rs`, `show.rs` | a request and its answer in RESP; which answer a line will get; how answers are printed |
//! | `cli/pipe.rs`, `mass.rs` | lines copied; anything copied, its answers counted |
//! | `cli/prompt.rs`, `history.rs`, `hints.rs` | the conversation on a terminal; the lines typed before; what the command table says to who types |
//! | `cli/edit/mod.rs`, `keys.rs`, `text.rs`, `screen.rs`, `width.rs` | the line editor: keys, edits, what is painted, how wide characters are |
//! | `cli/edit/tests.rs` | its tests, on a terminal in memory |
//! | `cli/dump.rs`, `cli/dump/blocks.rs` | all keys into a file, and from it; the file |
//! | `cli/keys.rs`, `watch.rs`, `nodes.rs`, `top.rs` | looks at all keys; at a server again and again; at a cluster, once and live |
//! | `benchmark/mod.rs`, `options.rs` | memento-benchmark; its command line |
//! | `benchmark/load.rs`, `engine.rs`, `report.rs` | loads of its: servers, threads and turns; one thread; figures as text |
//! | `benchmark/template.rs`, `replies.rs` | requests and values; where a reply ends and whether it is right |
//! | `benchmark/keys.rs`, `random.rs`, `schedule.rs`, `histogram.rs` | which key is next; random numbers; when a request is due; latencies |
//! | `benchmark/decimal.rs`, `text.rs`, `curves.rs` | numbers with a fraction, read and written; exponential and logarithm |
//! | `benchmark/threads.rs` | threads that work at the same time |
//! | `testkit.rs` | tests only: random numbers from a seed |
//!
//! # Invariants
//!
//! - Imports point one way, which a test holds (layers): protocol and store never meet, and no layer below the server
//!   reads a clock or holds a descriptor.
//! - Unsafe code stands under `sys` alone.
//! - Nothing from outside panics the server. `assert!` guards our own promises.
//! - A turn of the loop does a bounded amount of work. What may take longer (KEYS, taking back a flushed store, a long
//!   pipeline) is done in pieces.
//! - A connection at rest owns no buffer.

#![cfg_attr(memento_small, feature(optimize_attribute))]

pub mod benchmark;
pub mod blob;
pub mod buffer;
pub mod cli;
pub mod client;
pub mod cluster;
pub mod command;
pub mod config;
pub mod conn;
pub mod dump;
pub mod limits;
pub mod log;
mod lzf;
pub mod names;
pub mod pairs;
pub mod proto;
pub mod pubsub;
pub mod reactor;
pub mod secret;
pub mod server;
pub mod snapshot;
pub mod stats;
pub mod store;
pub mod sys;
#[cfg(test)]
pub(crate) mod testkit;
pub mod timer;
