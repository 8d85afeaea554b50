//! Requests to a JupyterHub with its responses, sent to this crate's hub.

use std::{future::Future, time::Duration};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use portcullis::{
    Grant, Identity, Keyring, RequestHead, Secret, Token,
    authenticate::token_in_authorization,
    clock::UnixTime,
    cookies::{CookieName, CookieScope, SignedValueCodec},
    hub_server::{OAuthClientConfig, Username},
    redirect::{NextUrl, RedirectPolicy},
    request::Scheme,
    request_policy::{CsrfBinding, CsrfMode, CsrfTokens, RequestCsrf, RequestKind, RequestPolicy},
    store::{SessionRecord, SessionStore as _},
    token::PresentedToken,
};
use serde_json::{Value, json};

use super::{Rule, check_rows, redirects::by_the_rules};
use crate::{
    common::Answered,
    hub::{
        self, NOW, PASSWORD, REDIRECT_URI, SECRET, SERVER_TOKEN, World, authorize_query, encoded,
        exchange_fields, form, hidden,
    },
};

fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(future)
}

fn text<'v>(case: &'v Value, key: &str) -> &'v str {
    case[key].as_str().unwrap_or_default()
}

/// A row of another server: of a single-user server, or a service.
const NOT_OF_THE_HUB: &str = "not the hub's to answer";

// ---- OAuth

/// A location with its code taken out.
fn without_code(location: &str) -> String {
    match location.split_once("code=") {
        Some((before, rest)) => {
            let behind = rest
                .split_once('&')
                .map_or(String::new(), |(_, behind)| format!("&{behind}"));
            format!("{before}code=<code>{behind}")
        }
        None => location.to_owned(),
    }
}

/// The description of an error is for a developer who reads logs; a denied access has a message of this crate.
fn oauth_result(status: u64, location: &str, has_form: bool, message: &str, body: &Value) -> String {
    let location = location
        .split('&')
        .filter(|pair| !pair.starts_with("error_description="))
        .collect::<Vec<_>>()
        .join("&");
    let message = message.split(" to access ").next().unwrap_or_default();
    // Which error of `_xsrf` it is depends on its format, and this crate has another.
    let message = if message.to_lowercase().contains("xsrf") {
        "_xsrf"
    } else {
        message
    };
    // The parameters of the way back are in the order they were sent in.
    let location = match location.split_once("next=") {
        Some((before, next)) => {
            let next = decoded(next);
            let mut pairs: Vec<_> = next.split(['?', '&']).collect();
            pairs.sort_unstable();
            format!("{before}next={}", pairs.join(" "))
        }
        None => location,
    };
    let error = [text(body, "error"), text(body, "error_description")].join(" ");
    format!(
        "{status} {} form:{has_form} {message:?} {}",
        without_code(&location),
        error.trim()
    )
}

fn query_of(case: &Value) -> String {
    let query = case["query"].as_object().expect("a query");
    let pairs = query
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().expect("text")));
    form(&pairs.collect::<Vec<_>>())
}

/// Whether the authorization request of a row sends a challenge by S256.
fn has_challenge(query: &Value) -> bool {
    query["code_challenge"].is_string() && query["code_challenge_method"] == "S256"
}

const NO_CODE: &str = "no code is given for this request";

fn oauth_rules() -> [Rule<String>; 3] {
    [
        Rule {
            decision: "34",
            reason: "access is checked again when the consent form is sent",
            result: |case| {
                let without =
                    text(case, "note").contains("without access") || text(case, "note").contains("no access");
                match (without, text(case, "endpoint"), text(case, "method")) {
                    (true, "authorize", "POST") => Some(oauth_result(
                        403,
                        "",
                        false,
                        "You do not have permission to access x",
                        &Value::Null,
                    )),
                    (true, "token", _) => Some(NO_CODE.to_owned()),
                    _ => None,
                }
            },
        },
        Rule {
            decision: "32",
            reason: "a challenge by S256 is required of every client; a request without a method means `plain`",
            result: |case| {
                let query = &case["query"];
                let fatal = case["status"] == 400 || case["status"] == 403;
                if text(case, "endpoint") != "authorize"
                    || fatal
                    || text(case, "note") == "anonymous"
                    || has_challenge(query)
                {
                    return None;
                }
                let state = query["state"]
                    .as_str()
                    .map_or(String::new(), |state| format!("&state={state}"));
                let location = format!("{REDIRECT_URI}?error=invalid_request{state}");
                Some(oauth_result(302, &location, false, "", &Value::Null))
            },
        },
        Rule {
            decision: "32",
            reason: "so there is no code that was requested otherwise",
            result: |case| {
                let note = text(case, "note");
                let otherwise = note.contains("plain PKCE") || note.starts_with("no PKCE");
                (text(case, "endpoint") == "token" && otherwise).then(|| NO_CODE.to_owned())
            },
        },
    ]
}

async fn authorize(world: &World, case: &Value) -> String {
    let note = text(case, "note");
    let mut browser = match note {
        _ if note.contains("anonymous") || note.contains("not logged in") => world.browser(),
        _ if note.contains("alice") || note.contains("no access") => world.browser_of("alice").await,
        _ => world.browser_of("admin").await,
    };
    let url = format!("/hub/api/oauth2/authorize?{}", query_of(case));
    let answer = if text(case, "method") == "POST" {
        let own = browser.xsrf().await;
        let mut fields = Vec::new();
        for (name, value) in case["form"].as_object().into_iter().flatten() {
            for value in value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]) {
                let value = value.as_str().expect("text").to_owned();
                // A valid value of JupyterHub stands for a valid one of this crate.
                let good = name == "_xsrf" && value.len() > 8;
                fields.push((name.clone(), if good { own.clone() } else { value }));
            }
        }
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        browser.post(&url, &fields).await
    } else {
        browser.send(text(case, "method"), &url, "").await
    };
    let told = told(&answer);
    let form = !hidden(&answer.text, "scopes").is_empty();
    oauth_result(
        answer.status.as_u16().into(),
        answer.header("location"),
        form,
        &told,
        &Value::Null,
    )
}

/// What a page of a refusal says.
fn told(answer: &Answered) -> String {
    if answer.status.is_success() || answer.status.is_redirection() {
        return String::new();
    }
    let after = answer.text.split("</h1><p>").nth(1).unwrap_or_default();
    after.split("</p>").next().unwrap_or_default().to_owned()
}

async fn token(world: &World, case: &Value) -> String {
    let note = text(case, "note");
    let user = if note.contains("without access") {
        "alice"
    } else {
        "admin"
    };
    let query: String = match note {
        _ if note.contains("plain PKCE") => authorize_query().replace("S256", "plain"),
        _ if note.starts_with("no PKCE") => {
            let kept = authorize_query();
            kept.split('&')
                .filter(|pair| !pair.starts_with("code_challenge"))
                .collect::<Vec<_>>()
                .join("&")
        }
        _ => authorize_query(),
    };
    let mut browser = world.browser_of(user).await;
    let Ok(code) = world.code(&mut browser, &query).await else {
        return NO_CODE.to_owned();
    };
    if note.contains("again") || note.contains("used") {
        world.exchange(&exchange_fields(&code)).await;
    }
    if note.contains("expired") {
        world.clock.advance(hub::MINUTE * 5 + hub::MINUTE);
    }
    let answer = match (text(case, "method"), case["form"].as_object()) {
        ("POST", Some(fields)) => {
            let value = |value: &str| match value {
                "<secret>" => SECRET.to_owned(),
                "<code>" => code.clone(),
                other => other.to_owned(),
            };
            let fields: Vec<_> = fields
                .iter()
                .map(|(name, field)| (name.as_str(), value(field.as_str().expect("text"))))
                .collect();
            let fields: Vec<_> = fields
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            world.exchange(&fields).await
        }
        ("POST", None) if note.contains("JSON") => world.call("POST", "/oauth2/token", None, "{}").await,
        ("POST", None) => {
            let mut fields = exchange_fields(&code);
            fields.retain(|(name, _)| !name.starts_with("client_"));
            let request = http::Request::post("/hub/api/oauth2/token")
                .header("host", "localhost")
                .header("authorization", "Basic c2VydmljZS1leHQ6eA==")
                .header("content-type", "application/x-www-form-urlencoded");
            world
                .send(request.body(form(&fields).into()).expect("a request"))
                .await
        }
        (method, _) => world.call(method, "/oauth2/token", None, "").await,
    };
    let body = serde_json::from_str(&answer.text).unwrap_or(Value::Null);
    token_result(answer.status.as_u16().into(), &body)
}

fn token_result(status: u64, body: &Value) -> String {
    let mut body = match body.as_str() {
        Some(text) => serde_json::from_str(text).unwrap_or(Value::Null),
        None => body.clone(),
    };
    if body["access_token"].is_string() {
        body["access_token"] = "<token>".into();
    }
    if status == 405 || body["status"].is_number() {
        body = Value::Null;
    }
    format!("{status} {body}")
}

#[test]
fn oauth_requests_are_answered_as_a_jupyterhub_answers_them() {
    check_rows(
        "jupyterhub/oauth_provider.json",
        &oauth_rules(),
        |case| match text(case, "endpoint") {
            "authorize" => {
                let status = case["status"].as_u64().expect("a status");
                let message = text(case, "message");
                let form = case["has_form"] == true;
                oauth_result(status, text(case, "location"), form, message, &Value::Null)
            }
            _ => token_result(case["status"].as_u64().expect("a status"), &case["response"]),
        },
        |case| {
            wait(async {
                let world = World::new();
                match text(case, "endpoint") {
                    "authorize" => authorize(&world, case).await,
                    _ => token(&world, case).await,
                }
            })
        },
    );
}

// ---- the API

/// The answer without what is made at each run, and without what a hub knows that spawns servers itself.
fn api_result(status: u64, response: &Value) -> String {
    let mut response = response.clone();
    if let Value::Object(fields) = &mut response {
        for (name, value) in fields.iter_mut() {
            match name.as_str() {
                "id" | "token" | "token_id" | "created" | "last_activity" if value.is_string() => {
                    *value = "<some>".into()
                }
                "created" | "last_activity" => *value = "<some>".into(),
                "expires_at" if value.is_string() => *value = "<some>".into(),
                "oauth_client" => *value = "<some>".into(),
                "scopes" => {
                    let mut scopes: Vec<String> = value
                        .as_array()
                        .into_iter()
                        .flatten()
                        .map(|scope| scope.to_string())
                        .collect();
                    scopes.sort();
                    *value = scopes.into();
                }
                "servers" => {
                    *value = value
                        .as_object()
                        .map(|servers| servers.keys().cloned().collect::<Vec<_>>())
                        .into()
                }
                "message" => {
                    let message = value.as_str().map(|text| {
                        text.split(" requested scopes ")
                            .next()
                            .unwrap_or_default()
                            .to_owned()
                    });
                    *value = message.into();
                }
                _ => {}
            }
        }
        // Which tokens exist depends on what was done before; each is checked by itself.
        if let Some(Value::Array(tokens)) = fields.get("api_tokens") {
            let kinds: Vec<_> = tokens.iter().map(|token| token["kind"].clone()).collect();
            let same = kinds.windows(2).all(|pair| pair[0] == pair[1]);
            response = json!({ "tokens, all of one kind": same });
        }
    }
    format!("{status} {response}")
}

async fn make(world: &World, body: Value) -> Value {
    let answer = world
        .call("POST", "/users/alice/tokens", None, &body.to_string())
        .await;
    assert_eq!(answer.status, 201, "{answer:?}");
    hub::json(&answer)
}

async fn api(case: &Value) -> String {
    let world = World::new();
    let auth = json!({ "username": "alice", "password": PASSWORD });
    let full = make(&world, json!({ "auth": auth })).await;
    let identify = make(
        &world,
        json!({ "auth": auth, "scopes": ["read:users:name!user"], "note": "idonly" }),
    )
    .await;
    let access = make(&world, json!({ "auth": auth, "scopes": ["access:servers!user"] })).await;
    let none = make(&world, json!({ "auth": auth, "scopes": [] })).await;
    let note = text(case, "note");
    let token = |made: &Value| made["token"].as_str().expect("a token").to_owned();
    let token = match note {
        _ if case["with_token"] != true => None,
        _ if note.contains("bad token") => Some("0".repeat(32)),
        _ if note.contains("service") => Some(SECRET.to_owned()),
        _ if note.contains("identify-only") => Some(token(&identify)),
        _ if note.contains("access-only") => Some(token(&access)),
        _ if note.contains("no scopes") => Some(token(&none)),
        _ if note.contains("server's own") => Some(SERVER_TOKEN.to_owned()),
        _ => Some(token(&full)),
    };
    let id = identify["id"].as_str().expect("an id");
    let path = match text(case, "path").rsplit_once("/a6") {
        Some((before, "")) => format!("{before}/{id}"),
        _ => text(case, "path").to_owned(),
    };
    let path = path.replace("<token>", token.as_deref().unwrap_or_default());
    let body = match &case["json"] {
        Value::Null if note.contains("not JSON") => "not JSON".to_owned(),
        Value::Null => String::new(),
        body => body.to_string(),
    };
    let method = text(case, "method");
    if note.contains("again") {
        world.call(method, &path, token.as_deref(), &body).await;
    }
    let answer = world.call(method, &path, token.as_deref(), &body).await;
    let response = match serde_json::from_str(&answer.text) {
        Ok(response) => response,
        Err(_) => Value::from(answer.text.as_str()),
    };
    // JupyterHub's ids are numbers from one on, this crate's are not: the expected texts have this crate's id.
    let response: Value = serde_json::from_str(&response.to_string().replace(id, "a6")).expect("JSON");
    api_result(answer.status.as_u16().into(), &response)
}

#[test]
fn the_api_answers_as_a_jupyterhub_does() {
    check_rows(
        "jupyterhub/hub_api.json",
        &[
            Rule {
                decision: "34",
                reason: "by these old paths any holder of a token could look up the owners of others; they do not exist",
                result: |case| {
                    let old = text(case, "path").starts_with("/authorizations/");
                    old.then(|| api_result(404, &json!({ "status": 404, "message": null })))
                },
            },
            Rule {
                decision: "28",
                reason: "no input is an error of the hub",
                result: |case| {
                    let seconds = case["json"]["expires_in"]
                        .as_u64()
                        .filter(|_| case["status"] == 500)?;
                    let message = format!("expires_in must be a positive integer or null, not {seconds}");
                    Some(api_result(400, &json!({ "status": 400, "message": message })))
                },
            },
        ],
        |case| api_result(case["status"].as_u64().expect("a status"), &case["response"]),
        |case| wait(api(case)),
    );
}

// ---- cookies and sessions

#[test]
fn a_login_cookie_is_accepted_as_in_a_jupyterhub() {
    check_rows(
        "jupyterhub/hub_login_cookie.json",
        &[
            Rule {
                decision: "12",
                reason: "format 1 is refused, and so is a time more than five minutes ahead",
                result: |case| {
                    let value = text(case, "value").trim_matches('"');
                    let format_1 = !value.starts_with("2|") && value.matches('|').count() == 2;
                    let time = value
                        .split('|')
                        .nth(2)
                        .and_then(|field| field.split(':').nth(1)?.parse::<u64>().ok());
                    let ahead = time.is_some_and(|time| time > NOW.as_secs() + 300);
                    ((format_1 || ahead) && case["logged_in"] == true)
                        .then(|| "false, cleared: true".to_owned())
                },
            },
            Rule {
                decision: "15",
                reason: "the order of two cookies does not matter",
                result: |case| {
                    let two = text(case, "extra").contains("jupyterhub-hub-login=");
                    two.then(|| "true, cleared: false".to_owned())
                },
            },
            Rule {
                decision: "16",
                reason: "an empty cookie is a bad one, and cleared like one",
                result: |case| {
                    let empty =
                        text(case, "value").is_empty() && text(case, "cookie_name") == "jupyterhub-hub-login";
                    empty.then(|| "false, cleared: true".to_owned())
                },
            },
        ],
        |case| {
            let cleared = case["set_cookie_names"]
                .as_array()
                .is_some_and(|names| names.contains(&"jupyterhub-hub-login".into()));
            format!("{}, cleared: {cleared}", case["logged_in"])
        },
        |case| {
            wait(async {
                let world = World::with_secret(text(case, "secret_hex"));
                let value = PresentedToken::new(text(case, "cookie_id").as_bytes()).expect("an id");
                let login = SessionRecord::new(
                    Grant::new(Identity::new("alice")),
                    "8ace623e786f454682aebac535bc5bf4",
                    NOW,
                    UnixTime::from_secs(u64::MAX / 4),
                );
                world
                    .store
                    .insert_session(value.hash(), login, None)
                    .await
                    .expect("a login");
                let cookie = format!(
                    "{}={}{}",
                    text(case, "cookie_name"),
                    text(case, "value"),
                    text(case, "extra")
                );
                let mut browser = world.browser();
                browser.fields = vec![("cookie".to_owned(), cookie)];
                let answer = browser.get("/hub/home").await;
                let lines = answer.set_cookies();
                let cleared = lines
                    .iter()
                    .any(|line| line.starts_with("jupyterhub-hub-login=;"));
                format!("{}, cleared: {cleared}", answer.status == 200)
            })
        },
    );
}

#[test]
fn a_session_id_is_given_at_login() {
    check_rows(
        "jupyterhub/session_id.json",
        &[Rule {
            decision: "35",
            reason: "an id is made at each login, whatever was sent",
            result: |_| Some("302 new: true".to_owned()),
        }],
        |case| {
            let new = case["new_session_cookie"]
                .as_array()
                .is_some_and(|lines| !lines.is_empty());
            format!("{} new: {new}", case["status"])
        },
        |case| {
            wait(async {
                let world = World::new();
                let mut browser = world.browser();
                if let Some(sent) = case["sent"].as_str().filter(|sent| sent.is_ascii()) {
                    browser.cookies.insert(
                        ("jupyterhub-session-id".to_owned(), "/".to_owned()),
                        sent.to_owned(),
                    );
                }
                let answer = browser.log_in("alice", PASSWORD).await;
                let sent = case["sent"].as_str().unwrap_or_default();
                let new = browser
                    .cookie("jupyterhub-session-id")
                    .is_some_and(|id| id != sent && id.len() == 32);
                format!("{} new: {new}", answer.status.as_u16())
            })
        },
    );
}

#[test]
fn a_logout_ends_what_a_jupyterhubs_ends() {
    let result = |status: u64, location: &str, mut cleared: Vec<String>, tokens: &Value| {
        cleared.sort();
        cleared.dedup();
        format!("{status} {location} {cleared:?} {tokens}")
    };
    check_rows(
        "jupyterhub/logout.json",
        &[Rule {
            decision: "27",
            reason: "answered by a single-user server",
            result: |case| {
                text(case, "note")
                    .contains("single-user")
                    .then(|| NOT_OF_THE_HUB.to_owned())
            },
        }],
        |case| {
            let lines = case["set_cookie"].as_array().cloned().unwrap_or_default();
            let names = lines.iter().filter_map(|line| line.as_str()?.split('=').next());
            let names = names.map(str::to_owned).collect();
            result(
                case["status"].as_u64().expect("a status"),
                text(case, "location"),
                names,
                &case["session_tokens_after"],
            )
        },
        |case| {
            let note = text(case, "note");
            if note.contains("single-user") {
                return NOT_OF_THE_HUB.to_owned();
            }
            wait(async {
                let world = World::new();
                let mut admin = world.browser_of("admin").await;
                let token = world.oauth_token(&mut admin).await;
                if note.contains("session id only") {
                    admin
                        .cookies
                        .retain(|(name, _), _| name == "jupyterhub-session-id");
                } else if note.contains("no cookies") {
                    admin.cookies.clear();
                }
                let answer = if note == "POST" {
                    admin.post("/hub/logout", &[]).await
                } else {
                    admin.get("/hub/logout").await
                };
                let lines = answer.set_cookies();
                let names = lines
                    .iter()
                    .filter_map(|line| line.split('=').next())
                    .map(str::to_owned)
                    .collect();
                let left = world.call("GET", "/user", Some(&token), "").await.status == 200;
                let tokens = match &case["session_tokens_after"] {
                    Value::Null => Value::Null,
                    _ => Value::from(u64::from(left)),
                };
                result(
                    answer.status.as_u16().into(),
                    answer.header("location"),
                    names,
                    &tokens,
                )
            })
        },
    );
}

/// Name, path, and the attributes that say who may read and send a cookie.
fn cookie_line(line: &str) -> String {
    let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
    let name = pair.split('=').next().unwrap_or_default();
    let mut kept: Vec<&str> = attributes
        .split(';')
        .map(str::trim)
        .filter(|attribute| {
            let name = attribute.split('=').next().unwrap_or_default();
            matches!(name, "HttpOnly" | "Path" | "Secure" | "Domain")
        })
        .collect();
    kept.sort_unstable();
    format!("{name}; {}", kept.join("; "))
}

#[test]
fn cookies_have_the_names_and_paths_of_a_jupyterhubs() {
    let told = |lines: &Value| -> Vec<String> {
        let lines = lines.as_array().into_iter().flatten();
        lines
            .map(|line| cookie_line(line.as_str().expect("a line")))
            .collect()
    };
    let result = |page: &[String], login: &[String], status: u64| format!("{status} {page:?} {login:?}");
    check_rows(
        "jupyterhub/hub_cookie_attributes.json",
        &[
            Rule {
                decision: "36",
                reason: "a proxy's word is the first scheme of one `X-Forwarded-Proto`; other fields are not read",
                result: |case| {
                    let list = text(&case["headers"], "X-Forwarded-Proto").contains(',');
                    list.then(|| plain_lines("/", true, "")).or_else(|| {
                        case["headers"]["X-Scheme"]
                            .is_string()
                            .then(|| plain_lines("/", false, ""))
                    })
                },
            },
            Rule {
                decision: "14",
                reason: "`_xsrf` is Secure on https like the others; attributes are set by names of their own",
                result: |case| {
                    let config = text(case, "config");
                    if config.starts_with("public_url") || config == "X-Forwarded-Proto: https" {
                        return Some(plain_lines("/", true, ""));
                    }
                    if config.contains("cookie_host_prefix") {
                        return Some(plain_lines("/", false, "__Host-"));
                    }
                    let unknown = config.contains("cookie_options") || config.contains("subdomain");
                    unknown.then(|| plain_lines("/", false, ""))
                },
            },
        ],
        |case| {
            result(
                &told(&case["login_page"]),
                &told(&case["login"]),
                case["login_status"].as_u64().expect("a status"),
            )
        },
        |case| {
            wait(async {
                let config = text(case, "config").to_owned();
                let base = config.strip_prefix("base_url ").unwrap_or("/").to_owned();
                let world = World::with(|hub| {
                    let hub = hub.base_url(base.parse().expect("a base"));
                    let hub = if config.contains("cookie_host_prefix") {
                        hub.host_prefixed_cookies()
                    } else {
                        hub
                    };
                    match config.strip_prefix("public_url ") {
                        Some(_) => hub.public_origin("https://localhost".parse().expect("an origin")),
                        None => hub,
                    }
                });
                let mut browser = world.browser();
                for (name, value) in case["headers"].as_object().into_iter().flatten() {
                    browser
                        .fields
                        .push((name.clone(), value.as_str().expect("text").to_owned()));
                }
                let url = format!("{base}hub/login");
                let page = browser.get(&url).await;
                let https = config.starts_with("public_url")
                    || text(&case["headers"], "X-Forwarded-Proto").starts_with("https");
                let scheme = if https { "https" } else { "http" };
                browser
                    .fields
                    .push(("origin".to_owned(), format!("{scheme}://localhost")));
                let xsrf = hidden(&page.text, "_xsrf").remove(0);
                let fields = [
                    ("_xsrf", xsrf.as_str()),
                    ("username", "alice"),
                    ("password", PASSWORD),
                ];
                let login = browser.post(&url, &fields).await;
                let lines = |answer: &Answered| {
                    answer
                        .set_cookies()
                        .iter()
                        .map(|line| cookie_line(line))
                        .collect::<Vec<_>>()
                };
                result(&lines(&page), &lines(&login), login.status.as_u16().into())
            })
        },
    );
}

/// The lines of a hub at `base` that was configured no further.
fn plain_lines(base: &str, https: bool, prefix: &str) -> String {
    let secure = |line: String, always: bool| {
        if https || always {
            format!("{line}; Secure")
        } else {
            line
        }
    };
    let xsrf = secure(format!("_xsrf; Path={base}hub/"), false);
    let path = if prefix.is_empty() {
        format!("{base}hub/")
    } else {
        "/".to_owned()
    };
    let login = [
        secure(format!("jupyterhub-session-id; HttpOnly; Path={base}"), false),
        secure(
            format!("{prefix}jupyterhub-hub-login; HttpOnly; Path={path}"),
            !prefix.is_empty(),
        ),
        xsrf.clone(),
    ];
    format!("302 {:?} {login:?}", [xsrf])
}

// ---- where to go after the login

/// What becomes of `next` at a hub whose users come by this origin: our own absolute URL is a path, and a path is one
/// by the rules of every server of this crate.
fn target(next: &str, scheme: &str, host: &str) -> String {
    let origin = format!("{scheme}://{host}");
    let path = match next.get(..origin.len()) {
        Some(start) if start.eq_ignore_ascii_case(&origin) => match &next[origin.len()..] {
            "" => "/".to_owned(),
            rest if rest.starts_with('/') => rest.to_owned(),
            rest if rest.starts_with(['?', '#']) => format!("/{rest}"),
            _ => next.to_owned(),
        },
        _ => next.to_owned(),
    };
    String::from_utf8_lossy(&by_the_rules(&path, "/")).into_owned()
}

fn decoded(location: &str) -> String {
    String::from_utf8_lossy(&super::redirects::decode(location.as_bytes())).into_owned()
}

/// Scheme and host that browsers use in a row's configuration.
fn surroundings(case: &Value) -> (&'static str, String) {
    let config = text(case, "config");
    match config {
        _ if config.contains("public_url") => ("https", "pub.example".to_owned()),
        _ if config.contains("TLS") => ("https", text(case, "host").to_owned()),
        _ => ("http", text(case, "host").to_owned()),
    }
}

#[test]
fn a_target_that_a_jupyterhub_allows_is_allowed_or_the_default() {
    check_rows(
        "jupyterhub/next_url.json",
        &[Rule {
            decision: "28",
            reason: "an absolute path as a browser reads it goes out unchanged, our own absolute URL as its path; all else is \
                     the default",
            result: |case| {
                let (scheme, host) = surroundings(case);
                Some(target(text(case, "next"), scheme, &host))
            },
        }],
        |case| match text(case, "result") {
            "" => "/".to_owned(),
            result => decoded(result),
        },
        |case| {
            let (scheme, host) = surroundings(case);
            let base = "/".parse().expect("a base");
            let scheme = if scheme == "https" {
                Scheme::Https
            } else {
                Scheme::Http
            };
            let policy = RedirectPolicy::new(&base).with_origin(scheme, &host);
            let next = NextUrl::parse(text(case, "next"), policy).unwrap_or_else(|| NextUrl::base(&base));
            decoded(next.as_str())
        },
    );
}

#[test]
fn the_login_page_sends_on_who_is_logged_in() {
    check_rows(
        "jupyterhub/next_url_live.json",
        &[Rule {
            decision: "28",
            reason: "as above; the default of this crate is the page of the hub",
            result: |case| {
                let next = text(case, "next").replace("127.0.0.1:<public-port>", "localhost");
                let found = target(&next, "http", "localhost");
                let closed =
                    ["/hub/login", "/hub/logout"].contains(&found.split('?').next().unwrap_or_default());
                // The base itself is somewhere to go; what is not allowed comes out as the base too.
                let is_base = ["/", "http://localhost", "http://localhost/"].contains(&&*next.to_lowercase());
                let default = closed || (found == "/" && !is_base);
                Some(format!("302 {}", if default { "/hub/home" } else { &found }))
            },
        }],
        |case| format!("{} {}", case["status"], decoded(text(case, "location"))),
        |case| {
            wait(async {
                let world = World::new();
                let mut alice = world.browser_of("alice").await;
                let next = text(case, "next").replace("127.0.0.1:<public-port>", "localhost");
                let answer = alice.get(&format!("/hub/login?next={}", encoded(&next))).await;
                format!(
                    "{} {}",
                    answer.status.as_u16(),
                    decoded(answer.header("location"))
                )
            })
        },
    );
}

// ---- names

#[test]
fn names_are_those_of_a_jupyterhub() {
    let result = |name: &str, id: &str, path: &str, cookie: &str| format!("{name:?} {id} {path} {cookie}");
    check_rows(
        "jupyterhub/usernames.json",
        &[Rule {
            decision: "34",
            reason: "blanks around a name are taken off by whoever asks for it; controls, and what a URL could not hold, are \
                     refused",
            result: |case| {
                let input = text(case, "input");
                let name = input.trim().to_lowercase();
                if name.chars().any(char::is_control) || name.len() > 255 || input.len() > 255 {
                    return Some("refused".to_owned());
                }
                (input != input.trim() && !name.is_empty()).then(|| {
                    let escaped: String = encoded(&name).replace('+', "%20");
                    format!("{name:?} jupyterhub-user-{escaped} /user/{escaped}/ jupyterhub-user-{escaped}")
                })
            },
        }],
        |case| {
            if case["valid"] != true {
                return "refused".to_owned();
            }
            let name = text(case, "normalized");
            result(
                name,
                text(case, "client_id"),
                text(case, "url"),
                text(case, "token_cookie"),
            )
        },
        |case| {
            let Some(name) = Username::parse(text(case, "input")) else {
                return "refused".to_owned();
            };
            let name = name.as_str();
            let client = OAuthClientConfig::server(name, "", "/cb", &Token::generate()).expect("a client");
            let path = CookieScope::user("/", name).expect("a path").path().to_owned();
            result(name, client.id(), &path, CookieName::user(name).as_str())
        },
    );
}

#[test]
fn a_name_is_escaped_in_a_path_as_a_jupyterhub_escapes_it() {
    check_rows(
        "jupyterhub/url_utils.json",
        &[
            Rule {
                decision: "21",
                reason: "paths are joined by a base that is one already",
                result: |case| (text(case, "kind") != "url_escape_path").then(|| NOT_OF_THE_HUB.to_owned()),
            },
            Rule {
                decision: "28",
                reason: "no path ends in a name of dots alone",
                result: |case| {
                    let input = text(case, "input");
                    (!input.is_empty() && input.bytes().all(|byte| byte == b'.'))
                        .then(|| "refused".to_owned())
                },
            },
        ],
        |case| text(case, "result").to_owned(),
        |case| {
            if text(case, "kind") != "url_escape_path" {
                return NOT_OF_THE_HUB.to_owned();
            }
            match CookieScope::user("/", text(case, "input")) {
                Ok(scope) => scope
                    .path()
                    .trim_start_matches("/user/")
                    .trim_end_matches('/')
                    .to_owned(),
                Err(_) => "refused".to_owned(),
            }
        },
    );
}

#[test]
fn a_token_is_read_from_the_field_as_a_jupyterhub_reads_it() {
    check_rows(
        "jupyterhub/auth_header.json",
        &[Rule {
            decision: "2",
            reason: "spaces around a token are removed, and it is visible ASCII",
            result: |case| {
                let (header, uri) = (text(case, "header"), &case["uri"]);
                if uri.is_string() {
                    return Some(NOT_OF_THE_HUB.to_owned());
                }
                if !header.is_ascii() {
                    return Some("null".to_owned());
                }
                let trimmed = header.trim_matches([' ', '\t']);
                (trimmed != header && case["hub"].is_null()).then(|| {
                    let token = trimmed.split_once([' ', '\t']).map(|(_, token)| token.trim());
                    token
                        .filter(|token| !token.contains([' ', '\t']))
                        .map_or("null".to_owned(), |token| format!("{token:?}"))
                })
            },
        }],
        |case| match &case["hub"] {
            Value::String(token) => format!("{token:?}"),
            _ => "null".to_owned(),
        },
        |case| {
            if case["uri"].is_string() {
                return NOT_OF_THE_HUB.to_owned();
            }
            match token_in_authorization(text(case, "header").as_bytes()) {
                Ok(Some(token)) => format!("{:?}", token.expose()),
                _ => "null".to_owned(),
            }
        },
    );
}

// ---- `_xsrf`

/// The identity that a value of JupyterHub was made for, if it is valid at the time of the row.
fn identity(case: &Value, value: &str) -> Option<String> {
    let secret = text(case, "secret_hex");
    let bytes: Vec<u8> = (0..secret.len() / 2)
        .map(|place| u8::from_str_radix(&secret[2 * place..2 * place + 2], 16).expect("hexadecimal digits"))
        .collect();
    let keyring = Keyring::from_secret(Secret::from(bytes)).expect("long enough");
    let signed = BASE64_URL_SAFE_NO_PAD.decode(value.trim_end_matches('=')).ok()?;
    let now = UnixTime::from_secs(case["now"].as_u64().expect("a time"));
    let month = Duration::from_secs(31 * 24 * 60 * 60);
    let mut buffer = [0; 1024];
    let opened = SignedValueCodec::new(&keyring)
        .verify(&CookieName::xsrf(), &signed, month, || now, &mut buffer)
        .ok()?;
    String::from_utf8(opened.payload().to_vec()).ok()
}

/// A value of this crate where JupyterHub's is valid for a user; else JupyterHub's as it is.
fn own_value(case: &Value, guard: &CsrfTokens<Keyring>, value: &str) -> String {
    match identity(case, value) {
        Some(identity) => guard.issue(CsrfBinding::of_session(identity.as_bytes())),
        None => value.to_owned(),
    }
}

#[test]
fn requests_by_cookie_are_held_against_xsrf_as_at_a_jupyterhub() {
    check_rows(
        "jupyterhub/xsrf.json",
        &[
            Rule {
                decision: "25",
                reason: "this crate's value is bound to the session and to no address, and has its own format",
                result: |case| (text(case, "kind") != "check").then(|| NOT_OF_THE_HUB.to_owned()),
            },
            Rule {
                decision: "26",
                reason: "a mode that a page can name frees nothing: a handshake is known by `Upgrade`",
                result: |case| {
                    let safe = ["GET", "HEAD", "OPTIONS"].contains(&text(case, "method"));
                    (text(case, "sec_fetch_mode") == "websocket" && !safe).then(|| "403".to_owned())
                },
            },
            Rule {
                decision: "25",
                reason: "the argument is held against the session, and the cookie only carries it",
                result: |case| {
                    let good =
                        identity(case, text(case, "token")).is_some_and(|id| id == text(case, "current_id"));
                    let read =
                        ["form", "query", "X-Xsrftoken", "X-Csrftoken"].contains(&text(case, "token_in"));
                    // A value has no age: the session that it is bound to has.
                    let old = text(case, "note").contains("days");
                    ((good || old) && read).then(|| "pass".to_owned())
                },
            },
        ],
        |case| match text(case, "verdict") {
            "pass" => "pass".to_owned(),
            other => other.split(' ').next().unwrap_or_default().to_owned(),
        },
        |case| {
            if text(case, "kind") != "check" {
                return NOT_OF_THE_HUB.to_owned();
            }
            let guard = CsrfTokens::new(Keyring::generate());
            let old = text(case, "note").contains("days");
            let current = CsrfBinding::of_session(text(case, "current_id").as_bytes());
            let argument = match text(case, "token") {
                value if old && !value.is_empty() => guard.issue(current),
                value => own_value(case, &guard, value),
            };
            let place = text(case, "token_in");
            let query = if place == "query" {
                format!("/?_xsrf={argument}")
            } else {
                "/".to_owned()
            };
            let mut request = http::Request::builder()
                .method(text(case, "method"))
                .uri(query)
                .header("host", "localhost");
            if place.starts_with("X-") {
                request = request.header(place, &argument);
            }
            for (name, field) in [
                ("sec_fetch_mode", "sec-fetch-mode"),
                ("sec_fetch_site", "sec-fetch-site"),
            ] {
                if let Some(value) = case[name].as_str() {
                    request = request.header(field, value);
                }
            }
            let request = request.body(()).expect("a request");
            let head = RequestHead::new(&request);
            let guards = RequestPolicy::new().with_csrf_mode(CsrfMode::AllMethods);
            let surroundings = guards.check_target(head).expect("a good host");
            let form = (place == "form").then_some(argument.as_str());
            let proof = RequestCsrf::new(&guard, current, None).with_form(form);
            match guards.check_cross_site(&surroundings, head, RequestKind::from_head(head), Some(&proof)) {
                Ok(()) => "pass".to_owned(),
                Err(denial) => denial.status().as_u16().to_string(),
            }
        },
    );
}

// ---- the way of a browser through a hub

/// What the hub does at a step, without the random parts of each run.
fn step(status: u64, location: &str, cookies: &[String]) -> String {
    let location = location.split("&state=").next().unwrap_or_default();
    format!("{status} {} {cookies:?}", without_code(location))
}

#[test]
fn a_browser_goes_the_way_that_it_goes_through_a_jupyterhub() {
    check_rows(
        "jupyterhub/flow.json",
        &[Rule {
            decision: "34",
            reason: "answered by a server or by its spawner; this crate spawns none",
            result: |case| (!is_hubs(case)).then(|| NOT_OF_THE_HUB.to_owned()),
        }],
        |case| {
            let lines = case["set_cookie"].as_array().cloned().unwrap_or_default();
            let names = lines.iter().filter_map(|line| line.as_str()?.split('=').next());
            let names: Vec<String> = names.map(str::to_owned).collect();
            step(
                case["status"].as_u64().expect("a status"),
                text(case, "location"),
                &names,
            )
        },
        |case| {
            if !is_hubs(case) {
                return NOT_OF_THE_HUB.to_owned();
            }
            wait(async {
                let world = World::new();
                let url = text(case, "url").split("<public-port>").nth(1).expect("a path");
                let logged_in = text(case, "sent_cookies").contains("jupyterhub-hub-login");
                let mut browser = if logged_in {
                    world.browser_of("alice").await
                } else {
                    world.browser()
                };
                let answer = match text(case, "method") {
                    "POST" => {
                        let xsrf = browser.get("/hub/login").await;
                        let xsrf = hidden(&xsrf.text, "_xsrf").remove(0);
                        let (name, password) = match text(case, "note") {
                            note if note.contains("wrong") => ("alice", "wrong"),
                            _ => (" Alice ", PASSWORD),
                        };
                        browser
                            .post(
                                url,
                                &[("_xsrf", &xsrf), ("username", name), ("password", password)],
                            )
                            .await
                    }
                    _ => browser.get(url).await,
                };
                let lines = answer.set_cookies();
                let names: Vec<String> = lines
                    .iter()
                    .filter_map(|line| line.split('=').next())
                    .map(str::to_owned)
                    .collect();
                step(answer.status.as_u16().into(), answer.header("location"), &names)
            })
        },
    );
}

/// Whether the hub answers a step, and not a server of its users or what starts one.
fn is_hubs(case: &Value) -> bool {
    let url = text(case, "url");
    let path = url.split("<public-port>").nth(1).unwrap_or_default();
    let spawned = path.starts_with("/user/") && !text(case, "location").starts_with("/hub/user/");
    !spawned && !path.starts_with("/hub/spawn")
}
