//! The client side of a hub: what its server and services do with tokens, scopes, cookies and answers.

use std::time::Duration;

use http::Request;
use portcullis::{
    AuthLayer, HubAuth, Scopes,
    cookies::{CookieName, CookiePrefix},
    oauth::{CodeChallenge, CodeVerifier},
    testing::TestClock,
};
use serde_json::{Value, json};

use super::{Rule, check_rows, load};
use crate::{
    common::{Answered, request, send},
    hub_client_token_lookup::{Does, FakeHub, NOW, hub_layer, settings, user},
};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

fn texts(list: &Value) -> Scopes {
    list.as_array()
        .expect("a list")
        .iter()
        .map(|text| text.as_str().expect("text"))
        .collect()
}

#[test]
fn scopes_give_access_as_in_a_jupyterhub() {
    check_rows(
        "jupyterhub/scopes.json",
        &[Rule {
            decision: "jupyterhub.md 12",
            reason: "a filter without a kind, or with an empty value, makes a scope that no user has",
            result: |case| {
                let have = case["have"].as_array()?;
                let malformed = have
                    .iter()
                    .filter_map(Value::as_str)
                    .any(|scope| scope.ends_with(['!', '=']));
                (malformed && have.len() == 1).then_some(false)
            },
        }],
        |case| case["allowed"].as_bool().expect("a result"),
        |case| texts(&case["have"]).covers_any(&texts(&case["required"])),
    );
}

#[test]
fn tokens_in_the_header_and_the_url_are_read_as_a_service_reads_them() {
    let fits =
        |token: &str| (1..=512).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic());
    let runtime = runtime();
    check_rows(
        "jupyterhub/auth_header.json",
        &[
            Rule {
                decision: "4",
                reason: "two different tokens in one request are refused",
                result: |case| {
                    let in_url = case["uri"].as_str()?.split_once("token=")?.1;
                    let reads = case["allow_token_in_url"] == true || case["sec_fetch_mode"] == "websocket";
                    (reads && !in_url.is_empty() && case["header"].is_string()).then_some(None)
                },
            },
            Rule {
                decision: "4",
                reason: "nothing is trimmed in a URL",
                result: |case| {
                    let in_url = case["uri"].as_str()?.split_once("token=")?.1;
                    (case["allow_token_in_url"] == true && in_url.contains("%20")).then_some(None)
                },
            },
            Rule {
                decision: "2",
                reason: "a token is 1 to 512 visible ASCII bytes after one space; whitespace at the end of the header is no part of it",
                result: |case| {
                    let header = case["header"].as_str().filter(|_| case["uri"].is_null())?;
                    let rest = header.trim_end_matches([' ', '\t']).split_once([' ', '\t']);
                    if rest.is_none() && case["service"].is_string() {
                        // Other characters that Python takes for a space.
                        return Some(None);
                    }
                    let odd = case["service"].as_str().is_some_and(|token| {
                        !(1..=512).contains(&token.len())
                            || !token.bytes().all(|byte| byte.is_ascii_graphic())
                    });
                    odd.then(|| {
                        let (_, token) = rest?;
                        let formed = token.bytes().all(|byte| byte.is_ascii_graphic());
                        formed.then(|| token.to_owned())
                    })
                },
            },
        ],
        |case| case["service"].as_str().map(str::to_owned),
        |case| {
            let hub = FakeHub::that(user("alice", &["access:servers"]));
            let settings = settings(&hub);
            let settings = if case["allow_token_in_url"] == true {
                settings.allow_token_in_url()
            } else {
                settings
            };
            let layer = hub_layer(settings, &TestClock::new(NOW));
            let uri = case["uri"].as_str().unwrap_or("/x");
            let mut builder = Request::builder().uri(uri).header("host", "localhost");
            if let Some(header) = case["header"].as_str() {
                // Whitespace at the end of a header's value is removed by every HTTP parser.
                builder = builder.header("authorization", header.as_bytes());
            }
            if let Some(mode) = case["sec_fetch_mode"].as_str() {
                builder = builder.header("sec-fetch-mode", mode);
            }
            let request = builder.body(http_body_util::Full::default()).ok()?;
            let answer = runtime.block_on(send(&layer, request));
            let seen = hub.last_token();
            let is_accepted = answer.status == 200 || answer.status == 303;
            assert_eq!(is_accepted, seen.is_some(), "{case}: {answer:?}");
            assert!(seen.as_deref().is_none_or(fits));
            seen
        },
    );
}

/// A hub's answer, as a word.
fn is_answer(answer: &Answered) -> String {
    match answer.status.as_u16() {
        200 => answer.text.split(' ').next().unwrap_or_default().to_owned(),
        302 | 401 | 403 => "no user".to_owned(),
        502 | 503 => "no answer".to_owned(),
        other => format!("status {other}"),
    }
}

#[test]
fn the_hubs_answers_mean_what_they_mean_to_a_service() {
    let runtime = runtime();
    let cached = std::cell::RefCell::new(None::<(FakeHub, AuthLayer, TestClock)>);
    check_rows(
        "jupyterhub/hub_answers.json",
        &[
            Rule {
                decision: "31",
                reason: "200 with a user or a service is a yes, 403 is a no, and everything else is no answer",
                result: |case| {
                    let clear = case["result"].as_str().is_some() || case["hub_status"] == 403;
                    (case["call"] == "user_for_token" && !clear).then(|| "no answer".to_owned())
                },
            },
            Rule {
                decision: "31",
                reason: "an error that the hub reports for a code is reported; any other answer is none",
                result: |case| {
                    if case["call"] != "token_for_code" || case["result"].is_string() {
                        return None;
                    }
                    let is_answer =
                        case["hub_body"].as_str()?.contains("\"error\"") || case["hub_status"] == 200;
                    Some(if is_answer { "no user" } else { "no answer" }.to_owned())
                },
            },
            Rule {
                decision: "33",
                reason: "a hub that did not answer is not queried again at once, and reported as no answer",
                result: |case| {
                    (case["call"] == "cache" && case["http_error"].is_number())
                        .then(|| "no answer".to_owned())
                },
            },
        ],
        |case| match case["result"].as_str() {
            Some(name) if case["call"] == "token_for_code" => {
                assert_eq!(name, "abc");
                "alice".to_owned()
            }
            Some(name) => name.to_owned(),
            None => "no user".to_owned(),
        },
        |case| {
            let body = case["hub_body"].as_str().unwrap_or_default().as_bytes().to_vec();
            let does = match case["hub_status"].as_u64() {
                Some(status) if status < 1000 => Does::Answers(status as u16, body),
                _ => Does::Refuses,
            };
            match case["call"].as_str().expect("a call") {
                "user_for_token" => {
                    let layer = hub_layer(settings(&FakeHub::that(does)), &TestClock::new(NOW));
                    let by = "GET /user/alice/api/x\nauthorization: token tttt";
                    is_answer(&runtime.block_on(send(&layer, request(by))))
                }
                "token_for_code" => runtime.block_on(async {
                    let hub = FakeHub::that(user("alice", &["access:servers"]));
                    let layer = hub_layer(settings(&hub), &TestClock::new(NOW));
                    let begun = send(&layer, request("GET /user/alice/x\naccept: text/html")).await;
                    let state = begun
                        .header("location")
                        .split_once("&state=")
                        .expect("a state")
                        .1
                        .to_owned();
                    let cookie = begun.cookie("jupyterhub-user-alice-oauth-state");
                    hub.does_next(does);
                    let target =
                        format!("GET /user/alice/oauth_callback?code=c&state={state}\ncookie: {cookie}");
                    let back = send(&layer, request(&target)).await;
                    if back.status != 302 {
                        return is_answer(&back);
                    }
                    let cookie = back.cookie("jupyterhub-user-alice");
                    is_answer(&send(&layer, request(&format!("GET /user/alice/x\ncookie: {cookie}"))).await)
                }),
                "cache" => runtime.block_on(async {
                    let made = || {
                        let (hub, clock) = (FakeHub::that(Does::Refuses), TestClock::new(NOW));
                        let layer = hub_layer(settings(&hub).cache_ttl(Duration::from_secs(2)), &clock);
                        (hub, layer, clock)
                    };
                    let (hub, layer, clock) = cached.borrow_mut().get_or_insert_with(made).clone();
                    let waited = case["waited_s"].as_f64().expect("a time");
                    clock.advance(Duration::from_secs_f64(waited));
                    let status = case["hub_would_answer"].as_u64().expect("a status") as u16;
                    hub.now(match status {
                        200 => user("alice", &["access:servers"]),
                        status => Does::Answers(status, vec![]),
                    });
                    let (token, session) = (
                        case["token"].as_str().expect("a token"),
                        case["session_id"].as_str(),
                    );
                    let cookie = session.filter(|session| !session.is_empty());
                    let cookie =
                        cookie.map_or(String::new(), |id| format!("cookie: jupyterhub-session-id={id}"));
                    let before = hub.calls();
                    let by = format!("GET /user/alice/api/x\nauthorization: token {token}\n{cookie}");
                    let answer = send(&layer, request(&by)).await;
                    assert_eq!(case["asked_hub"], hub.calls() > before, "{case}");
                    is_answer(&answer)
                }),
                other => panic!("call {other}"),
            }
        },
    );
}

/// The attributes that both sides can have, in one order; `Max-Age` as life.
fn attributes(line: &str) -> Vec<String> {
    let mut found: Vec<_> = line
        .split(';')
        .skip(1)
        .map(|attribute| attribute.trim().to_ascii_lowercase())
        .filter(|attribute| !attribute.starts_with("expires="))
        .filter(|attribute| !attribute.starts_with("max-age=") || attribute == "max-age=600")
        .filter(|attribute| attribute != "samesite=lax")
        .collect();
    found.sort();
    found
}

fn citizen(case: &Value) -> Option<AuthLayer> {
    let text = |key: &str| case[key].as_str().expect("text");
    let hub = FakeHub::that(user("alice", &["access:servers"]));
    let mut builder = settings(&hub)
        .client_id(text("client_id"))
        .base_url(text("base_url").parse().expect("a base"));
    if case["cookie_host_prefix_enabled"] == true {
        builder = builder.host_prefixed_cookies();
    }
    if case["cookie_options"]
        .as_object()
        .is_some_and(|options| !options.is_empty())
    {
        builder = builder.cookie_options(&case["cookie_options"].to_string());
    }
    if let Some(url) = case["public_url"].as_str() {
        let (scheme, rest) = url.split_once("://").expect("a URL");
        let host = rest.split('/').next().expect("a host");
        builder = builder.public_origin(format!("{scheme}://{host}").parse().expect("an origin"));
    }
    let hub = builder.build().ok()?;
    let clock = TestClock::new(NOW);
    Some(
        AuthLayer::builder()
            .hub(hub)
            .clock(clock)
            .build()
            .expect("a layer"),
    )
}

#[test]
fn state_cookies_and_login_urls_are_those_of_a_jupyterhub_but_for_what_they_hold() {
    let runtime = runtime();
    check_rows(
        "jupyterhub/oauth_state.json",
        &[
            Rule {
                decision: "14",
                reason: "path and HttpOnly are not for options to change: the server does not start",
                result: |case| {
                    let options = case["cookie_options"].as_object()?;
                    let lower: Vec<_> = options.keys().map(|key| key.to_ascii_lowercase()).collect();
                    let odd = lower.iter().any(|key| key == "path")
                        || options.get("httponly") == Some(&json!(false));
                    odd.then(|| json!("does not start"))
                },
            },
            Rule {
                decision: "14",
                reason: "a cookie with the prefix __Host- is always Secure, as browsers require",
                result: |case| {
                    if case["cookie_host_prefix_enabled"] != true {
                        return None;
                    }
                    let mut wanted = stated(case);
                    wanted["attributes"] = json!(["httponly", "max-age=600", "path=/", "secure"]);
                    Some(wanted)
                },
            },
            Rule {
                decision: "36",
                reason: "a header for https from any client adds Secure, with a public URL as well",
                result: |case| {
                    let says = case["request_headers"]["X-Forwarded-Proto"] == "https";
                    let http = case["public_url"]
                        .as_str()
                        .is_some_and(|url| url.starts_with("http://"));
                    let mut wanted = (says && http).then(|| stated(case))?;
                    wanted["attributes"].as_array_mut()?.push(json!("secure"));
                    Some(wanted)
                },
            },
        ],
        stated,
        |case| {
            if case["kind"] == "pkce" {
                let verifier =
                    CodeVerifier::parse(case["code_verifier"].as_str().expect("text")).expect("a verifier");
                let challenge = CodeChallenge::parse(case["code_challenge"].as_str().expect("text"));
                assert!(challenge.expect("a challenge").matches(&verifier));
                return json!(verifier.challenge().to_string());
            }
            let Some(layer) = citizen(case) else {
                return json!("does not start");
            };
            let base = case["base_url"].as_str().expect("text");
            let mut lines = format!(
                "GET {base}page?x=1\naccept: text/html\nhost: {}\n",
                if case["public_url"].is_null() {
                    "localhost"
                } else {
                    "hub.example"
                }
            );
            for (name, value) in case["request_headers"].as_object().expect("fields") {
                lines.push_str(&format!("{name}: {}\n", value.as_str().expect("text")));
            }
            let answer = runtime.block_on(send(&layer, request(&lines)));
            let line = answer.set_cookies().first().cloned().expect("a cookie");
            let location = answer.header("location");
            let (url, rest) = location.split_once("&code_challenge=").expect("a challenge");
            assert!(rest.contains("&code_challenge_method=S256&state="), "{location}");
            json!({ "name": shape(line.split('=').next().expect("a name")), "attributes": attributes(&line), "url": url })
        },
    );
}

/// A name, with a mark instead of its random letters.
fn shape(name: &str) -> String {
    match name.split_once("-oauth-state-") {
        Some((first, letters)) if letters.len() == 8 => format!("{first}-oauth-state-<letters>"),
        _ => name.to_owned(),
    }
}

fn stated(case: &Value) -> Value {
    if case["kind"] == "pkce" {
        return case["code_challenge"].clone();
    }
    let line = case["set_cookie"][0].as_str().expect("a line");
    json!({
        "name": shape(line.split('=').next().expect("a name")),
        "attributes": attributes(line),
        "url": case["login_url"],
    })
}

#[test]
fn the_scheme_is_guessed_for_secure_as_a_jupyterhub_guesses_it() {
    let runtime = runtime();
    check_rows(
        "jupyterhub/browser_protocol.json",
        &[],
        |case| case["browser_protocol"] == "https",
        |case| {
            let layer = hub_layer(settings(&FakeHub::that(Does::Hangs)), &TestClock::new(NOW));
            let mut lines = "GET /user/alice/\naccept: text/html\n".to_owned();
            for (name, value) in case["headers"].as_object().expect("fields") {
                lines.push_str(&format!("{name}: {}\n", value.as_str().expect("text")));
            }
            let answer = runtime.block_on(send(&layer, request(&lines)));
            answer.set_cookies()[0].contains("; Secure")
        },
    );
}

#[test]
fn users_of_all_names_have_the_cookies_of_a_jupyterhub() {
    check_rows(
        "jupyterhub/usernames.json",
        &[],
        |case| {
            ["token_cookie", "state_cookie", "host_prefixed_cookie"]
                .map(|key| case[key].as_str().expect("text").to_owned())
        },
        |case| {
            // What is no cookie's name is no user's either.
            let name = case["normalized"].as_str().expect("a name");
            if case["valid"] != true {
                return ["token_cookie", "state_cookie", "host_prefixed_cookie"]
                    .map(|key| case[key].as_str().expect("text").to_owned());
            }
            let token = CookieName::user(name);
            let id = case["client_id"].as_str().expect("an id");
            assert_eq!(token.as_str(), id);
            [
                token.as_str().to_owned(),
                CookieName::oauth_state(&token).as_str().to_owned(),
                token.with_prefix(CookiePrefix::Host).as_str().to_owned(),
            ]
        },
    );
}

#[test]
fn the_environment_of_a_hubs_children_is_understood() {
    let Some(file) = load("jupyterhub/env.json") else {
        return;
    };
    for case in file["cases"].as_array().expect("cases") {
        let token = "0123456789abcdef0123456789abcdef";
        let look_up = |name: &str| {
            let value = case["env"][name].as_str()?;
            Some(
                value
                    .replace("<api token, 32 hex>", token)
                    .replace("<hub-port>", "8081")
                    .replace("<port>", "9000"),
            )
        };
        let hub = HubAuth::builder_from_vars(&look_up).and_then(|builder| builder.build());
        let hub = hub.unwrap_or_else(|error| panic!("{}: {error}", case["who"]));
        assert_eq!(
            hub.base_url().as_str(),
            case["env"]["JUPYTERHUB_SERVICE_PREFIX"].as_str().expect("a path")
        );
    }
}

#[test]
fn xsrf_is_required_where_a_jupyterhub_requires_it() {
    let runtime = runtime();
    let hub = FakeHub::that(user("alice", &["access:servers"]));
    let layer = hub_layer(settings(&hub), &TestClock::new(NOW));
    let (session, good) = runtime.block_on(logged_in(&layer, &hub));
    check_rows(
        "jupyterhub/xsrf.json",
        &[Rule {
            decision: "25",
            reason: "every unsafe method needs _xsrf; a handshake to WebSocket is a GET",
            result: |case| {
                let safe = ["GET", "HEAD", "OPTIONS"].contains(&case["method"].as_str()?);
                (case["kind"] == "check" && !safe && case["token"].is_null()).then_some(false)
            },
        }],
        |case| case["kind"] != "check" || case["verdict"] == "pass",
        |case| {
            // Values are of our own form, so of the rows that try values those count that try none.
            let tries_a_value = case["token"].is_string();
            if case["kind"] != "check"
                || tries_a_value && case["note"].as_str().is_none_or(|note| !note.starts_with("good"))
            {
                return case["kind"] != "check" || case["verdict"] == "pass";
            }
            let field = case["token_in"].as_str().filter(|_| tries_a_value);
            let target = match field {
                Some("query") => format!("/user/alice/x?_xsrf={good}"),
                _ => "/user/alice/x".to_owned(),
            };
            let mut lines = format!(
                "{} {target}\ncookie: {session}\n",
                case["method"].as_str().expect("a method")
            );
            for (key, name) in [
                ("sec_fetch_mode", "sec-fetch-mode"),
                ("sec_fetch_site", "sec-fetch-site"),
            ] {
                if let Some(value) = case[key].as_str() {
                    lines.push_str(&format!("{name}: {value}\n"));
                }
            }
            match field {
                // The field of a form is read by the handler; the layer reads forms at its built-in paths.
                Some("form") => lines.push_str(&format!("x-xsrftoken: {good}\n")),
                Some("query") | None => {}
                Some(name) => lines.push_str(&format!("{name}: {good}\n")),
            }
            runtime.block_on(send(&layer, request(&lines))).status == 200
        },
    );
}

/// The cookies of a login, and its `_xsrf`.
async fn logged_in(layer: &AuthLayer, hub: &FakeHub) -> (String, String) {
    let begun = send(layer, request("GET /user/alice/x\naccept: text/html")).await;
    let state = begun
        .header("location")
        .split_once("&state=")
        .expect("a state")
        .1
        .to_owned();
    let cookie = begun.cookie("jupyterhub-user-alice-oauth-state");
    hub.does_next(Does::Answers(200, br#"{"access_token": "abc"}"#.to_vec()));
    let target = format!("GET /user/alice/oauth_callback?code=c&state={state}\ncookie: {cookie}");
    let back = send(layer, request(&target)).await;
    let (token, xsrf) = (back.cookie("jupyterhub-user-alice"), back.cookie("_xsrf"));
    let value = xsrf.trim_start_matches("_xsrf=").to_owned();
    (format!("{token}; {xsrf}"), value)
}

#[test]
fn a_servers_logout_is_that_of_a_jupyterhub() {
    let Some(file) = load("jupyterhub/logout.json") else {
        return;
    };
    let runtime = runtime();
    let cases = file["cases"].as_array().expect("cases").iter();
    for case in cases.filter(|case| case["note"] == "at the single-user server") {
        let layer = hub_layer(settings(&FakeHub::that(Does::Hangs)), &TestClock::new(NOW));
        let answer = runtime.block_on(send(&layer, request("GET /user/alice/logout")));
        assert_eq!(
            u64::from(answer.status.as_u16()),
            case["status"].as_u64().expect("a status")
        );
        assert_eq!(answer.header("location"), case["location"]);
        for line in case["set_cookie"].as_array().expect("lines") {
            let line = line.as_str().expect("a line");
            let name = line.split('=').next().expect("a name");
            let path = line.rsplit("; ").next().expect("a path");
            let ours = answer.set_cookies();
            let ours = ours.iter().find(|ours| ours.starts_with(&format!("{name}=;")));
            assert!(
                ours.is_some_and(|ours| ours.contains(path)),
                "{:?}",
                answer.set_cookies()
            );
        }
    }
}
