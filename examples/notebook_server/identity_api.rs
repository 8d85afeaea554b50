//! The user's identity: read, and changed.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use axum::{
    Extension, Json,
    body::to_bytes,
    extract::{Query, Request, State},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use portcullis::{Grant, Identity, RequestHead, Session};
use serde_json::{Map, Value, json};

use crate::Server;

/// The fields that a user may change. The username is not among them: it identifies the user.
const UPDATABLE: [&str; 5] = ["name", "display_name", "initials", "avatar_url", "color"];

/// More than any display name needs, and more than a cookie holds.
const LIMIT: usize = 16 * 1024;

/// `GET api/me`: the identity, and which of the actions in `?permissions=` it may do.
pub(crate) async fn me(
    Extension(session): Extension<Session>,
    Query(mut query): Query<HashMap<String, String>>,
) -> Response {
    let requested = query.remove("permissions").filter(|text| !text.is_empty());
    let mut permissions = match requested
        .as_deref()
        .map(serde_json::from_str::<BTreeMap<String, Vec<String>>>)
    {
        // Everyone who has logged in may do everything here.
        Some(Ok(requested)) => requested,
        Some(Err(_)) => {
            let expected = r#"permissions should be a JSON dict of {"resource": ["action",]}"#;
            return refusal(StatusCode::BAD_REQUEST, expected);
        }
        None => BTreeMap::new(),
    };
    permissions.insert(
        "updatable_fields".to_owned(),
        UPDATABLE.map(str::to_owned).to_vec(),
    );
    Json(json!({ "identity": fields(session.identity()), "permissions": permissions })).into_response()
}

/// `PATCH api/me`: other display fields. They live in the cookie, so the answer brings a fresh one.
pub(crate) async fn update(
    State(server): State<Arc<Server>>,
    Extension(session): Extension<Session>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LIMIT).await else {
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, "Body is too long");
    };
    let identity = match changed(session.identity(), &body) {
        Ok(identity) => identity,
        Err(message) => return refusal(StatusCode::BAD_REQUEST, &message),
    };
    let request = Request::from_parts(parts, ());
    let Ok(cookies) = server
        .auth
        .login(RequestHead::new(&request), Grant::new(identity.clone()))
        .await
    else {
        return refusal(StatusCode::BAD_REQUEST, "The fields are too long for a cookie");
    };
    let answer = json!({ "status": "success", "identity": fields(&identity) });
    let mut response = Json(answer).into_response();
    cookies.append_to(response.headers_mut());
    response
}

/// The identity with what `body` changes, or what is wrong with that.
fn changed(identity: &Identity, body: &[u8]) -> Result<Identity, String> {
    let changes = match serde_json::from_slice(body) {
        Ok(Value::Object(changes)) if !changes.is_empty() => changes,
        Err(_) if !body.is_empty() => return Err("Invalid JSON in body of request".to_owned()),
        _ => return Err("Invalid or missing JSON body".to_owned()),
    };
    let mut fields = fields(identity);
    for (field, value) in changes {
        if !UPDATABLE.contains(&&*field) {
            return Err(format!("Field {field} is not updatable"));
        }
        fields.insert(field, value);
    }
    // Only the parser of cookies decides what a valid identity is.
    Identity::from_payload(Value::Object(fields).to_string().as_bytes()).map_err(|error| error.to_string())
}

fn fields(identity: &Identity) -> Map<String, Value> {
    serde_json::from_str(&identity.to_payload()).expect("a payload is a JSON object")
}

fn refusal(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message, "reason": null }))).into_response()
}
