//! The API by which a hub changes the table: `/api/routes`. The layer in front of it decides who may.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Full, Limited};
use serde_json::{Map, Value};
use time::{
    Date, OffsetDateTime, Time,
    format_description::well_known::{Iso8601, Rfc3339},
};

use super::{
    common::exit::Failure,
    route_table::{Route, Table},
};

/// The longest description of a route that is read, in bytes.
const LIMIT: usize = 64 * 1024;

/// The answer to a request of the API.
pub(crate) async fn answer<B>(table: Table, request: Request<B>) -> Response<Full<Bytes>>
where
    B: http_body::Body<Data = Bytes, Error: Into<Failure>>,
{
    let (parts, body) = request.into_parts();
    let path = match parts.uri.path().strip_prefix("/api/routes") {
        Some(path) if path.is_empty() || path.starts_with('/') => path,
        _ => return text(StatusCode::NOT_FOUND, "Not Found"),
    };
    match parts.method {
        Method::GET if path.trim_matches('/').is_empty() => match inactive_since(parts.uri.query()) {
            Ok(since) => json(&table.to_json(since)),
            Err(error) => text(StatusCode::BAD_REQUEST, &error.to_string()),
        },
        Method::GET => match table.get(path) {
            Some(route) => json(&route.to_json()),
            None => text(StatusCode::NOT_FOUND, ""),
        },
        Method::POST => match Limited::new(body, LIMIT).collect().await {
            Err(_) => text(StatusCode::PAYLOAD_TOO_LARGE, ""),
            Ok(body) => match read(&body.to_bytes()).and_then(Route::new) {
                Ok(route) => {
                    table.put(path, route);
                    text(StatusCode::CREATED, "")
                }
                Err(error) => text(StatusCode::BAD_REQUEST, &error.to_string()),
            },
        },
        Method::DELETE if table.remove(path) => text(StatusCode::NO_CONTENT, ""),
        Method::DELETE => text(StatusCode::NOT_FOUND, ""),
        _ => text(StatusCode::METHOD_NOT_ALLOWED, "Method not supported"),
    }
}

fn read(body: &[u8]) -> Result<Map<String, Value>, Failure> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(data)) => Ok(data),
        Ok(_) => Ok(Map::new()),
        Err(error) => Err(format!("Body not valid JSON: {error}").into()),
    }
}

/// The time in the parameter `inactiveSince` (or `inactive_since`).
fn inactive_since(query: Option<&str>) -> Result<Option<OffsetDateTime>, Failure> {
    let named = |name| {
        url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
            .find(|(found, value)| found == name && !value.is_empty())
    };
    let Some((_, text)) = named("inactiveSince").or_else(|| named("inactive_since")) else {
        return Ok(None);
    };
    let day = |text| {
        Some(
            Date::parse(text, &Iso8601::DATE)
                .ok()?
                .with_time(Time::MIDNIGHT)
                .assume_utc(),
        )
    };
    match OffsetDateTime::parse(&text, &Rfc3339).ok().or_else(|| day(&text)) {
        Some(since) => Ok(Some(since)),
        None => Err("Invalid datestamp: inactiveSince must be ISO8601, such as 2026-01-31T12:00:00Z".into()),
    }
}

fn json(value: &Value) -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::OK, &value.to_string());
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

fn text(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text.to_owned()));
    *response.status_mut() = status;
    if !text.is_empty() {
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, plain);
    }
    response
}
