//! A plain HTTP/1.1 client that sends exactly the given bytes, and follows no redirects.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Status line and header fields as they came.
    pub head: String,
    /// The body as it came, chunk sizes and all.
    pub body: String,
}

impl Answer {
    /// The JSON in the body, which may be chunked.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        let (start, end) = (self.body.find(['{', '[']), self.body.rfind(['}', ']']));
        let json = start.zip(end).and_then(|(start, end)| self.body.get(start..=end));
        json.and_then(|json| serde_json::from_str(json).ok())
            .unwrap_or_else(|| panic!("expected JSON, found {:?}", self.body))
    }

    /// The values of every header field called `name`.
    pub fn fields(&self, name: &str) -> Vec<&str> {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect()
    }
}

/// Sends one request to `address` (host and port) with these fields and no body, on a connection of its own.
/// A `Host` field for `address` is added unless there is one.
///
/// # Panics
///
/// If no HTTP answer comes within ten seconds.
#[track_caller]
pub fn request(address: &str, method: &str, target: &str, fields: &[(&str, &str)]) -> Answer {
    request_with(address, method, target, fields, "")
}

/// As [`request`], with a body.
///
/// # Panics
///
/// If no HTTP answer comes within ten seconds.
#[track_caller]
pub fn request_with(
    address: &str,
    method: &str,
    target: &str,
    fields: &[(&str, &str)],
    body: &str,
) -> Answer {
    try_request_with(address, method, target, fields, body)
        .unwrap_or_else(|error| panic!("{method} {target} of {address}: {error}"))
}

/// As [`request`], for a server that may not be there.
///
/// # Errors
///
/// If no HTTP answer comes within ten seconds.
pub fn try_request(
    address: &str,
    method: &str,
    target: &str,
    fields: &[(&str, &str)],
) -> std::io::Result<Answer> {
    try_request_with(address, method, target, fields, "")
}

/// As [`try_request`], with a body.
///
/// # Errors
///
/// If no HTTP answer comes within ten seconds.
pub fn try_request_with(
    address: &str,
    method: &str,
    target: &str,
    fields: &[(&str, &str)],
    body: &str,
) -> std::io::Result<Answer> {
    let length = body.len();
    let mut text = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n");
    let hosted = fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"));
    for (name, value) in (!hosted).then_some(("Host", address)).iter().chain(fields) {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.push_str(body);
    let bytes = exchange(address, &text)?;
    let answer = String::from_utf8_lossy(&bytes);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other(format!("expected HTTP, found {head:?}")))?;
    Ok(Answer {
        status,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}

fn exchange(address: &str, text: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(text.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Ok(bytes)
}
