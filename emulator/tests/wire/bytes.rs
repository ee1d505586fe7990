//! MQTT packets, written by hand so that no codec vouches for itself.

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

pub(crate) fn packet(first: u8, rest: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    let mut left = rest.len();
    loop {
        let more = left >= 128;
        out.push((left % 128) as u8 | if more { 0x80 } else { 0 });
        left /= 128;
        if !more {
            break;
        }
    }
    out.extend(rest);
    out
}

fn text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend((text.len() as u16).to_be_bytes());
    out.extend(text);
}

/// A CONNECT of MQTT 3.1.1 whose parts are set one by one.
#[derive(Clone)]
pub(crate) struct Connect {
    pub(crate) protocol: &'static str,
    pub(crate) level: u8,
    pub(crate) clean: bool,
    pub(crate) keep_alive: u16,
    pub(crate) client_id: String,
    pub(crate) will: Option<(String, &'static str, u8, bool)>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
}

impl Connect {
    pub(crate) fn new(client_id: &str, user: &str, password: &str) -> Self {
        Self {
            protocol: "MQTT",
            level: 4,
            clean: false,
            keep_alive: 240,
            client_id: client_id.into(),
            will: None,
            user: Some(user.into()),
            password: Some(password.into()),
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut flags = u8::from(self.clean) << 1;
        flags |= u8::from(self.user.is_some()) << 7 | u8::from(self.password.is_some()) << 6;
        if let Some((_, _, qos, retain)) = self.will {
            flags |= 0x04 | qos << 3 | u8::from(retain) << 5;
        }
        let mut rest = Vec::new();
        text(&mut rest, self.protocol.as_bytes());
        rest.extend([self.level, flags]);
        rest.extend(self.keep_alive.to_be_bytes());
        text(&mut rest, self.client_id.as_bytes());
        if let Some((topic, body, _, _)) = &self.will {
            text(&mut rest, topic.as_bytes());
            text(&mut rest, body.as_bytes());
        }
        for part in [&self.user, &self.password].into_iter().flatten() {
            text(&mut rest, part.as_bytes());
        }
        packet(0x10, &rest)
    }
}

pub(crate) fn publish(topic: &str, qos: u8, id: u16, body: &[u8]) -> Vec<u8> {
    publish_with(0x30 | qos << 1, topic, id, body)
}

pub(crate) fn publish_with(first: u8, topic: &str, id: u16, body: &[u8]) -> Vec<u8> {
    let mut rest = Vec::new();
    text(&mut rest, topic.as_bytes());
    if first & 0x06 != 0 {
        rest.extend(id.to_be_bytes());
    }
    rest.extend(body);
    packet(first, &rest)
}

pub(crate) fn subscribe(id: u16, filters: &[(&str, u8)]) -> Vec<u8> {
    let mut rest = id.to_be_bytes().to_vec();
    for (filter, qos) in filters {
        text(&mut rest, filter.as_bytes());
        rest.push(*qos);
    }
    packet(0x82, &rest)
}

pub(crate) fn unsubscribe(id: u16, filters: &[&str]) -> Vec<u8> {
    let mut rest = id.to_be_bytes().to_vec();
    for filter in filters {
        text(&mut rest, filter.as_bytes());
    }
    packet(0xa2, &rest)
}

pub(crate) const ACCEPTED: &str = "20020000";
pub(crate) const SESSION_PRESENT: &str = "20020100";
pub(crate) const DISCONNECT: &str = "e000";

/// Ref appendix A: CONNECT of `dev1` with token B.
pub(crate) const CONNECT_DEV1: &str = "10d40100044d51545404c000f00004646576310036636f6e746f736f2e617a7572652d646576696365732e6e65742f646576312f3f6170692d76657273696f6e3d323032312d30342d3132008a5368617265644163636573735369676e61747572652073723d636f6e746f736f2e617a7572652d646576696365732e6e65742532466465766963657325324664657631267369673d514b6953732532466a335873504e3563744d74526f4a6137632532425941395275563248733458775479584b38253242772533442673653d31373030303030303030";
/// Ref appendix A: CONNECT of `dev1` without a password.
pub(crate) const CONNECT_DEV1_X509: &str = "104800044d515454048000f00004646576310036636f6e746f736f2e617a7572652d646576696365732e6e65742f646576312f3f6170692d76657273696f6e3d323032312d30342d3132";
/// Ref appendix A: CONNECT of `dev-01` to DPS with token E.
pub(crate) const CONNECT_DPS: &str = "10de0100044d51545404c2003c00066465762d30310037306e6530304142434445462f726567697374726174696f6e732f6465762d30312f6170692d76657273696f6e3d323031392d30332d333100915368617265644163636573735369676e61747572652073723d306e653030414243444546253246726567697374726174696f6e732532466465762d3031267369673d375738386a6241383071324239794365386a654e5375576f62586938675841464c376d382532467a5176355a412533442673653d3137303030303030303026736b6e3d726567697374726174696f6e";
