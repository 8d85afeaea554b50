//! One token that all clients share.

use std::fmt;

use crate::{
    denial::Reason,
    maybe_future::MaybeFuture,
    session::grant::Grant,
    token::{PresentedToken, Token},
    verify::{TokenVerifier, Verification},
};

/// One token that all clients share, as in Jupyter Server.
///
/// Tokens are compared in constant time; the length is not hidden. A token that has the form of a generated one and a
/// wrong checksum is rejected as mistyped.
///
/// # Example
///
/// ```
/// use portcullis::{Grant, Identity, Token, verify::SharedToken};
///
/// let token = Token::generate();
/// println!("http://localhost:8888/?token={}", token.expose());
/// let verifier = SharedToken::new(token, Grant::new(Identity::new("owner")));
/// ```
#[derive(Clone)]
pub struct SharedToken {
    token: Token,
    grant: Grant,
}

impl SharedToken {
    /// Creates a verifier that accepts `token` with `grant`.
    pub fn new(token: Token, grant: Grant) -> Self {
        Self { token, grant }
    }
}

impl TokenVerifier for SharedToken {
    fn verify(&self, token: PresentedToken<'_>) -> MaybeFuture<Verification> {
        MaybeFuture::Ready(if self.token.matches(token) {
            Verification::Valid(self.grant.clone())
        } else {
            unknown(token)
        })
    }
}

impl fmt::Debug for SharedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedToken")
            .field("grant", &self.grant)
            .finish_non_exhaustive()
    }
}

/// Returns the result for a token that was not found.
pub(super) fn unknown(token: PresentedToken<'_>) -> Verification {
    if token.is_oversized() {
        Verification::Rejected(Reason::UnsupportedToken)
    } else if token.has_checksum_error() {
        Verification::Rejected(Reason::TokenChecksumMismatch)
    } else {
        Verification::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::identity::Identity;

    #[track_caller]
    fn verification(verifier: &SharedToken, token: &str) -> Verification {
        match verifier.verify(PresentedToken::new(token.as_bytes()).expect("well-formed")) {
            MaybeFuture::Ready(verification) => verification,
            MaybeFuture::Future(_) => panic!("a shared token needs no waiting"),
        }
    }

    #[test]
    fn the_token_is_known_and_every_other_is_not() {
        let token = Token::generate();
        let grant = Grant::new(Identity::new("owner"));
        let verifier = SharedToken::new(token.clone(), grant.clone());
        let text = token.expose();
        assert!(matches!(verification(&verifier, text), Verification::Valid(known) if known == grant));
        assert!(matches!(
            verification(&verifier, Token::generate().expose()),
            Verification::Unknown
        ));
        assert!(matches!(verification(&verifier, "other"), Verification::Unknown));
        for mistyped in [
            &text[..52],
            &text.to_uppercase().replacen("PCL_", "pcl_", 1),
            "pcl_x",
        ] {
            assert!(
                matches!(
                    verification(&verifier, mistyped),
                    Verification::Rejected(Reason::TokenChecksumMismatch)
                ),
                "{} characters",
                mistyped.len()
            );
        }
        assert!(!format!("{verifier:?}").contains(text));
    }

    #[test]
    fn a_configured_token_may_begin_as_any() {
        let token: Token = "pclx".parse().expect("a token");
        let verifier = SharedToken::new(token, Grant::new(Identity::new("owner")));
        assert!(matches!(verification(&verifier, "pclx"), Verification::Valid(_)));
    }
}
