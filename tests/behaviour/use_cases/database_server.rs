//! A database server with users and passwords: HTTP Basic, by an authenticator of its own.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use portcullis::{
    AuthLayer, AuthMethod, Authenticator, Identity, MaybeFuture, Outcome, PasswordHash, PasswordVerifier,
    RequestHead,
    verify::{MemoryPasswordStore, StoredPasswords},
};

use super::Outside;
use crate::common::{request, send};

struct Basic<V>(V);

// user:
impl<V: PasswordVerifier> Authenticator for Basic<V> {
    fn authenticate(&self, head: RequestHead<'_>) -> MaybeFuture<Outcome> {
        let Some(text) = head.authorization_credentials("Basic") else {
            return Outcome::Absent.into();
        };
        let text = BASE64_STANDARD.decode(text).ok().map(String::from_utf8);
        let pair = text.as_ref().and_then(|text| text.as_ref().ok()?.split_once(':'));
        let Some((user, password)) = pair else {
            return Outcome::malformed("expected Basic with user and password").into();
        };
        let verdict = self.0.verify(user, &password.into());
        verdict.map(|verdict| Outcome::from_verification(verdict, AuthMethod::Other { ambient: true }))
    }
}
// asserted:

#[tokio::test]
async fn it_takes_a_user_and_a_password_by_http_basic() -> Outside {
    let hash = PasswordHash::hash(&"a correct horse battery".into())?;
    // user:
    let users = MemoryPasswordStore::new([(Identity::new("alice"), hash)])?;
    let auth = AuthLayer::new(Basic(StoredPasswords::new(users)));
    // asserted:
    let basic = |pair: &str| format!("Basic {}", BASE64_STANDARD.encode(pair));
    for (authorization, expected) in [
        (
            basic("alice:a correct horse battery"),
            "alice by Other { ambient: true }",
        ),
        (
            basic("alice:a correct horse battery").replace("Basic", "bAsIc"),
            "alice by Other { ambient: true }",
        ),
        (basic("alice:wrong"), "incorrect username or password"),
        (
            basic("bob:a correct horse battery"),
            "incorrect username or password",
        ),
        (
            basic("alice"),
            "malformed request: expected Basic with user and password",
        ),
        (
            "Basic !".to_owned(),
            "malformed request: expected Basic with user and password",
        ),
        ("Bearer x".to_owned(), "missing credentials"),
    ] {
        let query = format!("POST /query\norigin: http://localhost\nauthorization: {authorization}");
        let answer = send(&auth, request(&query)).await;
        let json = format!("{{\"message\":\"{expected}\"");
        assert!(
            answer.text == expected || answer.text.starts_with(&json),
            "{authorization}: {answer:?}"
        );
        assert_eq!(
            answer.status == 200,
            answer.text == expected,
            "{authorization}: {answer:?}"
        );
    }
    Ok(())
}
