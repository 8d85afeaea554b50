//! The home page: tokens that are created and revoked by its forms, and what it says after that.

use std::time::Duration;

use super::World;
use crate::common::Answered;

/// The text of the element with this role, or of the first `code`.
fn text_after<'a>(page: &'a Answered, mark: &str) -> Option<&'a str> {
    page.text.split_once(mark)?.1.split('<').next()
}

fn status(page: &Answered) -> Option<&str> {
    text_after(page, "role=\"status\">")
}

fn new_token(page: &Answered) -> Option<&str> {
    text_after(page, "id=\"secret\">")
}

const CREATED: &str = "Token created. Copy it now: you will not be able to see it again.";

#[tokio::test]
async fn a_new_token_is_shown_once_after_a_redirect() {
    let world = World::new();
    let mut alice = world.browser_of("alice").await;
    let xsrf = alice.xsrf().await;
    let make = [
        ("_xsrf", &*xsrf),
        ("action", "make"),
        ("note", "CI"),
        ("expires_in", "86400"),
    ];
    let answer = alice.post("/hub/home", &make).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("location")),
        (302, "/hub/home")
    );
    let line = answer.cookie("jupyterhub-hub-notice=");
    assert!(!line.contains("pcl_"), "the cookie is encrypted");

    let page = alice.get("/hub/home").await;
    assert_eq!(status(&page), Some(CREATED));
    let token = new_token(&page).expect("the token").to_owned();
    let policy = page.header("content-security-policy");
    assert!(policy.contains("; script-src 'sha256-"), "{policy}");
    assert_eq!(world.call("GET", "/user", Some(&token), "").await.status, 200);
    for _ in 0..2 {
        let page = alice.get("/hub/home").await;
        assert_eq!((status(&page), new_token(&page)), (None, None));
        assert!(!page.text.contains(&token));
        assert!(!page.header("content-security-policy").contains("script-src"));
        assert_eq!(page.text.matches("<p>CI</p>").count(), 1, "a reload creates none");
    }
}

#[tokio::test]
async fn a_notice_is_for_the_session_that_pressed_the_button_and_for_a_minute() {
    for (claim, other_user, later, shown) in [
        ("the same session", false, 59, true),
        ("after a minute", false, 61, false),
        ("another user's browser", true, 0, false),
    ] {
        let world = World::new();
        let mut alice = world.browser_of("alice").await;
        let xsrf = alice.xsrf().await;
        let make = [("_xsrf", &*xsrf), ("action", "make"), ("expires_in", "")];
        let made = alice.post("/hub/home", &make).await;
        let line = made.cookie("jupyterhub-hub-notice=").to_owned();
        let mut admin = world.browser_of("admin").await;
        let browser = match other_user {
            true => &mut admin,
            false => &mut alice,
        };
        browser.keep(&line);
        world.clock.advance(Duration::from_secs(later));
        let page = browser.get("/hub/home").await;
        assert_eq!(new_token(&page).is_some(), shown, "{claim}");
        assert_eq!(status(&page), shown.then_some(CREATED), "{claim}");
    }
}

#[tokio::test]
async fn each_button_says_what_it_did_and_asks_before() {
    let world = World::new();
    let mut alice = world.browser_of("alice").await;
    world.browser_of("alice").await;
    let xsrf = alice.xsrf().await;
    let make = [
        ("_xsrf", &*xsrf),
        ("action", "make"),
        ("note", "a <b>"),
        ("expires_in", ""),
    ];
    alice.post("/hub/home", &make).await;
    let page = alice.get("/hub/home").await;
    let question = "Programs that use this token will lose access. This cannot be undone.";
    assert!(page.text.contains(question));
    let id = |page: &Answered, action: &str| {
        let mark = format!("name=\"action\" value=\"{action}\"><input type=\"hidden\" name=\"id\" value=\"");
        let (_, rest) = page.text.split_once(&mark).expect("a button");
        rest.split('"').next().expect("an id").to_owned()
    };
    for (action, id, says) in [
        (
            "revoke",
            id(&page, "revoke"),
            Some("Token \u{201c}a &lt;b&gt;\u{201d} revoked."),
        ),
        ("revoke", id(&page, "revoke"), None),
        ("end", id(&page, "end"), Some("Session logged out.")),
        ("revoke all", String::new(), Some("All tokens revoked.")),
    ] {
        let press = [("_xsrf", &*xsrf), ("action", action), ("id", &*id)];
        let answer = alice.post("/hub/home", &press).await;
        assert_eq!(answer.header("location"), "/hub/home", "{action}");
        assert_eq!(status(&alice.get("/hub/home").await), says, "{action} {id}");
    }
}

#[tokio::test]
async fn a_typing_error_comes_back_with_the_filled_in_form() {
    let world = World::new();
    let mut alice = world.browser_of("alice").await;
    let xsrf = alice.xsrf().await;
    for (scopes, expires_in, code, says) in [
        ("no:such", "604800", 400, "no:such"),
        ("admin:users", "604800", 400, "admin:users"),
        ("", "17", 400, "invalid expiration"),
    ] {
        let make = [
            ("_xsrf", &*xsrf),
            ("action", "make"),
            ("note", "my \"note\""),
            ("scopes", scopes),
            ("expires_in", expires_in),
        ];
        let page = alice.post("/hub/home", &make).await;
        assert_eq!(page.status, code, "{scopes}");
        let error = text_after(&page, "<p class=\"error\"").expect("an error at the field");
        assert!(error.contains(says), "{error}");
        assert!(page.text.contains("<title>Error: "), "{scopes}");
        assert!(page.text.contains("aria-invalid=\"true\""), "{scopes}");
        assert!(page.text.contains("value=\"my &quot;note&quot;\""), "{scopes}");
        assert_eq!(
            page.text.contains("<option value=\"604800\" selected>"),
            expires_in == "604800",
            "{scopes}"
        );
        assert!(!page.text.contains("<p>my "), "{scopes}: no token");
    }
}
