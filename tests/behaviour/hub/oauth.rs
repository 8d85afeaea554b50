//! The hub as a provider of OAuth, held against OA-1 to OA-12.

use portcullis::{
    hub_server::{HubUser, OAuthClientConfig},
    store::{TokenFilter, TokenStore as _},
};

use super::{
    Browser, MINUTE, NOW, OTHER_SECRET, REDIRECT_URI, SECRET, VERIFIER, World, authorize_query,
    authorize_query_of, exchange_fields, form, hidden, json,
};

/// The query with one parameter changed; an empty value takes it away.
fn changed(name: &str, value: &str) -> String {
    let query = authorize_query();
    let kept = query
        .split('&')
        .filter(|pair| !pair.starts_with(&format!("{name}=")));
    let added = form(&[(name, value)]);
    let added = (!value.is_empty()).then_some(added.as_str());
    kept.chain(added).collect::<Vec<_>>().join("&")
}

async fn error_of(world: &World, browser: &mut Browser<'_>, query: &str) -> String {
    match world.code(browser, query).await {
        Ok(_) => "a code".to_owned(),
        Err(answer) => {
            let location = answer.header("location").to_owned();
            let error = location
                .split(['?', '&'])
                .find_map(|pair| pair.strip_prefix("error="));
            error.map_or_else(|| format!("status {}", answer.status.as_u16()), str::to_owned)
        }
    }
}

#[tokio::test]
async fn oa_1_nothing_but_a_code_with_a_challenge_by_s256_is_given() {
    let world = World::new();
    let mut admin = world.browser_of("admin").await;
    for (name, value, expected) in [
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge_method", "S512", "invalid_request"),
        // Without a method `plain` is meant.
        ("code_challenge_method", "", "invalid_request"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge", "short", "invalid_request"),
        ("code_challenge", VERIFIER, "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        ("response_type", "", "invalid_request"),
        ("state", "another", "a code"),
    ] {
        let found = error_of(&world, &mut admin, &changed(name, value)).await;
        assert_eq!(found, expected, "{name}={value}");
    }
    // A challenge was sent, and the verifier is left out, or another.
    for (verifier, error) in [
        ("", "invalid_request"),
        ("w", "invalid_grant"),
        (&"w".repeat(43), "invalid_grant"),
    ] {
        let code = world.code(&mut admin, &authorize_query()).await.expect("a code");
        let mut fields = exchange_fields(&code);
        fields.retain(|(name, _)| *name != "code_verifier");
        if !verifier.is_empty() {
            fields.push(("code_verifier", verifier));
        }
        let answer = world.exchange(&fields).await;
        assert_eq!(
            (answer.status.as_u16(), json(&answer)["error"].as_str()),
            (400, Some(error)),
            "{verifier}"
        );
    }
}

#[tokio::test]
async fn a_client_that_may_go_without_a_challenge_does() {
    let world = World::with(|hub| {
        let token = "a-token-of-an-old-client".parse().expect("a token");
        let old = OAuthClientConfig::service("old", REDIRECT_URI, &token).expect("a client");
        hub.client(old.allow_without_pkce())
    });
    let mut admin = world.browser_of("admin").await;
    let query = "client_id=service-old&response_type=code";
    let code = world.code(&mut admin, query).await.expect("a code");
    let fields = [
        ("client_id", "service-old"),
        ("client_secret", "a-token-of-an-old-client"),
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
    ];
    assert_eq!(world.exchange(&fields).await.status, 200);
    // One that sends a challenge is held to it.
    let query = format!(
        "{query}&code_challenge={}&code_challenge_method=S256",
        super::CHALLENGE
    );
    let code = world.code(&mut admin, &query).await.expect("a code");
    let fields = [fields[0], fields[1], fields[2], ("code", code.as_str())];
    assert_eq!(world.exchange(&fields).await.status, 400);
    let plain = "client_id=service-old&response_type=code&code_challenge=abc";
    assert_eq!(error_of(&world, &mut admin, plain).await, "invalid_request");
}

#[tokio::test]
async fn oa_4_a_redirect_uri_is_compared_as_text_and_no_other_is_used() {
    let world = World::new();
    let mut admin = world.browser_of("admin").await;
    for near in [
        "http://127.0.0.1:9/cb/",
        "http://127.0.0.1:9/cb?",
        "http://127.0.0.1:9/cb?x=1",
        "http://127.0.0.1:9/cb#f",
        "http://127.0.0.1:9/CB",
        "http://127.0.0.1:9/c%62",
        "http://127.0.0.1:9//cb",
        "http://127.0.0.1:9/./cb",
        "http://127.0.0.1:9/x/../cb",
        "http://127.0.0.1:09/cb",
        "http://127.0.0.1:10/cb",
        "http://127.0.0.1/cb",
        "https://127.0.0.1:9/cb",
        "HTTP://127.0.0.1:9/cb",
        "http://localhost:9/cb",
        "http://user@127.0.0.1:9/cb",
        "http://127.0.0.1:9@evil.example/cb",
        "http://evil.example/http://127.0.0.1:9/cb",
        "http://127.0.0.1:9.evil.example/cb",
        " http://127.0.0.1:9/cb",
        "http://127.0.0.1:9/cb ",
        "http://127.0.0.1:9/cb\u{0}",
        "http://127.0.0.1:9\\cb",
        "//127.0.0.1:9/cb",
        "/cb",
        "http://127.0.0.1:9/other-cb",
        "javascript:alert(1)",
        "http://evil.example/",
    ] {
        let answer = admin
            .get(&format!(
                "/hub/api/oauth2/authorize?{}",
                changed("redirect_uri", near)
            ))
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("location")),
            (400, ""),
            "{near}"
        );
        assert!(!answer.text.contains(near.trim()), "not even named: {near}");
    }
    let twice = format!(
        "{}&{}",
        authorize_query(),
        form(&[("redirect_uri", "http://evil.example/")])
    );
    assert_eq!(error_of(&world, &mut admin, &twice).await, "status 400");
    assert_eq!(
        error_of(&world, &mut admin, &changed("redirect_uri", "")).await,
        "a code",
        "the registered one is meant"
    );
    // At the exchange as well.
    let code = world.code(&mut admin, &authorize_query()).await.expect("a code");
    let mut fields = exchange_fields(&code);
    fields.retain(|(name, _)| *name != "redirect_uri");
    fields.push(("redirect_uri", "http://127.0.0.1:9/cb/"));
    let answer = world.exchange(&fields).await;
    assert_eq!(json(&answer)["error_description"], "Mismatching redirect URI.");
}

#[tokio::test]
async fn oa_5_a_code_is_good_once_for_a_minute_and_for_its_client_alone() {
    let world = World::new();
    let mut admin = world.browser_of("admin").await;
    let grant = |answer: &crate::common::Answered| json(answer)["error"].as_str().map(str::to_owned);

    let code = world.code(&mut admin, &authorize_query()).await.expect("a code");
    assert_eq!(code.len(), 30);
    let other = [
        ("client_id", "service-managed"),
        ("client_secret", OTHER_SECRET),
        ("grant_type", "authorization_code"),
        ("code_verifier", VERIFIER),
        ("code", code.as_str()),
    ];
    assert_eq!(
        grant(&world.exchange(&other).await).as_deref(),
        Some("invalid_grant"),
        "another client's"
    );
    world.clock.advance(MINUTE - std::time::Duration::from_secs(1));
    let answer = world.exchange(&exchange_fields(&code)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("cache-control"), "no-store");
    let token = json(&answer)["access_token"]
        .as_str()
        .expect("a token")
        .to_owned();
    assert_eq!(world.call("GET", "/user", Some(&token), "").await.status, 200);
    assert_eq!(
        grant(&world.exchange(&exchange_fields(&code)).await).as_deref(),
        Some("invalid_grant")
    );
    assert_eq!(
        world.call("GET", "/user", Some(&token), "").await.status,
        403,
        "shown twice: its token is revoked"
    );

    let code = world.code(&mut admin, &authorize_query()).await.expect("a code");
    world.clock.advance(MINUTE);
    assert_eq!(
        grant(&world.exchange(&exchange_fields(&code)).await).as_deref(),
        Some("invalid_grant"),
        "too old"
    );

    // A code of a login that has ended.
    let code = world.code(&mut admin, &authorize_query()).await.expect("a code");
    admin.get("/hub/logout").await;
    assert_eq!(
        grant(&world.exchange(&exchange_fields(&code)).await).as_deref(),
        Some("invalid_grant"),
        "logged out"
    );
}

#[tokio::test]
async fn oa_6_a_secret_is_read_from_the_body_alone() {
    let world = World::new();
    let mut admin = world.browser_of("admin").await;
    for (secret, expected) in [
        (SECRET, 200),
        (OTHER_SECRET, 401),
        ("", 401),
        ("x", 401),
        (&"x".repeat(600), 401),
    ] {
        let code = world.code(&mut admin, &authorize_query()).await.expect("a code");
        let mut fields = exchange_fields(&code);
        fields.retain(|(name, _)| *name != "client_secret");
        fields.push(("client_secret", secret));
        assert_eq!(
            world.exchange(&fields).await.status.as_u16(),
            expected,
            "{secret}"
        );
    }
    let code = world.code(&mut admin, &authorize_query()).await.expect("a code");
    let mut fields = exchange_fields(&code);
    fields.retain(|(name, _)| *name != "client_secret");
    let request = http::Request::post(format!("/hub/api/oauth2/token?client_secret={SECRET}"))
        .header("host", "localhost")
        .header("content-type", "application/x-www-form-urlencoded");
    let answer = world
        .send(request.body(form(&fields).into()).expect("a request"))
        .await;
    assert_eq!(answer.status, 401, "not from the URL");
    let twice = [exchange_fields(&code), vec![("client_secret", OTHER_SECRET)]].concat();
    assert_eq!(json(&world.exchange(&twice).await)["error"], "invalid_request");
}

#[tokio::test]
async fn oa_7_and_8_there_is_no_refresh_no_password_and_no_other_grant() {
    let world = World::new();
    for (grant, error) in [
        ("refresh_token", "unauthorized_client"),
        ("password", "unsupported_grant_type"),
        ("client_credentials", "unsupported_grant_type"),
        (
            "urn:ietf:params:oauth:grant-type:device_code",
            "unsupported_grant_type",
        ),
        ("", "unsupported_grant_type"),
    ] {
        let fields = [
            ("client_id", "service-ext"),
            ("client_secret", SECRET),
            ("grant_type", grant),
            ("code", "x"),
        ];
        assert_eq!(json(&world.exchange(&fields).await)["error"], error, "{grant}");
    }
    let mut admin = world.browser_of("admin").await;
    let code = world.code(&mut admin, &authorize_query()).await.expect("a code");
    let shown = json(&world.exchange(&exchange_fields(&code)).await);
    let mut names: Vec<&String> = shown.as_object().expect("an object").keys().collect();
    names.sort();
    assert_eq!(names, ["access_token", "expires_in", "scope", "token_type"]);
    assert_eq!(shown["expires_in"], 14 * 24 * 60 * 60);
}

#[tokio::test]
async fn oa_9_nothing_that_was_sent_is_returned_as_html() {
    let world = World::new();
    let mut admin = world.browser_of("admin").await;
    let evil = "\"><script>alert(1)</script>";
    for name in [
        "client_id",
        "redirect_uri",
        "state",
        "scope",
        "response_type",
        "code_challenge",
    ] {
        let answer = admin
            .get(&format!("/hub/api/oauth2/authorize?{}", changed(name, evil)))
            .await;
        assert!(!answer.text.contains("<script"), "{name}");
        assert!(!answer.header("location").contains('<'), "{name}");
    }
    let mut anonymous = world.browser();
    let answer = anonymous.log_in(evil, "x").await;
    assert!(
        !answer.text.contains("<script") && answer.text.contains("&lt;script"),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn access_is_checked_at_the_consent_page_at_its_answer_and_at_the_exchange() {
    let world = World::new();
    let url = format!("/hub/api/oauth2/authorize?{}", authorize_query());
    let mut alice = world.browser_of("alice").await;
    assert_eq!(alice.get(&url).await.status, 403);
    let xsrf = alice.xsrf().await;
    let answer = alice
        .post(
            &url,
            &[("_xsrf", &xsrf), ("scopes", "access:services!service=ext")],
        )
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("location")),
        (403, ""),
        "{answer:?}"
    );

    let may = || {
        let member = HubUser::new("alice").expect("a name");
        member
            .with_scopes(["access:services!service=ext"])
            .expect("a scope")
    };
    world.hub.users().set(may());
    assert_eq!(alice.get(&url).await.status, 200);
    let code = world.code(&mut alice, &authorize_query()).await.expect("a code");
    world.hub.users().set(HubUser::new("alice").expect("a name"));
    assert_eq!(
        json(&world.exchange(&exchange_fields(&code)).await)["error"],
        "invalid_grant"
    );

    // And at each use of the token.
    world.hub.users().set(may());
    let token = world.oauth_token(&mut alice).await;
    let holds = |shown: serde_json::Value| {
        shown["scopes"]
            .as_array()
            .is_some_and(|scopes| scopes.contains(&"access:services!service=ext".into()))
    };
    assert!(holds(json(&world.call("GET", "/user", Some(&token), "").await)));
    world.hub.users().set(HubUser::new("alice").expect("a name"));
    let shown = json(&world.call("GET", "/user", Some(&token), "").await);
    assert!(shown["name"] == "alice" && !holds(shown.clone()), "{shown}");
}

#[tokio::test]
async fn the_consent_page_is_shown_once_and_answered_from_the_hubs_page_alone() {
    let world = World::new();
    let url = format!("/hub/api/oauth2/authorize?{}", authorize_query());
    let mut admin = world.browser_of("admin").await;
    let page = admin.get(&url).await;
    assert_eq!(page.status, 200);
    assert!(
        page.header("content-security-policy")
            .contains("frame-ancestors 'none'")
    );
    assert!(
        page.header("content-security-policy")
            .contains("form-action 'self' http://127.0.0.1:9;"),
        "{page:?}"
    );
    let xsrf = hidden(&page.text, "_xsrf").remove(0);
    for (case, value, origin) in [
        ("no value", "", "http://localhost"),
        ("an invented one", "x1", "http://localhost"),
        ("another site", &*xsrf, "https://evil.example"),
    ] {
        let mut browser = admin.clone();
        browser.fields = vec![("origin".to_owned(), origin.to_owned())];
        let answer = browser
            .post(
                &url,
                &[("_xsrf", value), ("scopes", "access:services!service=ext")],
            )
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("location")),
            (403, ""),
            "{case}"
        );
    }
    let mut bob = world.browser_of("bob").await;
    let answer = bob.post(&url, &[("_xsrf", &xsrf)]).await;
    assert_eq!(answer.status, 403, "the value of another's page");

    let answer = admin.post(&url, &[("_xsrf", &xsrf), ("deny", "1")]).await;
    assert!(
        answer
            .header("location")
            .starts_with(&format!("{REDIRECT_URI}?error=access_denied")),
        "{answer:?}"
    );
    assert!(answer.header("location").ends_with("&state=st"));
    world.oauth_token(&mut admin).await;
    assert_eq!(admin.get(&url).await.status, 302, "known from before");
    admin.fields = vec![
        ("sec-fetch-site".to_owned(), "cross-site".to_owned()),
        ("sec-fetch-mode".to_owned(), "no-cors".to_owned()),
        ("sec-fetch-dest".to_owned(), "image".to_owned()),
    ];
    assert_eq!(
        admin.get(&url).await.status,
        403,
        "a picture of another site gets no code"
    );
}

#[tokio::test]
async fn a_token_has_the_ticked_scopes_that_its_owner_holds() {
    let world = World::with(|hub| {
        let token = "a-token-of-a-greedy-client".parse().expect("a token");
        let client = OAuthClientConfig::service("greedy", REDIRECT_URI, &token).and_then(|client| {
            client.with_allowed_scopes(["read:users:activity!user", "tokens!user", "list:users"])
        });
        hub.client(client.expect("a client"))
    });
    let may = HubUser::new("alice")
        .and_then(|alice| alice.with_scopes(["access:services"]))
        .expect("a member");
    world.hub.users().set(may);
    let mut alice = world.browser_of("alice").await;
    let query = |scope: &str| {
        let query = changed("client_id", "service-greedy");
        if scope.is_empty() {
            query
        } else {
            format!("{query}&{}", form(&[("scope", scope)]))
        }
    };
    let page = alice
        .get(&format!("/hub/api/oauth2/authorize?{}", query("")))
        .await;
    let mut offered = hidden(&page.text, "scopes");
    offered.sort();
    assert_eq!(
        offered,
        [
            "access:services!service=greedy",
            "read:users:activity!user",
            "read:users:groups!user",
            "read:users:name!user",
            "tokens!user",
        ],
        "`list:users` is not hers to give"
    );
    assert!(
        page.text.contains("Create and revoke access tokens"),
        "{}",
        page.text
    );
    for (scope, expected) in [
        ("admin:users", "invalid_scope"),
        ("nope", "invalid_scope"),
        ("tokens", "invalid_scope"),
        ("inherit", "invalid_scope"),
        ("self", "invalid_scope"),
        ("tokens!user=bob", "invalid_scope"),
        ("tokens!user", "a code"),
    ] {
        assert_eq!(
            error_of(&world, &mut alice, &query(scope)).await,
            expected,
            "{scope}"
        );
    }
    // One is ticked, and one that was not offered is added by hand.
    let xsrf = hidden(&page.text, "_xsrf").remove(0);
    let url = format!("/hub/api/oauth2/authorize?{}", query(""));
    let fields = [
        ("_xsrf", &*xsrf),
        ("scopes", "read:users:activity!user"),
        ("scopes", "admin:users"),
        ("scopes", "inherit"),
    ];
    let answer = alice.post(&url, &fields).await;
    let code = answer
        .header("location")
        .split("code=")
        .nth(1)
        .and_then(|rest| rest.split('&').next())
        .expect("a code");
    let mut fields = exchange_fields(code);
    fields[0].1 = "service-greedy";
    fields[1].1 = "a-token-of-a-greedy-client";
    let shown = json(&world.exchange(&fields).await);
    assert_eq!(shown["scope"], "read:users:activity!user");
    let shown = json(
        &world
            .call("GET", "/user", shown["access_token"].as_str(), "")
            .await,
    );
    let expected = [
        "access:services!service=greedy",
        "read:users:activity!user=alice",
        "read:users:groups!user=alice",
        "read:users:name!user=alice",
    ];
    assert_eq!(shown["scopes"], serde_json::json!(expected));
}

#[tokio::test]
async fn own_servers_are_entered_without_a_question_and_others_not_at_all() {
    let world = World::new();
    let query = authorize_query_of("jupyterhub-user-alice", "/user/alice/oauth_callback", "a b+c");
    let url = format!("/hub/api/oauth2/authorize?{query}");
    let answer = world.browser_of("alice").await.get(&url).await;
    let location = answer.header("location");
    assert!(
        location.starts_with("/user/alice/oauth_callback?code="),
        "{location}"
    );
    assert!(location.ends_with("&state=a+b%2Bc"), "{location}");
    assert_eq!(world.browser_of("bob").await.get(&url).await.status, 403);
    assert_eq!(
        world.browser_of("admin").await.get(&url).await.status,
        200,
        "another user's server: the consent page"
    );
    // A user with access to the servers of a group has access to this one when its owner joins.
    let bob = HubUser::new("bob")
        .and_then(|bob| bob.with_scopes(["access:servers!group=lab"]))
        .expect("a member");
    world.hub.users().set(bob);
    let mut bob = world.browser_of("bob").await;
    assert_eq!(bob.get(&url).await.status, 403);
    world
        .hub
        .users()
        .set(HubUser::new("alice").expect("a name").with_groups(["lab"]));
    assert_eq!(bob.get(&url).await.status, 200);
}

#[tokio::test]
async fn oa_4_a_redirect_uri_is_written_into_the_answer_byte_by_byte() {
    let place = "/user/ann%20b/oauth_callback?from=a%20b";
    let token = "a-token-of-a-server-of-anns".parse().expect("a token");
    let client = OAuthClientConfig::server("alice", "named", place, &token).expect("a client");
    let world = World::with(|hub| hub.client(client));
    let query = authorize_query_of("jupyterhub-user-alice!named", place, "a b");
    let url = format!("/hub/api/oauth2/authorize?{query}");
    let answer = world.browser_of("alice").await.get(&url).await;
    let location = answer.header("location");
    assert!(
        location.starts_with(&format!("{place}&code=")),
        "{location} {}",
        answer.status
    );
    assert!(location.ends_with("&state=a+b"), "{location}");
}

#[tokio::test]
async fn oa_12_a_token_of_a_removed_client_is_invalid() {
    let world = World::new();
    let mut admin = world.browser_of("admin").await;
    let token = world.oauth_token(&mut admin).await;
    let records = world
        .store
        .list(TokenFilter::owner("admin"), NOW)
        .await
        .expect("a list");
    assert_eq!(records[0].client_id(), Some("service-ext"));
    // The same store behind a hub without this client.
    let hub = portcullis::hub_server::Hub::builder(std::sync::Arc::clone(&world.store))
        .password_verifier(super::People)
        .user(HubUser::new("admin").expect("a name").as_admin())
        .clock(world.clock.clone())
        .build()
        .expect("a hub");
    let world = World { hub, ..world };
    assert_eq!(world.call("GET", "/user", Some(&token), "").await.status, 403);
}
