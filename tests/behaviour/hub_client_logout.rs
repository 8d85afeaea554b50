//! What a logout at a hub's server or service ends: copies of its cookies, and what the hub said about their tokens.

use std::time::Duration;

use portcullis::{AuthLayer, testing::TestClock};

use crate::{
    common::{Answered, request, send},
    hub_client_limits::settle,
    hub_client_token_lookup::{
        Browser, Does, FakeHub, NOW, alice, by_token, gives, hub_layer, settings, state,
    },
};

const TOKEN: &str = "B1SRtkF5j4MQzcHB1TqbUH1QO2MKj4";

/// The token cookie of a login with `token`, as `name=value`.
async fn log_in(layer: &AuthLayer, hub: &FakeHub, token: &str) -> String {
    let mut browser = Browser::default();
    let state = state(&browser.open(layer, "/user/alice/").await);
    gives(hub, token);
    let target = format!("/user/alice/oauth_callback?code=c&state={state}");
    let back = browser.open(layer, &target).await;
    assert_eq!(back.status, 302, "{back:?}");
    back.cookie("jupyterhub-user-alice=")
}

async fn get(layer: &AuthLayer, path: &str, cookies: &str) -> Answered {
    send(
        layer,
        request(&format!(
            "GET /user/alice/{path}\naccept: text/html\ncookie: {cookies}"
        )),
    )
    .await
}

async fn is_accepted(layer: &AuthLayer, cookies: &str) -> bool {
    match get(layer, "files/x", cookies).await {
        answer if answer.status == 200 => true,
        answer if answer.status == 302 => false,
        answer => panic!("{answer:?}"),
    }
}

fn junk(count: usize) -> String {
    (0..count)
        .map(|number| format!("jupyterhub-user-alice=junk{number}; "))
        .collect()
}

#[tokio::test]
async fn a_copied_cookie_is_rejected_after_the_logout_with_any_other_cookies() {
    for (claim, before, after, foreign) in [
        ("alone", String::new(), "", false),
        (
            "with a session id",
            String::new(),
            "; jupyterhub-session-id=own",
            false,
        ),
        (
            "with two",
            String::new(),
            "; jupyterhub-session-id=a; jupyterhub-session-id=b",
            false,
        ),
        ("behind eight that do not open", junk(8), "", false),
        (
            "behind two hundred",
            junk(200),
            "; jupyterhub-session-id=own",
            false,
        ),
        ("with a login of another token", String::new(), "", true),
        ("with both", junk(100), "", true),
    ] {
        let hub = FakeHub::that(alice());
        let layer = hub_layer(settings(&hub), &TestClock::new(NOW));
        let cookie = log_in(&layer, &hub, TOKEN).await;
        let other = log_in(&layer, &hub, "another").await;
        let sessions = [
            "",
            "; jupyterhub-session-id=own",
            "; jupyterhub-session-id=attacker",
        ];
        // All of these are remembered.
        for session in sessions {
            assert!(
                is_accepted(&layer, &format!("{cookie}{session}")).await,
                "{claim}"
            );
            let line = format!("cookie: x=y{session}");
            assert_eq!(by_token(&layer, TOKEN, &line).await.status, 200, "{claim}");
        }
        let planted = if foreign {
            format!("{other}; ")
        } else {
            String::new()
        };
        let out = get(&layer, "logout", &format!("{before}{planted}{cookie}{after}")).await;
        assert_eq!(
            (out.status.as_u16(), out.header("location")),
            (302, "/hub/logout"),
            "{claim}: {out:?}"
        );
        // The logout may query the hub for the user of the login that it ends.
        settle().await;
        // The hub still says yes: the browser may never get to the logout there.
        for session in sessions {
            assert!(
                !is_accepted(&layer, &format!("{cookie}{session}")).await,
                "{claim}"
            );
        }
        assert_eq!(is_accepted(&layer, &other).await, !foreign, "{claim}");
        // What the hub said about the token is forgotten, and not remembered again before the hub's own logout.
        for answer in [alice(), Does::Answers(403, vec![])] {
            hub.now(answer.clone());
            for session in sessions {
                let calls = hub.calls();
                let line = format!("cookie: x=y{session}");
                let status = by_token(&layer, TOKEN, &line).await.status;
                assert_eq!(status == 200, matches!(answer, Does::Answers(200, _)), "{claim}");
                assert_eq!(hub.calls(), calls + 1, "{claim}{session}");
            }
        }
    }
}

#[tokio::test]
async fn a_copied_cookie_stays_refused_until_it_ends_and_a_later_login_with_its_token_is_good() {
    let hub = FakeHub::that(alice());
    let clock = TestClock::new(NOW);
    let layer = hub_layer(settings(&hub), &clock);
    let copy = log_in(&layer, &hub, TOKEN).await;
    get(&layer, "logout", &copy).await;
    clock.advance(Duration::from_secs(1));
    let later = log_in(&layer, &hub, TOKEN).await;
    for passes in [0, 299, 300, 301, 24 * 3600, 12 * 24 * 3600] {
        clock.advance(Duration::from_secs(passes));
        assert!(is_accepted(&layer, &later).await, "{passes}");
        assert!(!is_accepted(&layer, &copy).await, "{passes}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_a_question_from_before_the_logout_is_neither_stored_nor_waited_for() {
    let hub = FakeHub::that(alice());
    let clock = TestClock::new(NOW);
    let layer = hub_layer(settings(&hub), &clock);
    let cookie = log_in(&layer, &hub, TOKEN).await;
    clock.advance(Duration::from_secs(301));
    let Does::Answers(status, body) = alice() else {
        panic!("an answer");
    };
    hub.does_next(Does::AnswersAfter(Duration::from_secs(3), status, body));
    let calls = hub.calls();
    let under_way = tokio::spawn({
        let (layer, cookie) = (layer.clone(), cookie.clone());
        async move { is_accepted(&layer, &format!("{cookie}; jupyterhub-session-id=attacker")).await }
    });
    while hub.calls() == calls {
        tokio::task::yield_now().await;
    }
    hub.now(Does::Answers(403, vec![]));
    get(&layer, "logout", &cookie).await;
    let session = "cookie: jupyterhub-session-id=attacker";
    assert_eq!(by_token(&layer, TOKEN, session).await.status, 403);
    assert!(
        !under_way.is_finished(),
        "the later request did not wait for the earlier question"
    );
    under_way.await.expect("no panic");
    // A refusal is kept for five seconds.
    clock.advance(Duration::from_secs(6));
    for session in ["", session, "cookie: jupyterhub-session-id=other"] {
        assert_eq!(by_token(&layer, TOKEN, session).await.status, 403, "{session}");
    }
    assert!(!is_accepted(&layer, &cookie).await);
}

#[tokio::test]
async fn a_refusal_of_the_hub_counts_for_every_session_id() {
    let hub = FakeHub::that(alice());
    let layer = hub_layer(settings(&hub), &TestClock::new(NOW));
    let cookie = log_in(&layer, &hub, TOKEN).await;
    let copy = format!("{cookie}; jupyterhub-session-id=attacker");
    assert!(is_accepted(&layer, &copy).await);
    // The token is revoked at the hub, and the owner comes back with another session id.
    hub.now(Does::Answers(403, vec![]));
    assert!(!is_accepted(&layer, &format!("{cookie}; jupyterhub-session-id=new")).await);
    assert!(!is_accepted(&layer, &copy).await);
}

#[tokio::test]
async fn a_logout_with_cookies_too_large_to_read_is_refused_and_claims_nothing() {
    let hub = FakeHub::that(alice());
    let layer = hub_layer(settings(&hub), &TestClock::new(NOW));
    let cookie = log_in(&layer, &hub, TOKEN).await;
    for planted in [format!("x={}", "y".repeat(16_384)), junk(512)] {
        for method in ["GET", "POST"] {
            let by = format!(
                "{method} /user/alice/logout\ncontent-type: application/x-www-form-urlencoded\ncookie: {planted}; {cookie}"
            );
            let answer = send(&layer, request(&by)).await;
            assert_eq!(answer.status, 431, "{answer:?}");
            assert!(answer.set_cookies().is_empty(), "{answer:?}");
            assert_eq!(answer.header("location"), "", "{answer:?}");
        }
        assert!(is_accepted(&layer, &cookie).await);
    }
}

#[tokio::test]
async fn xsrf_value_of_one_login_is_not_accepted_for_another_of_the_same_user() {
    let hub = FakeHub::that(alice());
    let layer = hub_layer(settings(&hub), &TestClock::new(NOW));
    let first = log_in(&layer, &hub, TOKEN).await;
    let second = log_in(&layer, &hub, "another").await;
    let mut values = Vec::new();
    for cookie in [&first, &second] {
        values.push(get(&layer, "files/x", cookie).await.cookie("_xsrf="));
    }
    for (cookie, xsrf, status) in [
        (&first, &values[0], 200),
        (&second, &values[1], 200),
        (&second, &values[0], 403),
    ] {
        let lines = format!(
            "POST /user/alice/x\norigin: http://localhost\nsec-fetch-site: same-origin\nx-xsrftoken: {}\ncookie: {cookie}; {xsrf}",
            &xsrf["_xsrf=".len()..]
        );
        let answer = send(&layer, request(&lines)).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
}
