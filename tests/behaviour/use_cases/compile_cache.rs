//! A compile-cache cluster: one shared token, which neither side can print.

use portcullis::{AuthLayer, Token, TokenSet};

use super::{Outside, me};
use crate::common::{TOKEN, request, send};

#[tokio::test]
async fn both_sides_have_the_token_and_neither_can_print_it() -> Outside {
    // user:
    let token: Token = TOKEN.parse()?;
    let auth = AuthLayer::bearer_tokens(TokenSet::new([(token.clone(), me("worker"))])?);
    let mut sent = request("PUT /objects/1");
    sent.headers_mut()
        .insert("authorization", token.to_authorization_header());
    // asserted:
    let warning = format!("cannot store: {sent:?} {token:?} {auth:?}");
    let mistyped = format!("{TOKEN}\u{7f}").parse::<Token>().expect_err("no token");
    let kept = send(&auth, sent).await;
    assert_eq!(kept.text, "worker by Token");
    let refused = send(
        &auth,
        request(&format!("PUT /\nauthorization: Bearer {}", &TOKEN[1..])),
    )
    .await;
    assert_eq!(refused.status, 401);
    for shown in [warning, format!("{mistyped} {mistyped:?} {refused:?} {kept:?}")] {
        assert!(!shown.contains(&TOKEN[1..]), "{shown}");
    }
    Ok(())
}
