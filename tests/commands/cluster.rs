//! Cases of the cluster's commands on a node that is in none; what they answer in one is tried where there is one.

use super::*;

const DISABLED: &str = "(error) This instance has cluster support disabled";

pub fn cluster(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["CLUSTER"]);
    for call in ["COUNTKEYSINSLOT 1", "GETKEYSINSLOT 1 1", "INFO", "LINKS", "MYID", "NODES", "SHARDS", "SLOTS"] {
        client.expect(&format!("CLUSTER {call}"), DISABLED);
    }
    check(client, &[("CLUSTER KEYSLOT 123456789", "12739"), ("CLUSTER KEYSLOT x{123456789}", "12739")]);
    let arity = "(error) wrong number of arguments for 'cluster|keyslot' command";
    check(client, &[("CLUSTER KEYSLOT", arity), ("CLUSTER KEYSLOT a b", arity)]);
    client.expect("CLUSTER FOO", "(error) unknown subcommand 'FOO'. Try CLUSTER HELP.");
    assert!(client.ask("CLUSTER HELP").contains("\nKEYSLOT <key>\n"));
}

pub fn clusterinfo(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["CLUSTERINFO x"]);
    client.expect("CLUSTERINFO", "This node is alone: it was started without a cluster.");
}

pub fn asking(server: &mut Server) {
    disabled(server, "ASKING");
}

pub fn readonly(server: &mut Server) {
    disabled(server, "READONLY");
}

pub fn readwrite(server: &mut Server) {
    disabled(server, "READWRITE");
}

fn disabled(server: &mut Server, name: &str) {
    let client = &mut server.connect();
    wrong_arity(client, &[&format!("{name} x")]);
    client.expect(name, DISABLED);
}
