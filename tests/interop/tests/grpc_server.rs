//! `grpc_server`: what it answers to whom, to the byte, and how it ends.

use bytes::Bytes;
use portcullis_interop::example::Example;

/// What came back of one call.
struct Called {
    /// Whether all of it came in one block of header fields.
    trailers_only: bool,
    http_status: u16,
    grpc_status: String,
    message: String,
    body: Vec<u8>,
}

/// Calls `path` with an empty message and waits for the first reply, or for the end.
async fn call(address: &str, path: &str, authorization: Option<&str>) -> Called {
    let socket = tokio::net::TcpStream::connect(address)
        .await
        .expect("a connection");
    let (client, connection) = h2::client::handshake(socket).await.expect("HTTP/2");
    let connection = tokio::spawn(connection);
    let mut client = client.ready().await.expect("a stream");
    let mut request = http::Request::post(format!("http://{address}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    let (answer, mut stream) = client
        .send_request(request.body(()).expect("a request"), false)
        .expect("it is sent");
    // Not compressed, no bytes.
    stream
        .send_data(Bytes::from_static(&[0; 5]), true)
        .expect("it is sent");
    let (head, mut reply) = answer.await.expect("an answer").into_parts();
    let trailers_only = reply.is_end_stream();
    let mut body = Vec::new();
    if !trailers_only && let Some(bytes) = reply.data().await {
        body.extend_from_slice(&bytes.expect("a message"));
    }
    let mut fields = head.headers;
    if reply.is_end_stream() || !path.ends_with("Watch") {
        fields.extend(reply.trailers().await.expect("trailers").unwrap_or_default());
    }
    connection.abort();
    let field = |name: &str| {
        let value = fields
            .get(name)
            .map(|value| value.to_str().expect("visible ASCII"));
        value.unwrap_or_default().to_owned()
    };
    Called {
        trailers_only,
        http_status: head.status.as_u16(),
        grpc_status: field("grpc-status"),
        message: field("grpc-message"),
        body,
    }
}

#[tokio::test]
async fn a_service_requires_a_token_and_a_scope_while_health_is_public() {
    let mut command = Example::command(&Example::build("grpc_server"));
    command.args(["--port", "0"]);
    let mut example = Example::start("grpc_server", command);
    let address = example.line_after("grpc_server listens on http://");
    let address = address.trim_end_matches('/');
    let guest = format!("Bearer {}", example.line_after("guest:"));
    let owner = format!("bEaReR {}", example.line_after("owner:"));
    let said = |text: &str| {
        let length = u8::try_from(text.len()).expect("a short text");
        let mut bytes = vec![0, 0, 0, 0, length + 2, 0x0a, length];
        bytes.extend_from_slice(text.as_bytes());
        bytes
    };
    let serving = vec![0, 0, 0, 0, 2, 0x08, 0x01];

    for (path, authorization, status, message, body) in [
        ("/grpc.health.v1.Health/Check", None, "0", "", serving.clone()),
        ("/grpc.health.v1.Health/Watch", None, "", "", serving.clone()),
        (
            "/grpc.health.v1.Health/Check",
            Some("Bearer wrong"),
            "0",
            "",
            serving,
        ),
        ("/door.Door/Knock", None, "16", "missing credentials", vec![]),
        (
            "/door.Door/Knock",
            Some("Bearer wrong"),
            "16",
            "unknown token",
            vec![],
        ),
        (
            "/door.Door/Knock",
            Some("Basic YTpi"),
            "16",
            "missing credentials",
            vec![],
        ),
        ("/door.Door/Knock", Some(&guest), "0", "", said("hello, guest")),
        ("/door.Door/Open", Some(&guest), "7", "insufficient scope", vec![]),
        ("/door.Door/Open", Some(&owner), "0", "", said("it is open")),
        // Without a credential, no client learns which methods exist.
        ("/door.Door/NoSuch", None, "16", "missing credentials", vec![]),
        ("/no.Such/Service", None, "16", "missing credentials", vec![]),
        ("/door.Door/NoSuch", Some(&guest), "12", "no such method", vec![]),
    ] {
        let told = call(address, path, authorization).await;
        let claim = format!(
            "{path} with {}",
            authorization.map_or("nothing", |value| &value[..6])
        );
        assert_eq!(told.http_status, 200, "{claim}");
        assert_eq!(told.grpc_status, status, "{claim}");
        assert_eq!(told.message.replace("%20", " "), message, "{claim}");
        assert_eq!(told.body, body, "{claim}");
        assert_eq!(told.trailers_only, body.is_empty(), "{claim}");
    }

    let ended = example.signal("TERM");
    assert_eq!(
        ended.code(),
        Some(0),
        "expected SIGTERM to end it well, found {ended}"
    );
}

#[tokio::test]
async fn the_small_example_accepts_its_token_alone() {
    let example = Example::start("tonic", Example::command(&Example::build("tonic")));
    let token = format!("Bearer {}", example.line_after("Token: "));
    let url = example.line_after("  http://");
    let address = url
        .strip_suffix("/grpc.health.v1.Health/Check")
        .expect("a method");
    for (authorization, status) in [(Some(&*token), "0"), (Some("Bearer wrong"), "16"), (None, "16")] {
        let called = call(address, "/grpc.health.v1.Health/Check", authorization).await;
        assert_eq!(called.grpc_status, status, "{}", called.message);
    }
    assert_eq!(example.line_after("called by "), "alice");
}

#[test]
fn a_start_that_fails_is_one_clear_error() {
    let program = Example::build("grpc_server");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    for arguments in [
        &["--port", "none"][..],
        &["--port", &port],
        &["--unknown", "flag"],
    ] {
        let mut command = Example::command(&program);
        command.args(arguments);
        let (status, stderr) = portcullis_interop::example::run(command);
        assert_eq!(status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(
            portcullis_interop::example::is_clear_error(&stderr),
            "{arguments:?}: {stderr}"
        );
    }
}
