//! From a configuration to a server that listens.

use super::bus::Bus;
use super::manager::Manager;
use super::refused::Addresses;
use super::{
    Batch, Config, Desk, Engine, Listener, Node, Noise, Reactor, Server, Signals, Snapshots, Source, Stage, Token,
    VecDeque,
};
use crate::cluster::{Cluster, Identity, Map, Member};
use crate::command::{self, Access, DebugAccess, OwnSlots, Settings, event_classes};
use crate::config::ClusterConfig;
use crate::limits::{
    CLIENTS_MAX, DESCRIPTORS_RESERVED, EVENTS_MAX, LINE_BYTES_MAX, RECEIVE_BYTES, RECEIVE_BYTES_PER_BATCH,
    STRANGERS_MAX, VALUE_BYTES_MAX,
};
use crate::log::{self, Level};
use crate::store::Policy;
use crate::sys::epoll::Interest;
use crate::sys::socket::TcpOptions;
use crate::sys::{clock, reason, resolve, resource, sentence, service};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;

impl Server {
    /// A server that listens where the configuration says, and says so in the log.
    ///
    /// # Errors
    /// A sentence that names the address or path and what is wrong with it.
    pub fn new(config: &Config) -> io::Result<Server> {
        let mut settings = settings(config);
        command::apply_log_level(&settings);
        resource::steady_malloc();
        let version = env!("CARGO_PKG_VERSION");
        log::write(Level::Info, format_args!("memento {version}, process {}", std::process::id()));
        // Of each pair of nodes there may be two links for a while, and strangers at the door.
        let links = config.cluster.as_ref().map_or(0, |cluster| 2 * cluster.members.len() + STRANGERS_MAX);
        settings.reserved = DESCRIPTORS_RESERVED + links;
        let clients_max = bound_clients(config.clients_max, settings.reserved)?;
        settings.clients_max = clients_max;
        let memory_bytes = settings.box_bytes;
        let (line_mb, value_mb) = (LINE_BYTES_MAX >> 20, VALUE_BYTES_MAX >> 20);
        log::write(
            Level::Info,
            format_args!("at most {clients_max} clients, lines of {line_mb} MB, values of {value_mb} MB"),
        );
        tell_memory_limit(&settings, memory_bytes >> 20);
        // All that can fail comes before what takes much to be taken back.
        let Opened { reactor, map, listeners, tcp_port, guarded } = open(config)?;
        let started_ms = clock::boot_ms();
        settings.port = tcp_port;
        let mut manager = Manager::new(started_ms);
        if config.snapshot.is_empty() {
            manager.tell_ready(started_ms);
        }
        let slots = map.as_ref().map(|map| OwnSlots::new(map.slots(map.own())));
        let bus = match (map, &config.cluster) {
            (Some(map), Some(cluster)) => Some(Bus::new(Cluster::new(map, identity(cluster, config), started_ms))),
            _ => None,
        };
        let node = Node { memory_bytes, ..node(tcp_port, started_ms) };
        let access = Access { password: config.password.clone() };
        let mut engine = Engine::new(node, settings, access, started_ms);
        engine.state.slots = slots;
        let mut server = Server {
            reactor,
            engine,
            desk: Desk::default(),
            receive: vec![0; RECEIVE_BYTES_PER_BATCH + RECEIVE_BYTES].into(),
            received: 0,
            arrivals: Vec::new(),
            batch: Batch::default(),
            resumes: VecDeque::new(),
            paused: VecDeque::new(),
            publishers: VecDeque::new(),
            walk_bytes: 0,
            spared_bytes: 0,
            listeners,
            bus,
            accept_failure_told: false,
            accept_noise: Noise::fading(),
            guarded,
            noise: Noise::default(),
            newcomers_due_ms: None,
            refused: 0,
            manager,
            addresses: Addresses::default(),
            next_client_id: 1,
            stage: Stage::Serving,
            turn_end_ms: started_ms,
            snapshots: Snapshots::default(),
            failure: None,
        };
        if !config.snapshot.is_empty() {
            server.begin_loading(config.snapshot_ignore_bad);
        }
        Ok(server)
    }
}

/// What is listened on.
struct Opened {
    reactor: Reactor<Source>,
    /// The nodes, where there is a cluster.
    map: Option<Map>,
    listeners: Vec<Token>,
    tcp_port: u16,
    /// Whether protected mode keeps out who is not local.
    guarded: bool,
}

/// Listens for clients, other nodes and signals, and says so in the log.
#[cfg_attr(memento_small, inline(never))]
fn open(config: &Config) -> io::Result<Opened> {
    let reactor = Reactor::new(EVENTS_MAX)?;
    let mut opened = Opened { reactor, map: None, listeners: Vec::new(), tcp_port: 0, guarded: false };
    let (listeners, tcp_port) = listen(config)?;
    opened.tcp_port = tcp_port;
    if let Some(cluster) = &config.cluster {
        let (map, listener) = join(cluster, config)?;
        opened.map = Some(map);
        log::write(Level::Info, format_args!("the bus listens on {}", listener.name()));
        opened.reactor.insert(Source::BusListener(listener), Interest::READ)?;
    }
    // Only now: until here a signal ends the program by itself, also where listening hangs.
    opened.reactor.insert(Source::Signals(Signals::new()?), Interest::READ)?;
    let exposed = listeners.iter().any(|listener| !listener.is_local());
    opened.guarded = exposed && config.protected && config.password.is_none();
    if opened.guarded {
        log::write(
            Level::Warn,
            format_args!("protected mode: without a password, clients from elsewhere than this box are refused"),
        );
    }
    // Last of all, since who reads the log takes these lines for the sign that the server serves.
    for listener in listeners {
        log::write(Level::Info, format_args!("listening on {}", listener.name()));
        opened.listeners.push(opened.reactor.insert(Source::Listener(listener), Interest::READ)?);
    }
    Ok(opened)
}

/// The nodes, and the listener for the others of them.
#[cfg_attr(memento_small, inline(never))]
fn join(cluster: &ClusterConfig, config: &Config) -> io::Result<(Map, Listener)> {
    let mut members = Vec::new();
    for (place, node) in cluster.members.iter().enumerate() {
        let name = if place == cluster.own { &cluster.name } else { &node.name };
        members.push(Member { address: node.address, name: name.clone() });
    }
    let map = Map::new(members, cluster.own().address)
        .map_err(|why| sentence(io::ErrorKind::Other, format_args!("{}: {why}", cluster.file.to_string_lossy())))?;
    if !cluster.is_local() && cluster.secret.is_none() {
        log::write(
            Level::Warn,
            format_args!("the bus has no secret: whoever has a listed address may join, and read and change every key"),
        );
    }
    let own = map.member(map.own()).address;
    // No probes of the kernel: the nodes ask each other whether they live, and sooner.
    let listener = Listener::tcp(own, config.backlog, TcpOptions { keepalive_s: 0 })
        .map_err(|error| named(format_args!("cannot listen on {own} for the other nodes"), &error))?;
    log::write(
        Level::Info,
        format_args!("node {} of {} in {}", cluster.name, map.len(), cluster.file.to_string_lossy()),
    );
    Ok((map, listener))
}

/// What this node tells the others of itself.
fn identity(cluster: &ClusterConfig, config: &Config) -> Identity {
    // RandomState is keyed from the system's randomness.
    let random = RandomState::new();
    Identity {
        name: cluster.name.clone(),
        incarnation: random.hash_one(0),
        has_password: config.password.is_some(),
        secret: cluster.secret.clone(),
        seed: random.hash_one(1),
    }
}

/// What is known of a node that has just started.
#[cfg_attr(memento_small, inline(never))]
pub(super) fn node(tcp_port: u16, started_ms: u64) -> Node {
    Node {
        tcp_port,
        started_ms,
        clients: 0,
        waiting: 0,
        run_id: run_id(),
        memory_bytes: 0,
        kernel: resource::kernel(),
        base_bytes: resource::resident_peak_bytes(),
        client_bytes: 0,
        held_bytes: 0,
        exceeded_since_ms: None,
        buffer_bytes: 0,
    }
}

/// What clients may ask about and change later.
#[cfg_attr(memento_small, inline(never))]
fn settings(config: &Config) -> Settings {
    let socket = config.socket.as_ref().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
    Settings {
        addresses: config.addresses.clone(),
        socket,
        socket_mode: config.socket_mode,
        backlog: config.backlog,
        debug_access: DebugAccess::of(&config.debug_command),
        clients_per_address_max: config.clients_per_address_max,
        first_request_timeout_s: config.first_request_timeout_s,
        timeout_s: config.timeout_s,
        keepalive_s: config.keepalive_s,
        memory_bytes_max: config.memory_bytes_max,
        events: event_classes(&config.events).unwrap_or_default(),
        memory_policy: Policy::of(&config.memory_policy).unwrap_or_default(),
        clients_bytes_max: config.clients_bytes_max,
        box_bytes: resource::memory_bytes(),
        log_level: if config.verbose { "verbose" } else { "notice" },
        is_clustered: config.cluster.is_some(),
        // It stays for as long as the program runs.
        snapshot: config.snapshot.clone().leak(),
        snapshot_interval_s: config.snapshot_interval_s,
        // A failure of getrlimit(2) is not to be expected: there would be room for none.
        make_room: |clients, reserved| possible_clients(clients, reserved).map_or(0, |(possible, _)| possible),
        ..Settings::default()
    }
}

/// Says in the log what memory may be used; `box_mb` is all that the box has.
fn tell_memory_limit(settings: &Settings, box_mb: u64) {
    match settings.memory_bytes_max {
        0 => log::write(
            Level::Warn,
            format_args!("no memory limit is set: what is stored may take all of this box's {box_mb} MB"),
        ),
        bytes => log::write(
            Level::Info,
            format_args!("{bytes} bytes of memory may be used, of this box's {box_mb} MB: {}", settings.memory_policy),
        ),
    }
}

/// How many clients there is room for, after making more if need be, and how many descriptors that comes from.
fn possible_clients(wanted: usize, reserved: usize) -> io::Result<(usize, u64)> {
    let descriptors = resource::raise_descriptors(wanted.saturating_add(reserved) as u64)?;
    let possible = usize::try_from(descriptors).unwrap_or(CLIENTS_MAX).saturating_sub(reserved).max(1);
    Ok((possible, descriptors))
}

/// How many clients the descriptors allow; says so where it is fewer than asked for.
fn bound_clients(wanted: usize, reserved: usize) -> io::Result<usize> {
    let (possible, descriptors) = possible_clients(wanted, reserved)?;
    if possible < wanted {
        log::write(
            Level::Warn,
            format_args!(
                "maxclients lowered from {wanted} to {possible}: this process may open {descriptors} files (ulimit -n)"
            ),
        );
    }
    Ok(wanted.min(possible))
}

/// Listens everywhere; gives the TCP port, which all addresses share. Where a service manager passes sockets, these are
/// all: who may reach the server is then said there.
#[cfg_attr(memento_small, inline(never))]
fn listen(config: &Config) -> io::Result<(Vec<Listener>, u16)> {
    let options = TcpOptions { keepalive_s: config.keepalive_s };
    let mut passed = service::passed_listeners()?;
    if !passed.is_empty() {
        passed.iter_mut().for_each(|listener| listener.set_options(options));
        let port = passed.iter().find_map(Listener::tcp_port).unwrap_or(0);
        return Ok((passed, port));
    }
    let (mut listeners, mut port) = (Vec::new(), config.port);
    for host in &config.addresses {
        let addresses = resolve::addresses(host, port).map_err(|error| named(format_args!("-a {host}"), &error))?;
        let mut failure = None;
        let before = listeners.len();
        for address in addresses {
            let address = SocketAddr::new(address.ip(), port);
            match Listener::tcp(address, config.backlog, options) {
                Ok(listener) => {
                    // Where any port was asked for, the first listener decides.
                    port = listener.tcp_port().unwrap_or(port);
                    listeners.push(listener);
                }
                Err(error) => failure = Some(named(format_args!("cannot listen on {address}"), &error)),
            }
        }
        // A name may have an address that this box does not serve (localhost without IPv6); one is enough. But an
        // address that somebody else listens on is never passed over.
        if let Some(failure) = failure
            && (listeners.len() == before || failure.kind() == io::ErrorKind::AddrInUse)
        {
            return Err(failure);
        }
    }
    if let Some(path) = &config.socket {
        let listener = Listener::unix(path, config.socket_mode, config.backlog)
            .map_err(|error| named(format_args!("cannot listen on {}", path.to_string_lossy()), &error))?;
        listeners.push(listener);
    }
    Ok((listeners, port))
}

/// The error with what it concerns before it.
fn named(what: std::fmt::Arguments<'_>, error: &io::Error) -> io::Error {
    sentence(error.kind(), format_args!("{what}: {}", reason(error)))
}

/// Forty hexadecimal digits that no other start will have.
fn run_id() -> String {
    // RandomState is keyed from the system's randomness; each hash of another number is another 64 bits of it.
    let state = RandomState::new();
    let digits: String = (0..3).map(|number| format!("{:016x}", state.hash_one(number))).collect();
    digits[..40].to_string()
}
