//! Snapshots, of which tests/snapshot.rs has more.

use super::support::{Scratch, Server, now_ms, wait_for};
use super::{SYNTAX, check, wrong_arity};

/// Servers that keep no file say so.
const NONE: &str = "(error) this server makes no snapshots: start it with --snapshot FILE";

/// A server that keeps a file in the folder.
fn keeper(folder: &Scratch) -> Server {
    let path = folder.path("keys");
    let server = Server::start(&["--snapshot", path.to_str().expect("a plain path")]);
    let mut client = server.connect();
    wait_for("the keys to be loaded", || client.info("loading") == 0);
    server
}

const IN_A_TRANSACTION: &str = "(error) Command not allowed inside a transaction";

pub fn save(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["SAVE x"]);
    check(client, &[("SAVE", NONE)]);
    let folder = Scratch::new();
    let server = keeper(&folder);
    let client = &mut server.connect();
    check(client, &[("SET k v", "OK"), ("SAVE", "OK")]);
    assert!(folder.path("keys").is_file());
    client.expect_line("MULTI", "OK");
    client.expect_line("SAVE", IN_A_TRANSACTION);
    client.expect_line("DISCARD", "OK");
}

pub fn bgsave(server: &mut Server) {
    let client = &mut server.connect();
    check(client, &[("BGSAVE", NONE), ("BGSAVE SCHEDULE", NONE)]);
    check(client, &[("BGSAVE foo", SYNTAX), ("BGSAVE SCHEDULE x", SYNTAX)]);
    let folder = Scratch::new();
    let server = keeper(&folder);
    let client = &mut server.connect();
    for request in ["BGSAVE", "bgsave schedule"] {
        client.expect(request, "Background saving started");
        wait_for("the snapshot to end", || client.info("rdb_bgsave_in_progress") == 0);
    }
    assert_eq!(client.info("rdb_saves"), 2);
    client.expect_line("MULTI", "OK");
    client.expect_line("BGSAVE", IN_A_TRANSACTION);
    client.expect_line("DISCARD", "OK");
}

pub fn lastsave(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["LASTSAVE x"]);
    // Of a server that has made none it is when it started.
    let now = now_ms() / 1000;
    let last: u64 = client.ask("LASTSAVE").parse().expect("a number");
    assert!(last <= now && last + 3600 > now, "{last} at {now}");
    let folder = Scratch::new();
    let server = keeper(&folder);
    let client = &mut server.connect();
    let before: u64 = client.ask("LASTSAVE").parse().expect("a number");
    // The server follows the wall clock to a tenth of a second.
    wait_for("another second", || now_ms() > (before + 1) * 1000 + 200);
    client.expect("SAVE", "OK");
    let last: u64 = client.ask("LASTSAVE").parse().expect("a number");
    assert!(last > before && last <= now_ms() / 1000, "{last} behind {before}");
}
