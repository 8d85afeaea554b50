//! The layer: what a user of the crate holds in hand.

mod builder;

use std::{fmt, sync::Arc};

use http::Request;
use tower_layer::Layer;

pub use self::builder::AuthLayerBuilder;
use crate::{
    answer::Answer,
    authenticate::Authenticator,
    denial::Denial,
    gate::{AuthService, Decision, passage::Passage},
    head::Head,
    session::Session,
    token::Token,
    verify::TokenVerifier,
};

/// A gate in front of a tower service that knows who is knocking.
///
/// A handle: cloning it, and putting it in front of a service, counts a reference up. All handles of one gate
/// share its state, whatever rule each has ([`optional`](Self::optional), [`require`](Self::require),
/// [`open_paths`](Self::open_paths)).
///
/// # Example
///
/// ```
/// use portcullis::{AuthLayer, Token};
/// use tower::{ServiceBuilder, service_fn};
///
/// let auth = AuthLayer::token(Token::generate());
/// let service = ServiceBuilder::new().layer(auth).service(service_fn(|_: http::Request<String>| async {
///     Ok::<_, std::convert::Infallible>(http::Response::new(String::from("in")))
/// }));
/// ```
#[derive(Clone)]
pub struct AuthLayer {
    passage: Arc<Passage>,
}

impl AuthLayer {
    /// A gate that one token opens, for a server with a browser front end.
    ///
    /// The token is taken from `Authorization: Bearer` (or `token`) and from `?token=`; a page opened with
    /// `?token=` is given a login cookie and sent to the same address without it. Answers for `localhost` and
    /// loopback addresses only: other names are listed by [`AuthLayerBuilder::hosts`]. Cookies end with the
    /// process, unless [`AuthLayerBuilder::keyring`] is given one that lasts.
    pub fn token(token: Token) -> Self {
        Self::builder()
            .token(token)
            .build()
            .expect("a token is all that is needed")
    }

    /// A gate for the tokens that `verifier` knows, for an API.
    ///
    /// Tokens are taken from `Authorization: Bearer` (or `token`) alone; no cookie is ever set, and every host
    /// is answered for, because a browser attaches nothing by itself.
    pub fn tokens(verifier: impl TokenVerifier) -> Self {
        Self::builder()
            .tokens(verifier)
            .build()
            .expect("a verifier is all that is needed")
    }

    /// A gate with an authenticator of one's own.
    ///
    /// Cross-site rules apply to what it accepts with an ambient credential. Every host is answered for.
    pub fn new(authenticator: impl Authenticator) -> Self {
        Self::builder()
            .authenticator(authenticator)
            .build()
            .expect("an authenticator is all that is needed")
    }

    /// A gate that stands open: everybody comes in, as one anonymous user.
    ///
    /// The Host guard and the cross-site rules still hold.
    ///
    /// # Security
    ///
    /// Whoever reaches the server can do all it offers.
    pub fn danger_accept_anyone() -> Self {
        Self::builder()
            .danger_accept_anyone()
            .build()
            .expect("nothing is needed")
    }

    /// A gate with settings of one's own.
    pub fn builder() -> AuthLayerBuilder {
        AuthLayerBuilder::default()
    }

    /// The same gate, for routes that also serve strangers: who sends no credential, or a cookie that is not
    /// good any more, passes without a session. A token that is not good is still refused.
    #[must_use]
    pub fn optional(&self) -> Self {
        self.with(Passage::optional)
    }

    /// The same gate, for routes that ask for `scope` as well.
    #[must_use]
    pub fn require(&self, scope: &str) -> Self {
        self.with(|passage| passage.require(scope))
    }

    /// The same gate, with paths that nobody is asked on.
    ///
    /// Exact octets, without patterns or normalisation; the Host guard still holds. In a router, mounting
    /// open routes outside of the layer is plainer.
    #[must_use]
    pub fn open_paths<const N: usize>(&self, paths: [&str; N]) -> Self {
        self.with(|passage| passage.open_paths(&paths))
    }

    /// Nothing if a read with a cookie alone was caused by a page of this server, or by the person: for routes
    /// that serve what users put there themselves, such as `files/`, and that no other site may embed.
    ///
    /// Called by the handler. Passes with `Sec-Fetch-Site: same-origin` or `none`, without that field by an own
    /// Referer, and with a good `_xsrf`; a request with a token always passes.
    ///
    /// # Errors
    ///
    /// `Reason::CrossSite`, to answer with.
    pub fn require_own_page(&self, head: Head<'_>) -> Result<(), Denial> {
        self.passage.require_own_page(head)
    }

    fn with(&self, change: impl FnOnce(&Passage) -> Passage) -> Self {
        Self {
            passage: Arc::new(change(&self.passage)),
        }
    }

    /// What the gate decides of a request with this head, for a server without tower.
    ///
    /// `Later` clones the head; the service that this layer makes does not.
    pub fn decide(&self, head: Head<'_>) -> Answer<Decision> {
        let passage = &self.passage;
        match passage.judge_now(&head.with_clock(passage.clock())) {
            Ok(verdict) => Answer::Now(passage.decision(verdict)),
            Err(outcome) => {
                let (passage, head) = (Arc::clone(passage), OwnedHead::of(head));
                Answer::later(async move { passage.conclude_later(outcome.await, Head::of(&head.0)) })
            }
        }
    }

    /// Who sent a request with this head, for a handler that answers by itself.
    ///
    /// A request that the gate would answer itself (the clean-up after `?token=`, a preflight) is judged by
    /// its credential alone; the cookies that [`decide`](Self::decide) would set are not.
    ///
    /// # Errors
    ///
    /// The denial to answer with.
    pub fn check(&self, head: Head<'_>) -> Answer<Result<Session, Denial>> {
        let passage = &self.passage;
        match passage.check_now(head) {
            Ok(verdict) => Answer::Now(verdict),
            Err(outcome) => {
                let (passage, head) = (Arc::clone(passage), OwnedHead::of(head));
                Answer::later(async move { passage.check_later(outcome.await, Head::of(&head.0)) })
            }
        }
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = AuthService<S>;

    fn layer(&self, inner: S) -> AuthService<S> {
        AuthService::new(inner, Arc::clone(&self.passage))
    }
}

impl fmt::Debug for AuthLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AuthLayer").field(&self.passage).finish()
    }
}

/// A head that can wait.
struct OwnedHead(Request<()>);

impl OwnedHead {
    fn of(head: Head<'_>) -> Self {
        let mut request = Request::new(());
        *request.method_mut() = head.method().clone();
        *request.uri_mut() = head.uri().clone();
        *request.headers_mut() = head.headers().clone();
        *request.extensions_mut() = head.extensions().clone();
        Self(request)
    }
}
