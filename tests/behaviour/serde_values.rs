//! Values are written and read by serde as their own rules say, and secrets are not.

use portcullis::{
    AuthMethod, BaseUrl, Grant, Identity, Reason, Scopes, Session,
    clock::UnixTime,
    hub_server::Username,
    request_policy::Origin,
    store::{RecordId, TokenRecord},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

fn grant() -> Grant {
    let alice = Identity::new("alice").with_name("Alice").with_color("#fff");
    let grant = Grant::new(alice).with_scopes(["read", "write!user=alice"]);
    grant
        .with_expiry(UnixTime::from_secs(1_700_000_000))
        .with_label("phone")
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "values are short to write")]
fn comes_back<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: T, expected: Value) {
    let written = serde_json::to_value(&value).expect("JSON");
    assert_eq!(written, expected);
    assert_eq!(serde_json::from_value::<T>(written).expect("a value"), value);
    let text = serde_json::to_string(&value).expect("JSON");
    assert_eq!(serde_json::from_str::<T>(&text).expect("a value"), value);
}

#[test]
fn what_was_written_is_read_back() {
    let identity = json!({
        "username": "alice", "name": "Alice", "display_name": "Alice", "initials": null, "color": "#fff",
        "avatar_url": null,
    });
    comes_back(grant().identity().clone(), identity.clone());
    let scopes = json!(["read", "write!user=alice"]);
    comes_back(grant().scopes().clone(), scopes.clone());
    let written =
        json!({ "identity": identity, "scopes": scopes, "expires_at": 1_700_000_000, "label": "phone" });
    comes_back(grant(), written);
    comes_back(UnixTime::from_secs(u64::MAX), json!(u64::MAX));
    comes_back(RecordId::from(u64::MAX >> 1), json!("9223372036854775807"));
    comes_back("/base/".parse::<BaseUrl>().expect("a base"), json!("/base/"));
    comes_back(
        "https://a.example".parse::<Origin>().expect("an origin"),
        json!("https://a.example"),
    );
    comes_back(Username::parse("Alice").expect("a name"), json!("alice"));
    comes_back(Reason::UnknownToken, json!("unknown token"));
    let short: Grant = serde_json::from_value(json!({ "identity": { "username": "bob" } })).expect("a grant");
    assert_eq!(short, Grant::new(Identity::new("bob")));
}

#[test]
fn what_a_request_or_a_store_proved_is_written_only() {
    let session = Session::new(grant(), AuthMethod::LaunchLink);
    let written = serde_json::to_value(&session).expect("JSON");
    assert_eq!(written["auth_method"], "launch_link");
    assert_eq!(written["grant"]["label"], "phone");
    let record = TokenRecord::new(grant(), UnixTime::from_secs(9))
        .with_session("CANARY")
        .with_client("app");
    let written = serde_json::to_value(&record).expect("JSON");
    assert_eq!(
        (&written["created"], &written["client_id"]),
        (&json!(9), &json!("app"))
    );
    assert_eq!(written["id"], record.id().to_string());
    assert!(!written.to_string().contains("CANARY"), "{written}");
}

#[test]
fn a_value_that_breaks_its_own_rules_is_refused() {
    #[track_caller]
    fn refused<T: DeserializeOwned + std::fmt::Debug>(value: Value, expected: &str) {
        let error = serde_json::from_value::<T>(value)
            .expect_err(expected)
            .to_string();
        assert!(error.contains(expected), "{error}");
    }
    refused::<Identity>(json!({ "username": "" }), "expected a username");
    refused::<Identity>(json!({ "name": "x" }), "missing field `username`");
    refused::<Identity>(json!({ "username": "a", "nmae": "x" }), "unknown field `nmae`");
    refused::<Grant>(
        json!({ "identity": { "username": "a" }, "scope": ["read"] }),
        "unknown field `scope`",
    );
    refused::<Grant>(
        json!({ "identity": { "username": "a" }, "expires_at": "soon" }),
        "expected u64",
    );
    refused::<Scopes>(json!(["read", "a!"]), "expected a scope, found \"a!\"");
    refused::<Scopes>(json!("read"), "expected a sequence");
    refused::<UnixTime>(json!(-1), "expected u64");
    refused::<RecordId>(json!("x"), "invalid digit");
    refused::<BaseUrl>(json!("//evil.example/"), "base");
    refused::<Origin>(json!("https://a.example/path"), "origin");
    refused::<Username>(json!(".."), "expected the name of a user");
    refused::<Reason>(json!("no reason"), "expected a reason");
}

/// `check` is ambiguous, so this does not compile, if the type can be written.
macro_rules! never_serialized {
    ($($type:ty),*) => {$(
        const _: fn() = || {
            trait Check<A> {
                fn check() {}
            }
            impl<T: ?Sized> Check<()> for T {}
            struct Written;
            impl<T: ?Sized + Serialize> Check<Written> for T {}
            <$type as Check<_>>::check();
        };
    )*};
}

never_serialized!(
    portcullis::Token,
    portcullis::Secret,
    portcullis::PasswordHash,
    portcullis::Keyring,
    portcullis::TokenSet,
    portcullis::token::TokenHash,
    portcullis::token::PresentedToken<'static>,
    portcullis::launch_link::LaunchLink
);
