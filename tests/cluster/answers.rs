//! Long pipelines of mixed commands through every node, each answer held against a model.

use std::collections::BTreeMap;
use std::thread;

use super::support::cluster::Cluster;
use super::support::{Client, show, together};
use super::{Random, seed};

/// How replies are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Text,
    Resp2,
    Resp3,
}

/// What a command answers.
enum Answer {
    Ok,
    Pong,
    Integer(i64),
    /// Deleted so many, which text says in its own way.
    Deleted(i64),
    Value(Option<Vec<u8>>),
    Values(Vec<Option<Vec<u8>>>),
    Error(&'static str),
    /// The length in RESP, OK in text.
    Appended(usize),
}

impl Answer {
    fn write(&self, protocol: Protocol, bytes: &mut Vec<u8>) {
        let bulk = |value: &Option<Vec<u8>>| match (value, protocol) {
            (Some(value), Protocol::Text) => value.clone(),
            (None, Protocol::Text) => b"(null)".to_vec(),
            (Some(value), _) => [format!("${}\r\n", value.len()).as_bytes(), value].concat(),
            (None, Protocol::Resp2) => b"$-1".to_vec(),
            (None, Protocol::Resp3) => b"_".to_vec(),
        };
        let text = protocol == Protocol::Text;
        let reply = match self {
            Answer::Ok if text => b"OK".to_vec(),
            Answer::Ok => b"+OK".to_vec(),
            Answer::Pong if text => b"PONG".to_vec(),
            Answer::Pong => b"+PONG".to_vec(),
            Answer::Deleted(0) if text => b"(null)".to_vec(),
            Answer::Deleted(_) | Answer::Appended(_) if text => b"OK".to_vec(),
            Answer::Integer(number) if text => number.to_string().into_bytes(),
            Answer::Integer(number) | Answer::Deleted(number) => format!(":{number}").into_bytes(),
            Answer::Appended(length) => format!(":{length}").into_bytes(),
            Answer::Value(value) => bulk(value),
            Answer::Values(values) if text => values.iter().map(bulk).collect::<Vec<_>>().join(&b'\n'),
            Answer::Values(values) => {
                let head = format!("*{}\r\n", values.len()).into_bytes();
                [head, values.iter().map(bulk).collect::<Vec<_>>().join(&b"\r\n"[..])].concat()
            }
            Answer::Error(error) if text => format!("(error) {error}").into_bytes(),
            Answer::Error(error) => format!("-ERR {error}").into_bytes(),
        };
        bytes.extend(reply);
        bytes.extend(b"\r\n");
    }
}

/// What the store of one client's keys holds, and its next commands.
struct Model {
    random: Random,
    prefix: String,
    values: BTreeMap<String, Vec<u8>>,
}

impl Model {
    fn key(&mut self) -> String {
        format!("{}:{}", self.prefix, self.random.below(500))
    }

    fn value(&mut self) -> Vec<u8> {
        let length = match self.random.below(100) {
            0..60 => self.random.below(20),
            60..98 => self.random.below(300),
            98 => self.random.below(5000),
            // Longer than what travels in one piece.
            _ if self.random.below(20) == 0 => self.random.below(100_000),
            _ => 0,
        };
        if self.random.below(3) == 0 {
            return self.random.below(1_000_000).to_string().into_bytes();
        }
        let mut value = self.random.bytes(length);
        value.iter_mut().for_each(|byte| *byte = b'a' + *byte % 26);
        value
    }

    /// A command's words and its answer.
    fn next(&mut self) -> (Vec<Vec<u8>>, Answer) {
        const NOT_INTEGER: &str = "value is not an integer or out of range";
        let key = self.key();
        let words = |words: &[&str]| words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
        match self.random.below(100) {
            0..22 => {
                let value = self.value();
                self.values.insert(key.clone(), value.clone());
                ([words(&["SET", &key]), vec![value]].concat(), Answer::Ok)
            }
            22..52 => (words(&["GET", &key]), Answer::Value(self.values.get(&key).cloned())),
            52..62 => {
                let key = format!("{key}:counter");
                let quantity = self.random.below(1000) as i64 - 300;
                let old =
                    self.values.get(&key).map_or(0, |value| String::from_utf8_lossy(value).parse().expect("a count"));
                self.values.insert(key.clone(), (old + quantity).to_string().into_bytes());
                (words(&["INCRBY", &key, &quantity.to_string()]), Answer::Integer(old + quantity))
            }
            62..64 => {
                let is_none = self.values.contains_key(&key)
                    && !std::str::from_utf8(&self.values[&key]).is_ok_and(|text| text.parse::<i64>().is_ok());
                if !is_none {
                    return (words(&["EXISTS", &key]), Answer::Integer(self.values.contains_key(&key).into()));
                }
                (words(&["INCR", &key]), Answer::Error(NOT_INTEGER))
            }
            64..70 => {
                let value = self.value();
                let whole = self.values.entry(key.clone()).or_default();
                // Now and then it begins anew, or it would only grow.
                if whole.len() > 200_000 {
                    self.values.remove(&key);
                    return (words(&["DEL", &key]), Answer::Deleted(1));
                }
                whole.extend(&value);
                let length = whole.len();
                ([words(&["APPEND", &key]), vec![value]].concat(), Answer::Appended(length))
            }
            70..74 => (words(&["STRLEN", &key]), Answer::Integer(self.values.get(&key).map_or(0, |v| v.len() as i64))),
            74..78 => (words(&["GETDEL", &key]), Answer::Value(self.values.remove(&key))),
            78..82 => {
                let keys: Vec<String> = (0..1 + self.random.below(5)).map(|_| self.key()).collect();
                let count = keys.iter().filter(|key| self.values.remove(*key).is_some()).count();
                let all: Vec<&str> = ["DEL"].into_iter().chain(keys.iter().map(String::as_str)).collect();
                (words(&all), Answer::Deleted(count as i64))
            }
            82..87 => {
                let keys: Vec<String> = (0..1 + self.random.below(8)).map(|_| self.key()).collect();
                let values = keys.iter().map(|key| self.values.get(key).cloned()).collect();
                let all: Vec<&str> = ["MGET"].into_iter().chain(keys.iter().map(String::as_str)).collect();
                (words(&all), Answer::Values(values))
            }
            87..91 => {
                let mut all = words(&["MSET"]);
                for _ in 0..1 + self.random.below(6) {
                    let (key, value) = (self.key(), self.random.below(1000).to_string().into_bytes());
                    self.values.insert(key.clone(), value.clone());
                    all.extend([key.into_bytes(), value]);
                }
                (all, Answer::Ok)
            }
            91..94 => {
                let keys: Vec<String> = (0..1 + self.random.below(5)).map(|_| self.key()).collect();
                let count = keys.iter().filter(|key| self.values.contains_key(*key)).count();
                let all: Vec<&str> = ["EXISTS"].into_iter().chain(keys.iter().map(String::as_str)).collect();
                (words(&all), Answer::Integer(count as i64))
            }
            94..96 => {
                let value = self.value();
                let old = self.values.insert(key.clone(), value.clone());
                ([words(&["GETSET", &key]), vec![value]].concat(), Answer::Value(old))
            }
            _ => (words(&["PING"]), Answer::Pong),
        }
    }
}

/// A pipeline of so many commands on one connection.
fn converse(client: &mut Client, protocol: Protocol, seed: u64, prefix: &str, count: usize) {
    const AT_ONCE: usize = 1000;
    if protocol == Protocol::Resp3 {
        client.send("*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n*1\r\n$4\r\nPING\r\n");
        client.until(b"+PONG\r\n");
    }
    let mut model = Model { random: Random(seed), prefix: prefix.to_string(), values: BTreeMap::new() };
    let (mut requests, mut wanted) = (Vec::new(), Vec::new());
    for _ in 0..count / AT_ONCE {
        let mut bytes = Vec::new();
        for _ in 0..AT_ONCE {
            let (words, answer) = model.next();
            if protocol == Protocol::Text {
                requests.extend(words.join(&b' '));
                requests.extend(b"\r\n");
            } else {
                requests.extend(format!("*{}\r\n", words.len()).as_bytes());
                for word in &words {
                    requests.extend(format!("${}\r\n", word.len()).as_bytes());
                    requests.extend(word);
                    requests.extend(b"\r\n");
                }
            }
            answer.write(protocol, &mut bytes);
        }
        wanted.push(bytes);
    }
    let mut writer = client.share();
    thread::scope(|scope| {
        scope.spawn(move || writer.send(&requests));
        for (thousand, wanted) in wanted.iter().enumerate() {
            let got = client.exactly(wanted.len());
            let differs = got.iter().zip(wanted).position(|(got, wanted)| got != wanted);
            if let Some(at) = differs {
                let around = |bytes: &[u8]| show(&bytes[at.saturating_sub(40)..bytes.len().min(at + 80)]);
                panic!("{protocol:?}, command {thousand}xxx: wanted {}, got {}", around(wanted), around(&got));
            }
        }
    });
}

#[test]
fn a_hundred_thousand_commands_through_each_node() {
    let _machine = together();
    let seed = seed();
    let cluster = Cluster::start(3);
    let protocols = [Protocol::Text, Protocol::Resp2, Protocol::Resp3];
    thread::scope(|scope| {
        for (node, protocol) in protocols.into_iter().enumerate() {
            let mut client = cluster.connect(node);
            let seed = seed.wrapping_add(node as u64);
            scope.spawn(move || converse(&mut client, protocol, seed, &format!("p{node}"), 100_000));
        }
    });
}

#[test]
fn many_clients_do_not_mix_up_their_answers() {
    let _machine = together();
    let seed = seed();
    let cluster = Cluster::start(3);
    let protocols = [Protocol::Text, Protocol::Resp2, Protocol::Resp3];
    thread::scope(|scope| {
        for number in 0..12 {
            let mut client = cluster.connect(number % 3);
            let protocol = protocols[number / 3 % 3];
            let seed = seed.wrapping_add(100 + number as u64);
            scope.spawn(move || converse(&mut client, protocol, seed, &format!("c{number}"), 5_000));
        }
    });
}

/// What one node did is seen through any other at once.
#[test]
fn all_nodes_tell_the_same() {
    let _machine = together();
    let cluster = Cluster::start(3);
    let mut clients = cluster.connect_all();
    for number in 0..300 {
        let key = format!("key:{number}");
        clients[number % 3].expect(&format!("SET {key} {number}"), "OK");
        clients[(number + 1) % 3].expect(&format!("INC {key} 1"), &(number + 1).to_string());
        clients[(number + 2) % 3].expect(&format!("GET {key}"), &(number + 1).to_string());
        clients[number % 3].expect(&format!("DEL {key} nosuch:{number}"), "OK");
        clients[(number + 1) % 3].expect(&format!("DEL {key} nosuch:{number}"), "(null)");
    }
}
