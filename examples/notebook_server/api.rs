//! The API for programs: JSON, as Jupyter Server answers it.

use std::sync::Arc;

use axum::{
    Json,
    extract::{
        State, WebSocketUpgrade,
        ws::{CloseFrame, Message, WebSocket, close_code},
    },
    response::Response,
};
use http::StatusCode;
use portcullis::Session;
use serde_json::{Value, json};

use crate::Server;

/// `GET api`, for anyone: the route is an open path of the layer.
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

/// `GET api/events/subscribe`: a websocket that returns each message. The layer allowed the handshake like any other
/// request, and required an `Origin` of this server if the cookie was the credential. It closes when the
/// session ends: a logout in another tab reaches it too.
pub(crate) async fn echo(
    State(server): State<Arc<Server>>,
    session: Session,
    upgrade: WebSocketUpgrade,
) -> Response {
    let ended = server.auth.session_ended(&session);
    upgrade.on_upgrade(async move |mut socket: WebSocket| {
        tokio::select! {
            () = echoing(&mut socket) => {}
            () = ended => {
                let reason = CloseFrame { code: close_code::POLICY, reason: "logged out".into() };
                // The client may have disconnected already.
                let _ = socket.send(Message::Close(Some(reason))).await;
            }
        }
    })
}

async fn echoing(socket: &mut WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        // axum itself answers pings and the close.
        if let Message::Text(_) | Message::Binary(_) = message
            && socket.send(message).await.is_err()
        {
            break;
        }
    }
}
