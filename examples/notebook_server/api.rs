//! What programs ask: JSON, as Jupyter Server answers it.

use std::sync::Arc;

use axum::{
    Json,
    extract::{
        State, WebSocketUpgrade,
        ws::{Message, WebSocket},
    },
    response::Response,
};
use http::StatusCode;
use serde_json::{Value, json};

use crate::Server;

/// `GET api`, for anyone: the route is an open path of the gate.
pub(crate) async fn version() -> Json<Value> {
    Json(json!({ "version": env!("CARGO_PKG_VERSION") }))
}

/// `GET api/status`.
pub(crate) async fn status() -> Json<Value> {
    Json(json!({ "connections": 0, "kernels": 0 }))
}

/// `GET api/kernelspecs`: there are none.
pub(crate) async fn kernelspecs() -> Json<Value> {
    Json(json!({ "default": "", "kernelspecs": {} }))
}

/// `POST api/shutdown`.
pub(crate) async fn shutdown(State(server): State<Arc<Server>>) -> StatusCode {
    server.stop.request();
    StatusCode::OK
}

/// `GET api/events/subscribe`: a websocket that says everything back. The gate let the handshake through as it
/// lets any request through, and asked for an `Origin` of ours where the cookie was the credential.
pub(crate) async fn echo(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |mut socket: WebSocket| {
        while let Some(Ok(message)) = socket.recv().await {
            // axum itself answers pings and the close.
            if let Message::Text(_) | Message::Binary(_) = message
                && socket.send(message).await.is_err()
            {
                break;
            }
        }
    })
}
