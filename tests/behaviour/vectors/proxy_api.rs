//! The API of the example `proxy`, compared with that of configurable-http-proxy.

#[path = "../../../examples/proxy/api.rs"]
mod api;
#[path = "../../../examples/common/mod.rs"]
mod common;
#[allow(dead_code, reason = "the traffic takes the rest")]
#[path = "../../../examples/proxy/route_table.rs"]
mod route_table;

use std::{cell::RefCell, convert::Infallible};

use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use portcullis::{AuthLayer, Token, authenticate::TokenSource, middleware::ResponseStyle};
use serde_json::Value;
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::{Rule, check_rows};
use route_table::Table;

/// The status, and of a good answer the JSON.
type ApiResult = (Option<u64>, Value);

fn status(status: u64) -> Option<ApiResult> {
    Some((Some(status), Value::Null))
}

fn is_authorized(case: &Value) -> bool {
    let (Some(token), Some(field)) = (case["proxy_token"].as_str(), case["authorization"].as_str()) else {
        return false;
    };
    // What an HTTP field's value ends with is no part of it.
    let Some((scheme, presented)) = field.trim_end().split_once([' ', '\t']) else {
        return false;
    };
    ["token", "bearer"].contains(&&*scheme.to_ascii_lowercase())
        && presented.trim_start_matches([' ', '\t']) == token
}

const RULES: &[Rule<ApiResult>] = &[
    Rule {
        decision: "22",
        reason: "there is no proxy without a token: the program makes one when none is set",
        result: |case| case["proxy_token"].is_null().then(|| status(403))?,
    },
    Rule {
        decision: "1",
        reason: "authentication comes first: without it no method, path or body is read",
        result: |case| (!is_authorized(case)).then(|| status(403))?,
    },
    Rule {
        decision: "2",
        reason: "the scheme is `token` or `Bearer`, in any case",
        result: |case| {
            let scheme = case["authorization"].as_str()?.split([' ', '\t']).next()?;
            let lists = case["method"] == "GET" && case["path"] == "/api/routes";
            (lists && scheme != "token").then(|| (Some(200), serde_json::json!({})))
        },
    },
    Rule {
        decision: "12.11",
        reason: "the default route is removed at the path without a slash as well",
        result: |case| case["no_answer"].is_string().then(|| status(204))?,
    },
    Rule {
        decision: "12.11",
        reason: "it is gone already then",
        result: |case| {
            (case["note"] == "default route" && case["method"] == "DELETE").then(|| status(404))?
        },
    },
];

#[test]
fn the_proxys_api_answers_as_configurable_http_proxy_does() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let table = RefCell::new((Value::Null, Table::default()));
    check_rows(
        "jupyterhub/chp_api.json",
        RULES,
        |case| {
            let json = |text: &str| serde_json::from_str(text).unwrap_or_default();
            let good = case["status"] == 200;
            let json = case["response"].as_str().filter(|_| good).map(json);
            (case["status"].as_u64(), json.unwrap_or_default())
        },
        |case| {
            if table.borrow().0 != case["proxy_token"] {
                *table.borrow_mut() = (case["proxy_token"].clone(), Table::default());
            }
            let table = table.borrow().1.clone();
            runtime.block_on(answer(table, case))
        },
    );
}

async fn answer(table: Table, case: &Value) -> ApiResult {
    let token = case["proxy_token"]
        .as_str()
        .map_or_else(Token::generate, |token| token.parse().expect("a token"));
    let auth = AuthLayer::builder()
        .token(token)
        .token_sources([TokenSource::Authorization])
        .response_style(ResponseStyle::jupyter())
        .build()
        .expect("a layer");
    let service = auth.layer(service_fn(move |request: Request<Full<Bytes>>| {
        let table = table.clone();
        async move { Ok::<_, Infallible>(api::answer(table, request).await) }
    }));
    let mut request = Request::builder()
        .method(case["method"].as_str().expect("a method"))
        .uri(case["path"].as_str().expect("a path"));
    if let Some(field) = case["authorization"].as_str() {
        // A server removes the whitespace around a value before a handler gets it.
        request = request.header("authorization", field.trim());
    }
    let body = case["body"].as_str().unwrap_or_default().to_owned();
    let response = service
        .oneshot(request.body(Full::from(body)).expect("a request"))
        .await
        .expect("an answer");
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    let mut json = match status {
        200 => serde_json::from_slice(&body).expect("JSON"),
        _ => Value::Null,
    };
    without_times(&mut json);
    (Some(status.into()), json)
}

fn without_times(json: &mut Value) {
    let Some(object) = json.as_object_mut() else {
        return;
    };
    for (name, value) in object {
        match name.as_str() {
            "last_activity" => *value = "<iso time>".into(),
            _ => without_times(value),
        }
    }
}
