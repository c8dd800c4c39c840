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
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let table = files::read_text(HOSTS);
    let mut found = table.as_deref().map_or(Vec::new(), |table| in_table(table, host));
    if found.is_empty() && host.eq_ignore_ascii_case("localhost") {
        found = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    }
    if found.is_empty() {
        let why = match table {
            Ok(_) => format!("no host '{host}' in {HOSTS}; give a numeric address"),
            Err(error) => {
                let why = reason(&error);
                format!("host '{host}' cannot be looked up, {HOSTS}: {why}; give a numeric address")
            }
        };
        return Err(sentence(io::ErrorKind::NotFound, why));
    }
    Ok(found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
}

/// The addresses that a table in the form of hosts(5) gives for `host`, IPv4 first, as most software has it.
fn in_table(table: &str, host: &str) -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = Vec::new();
    for family in [IpAddr::is_ipv4, IpAddr::is_ipv6] {
        for line in table.lines() {
            let mut words = line.split('#').next().unwrap_or("").split_ascii_whitespace();
            let Some(Ok(ip)) = words.next().map(str::parse) else { continue };
            if family(&ip) && words.any(|name| name.eq_ignore_ascii_case(host)) && !found.contains(&ip) {
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
