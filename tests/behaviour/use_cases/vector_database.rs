//! A vector database: a key that writes, another for its rotation, and one that reads.

use http::Method;
use portcullis::{AuthLayer, RequestHead, Session, Token, TokenSet};

use super::{Outside, me};
use crate::common::{request, send};

#[tokio::test]
async fn scopes_decide_what_a_key_may_do() -> Outside {
    let key = |text: &str| text.parse::<Token>();
    let [writing, alternative, reading] = [key("writing-key")?, key("alternative-key")?, key("reading-key")?];
    // user:
    let all = || me("db").with_scopes(["read", "write"]);
    let keys = TokenSet::new([
        (writing, all()),
        (alternative, all().with_label("next")),
        (reading, me("db").with_scopes(["read"])),
    ])?;
    let auth = AuthLayer::builder()
        .bearer_tokens(keys)
        .authorizer(|head: RequestHead<'_>, session: &Session| {
            let reads = *head.method() == Method::GET;
            session.require_scope(if reads { "read" } else { "write" })
        })
        .build()?;
    // asserted:
    for (key, get, put) in [
        ("writing-key", 200, 200),
        ("alternative-key", 200, 200),
        ("reading-key", 200, 403),
    ] {
        for (method, status) in [("GET", get), ("PUT", put)] {
            let lines = format!("{method} /points\nauthorization: Bearer {key}");
            let answer = send(&auth, request(&lines)).await;
            assert_eq!(answer.status, status, "{lines}");
            let challenge = answer.header("www-authenticate");
            let expected = "error=\"insufficient_scope\", scope=\"write\"";
            assert_eq!(
                challenge.contains(expected),
                status == 403,
                "{lines}: {challenge}"
            );
        }
    }
    Ok(())
}
