//! `custom_authenticator`: which requests it accepts, and how it answers the others.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use portcullis_interop::{example::Example, http::request};

#[test]
fn basic_and_the_key_get_in_and_nothing_else_does() {
    let mut command = Example::command(&Example::build("custom_authenticator"));
    command.args(["--port", "0"]);
    let mut example = Example::start("custom_authenticator", command);
    let address = example.line_after("custom_authenticator listens on http://");
    let address = address.trim_end_matches('/');
    let basic_line = example.line_after("basic: curl -u alice:");
    let token = basic_line.split(' ').next().expect("a token");
    let key_line = example.line_after("closure: curl -H 'X-Agent-Key: ");
    let key = key_line.split('\'').next().expect("a key");

    let basic = |scheme: &str, pair: &str| format!("{scheme} {}", BASE64_STANDARD.encode(pair));
    let good = basic("Basic", &format!("alice:{token}"));
    for (claim, fields, status, body) in [
        ("Basic", &[("Authorization", &*good)][..], 200, "you are alice"),
        (
            "a scheme has no case",
            &[("Authorization", &basic("bAsIc", &format!("alice:{token}")))],
            200,
            "you are alice",
        ),
        ("the key", &[("X-Agent-Key", key)], 200, "you are agent"),
        ("nothing", &[], 401, ""),
        (
            "another user's name",
            &[("Authorization", &basic("Basic", &format!("bob:{token}")))],
            401,
            "",
        ),
        (
            "a wrong token",
            &[("Authorization", &basic("Basic", "alice:wrong"))],
            401,
            "",
        ),
        (
            "the key for a token",
            &[("Authorization", &basic("Basic", &format!("alice:{key}")))],
            401,
            "",
        ),
        ("no base64", &[("Authorization", "Basic *")], 401, ""),
        ("no colon", &[("Authorization", &basic("Basic", token))], 401, ""),
        ("the token for a key", &[("X-Agent-Key", token)], 401, ""),
        (
            "a foreign host",
            &[("Authorization", &good), ("Host", "example.org")],
            403,
            "",
        ),
        (
            "another site's page",
            &[
                ("Authorization", &good),
                ("Sec-Fetch-Site", "cross-site"),
                ("Origin", "http://example.org"),
            ],
            403,
            "",
        ),
    ] {
        let method = if claim == "another site's page" {
            "POST"
        } else {
            "GET"
        };
        let answer = request(address, method, "/", fields);
        assert_eq!(
            answer.status, status,
            "{claim}: {}\n\n{}",
            answer.head, answer.body
        );
        assert!(
            answer.body.contains(body),
            "{claim}: expected {body:?}, found {:?}",
            answer.body
        );
        let offered = answer
            .fields("www-authenticate")
            .iter()
            .any(|field| field.starts_with("Basic "));
        assert_eq!(
            offered,
            status == 401,
            "{claim}: expected Basic to be offered with 401 alone, found {}",
            answer.head
        );
    }

    let ended = example.signal("INT");
    assert_eq!(
        ended.code(),
        Some(0),
        "expected SIGINT to end it well, found {ended}"
    );
}
