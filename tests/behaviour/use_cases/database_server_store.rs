//! A database server with tokens of its own store, which answers later, or not at all.

use portcullis::{
    AuthLayer, BackendError, Grant, MaybeFuture, Token, TokenVerifier, Verification,
    token::{PresentedToken, TokenHash},
};

use super::{Outside, me};
use crate::common::{TOKEN, request, send};

/// The database that is there already.
#[derive(Clone)]
struct Database;

impl Database {
    async fn grant(&self, hash: TokenHash) -> Result<Option<Grant>, std::io::Error> {
        tokio::task::yield_now().await;
        if hash == "broken".parse::<Token>().expect("a token").hash() {
            return Err(std::io::Error::other("the database is down"));
        }
        Ok((hash == TOKEN.parse::<Token>().expect("a token").hash()).then(|| me("alice")))
    }
}

// user:
impl TokenVerifier for Database {
    fn verify(&self, token: PresentedToken<'_>) -> MaybeFuture<Verification> {
        let (database, hash) = (self.clone(), token.hash());
        MaybeFuture::from_future(async move {
            match database.grant(hash).await {
                Ok(Some(grant)) => Verification::Valid(grant),
                Ok(None) => Verification::Unknown,
                Err(error) => Verification::Unavailable(BackendError::new(error)),
            }
        })
    }
}
// asserted:

#[tokio::test]
async fn it_takes_tokens_that_its_own_store_knows() -> Outside {
    // user:
    let auth = AuthLayer::bearer_tokens(Database);
    // asserted:
    for (token, status, text, retry_after) in [
        (TOKEN, 200, "alice by Token", ""),
        ("unknown", 401, "unknown token", ""),
        ("broken", 503, "unavailable", "5"),
    ] {
        let answer = send(
            &auth,
            request(&format!("POST /query\nauthorization: Bearer {token}")),
        )
        .await;
        assert_eq!(answer.status, status, "{token}");
        assert!(answer.text.contains(text), "{token}: {}", answer.text);
        assert_eq!(answer.header("retry-after"), retry_after, "{token}");
    }
    Ok(())
}
