//! The table of the README, row by row, in front of one token.

use http::StatusCode;
use http_body_util::Full;
use portcullis::{AllowedHosts, AllowedOrigins, AuthLayer, Reason, Token, middleware::ResponseStyle};
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::common::{Answered, TOKEN, refused_for, request, send};

fn varies_by_origin(answer: &Answered) -> bool {
    let mut vary = answer.parts.headers.get_all("vary").iter();
    vary.any(|fields| fields.as_bytes().starts_with(b"Origin"))
}

fn layer() -> AuthLayer {
    AuthLayer::token(TOKEN.parse::<Token>().expect("a token"))
}

/// Logs in by `?token=` as a browser does; gives the session cookie and the `_xsrf` cookie.
async fn log_in(layer: &AuthLayer) -> (String, String) {
    let answer = send(
        layer,
        request(&format!(
            "GET /?token={TOKEN}\naccept: text/html\nsec-fetch-mode: navigate"
        )),
    )
    .await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
    (answer.cookie("username-localhost="), answer.cookie("_xsrf="))
}

#[tokio::test]
async fn a_header_token_is_accepted_and_never_sets_a_cookie() {
    for scheme in ["Bearer", "bearer", "token", "TOKEN", "Bearer "] {
        let answer = send(
            &layer(),
            request(&format!("GET /\nauthorization: {scheme} {TOKEN}")),
        )
        .await;
        assert_eq!(answer.status, StatusCode::OK, "{scheme}");
        assert!(answer.text.ends_with(" by Token"), "{}", answer.text);
        assert!(answer.set_cookies().is_empty(), "{scheme}");
    }
}

#[tokio::test]
async fn a_page_opened_with_the_token_gets_a_cookie_and_a_clean_address() {
    let layer = layer();
    let answer = send(
        &layer,
        request(&format!(
            "GET /tree/a%20b?x=1&token={TOKEN}&y=2\naccept: text/html\nsec-fetch-mode: navigate"
        )),
    )
    .await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(answer.header("location"), "/tree/a%20b?x=1&y=2");
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    assert_eq!(answer.header("cache-control"), "no-store");
    let cookies = answer.set_cookies();
    assert!(
        cookies[0].starts_with("username-localhost="),
        "the session comes first: {cookies:?}"
    );
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=2592000"] {
        assert!(cookies[0].contains(attribute), "{attribute}: {}", cookies[0]);
    }
    assert!(!cookies[0].contains("Secure"), "plain http: {}", cookies[0]);
    assert!(
        cookies[1].starts_with("_xsrf=") && !cookies[1].contains("HttpOnly"),
        "{cookies:?}"
    );
}

#[tokio::test]
async fn a_program_with_the_token_in_the_query_is_answered_in_place() {
    let answer = send(&layer(), request(&format!("GET /api?token={TOKEN}"))).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.cookie("username-localhost=").len() > 100);
    let posted = send(
        &layer(),
        request(&format!("POST /api?token={TOKEN}\naccept: text/html")),
    )
    .await;
    assert_eq!(posted.status, StatusCode::OK, "a POST is never redirected");
}

#[tokio::test]
async fn the_cookie_of_a_login_is_accepted_and_stays_the_same_user() {
    let layer = layer();
    let (session, xsrf) = log_in(&layer).await;
    let first = send(&layer, request(&format!("GET /\ncookie: {session}; {xsrf}"))).await;
    let second = send(&layer, request(&format!("GET /api\ncookie: {session}; {xsrf}"))).await;
    assert_eq!(first.status, StatusCode::OK, "{first:?}");
    assert!(first.text.ends_with(" by Cookie"), "{}", first.text);
    assert_eq!(first.text, second.text);
    assert!(first.set_cookies().is_empty(), "nothing to renew: {first:?}");
    assert_eq!(first.header("vary"), "Cookie");
}

#[tokio::test]
async fn a_token_link_opened_again_keeps_the_user_who_is_logged_in() {
    let layer = layer();
    let (session, xsrf) = log_in(&layer).await;
    let again = send(
        &layer,
        request(&format!(
            "GET /?token={TOKEN}\naccept: text/html\ncookie: {session}; {xsrf}"
        )),
    )
    .await;
    assert_eq!(again.status, StatusCode::SEE_OTHER);
    assert!(again.set_cookies().is_empty(), "{again:?}");
}

#[tokio::test]
async fn a_wrong_token_with_a_valid_cookie_is_a_cookie_login_with_its_rules() {
    let layer = layer();
    let (session, xsrf) = log_in(&layer).await;
    let fields = format!("cookie: {session}; {xsrf}\nauthorization: Bearer wrong-token");
    let read = send(&layer, request(&format!("GET /\n{fields}"))).await;
    assert!(read.text.ends_with(" by Cookie"), "{read:?}");
    let foreign = send(
        &layer,
        request(&format!("POST /\n{fields}\norigin: https://evil.example")),
    )
    .await;
    refused_for(&foreign, 403, Reason::CrossSite);
}

#[tokio::test]
async fn wrong_and_missing_credentials_are_distinguished() {
    for (lines, status, reason) in [
        ("GET /api\nauthorization: Bearer wrong", 401, Reason::UnknownToken),
        (
            "GET /api\nauthorization: Bearer pcl_mistyped",
            401,
            Reason::TokenChecksumMismatch,
        ),
        (
            "GET /api\nauthorization: Bearer two words",
            401,
            Reason::Malformed,
        ),
        (
            "GET /api\nauthorization: Bearer a\nauthorization: Bearer a",
            400,
            Reason::Malformed,
        ),
        (
            "GET /api?token=a\nauthorization: Bearer b",
            400,
            Reason::Malformed,
        ),
        ("GET /api?token=a&token=a", 400, Reason::Malformed),
        ("GET /api?token=wrong", 401, Reason::UnknownToken),
        ("GET /api", 401, Reason::MissingCredential),
        (
            "GET /api\nauthorization: Basic eDp5",
            401,
            Reason::MissingCredential,
        ),
        ("GET /api?token=", 401, Reason::MissingCredential),
        ("GET /api\nauthorization:", 401, Reason::MissingCredential),
        (
            "GET /api\ncookie: username-localhost=2|1:0|forged",
            401,
            Reason::InvalidCookie,
        ),
        ("GET /\nhost: evil.example", 403, Reason::DisallowedHost),
        ("GET /\nhost: localhost.", 403, Reason::DisallowedHost),
        ("GET /\nhost: localhost\nhost: localhost", 400, Reason::Malformed),
    ] {
        refused_for(&send(&layer(), request(lines)).await, status, reason);
    }
}

#[tokio::test]
async fn even_a_good_token_is_not_looked_at_under_a_foreign_host() {
    let answer = send(
        &layer(),
        request(&format!(
            "GET /\nhost: evil.example\nauthorization: Bearer {TOKEN}"
        )),
    )
    .await;
    refused_for(&answer, 403, Reason::DisallowedHost);
}

#[tokio::test]
async fn a_forged_cookie_is_refused_and_removed_on_its_own_path() {
    let layer = AuthLayer::builder()
        .token(TOKEN.parse().expect("a token"))
        .base_url("/base/".parse().expect("a base"))
        .build()
        .expect("a layer");
    let forged = "cookie: username-localhost=forged";
    let answer = send(&layer, request(&format!("GET /base/\n{forged}"))).await;
    refused_for(&answer, 401, Reason::InvalidCookie);
    let answer = send(
        &layer,
        request(&format!("GET /base/\naccept: text/html\n{forged}")),
    )
    .await;
    refused_for(&answer, 302, Reason::InvalidCookie);
    let removed: Vec<String> = answer
        .set_cookies()
        .into_iter()
        .filter(|line| line.starts_with("username-localhost="))
        .collect();
    let [line] = &*removed else {
        panic!("expected one removal, found {removed:?}");
    };
    assert!(
        line.contains("; Path=/base/;") && line.contains("; Max-Age=0;"),
        "{line}"
    );
}

#[tokio::test]
async fn a_post_with_the_cookie_needs_an_own_origin_and_the_xsrf_value() {
    let layer = layer();
    let (session, xsrf) = log_in(&layer).await;
    let value = xsrf.strip_prefix("_xsrf=").expect("its name");
    let cookie = format!("POST /api\ncookie: {session}; {xsrf}");
    for (fields, allowed) in [
        (
            format!("x-xsrftoken: {value}\norigin: http://localhost\nsec-fetch-site: same-origin"),
            true,
        ),
        (format!("x-xsrftoken: {value}\norigin: http://localhost"), true),
        (format!("x-xsrftoken: {value}"), true),
        (String::new(), false),
        ("x-xsrftoken: wrong".to_owned(), false),
        (
            "origin: http://localhost\nsec-fetch-site: same-origin".to_owned(),
            false,
        ),
        (
            format!("x-xsrftoken: {value}\norigin: http://localhost:9999"),
            false,
        ),
        (format!("x-xsrftoken: {value}\norigin: null"), false),
        (format!("x-xsrftoken: {value}\nsec-fetch-site: cross-site"), false),
        (format!("x-xsrftoken: {value}\nsec-fetch-site: same-site"), false),
        (
            format!("x-xsrftoken: {value}\nreferer: https://evil.example/"),
            false,
        ),
    ] {
        let answer = send(&layer, request(&format!("{cookie}\n{fields}"))).await;
        if allowed {
            assert_eq!(answer.status, StatusCode::OK, "{fields}: {answer:?}");
        } else {
            refused_for(&answer, 403, Reason::CrossSite);
        }
    }
}

#[tokio::test]
async fn the_xsrf_value_of_another_login_is_refused_and_a_fresh_one_is_sent() {
    let layer = layer();
    let (session, _) = log_in(&layer).await;
    let (_, other) = log_in(&layer).await;
    let value = other.strip_prefix("_xsrf=").expect("its name");
    let answer = send(
        &layer,
        request(&format!(
            "POST /\ncookie: {session}; {other}\nx-xsrftoken: {value}"
        )),
    )
    .await;
    refused_for(&answer, 403, Reason::CrossSite);
    let fresh = answer.cookie("_xsrf=");
    let value = fresh.strip_prefix("_xsrf=").expect("its name");
    let answer = send(
        &layer,
        request(&format!(
            "POST /\ncookie: {session}; {fresh}\nx-xsrftoken: {value}"
        )),
    )
    .await;
    assert_eq!(answer.status, StatusCode::OK, "renewed: {answer:?}");
}

#[tokio::test]
async fn a_read_by_cookie_replaces_an_xsrf_cookie_of_another_server() {
    let layer = layer();
    let (session, _) = log_in(&layer).await;
    for other in [
        "",
        "; _xsrf=2|01020304|0103010705070503090b090f0d0f0d0b|1700000000",
        "; _xsrf=x",
        "; _xsrf=a; _xsrf=b",
    ] {
        let answer = send(&layer, request(&format!("GET /api\ncookie: {session}{other}"))).await;
        let value = answer.cookie("_xsrf=");
        let first = value.as_bytes()["_xsrf=".len()];
        assert!(
            !first.is_ascii_digit() && value.ends_with(|last: char| last.is_ascii_alphanumeric()),
            "{value}"
        );
    }
}

#[tokio::test]
async fn a_websocket_with_the_cookie_needs_an_own_origin() {
    let layer = layer();
    let (session, xsrf) = log_in(&layer).await;
    let value = xsrf.strip_prefix("_xsrf=").expect("its name");
    let upgrade = format!("GET /socket\nupgrade: websocket\nconnection: Upgrade\ncookie: {session}; {xsrf}");
    for (fields, allowed) in [
        ("origin: http://localhost".to_owned(), true),
        (String::new(), false),
        ("origin: https://evil.example".to_owned(), false),
        (
            "origin: http://localhost:9999\nsec-fetch-site: same-site".to_owned(),
            false,
        ),
        (format!("x-xsrftoken: {value}"), true),
        ("x-xsrftoken: wrong".to_owned(), false),
    ] {
        let answer = send(&layer, request(&format!("{upgrade}\n{fields}"))).await;
        if allowed {
            assert_eq!(answer.status, StatusCode::OK, "{fields}: {answer:?}");
        } else {
            refused_for(&answer, 403, Reason::CrossSite);
        }
    }
    let by_token =
        format!("GET /socket\nupgrade: websocket\nconnection: Upgrade\nauthorization: token {TOKEN}");
    assert_eq!(
        send(&layer, request(&by_token)).await.status,
        StatusCode::OK,
        "a token needs no origin"
    );
}

#[tokio::test]
async fn a_person_gets_a_page_a_program_json_and_grpc_its_status() {
    let visitor = send(&layer(), request("GET /lab?a=1\naccept: text/html,*/*;q=0.8")).await;
    assert_eq!(
        (visitor.status.as_u16(), visitor.header("location")),
        (302, "/login?next=%2Flab%3Fa%3D1")
    );
    let keys = portcullis::TokenSet::from_list(
        &"a-key".into(),
        portcullis::Grant::new(portcullis::Identity::new("me")),
    );
    let api = AuthLayer::bearer_tokens(keys.expect("a set"));
    let person = send(&api, request("GET /\naccept: text/html,*/*;q=0.8")).await;
    refused_for(&person, 401, Reason::MissingCredential);
    assert!(person.header("content-type").starts_with("text/html"));
    assert!(
        person.text.contains("Authentication required") && person.text.contains("Authorization: Bearer"),
        "{}",
        person.text
    );
    for (name, part) in [
        ("content-security-policy", "default-src 'none'"),
        ("content-security-policy", "frame-ancestors 'none'"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        assert!(person.header(name).contains(part), "{name}: {person:?}");
    }
    let program = send(&layer(), request("GET /\naccept: */*")).await;
    assert_eq!(
        program.text,
        r#"{"message":"missing credentials","reason":"missing credentials"}"#
    );
    assert_eq!(program.header("content-type"), "application/json");
    let grpc = send(
        &layer(),
        request("POST /a.B/C\ncontent-type: application/grpc+proto"),
    )
    .await;
    assert_eq!((grpc.status.as_u16(), grpc.header("grpc-status")), (200, "16"));
    let foreign = send(
        &layer(),
        request("POST /a.B/C\nhost: evil.example\ncontent-type: application/grpc"),
    )
    .await;
    assert_eq!(
        (foreign.status.as_u16(), foreign.header("grpc-status")),
        (200, "7")
    );
}

#[tokio::test]
async fn jupyter_responses_answer_as_the_originals_do() {
    let layer = AuthLayer::builder()
        .token(TOKEN.parse().expect("a token"))
        .response_style(ResponseStyle::jupyter())
        .build()
        .expect("a layer");
    let answer = send(&layer, request("GET /api/status")).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(answer.text, r#"{"message": "Forbidden", "reason": null}"#);
    assert_eq!(answer.header("content-type"), "application/json");
}

#[tokio::test]
async fn a_login_path_takes_people_there_and_brings_them_back_without_the_token() {
    let layer = AuthLayer::builder()
        .token(TOKEN.parse().expect("a token"))
        .login_path("/web/login")
        .build()
        .expect("a layer");
    let answer = send(&layer, request("GET /tree?a=1&token=stale\naccept: text/html")).await;
    assert_eq!(answer.status, StatusCode::FOUND, "{answer:?}");
    assert_eq!(answer.header("location"), "/web/login?next=%2Ftree%3Fa%3D1");
    let program = send(&layer, request("GET /tree")).await;
    refused_for(&program, 401, Reason::MissingCredential);
}

#[tokio::test]
async fn a_layer_for_header_tokens_accepts_every_host_and_reads_no_query() {
    let keys = portcullis::TokenSet::new([(
        TOKEN.parse::<Token>().expect("a token"),
        portcullis::Grant::new(portcullis::Identity::new("me")),
    )])
    .expect("a set");
    let layer = AuthLayer::bearer_tokens(keys);
    let answer = send(
        &layer,
        request(&format!(
            "GET /\nhost: api.example.org\nauthorization: Bearer {TOKEN}"
        )),
    )
    .await;
    assert_eq!(answer.text, "me by Token");
    refused_for(
        &send(&layer, request(&format!("GET /?token={TOKEN}"))).await,
        401,
        Reason::MissingCredential,
    );
}

#[tokio::test]
async fn a_program_without_an_origin_shows_the_xsrf_of_the_login_form_also_where_origins_alone_count() {
    let builder = || AuthLayer::builder().token(TOKEN.parse::<Token>().expect("a token"));
    for (layer, by_origin) in [(builder(), false), (builder().csrf_by_origin(), true)] {
        let layer = layer.build().expect("a layer");
        // As clients of Jupyter do it: the form's value is kept, and sent with every request.
        let page = send(&layer, request("GET /login\naccept: text/html")).await;
        let xsrf = page.cookie("_xsrf=");
        let value = xsrf.strip_prefix("_xsrf=").expect("its name");
        let form = "POST /login\ncontent-type: application/x-www-form-urlencoded";
        let form = request(&format!("{form}\ncookie: {xsrf}"));
        let login = send(
            &layer,
            form.map(|_| Full::from(format!("{xsrf}&password={TOKEN}"))),
        )
        .await;
        assert_eq!(login.status, 302, "{login:?}");
        let fields = format!("cookie: {}; {xsrf}", login.cookie("username-localhost="));
        let post = format!("POST /api\n{fields}");
        let socket = format!("GET /ws\nconnection: upgrade\nupgrade: websocket\n{fields}");
        for (lines, allowed) in [
            (format!("{post}\nx-xsrftoken: {value}"), true),
            (format!("{socket}\nx-xsrftoken: {value}"), true),
            (post.clone(), false),
            (socket.clone(), false),
            (format!("{post}\nx-xsrftoken: {value}x"), false),
            // No browser sends such a request, so a value from before the login is not accepted.
            (
                format!("{post}\nx-xsrftoken: {value}\nsec-fetch-site: none"),
                false,
            ),
            (
                format!("{post}\nx-xsrftoken: {value}\nreferer: http://localhost/"),
                false,
            ),
            (
                format!("{post}\nx-xsrftoken: {value}\norigin: https://evil.example"),
                false,
            ),
            // Where origins alone count, the field is the only proof.
            (format!("{post}\nx-csrftoken: {value}"), !by_origin),
            (post.replace("/api", &format!("/api?_xsrf={value}")), !by_origin),
        ] {
            let answer = send(&layer, request(&lines)).await;
            let expected = if allowed { 200 } else { 403 };
            assert_eq!(answer.status, expected, "{by_origin} {lines}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn listed_hosts_are_answered_for_and_no_others() {
    let layer = AuthLayer::builder()
        .token(TOKEN.parse().expect("a token"))
        .allowed_hosts(AllowedHosts::from_list(["notebooks.example.org"]).expect("a host"))
        .build()
        .expect("a layer");
    let good = request(&format!(
        "GET /\nhost: Notebooks.example.org\nauthorization: Bearer {TOKEN}"
    ));
    assert_eq!(send(&layer, good).await.status, StatusCode::OK);
    refused_for(
        &send(&layer, request("GET /\nhost: evil.example")).await,
        403,
        Reason::DisallowedHost,
    );
}

#[tokio::test]
async fn optional_routes_serve_unauthenticated_requests_and_still_reject_a_wrong_token() {
    let layer = layer();
    let (session, xsrf) = log_in(&layer).await;
    let optional = layer.optional();
    assert_eq!(send(&optional, request("GET /")).await.text, "anonymous");
    assert!(
        send(&optional, request(&format!("GET /\ncookie: {session}; {xsrf}")))
            .await
            .text
            .ends_with(" by Cookie")
    );
    refused_for(
        &send(&optional, request("GET /\nauthorization: Bearer wrong")).await,
        401,
        Reason::UnknownToken,
    );
    let stale = send(&optional, request("GET /\ncookie: username-localhost=stale")).await;
    assert_eq!(stale.text, "anonymous");
}

#[tokio::test]
async fn bad_cookie_is_removed_on_the_answer_to_a_page_request_alone() {
    let layer = layer();
    for (lines, is_removed) in [
        ("GET /\naccept: text/html", true),
        ("HEAD /\naccept: text/html", true),
        (
            "GET /\naccept: text/html\nsec-fetch-mode: navigate\nsec-fetch-dest: document",
            true,
        ),
        ("GET /", false),
        ("GET /\naccept: */*", false),
        ("GET /\naccept: application/json", false),
        (
            "GET /\naccept: text/html\nsec-fetch-mode: cors\nsec-fetch-dest: empty",
            false,
        ),
        ("GET /\naccept: text/html\nhx-request: true", false),
        (
            "GET /\naccept: text/html\nx-requested-with: XMLHttpRequest",
            false,
        ),
        ("GET /\nupgrade: websocket\nconnection: upgrade", false),
        ("POST /\naccept: application/json", false),
    ] {
        for (layer, is_refused) in [(layer.clone(), true), (layer.clone().optional(), false)] {
            let lines = format!("{lines}\ncookie: username-localhost=stale");
            let answer = send(&layer, request(&lines)).await;
            assert_eq!(answer.status != 200, is_refused, "{lines}: {answer:?}");
            let removed = answer.set_cookies().iter().any(|line| line.contains("Max-Age=0"));
            assert_eq!(removed, is_removed, "{lines}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn open_paths_are_exact_and_the_host_guard_still_holds_there() {
    let layer = layer().public_paths(["/health", "/"]);
    for (path, open) in [
        ("/health", true),
        ("/", true),
        ("/health/", false),
        ("/healthx", false),
        ("/Health", false),
    ] {
        let answer = send(&layer, request(&format!("GET {path}"))).await;
        assert_eq!(answer.status == StatusCode::OK, open, "{path}");
    }
    assert_eq!(
        send(&layer, request("GET /health?x=1")).await.status,
        StatusCode::OK,
        "the query does not matter"
    );
    refused_for(
        &send(&layer, request("GET /health\nhost: evil.example")).await,
        403,
        Reason::DisallowedHost,
    );
}

#[tokio::test]
async fn public_paths_may_be_a_list_made_at_run_time() {
    let configured: Vec<String> = ["/health", "/status"].map(str::to_owned).into();
    let layer = layer().public_paths(&configured);
    for (path, public) in [("/health", true), ("/status", true), ("/other", false)] {
        let answer = send(&layer, request(&format!("GET {path}"))).await;
        assert_eq!(answer.status == StatusCode::OK, public, "{path}");
    }
    let none = layer.public_paths(Vec::<String>::new());
    refused_for(
        &send(&none, request("GET /other")).await,
        401,
        Reason::MissingCredential,
    );
}

#[tokio::test]
async fn refusals_name_every_scope_that_is_needed() {
    let grant = portcullis::Grant::new(portcullis::Identity::new("me")).with_scopes(["read"]);
    let keys = portcullis::TokenSet::new([(TOKEN.parse::<Token>().expect("a token"), grant)]).expect("a set");
    let open = AuthLayer::bearer_tokens(keys);
    let layer = ["write", "read", "admin"]
        .iter()
        .fold(open.clone(), |layer, scope| layer.require_scope(scope));
    let challenge = async |layer: &AuthLayer, lines: String| {
        let answer = send(layer, request(&lines)).await;
        (
            answer.status.as_u16(),
            answer.header("www-authenticate").to_owned(),
        )
    };
    let anonymous = || "GET /".to_owned();
    let known = format!("GET /\nauthorization: Bearer {TOKEN}");
    let all = "Bearer realm=\"portcullis\", scope=\"write read admin\"".to_owned();
    let missing_first =
        "Bearer realm=\"portcullis\", error=\"insufficient_scope\", scope=\"write admin read\"".to_owned();
    assert_eq!(challenge(&layer, known.clone()).await, (403, missing_first));
    assert_eq!(challenge(&layer, anonymous()).await, (401, all.clone()));
    assert_eq!(challenge(&layer.optional(), anonymous()).await, (401, all));
    let without = "Bearer realm=\"portcullis\"".to_owned();
    assert_eq!(challenge(&open, anonymous()).await, (401, without));
    let enough = open.require_scope("read");
    assert_eq!(send(&enough, request(&known)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_route_that_requires_a_scope_names_the_missing_one() {
    let grant = portcullis::Grant::new(portcullis::Identity::new("me")).with_scopes(["read"]);
    let keys = portcullis::TokenSet::new([(TOKEN.parse::<Token>().expect("a token"), grant)]).expect("a set");
    let layer = AuthLayer::bearer_tokens(keys);
    let good = format!("GET /\nauthorization: Bearer {TOKEN}");
    assert_eq!(
        send(&layer.require_scope("read"), request(&good)).await.status,
        StatusCode::OK
    );
    let answer = send(
        &layer.require_scope("read").require_scope("write"),
        request(&good),
    )
    .await;
    refused_for(&answer, 403, Reason::InsufficientScope);
    assert!(
        answer
            .header("www-authenticate")
            .ends_with("error=\"insufficient_scope\", scope=\"write read\""),
        "{answer:?}"
    );
}

#[tokio::test]
async fn danger_accept_anyone_accepts_all_requests_but_those_of_foreign_pages() {
    let layer = AuthLayer::danger_allow_anonymous();
    assert!(
        send(&layer, request("GET /"))
            .await
            .text
            .ends_with(" by NotRequired")
    );
    assert_eq!(
        send(&layer, request("POST /")).await.status,
        StatusCode::OK,
        "a script without browser fields"
    );
    refused_for(
        &send(&layer, request("POST /\norigin: https://evil.example")).await,
        403,
        Reason::CrossSite,
    );
    refused_for(
        &send(&layer, request("GET /\nhost: evil.example")).await,
        403,
        Reason::DisallowedHost,
    );
}

#[tokio::test]
async fn a_page_of_a_listed_origin_may_read_every_answer_and_no_other_page_may() {
    let layer = AuthLayer::builder()
        .token(TOKEN.parse::<Token>().expect("a token"))
        .allowed_origins(AllowedOrigins::parse(["https://app.example.org"]).expect("well-formed"))
        .build()
        .expect("a layer");
    let (optional, open) = (layer.optional(), layer.public_paths(["/health"]));
    for (who, layer, lines, status) in [
        (
            "a known token",
            &layer,
            format!("GET /api\nauthorization: Bearer {TOKEN}"),
            200,
        ),
        (
            "a known token, a query",
            &layer,
            format!("GET /api?x=1\nauthorization: Bearer {TOKEN}"),
            200,
        ),
        (
            "an unknown token",
            &layer,
            "GET /api\nauthorization: Bearer other".to_owned(),
            401,
        ),
        ("missing credentials", &layer, "GET /api".to_owned(), 401),
        (
            "no credential, a page",
            &layer,
            "GET /lab\naccept: text/html".to_owned(),
            302,
        ),
        ("optional, no credential", &optional, "GET /api".to_owned(), 200),
        (
            "optional, no credential, a query",
            &optional,
            "GET /api?x=1".to_owned(),
            200,
        ),
        ("an open path", &open, "GET /health".to_owned(), 200),
    ] {
        for (origin, echoed) in [
            ("https://app.example.org", "https://app.example.org"),
            ("https://other.example.org", ""),
        ] {
            let answer = send(layer, request(&format!("{lines}\norigin: {origin}"))).await;
            assert_eq!(answer.status, status, "{who} from {origin}: {answer:?}");
            assert_eq!(
                answer.header("access-control-allow-origin"),
                echoed,
                "{who} from {origin}"
            );
            assert!(varies_by_origin(&answer), "{who} from {origin}: {answer:?}");
            let exposed = answer.header("access-control-expose-headers");
            assert_eq!(
                exposed.contains("WWW-Authenticate"),
                !echoed.is_empty(),
                "{who} from {origin}"
            );
        }
        let answer = send(layer, request(&lines)).await;
        assert!(varies_by_origin(&answer), "{who} from nowhere: {answer:?}");
    }
}

#[tokio::test]
async fn missing_login_is_answered_as_the_sender_reads_it() {
    const FORM: &str = "content-type: application/x-www-form-urlencoded\naccept: text/html,*/*;q=0.8";
    let keys = portcullis::TokenSet::from_list(
        &"a-key".into(),
        portcullis::Grant::new(portcullis::Identity::new("me")),
    );
    let (with_login, api) = (layer(), AuthLayer::bearer_tokens(keys.expect("a set")));
    for (layer, lines, status, kind, location, htmx) in [
        (
            &with_login,
            "GET /lab\naccept: text/html".to_owned(),
            302,
            "",
            "/login?next=%2Flab",
            "",
        ),
        (
            &with_login,
            "GET /lab\naccept: Text/HTML;q=0.1".into(),
            302,
            "",
            "/login?next=%2Flab",
            "",
        ),
        (
            &with_login,
            "GET /lab\naccept: text/html;q=0".into(),
            401,
            "application/json",
            "",
            "",
        ),
        (
            &with_login,
            "GET /lab\naccept: */*".into(),
            401,
            "application/json",
            "",
            "",
        ),
        (
            &with_login,
            "GET /lab\naccept: text/html\nx-requested-with: XMLHttpRequest".into(),
            401,
            "application/json",
            "",
            "",
        ),
        (
            &with_login,
            "GET /lab\naccept: text/html\nhx-request: true".into(),
            401,
            "application/json",
            "",
            "/login",
        ),
        (
            &with_login,
            "POST /lab\naccept: */*\nhx-request: true".into(),
            401,
            "application/json",
            "",
            "/login",
        ),
        (
            &with_login,
            format!("POST /lab\n{FORM}"),
            401,
            "text/html; charset=utf-8",
            "",
            "",
        ),
        (
            &with_login,
            format!("POST /lab\n{FORM}\nsec-fetch-mode: cors"),
            401,
            "application/json",
            "",
            "",
        ),
        (
            &api,
            "GET /lab\naccept: */*\nhx-request: true".into(),
            401,
            "application/json",
            "",
            "",
        ),
        (
            &api,
            format!("POST /lab\n{FORM}"),
            401,
            "text/html; charset=utf-8",
            "",
            "",
        ),
    ] {
        let answer = send(layer, request(&lines)).await;
        assert_eq!(answer.status, status, "{lines}");
        assert_eq!(answer.header("content-type"), kind, "{lines}");
        assert_eq!(answer.header("location"), location, "{lines}");
        assert_eq!(answer.header("hx-redirect"), htmx, "{lines}");
        assert_eq!(
            answer.header("www-authenticate").is_empty(),
            status == 302,
            "{lines}"
        );
        let is_linked = answer.text.contains("<a href=\"/login\">");
        assert_eq!(
            is_linked,
            kind.starts_with("text/html") && std::ptr::eq(layer, &with_login),
            "{lines}"
        );
    }
}

#[tokio::test]
async fn optional_routes_vary_by_every_credential_that_they_read() {
    let layer = layer();
    let (session, xsrf) = log_in(&layer).await;
    let by_header = AuthLayer::builder()
        .token(TOKEN.parse().expect("a token"))
        .token_sources([portcullis::authenticate::TokenSource::Query])
        .build()
        .expect("a layer");
    for (layer, lines, expected) in [
        (
            layer.clone().optional(),
            "GET /".to_owned(),
            "Cookie, Authorization",
        ),
        (
            layer.clone().optional(),
            "GET /\ncookie: username-localhost=stale".into(),
            "Cookie, Authorization",
        ),
        (
            layer.clone().optional(),
            format!("GET /\nauthorization: Bearer {TOKEN}"),
            "Cookie, Authorization",
        ),
        (
            layer.clone().optional(),
            format!("GET /\ncookie: {session}; {xsrf}"),
            "Cookie, Authorization",
        ),
        (by_header.optional(), "GET /".into(), "Cookie"),
        (
            layer.clone(),
            format!("GET /\ncookie: {session}; {xsrf}"),
            "Cookie",
        ),
        (layer.clone().public_paths(["/"]), "GET /".into(), ""),
    ] {
        let service = layer.layer(service_fn(async |_| {
            let mut response = http::Response::new(Full::<hyper::body::Bytes>::default());
            let headers = response.headers_mut();
            headers.insert("cache-control", http::HeaderValue::from_static("public"));
            Ok::<_, std::convert::Infallible>(response)
        }));
        let answer = service.oneshot(request(&lines)).await.expect("infallible");
        let vary = answer.headers().get("vary");
        assert_eq!(
            vary.map_or("", |vary| vary.to_str().expect("ASCII")),
            expected,
            "{lines}"
        );
        assert_eq!(answer.headers()["cache-control"], "public", "{lines}");
    }
    // A cookie without its `_xsrf` gets a fresh one, which no shared cache may keep.
    let answer = send(&layer, request(&format!("GET /\ncookie: {session}"))).await;
    assert!(answer.cookie("_xsrf=").len() > 8);
    assert_eq!(answer.header("cache-control"), "private");
}
