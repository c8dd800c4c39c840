//! Host names, without the C library's name service: a static program cannot load its modules.
//!
//! A numeric address always works, also in an empty chroot. A name is looked up in /etc/hosts; `localhost` needs
//! not even that. There is no DNS: a store is told addresses.

use super::{files, reason, sentence};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where names are looked up (hosts(5)).
const HOSTS: &str = "/etc/hosts";

/// The addresses of `host`, numeric (IPv4, IPv6, `[IPv6]`) or a name, each with `port`; never empty.
///
/// # Errors
/// `NotFound` with a sentence for a name that is not known; those of reading /etc/hosts.
pub fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let found = match bare.parse() {
        Ok(ip) => vec![ip],
        Err(_) => look_up(host)?,
    };
    let mut addresses = Vec::new();
    for ip in found {
        addresses.push(SocketAddr::new(ip, port));
    }
    Ok(addresses)
}

#[inline(never)]
fn look_up(host: &str) -> io::Result<Vec<IpAddr>> {
    let (mut found, mut unread) = (Vec::new(), None);
    match files::read_text(HOSTS) {
        Ok(table) => found = in_table(&table, host),
        Err(error) => unread = Some(error),
    }
    if found.is_empty() && host.eq_ignore_ascii_case("localhost") {
        found.extend([IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]);
    }
    if !found.is_empty() {
        return Ok(found);
    }
    let why = match unread {
        None => format!("no host '{host}' in {HOSTS}"),
        Some(error) => format!("host '{host}' cannot be looked up, {HOSTS}: {}", reason(&error)),
    };
    Err(sentence(io::ErrorKind::NotFound, format_args!("{why}; give a numeric address")))
}

/// The addresses that a table in the form of hosts(5) gives for `host`, IPv4 first, as most software has it.
#[inline(never)]
fn in_table(table: &str, host: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for wants_v4 in [true, false] {
        for line in table.lines() {
            let (line, _comment) = line.split_once('#').unwrap_or((line, ""));
            let mut words = line.split_ascii_whitespace();
            let Some(Ok(ip)) = words.next().map(str::parse::<IpAddr>) else { continue };
            let is_named = ip.is_ipv4() == wants_v4 && words.any(|name| name.eq_ignore_ascii_case(host));
            if is_named && !found.contains(&ip) {
                found.push(ip);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_need_no_table() {
        assert_eq!(addresses("127.0.0.1", 5).unwrap(), ["127.0.0.1:5".parse().unwrap()]);
        assert_eq!(addresses("::1", 5).unwrap(), ["[::1]:5".parse().unwrap()]);
        assert_eq!(addresses("[::1]", 5).unwrap(), ["[::1]:5".parse().unwrap()]);
    }

    #[test]
    fn a_table_gives_its_names_in_any_case() {
        let table = "# comment\n::1 box ip6-box\n10.0.0.1\tBox other # not-this\nnonsense box\n";
        assert_eq!(in_table(table, "BOX"), ["10.0.0.1".parse::<IpAddr>().unwrap(), "::1".parse().unwrap()]);
        assert!(in_table(table, "not-this").is_empty());
    }

    #[test]
    fn an_unknown_name_is_a_sentence() {
        let error = addresses("no-such-host.invalid", 1).unwrap_err();
        assert!(error.to_string().contains("no-such-host.invalid") && error.to_string().contains("numeric"), "{error}");
    }
}
