//! A client that keeps its connection open and sends the same bytes again and again.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

pub(crate) const STATUS_PATH: &str = "/api/status";
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";

#[derive(Clone, Copy)]
pub(crate) enum Credential {
    /// [`TOKEN`] in the `Authorization` field.
    Token,
    /// The cookies that the server sets as its answer to `login`, a method and a target.
    Cookie { login: &'static str },
}

/// The name that the servers expect. The port may be another.
const HOST: &str = "localhost:8888";
const OK: &str = "HTTP/1.1 200 OK\r\n";

/// Keeps all threads, and the processes that are started later, on one processor.
///
/// With the client on another one, the bare router took three times as long on a virtual machine.
pub(crate) fn stay_on_one_processor() {
    #[cfg(target_os = "linux")]
    {
        use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};

        let mut processors = CpuSet::new();
        processors.set(sched_getcpu());
        sched_setaffinity(None, &processors).expect("a processor that we are on");
    }
}

/// A connection to one server, and the answer that is expected.
pub(crate) struct Client {
    connection: TcpStream,
    request: Vec<u8>,
    /// The end of the header section, and the body.
    ending: Vec<u8>,
    buffer: Vec<u8>,
}

impl Client {
    /// Asserts that the first answer is 200 and that its body starts with `greeting`.
    ///
    /// All later answers must have the same body.
    pub(crate) fn connect(address: SocketAddr, request: &[u8], greeting: &str) -> Self {
        let answer = exchange(
            address,
            &String::from_utf8_lossy(request).replace("keep-alive", "close"),
        );
        let (head, body) = answer.split_once("\r\n\r\n").expect("a whole answer");
        assert!(head.starts_with(OK), "expected 200, found {answer}");
        assert!(
            body.starts_with(greeting),
            "expected `{greeting}`, found {answer}"
        );
        Self {
            connection: open(address),
            request: request.to_vec(),
            ending: format!("\r\n\r\n{body}").into(),
            buffer: vec![0; 4096],
        }
    }

    /// Sends `count` requests, each when the last is answered.
    ///
    /// # Panics
    ///
    /// Panics if an answer has another status or another body than the first.
    pub(crate) fn send(&mut self, count: u32) {
        for _ in 0..count {
            self.connection
                .write_all(&self.request)
                .expect("a request is sent");
            let mut length = 0;
            while !self.buffer[..length].ends_with(&self.ending) {
                match self.connection.read(&mut self.buffer[length..]) {
                    Ok(read) if read > 0 => length += read,
                    end => {
                        let answer = String::from_utf8_lossy(&self.buffer[..length]);
                        panic!("expected the same body again, found {end:?} after {answer}");
                    }
                }
            }
            assert!(self.buffer.starts_with(OK.as_bytes()), "expected 200");
        }
    }
}

/// The request that is sent again and again. Logs in first if the credential is a cookie.
pub(crate) fn request(credential: Credential, address: SocketAddr) -> Vec<u8> {
    let credential = match credential {
        Credential::Token => format!("Authorization: Bearer {TOKEN}"),
        Credential::Cookie { login } => format!("Cookie: {}", cookies(&log_in(login, address))),
    };
    head(&format!("GET {STATUS_PATH}"), "keep-alive", &credential).into()
}

/// The cookies that the answer to a login sets, after two others that a browser has.
fn cookies(answer: &str) -> String {
    let set = answer.lines().filter_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let pair = value.split(';').next()?;
        name.eq_ignore_ascii_case("set-cookie").then_some(pair)
    });
    let mut cookies: Vec<&str> = set.collect();
    assert!(!cookies.is_empty(), "expected a cookie, found {answer}");
    cookies.insert(0, "theme=dark");
    if !cookies.iter().any(|cookie| cookie.starts_with("_xsrf=")) {
        cookies.insert(0, "_xsrf=0123456789abcdef0123456789abcdef");
    }
    cookies.join("; ")
}

/// Logs in as a browser that opens a page: a script gets no session.
fn log_in(login: &str, address: SocketAddr) -> String {
    let request = head(login, "close", "Content-Length: 0");
    exchange(address, &request.replace("Accept: ", "Accept: text/html, "))
}

/// The head of a request with six usual fields and `field`.
pub(crate) fn head(request_line: &str, connection: &str, field: &str) -> String {
    format!(
        "{request_line} HTTP/1.1\r\n\
         Host: {HOST}\r\n\
         User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
         Accept: application/json, text/plain, */*\r\n\
         Accept-Language: en-US,en;q=0.5\r\n\
         Accept-Encoding: gzip, deflate, br, zstd\r\n\
         Connection: {connection}\r\n\
         {field}\r\n\r\n"
    )
}

/// Sends one request over a connection of its own and returns the whole answer.
pub(crate) fn exchange(address: SocketAddr, request: &str) -> String {
    let mut connection = open(address);
    connection
        .write_all(request.as_bytes())
        .expect("a request is sent");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("an answer of text");
    answer
}

fn open(address: SocketAddr) -> TcpStream {
    let connection = TcpStream::connect(address).expect("the server listens");
    connection.set_nodelay(true).expect("a socket option");
    connection
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a socket option");
    connection
}
