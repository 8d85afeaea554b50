//! Step-up: a call of a tool without its scope gets 403 with a challenge, by which the client requests a token with more scopes.
//!
//! The name of the tool is in the body, so the layer does not see it, and the tool itself cannot set the status of the response.

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use portcullis::{AuthLayer, RequestHead};
use serde_json::Value;
use tokio::time::timeout;

const MAX_BODY: usize = 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);

/// For the name of a tool, the layer with all scopes that it needs: a client requests those of the challenge alone.
#[derive(Clone)]
pub(crate) struct StepUp(Arc<HashMap<&'static str, AuthLayer>>);

impl StepUp {
    pub(crate) fn new<const N: usize>(tools: [(&'static str, AuthLayer); N]) -> Self {
        Self(Arc::new(tools.into()))
    }
}

pub(crate) async fn check(State(step_up): State<StepUp>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let body = match timeout(PATIENCE, to_bytes(body, MAX_BODY)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    let message: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |pointer: &str| message.pointer(pointer).and_then(Value::as_str);
    let tool = text("/params/name").filter(|_| text("/method") == Some("tools/call"));
    if let Some(auth) = tool.and_then(|tool| step_up.0.get(tool))
        && let Err(denial) = auth.authenticate(RequestHead::from_parts(&parts)).await
    {
        return denial.into_response(RequestHead::from_parts(&parts));
    }
    next.run(Request::from_parts(parts, Body::from(body))).await
}
