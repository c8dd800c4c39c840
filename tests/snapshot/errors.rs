//! What goes wrong: the last whole snapshot stays, and the error is in the answer, the log and INFO.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;

use crate::support::{Client, DEADLINE, Scratch, Server, holds_within, need, run_to_end, skip, together};
use crate::{
    child, file, fill, much, persistence, read, serve, signal_child, start, wait_until_loaded, wait_until_saved,
};

/// What INFO has when a snapshot failed for this reason; what it has is otherwise as it was.
#[track_caller]
fn expect_failed(server: &Server, client: &mut Client, why: &str) {
    assert_eq!(persistence(client, "rdb_last_bgsave_status"), "err");
    assert_eq!(persistence(client, "snapshot_last_error"), why);
    assert_eq!(client.info("rdb_bgsave_in_progress"), 0);
    server.wait_for_log(&format!("the snapshot failed, no whole one is lost: {why}"));
}

/// A snapshot is made, by both commands, as nothing had happened before.
#[track_caller]
fn expect_made(client: &mut Client, path: &Path) {
    let made = client.info("rdb_saves");
    client.expect("INCR again", &(read_again(path) + 1).to_string());
    client.expect("SAVE", "OK");
    client.expect("BGSAVE", "Background saving started");
    wait_until_saved(client);
    assert_eq!(persistence(client, "rdb_last_bgsave_status"), "ok");
    assert_eq!(persistence(client, "snapshot_last_error"), "");
    assert_eq!((client.info("rdb_saves"), client.info("rdb_changes_since_last_save")), (made + 2, 0));
}

fn read_again(path: &Path) -> u64 {
    if path.exists() { read(path).number("again") } else { 0 }
}

/// No new file is beside the old one.
#[track_caller]
fn expect_no_rest(path: &Path) {
    let folder = path.parent().expect("a folder");
    let names: Vec<_> =
        fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().ends_with(".tmp")), "{names:?}");
}

#[test]
fn a_folder_that_is_not_there_is_told_at_the_start_and_later() {
    let _together = together();
    let folder = Scratch::new();
    let missing = folder.path("missing");
    let path = missing.join("keys");
    let why = format!("cannot open the folder of '{}': No such file or directory", path.display());
    let (code, _, stderr) = run_to_end(&mut start(&path, &[]).command());
    assert_eq!(code, Some(1));
    assert!(stderr.starts_with(&format!("memento: --snapshot '{}': {why}", path.display())), "{stderr}");

    fs::create_dir(&missing).expect("a folder");
    let mut server = serve(&path);
    let mut client = server.connect();
    expect_made(&mut client, &path);
    let (aside, old) = (folder.path("aside"), fs::read(&path).expect("the file"));
    fs::rename(&missing, &aside).expect("to rename our own folder");
    for request in ["SAVE", "BGSAVE"] {
        client.expect(request, &format!("(error) the snapshot failed: {why}"));
        expect_failed(&server, &mut client, &why);
    }
    fs::rename(&aside, &missing).expect("to rename our own folder");
    assert!(fs::read(&path).expect("the file") == old);
    expect_made(&mut client, &path);

    // Where the last one fails, keys are lost, which is to be seen from outside.
    client.expect("SET lost v", "OK");
    fs::rename(&missing, &aside).expect("to rename our own folder");
    drop(client);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(1));
    assert_eq!(read(&aside.join("keys")).text("lost"), "");
}

#[test]
fn the_last_snapshot_that_fails_is_told_on_standard_error() {
    let _together = together();
    let folder = Scratch::new();
    let inner = folder.path("inner");
    fs::create_dir(&inner).expect("a folder");
    let path = inner.join("keys");
    let stderr = folder.path("stderr");
    let stderr_path = stderr.to_str().expect("a plain path").to_string();
    let mut server = start(&path, &[]).within(&["sh", "-c", "exec \"$@\" 2>\"$0\"", &stderr_path]).start();
    wait_until_loaded(&server);
    server.connect().expect("SET k v", "OK");
    fs::remove_dir(&inner).expect("to remove our own folder");
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(1));
    let told = fs::read_to_string(&stderr).expect("what was told");
    let wanted = format!(
        "memento: --snapshot '{0}': the last snapshot failed, no whole one is lost: cannot open the folder of '{0}': \
         No such file or directory\n",
        path.display()
    );
    assert_eq!(told, wanted);
}

#[test]
fn what_is_no_file_is_not_replaced_and_a_link_is() {
    let _together = together();
    let folder = Scratch::new();
    let path = file(&folder);
    let server = serve(&path);
    let mut client = server.connect();
    client.expect("SET k v", "OK");
    fs::create_dir(&path).expect("a folder");
    let why = format!("cannot replace '{}': it is no regular file", path.display());
    client.expect("BGSAVE", &format!("(error) the snapshot failed: {why}"));
    expect_failed(&server, &mut client, &why);
    expect_no_rest(&path);
    fs::remove_dir(&path).expect("to remove our own folder");
    let elsewhere = folder.path("elsewhere");
    fs::write(&elsewhere, "something else").expect("a file");
    symlink(&elsewhere, &path).expect("a link");
    client.expect("SAVE", "OK");
    assert_eq!(fs::read(&elsewhere).expect("the file"), b"something else");
    assert!(!path.is_symlink() && read(&path).text("k") == "v");
}

#[test]
fn a_file_that_another_server_writes_is_left_to_it() {
    let _together = together();
    let folder = Scratch::new();
    let path = file(&folder);
    let (one, other) = (serve(&path), serve(&path));
    let (mut client, mut second) = (one.connect(), other.connect());
    fill(&mut client, "filler", 50_000, &much());
    client.expect("BGSAVE", "Background saving started");
    let writer = child(&one);
    signal_child(writer, Signal::SIGSTOP);
    second.expect("SET k v", "OK");
    let why = format!("cannot open '{}.tmp': another process writes it", path.display());
    for request in ["BGSAVE", "SAVE"] {
        second.expect(request, &format!("(error) the snapshot failed: {why}"));
        expect_failed(&other, &mut second, &why);
    }
    signal_child(writer, Signal::SIGCONT);
    wait_until_saved(&mut client);
    assert_eq!(persistence(&mut client, "rdb_last_bgsave_status"), "ok");
    assert_eq!(read(&path).keys.len(), 50_000);
    expect_made(&mut second, &path);
}

/// Whether a folder can be mounted in a namespace of its own.
fn can_mount() -> bool {
    if !need("unshare") {
        return false;
    }
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", "mount -t tmpfs -o size=64k none /tmp"]);
    if run_to_end(&mut command).0 != Some(0) {
        skip("nothing can be mounted here (who may not be root has to be let)");
        return false;
    }
    true
}

/// A server in a namespace where something was mounted at the folder, and the path that the folder has from outside.
#[track_caller]
fn serve_within(mount: &str, folder: &Path, path: &Path) -> (Server, PathBuf) {
    let script = format!("{mount} && exec \"$@\"");
    let prefix = ["unshare", "-m", "sh", "-c", &script, "sh"];
    let server = start(path, &[]).within(&prefix).start();
    wait_until_loaded(&server);
    let root = PathBuf::from(format!("/proc/{}/root", server.id()));
    let outside = root.join(folder.strip_prefix("/").expect("a whole path"));
    (server, outside)
}

#[test]
fn a_full_disk_leaves_the_old_snapshot() {
    let _together = together();
    if !can_mount() {
        return;
    }
    let scratch = Scratch::new();
    let folder = scratch.path("disk");
    fs::create_dir(&folder).expect("a folder");
    let path = folder.join("keys");
    let mount = format!("mount -t tmpfs -o size=2m none '{}'", folder.display());
    let (server, outside) = serve_within(&mount, &folder, &path);
    let mut client = server.connect();
    let file = outside.join("keys");
    expect_made(&mut client, &file);
    let old = fs::read(&file).expect("the file");
    let why = format!("cannot write '{}.tmp': No space left on device", path.display());
    fill(&mut client, "filler", 100, &"v".repeat(30_000));
    for request in ["SAVE", "BGSAVE"] {
        let answer = client.ask(request);
        // In the background it may begin.
        let begun = request == "BGSAVE" && answer == "Background saving started";
        assert!(begun || answer == format!("(error) the snapshot failed: {why}"), "{answer}");
        wait_until_saved(&mut client);
        expect_failed(&server, &mut client, &why);
        expect_no_rest(&file);
        assert!(fs::read(&file).expect("the file") == old);
    }
    // Old and new have to fit in.
    (0..80).for_each(|number| client.expect(&format!("DEL filler{number}"), "OK"));
    expect_made(&mut client, &file);
}

#[test]
fn a_folder_that_may_not_be_written_to_leaves_the_old_snapshot() {
    let _together = together();
    if !can_mount() {
        return;
    }
    let folder = Scratch::new();
    let path = file(&folder);
    expect_made(&mut serve(&path).connect(), &path);
    let old = fs::read(&path).expect("the file");
    let shown = path.parent().expect("a folder").to_path_buf();
    let place = shown.display();
    let mount = format!("mount --bind '{place}' '{place}' && mount -o remount,ro,bind '{place}'");
    let (mut server, _) = serve_within(&mount, &shown, &path);
    let mut client = server.connect();
    client.expect("GET again", "1");
    client.expect("SET k v", "OK");
    let why = format!("cannot open '{}.tmp': Read-only file system", path.display());
    for request in ["BGSAVE", "SAVE"] {
        client.expect(request, &format!("(error) the snapshot failed: {why}"));
        expect_failed(&server, &mut client, &why);
    }
    drop(client);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(1));
    assert!(fs::read(&path).expect("the file") == old);
}

/// Calls of the writer that fail, and what is said of them; the file is the old one, but where it has its name already.
const FAULTS: &[(&str, &str, bool)] = &[
    ("fsync:error=EIO:when=1", "cannot write 'FILE.tmp': Input/output error", false),
    ("fsync:error=EIO:when=2", "cannot sync the folder of 'FILE': Input/output error", true),
    ("rename:error=EIO", "cannot replace 'FILE': Input/output error", false),
    ("flock:error=ENOLCK", "cannot open 'FILE.tmp': No locks available", false),
    ("fsync:signal=SIGKILL:when=1", KILLED, false),
    ("rename:signal=SIGKILL", KILLED, false),
    ("fsync:signal=SIGKILL:when=2", KILLED, true),
];

const KILLED: &str = "its process ended before it was done; was it killed?";

#[test]
fn a_disk_that_fails_or_a_writer_that_ends_at_any_call_leaves_a_whole_snapshot() {
    let _together = together();
    if !need("strace") {
        return;
    }
    let folder = Scratch::new();
    let path = file(&folder);
    let tried = run_to_end(Command::new("strace").args(["-o", "/dev/null", "true"]));
    if tried.0 != Some(0) {
        return skip("strace may trace nothing here");
    }
    let mut number = 0;
    for &(fault, why, is_new) in FAULTS {
        let inject = format!("inject={fault}");
        let prefix = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,rename,flock", "-e", &inject];
        // Those that it starts are traced, and counted, each by itself.
        let server = start(&path, &[]).within(&prefix).start();
        wait_until_loaded(&server);
        let mut client = server.connect();
        let old = fs::read(&path).ok();
        number += 1;
        client.expect(&format!("SET number {number}"), "OK");
        let why = why.replace("FILE", path.to_str().expect("a plain path"));
        client.expect("SAVE", &format!("(error) the snapshot failed: {why}"));
        expect_failed(&server, &mut client, &why);
        match fs::read(&path) {
            Ok(_) if is_new => assert_eq!(read(&path).number("number"), number, "{fault}"),
            bytes => assert!(bytes.ok() == old, "{fault}"),
        }
        if !fault.contains("SIGKILL") && !fault.contains("ENOLCK") {
            expect_no_rest(&path);
        }
        // The cause goes with the tracer.
        let status = fs::read_to_string(format!("/proc/{}/status", server.id())).expect("the process's status");
        let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:")).expect("a tracer");
        signal_child(tracer.trim().parse().expect("a number"), Signal::SIGKILL);
        let gone = || {
            fs::read_to_string(format!("/proc/{}/status", server.id())).is_ok_and(|text| text.contains("TracerPid:\t0"))
        };
        assert!(holds_within(DEADLINE, gone), "the tracer stays");
        expect_made(&mut client, &path);
        expect_no_rest(&path);
        assert_eq!(read(&path).number("number"), number);
    }
}

#[test]
fn a_process_that_cannot_be_started_is_an_error_like_another() {
    let _together = together();
    if !need("prlimit") {
        return;
    }
    let folder = Scratch::new();
    let path = file(&folder);
    let server = serve(&path);
    let mut client = server.connect();
    expect_made(&mut client, &path);
    let old = fs::read(&path).expect("the file");
    let limit = |count: usize| {
        let (id, limit) = (server.id().to_string(), format!("--nofile={count}:"));
        assert!(Command::new("prlimit").args(["--pid", &id, &limit]).status().expect("prlimit").success());
    };
    // What is open stays so.
    limit(3);
    let why = "its process cannot be started: Too many open files";
    for request in ["SAVE", "BGSAVE"] {
        client.expect(request, &format!("(error) {why}"));
        expect_failed(&server, &mut client, why);
    }
    limit(1000);
    assert!(fs::read(&path).expect("the file") == old);
    expect_made(&mut client, &path);
}
