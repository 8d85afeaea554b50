//! A first look at a request, before anybody is asked: whether it carries the shared token.

use super::{TokenSource, token::TokenAuthenticator};
use crate::{
    denial::Reason,
    grant::Grant,
    head::Head,
    query::TokenBuffer,
    verify::{SharedToken, why_unknown},
};

/// What a glance at the `Authorization` field tells of a request, without an answer being made of it.
#[derive(Clone, Copy)]
pub(crate) enum Glance<'g> {
    /// The token, and it is worth this now.
    Known(&'g Grant),
    /// Nothing is told: whatever there is has to be looked for by this.
    Unclear(&'g TokenAuthenticator<SharedToken>),
    /// No token, and no other place where one could be; or one that is not good, for this reason.
    Unknown(Option<Reason>),
}

impl<'g> Glance<'g> {
    /// A glance of `first`: the way of most requests of programs.
    pub(super) fn of(first: &'g TokenAuthenticator<SharedToken>, head: &Head<'_>) -> Self {
        let mut buffer = TokenBuffer::default();
        match first.sources().find(*head, &mut buffer) {
            Ok(None) => Self::Unknown(None),
            Ok(Some(found)) if *found.source() == TokenSource::Authorization => {
                match first.verifier.recognise(found.token().as_bytes()) {
                    Some(grant) if grant.has_expired(|| head.now()) => {
                        Self::Unknown(Some(Reason::ExpiredToken))
                    }
                    Some(grant) => Self::Known(grant),
                    None => Self::Unknown(Some(why_unknown(found.token()))),
                }
            }
            _ => Self::Unclear(first),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Request, header};
    use proptest::{collection::vec, prelude::*};

    use super::{
        super::{
            Authenticator, Chain,
            token::tests::{owner, token, told},
        },
        *,
    };

    proptest! {
        #[test]
        fn a_glance_changes_no_answer(
            values in vec("[ \t]?(Bearer|bEARER|token|tokens|Basic|)[ \t]{0,2}(s3cret|s3cre|other|pcl_x|a b|\x7f|)[ \t]?", 0..3),
            uri in "/(\\?(token=s3cret|a=b&token=other|token=%|a=b|token=))?",
            in_query: bool,
        ) {
            let grant = owner();
            let sources = [TokenSource::Authorization].into_iter().chain(in_query.then_some(TokenSource::Query));
            let authenticator = TokenAuthenticator::new(SharedToken::new(token(), grant)).with_sources(sources);
            let mut request = Request::get(uri).body(()).expect("a request");
            for value in values {
                if let Ok(value) = HeaderValue::try_from(value) {
                    request.headers_mut().append(header::AUTHORIZATION, value);
                }
            }
            let head = Head::of(&request);
            let answer = told(authenticator.authenticate(head));
            prop_assert_eq!(&answer, &told(authenticator.by_any_source(&head)));
            let chain = Chain::new(Some(authenticator), Vec::new());
            prop_assert_eq!(answer, told(chain.authenticate(chain.glance(&head), &head)));
        }
    }
}
