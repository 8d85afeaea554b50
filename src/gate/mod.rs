//! What happens to a request.
//!
//! Every request takes one path, [`RouteAuth::decide`](passage::RouteAuth::decide):
//!
//! ```text
//! 1  guards.surroundings        host, scheme and method
//! 2  own path?                  login, logout, launch link, OAuth callback: answered here
//! 3  open path?                 admitted without a session
//! 4  preflight?                 answered here
//! 5  chain.authenticate         at once, or later: then the decision resumes at 6
//! 6  a session, or anonymous    where the route allows it
//! 7  xsrf_cookie.check          only for credentials that a browser attaches by itself
//! 8  scopes and authorizers     of the route, for anonymous requests too
//! 9  additions                  renewed cookies, `Vary`, CORS
//! ```
//!
//! The result is a `Step`, and `ResponseFuture` carries it out: for the service at once, and again when an
//! authenticator has answered later. A denial leaves by `?` and becomes an answer in `refuse`.

pub(crate) mod afterwards;
mod attempt_queue;
mod body;
mod decision;
pub(crate) mod elsewhere;
pub(crate) mod endpoint;
pub(crate) mod form;
mod form_request;
mod future;
#[expect(
    clippy::module_inception,
    reason = "the room is named after what stands in it"
)]
pub(crate) mod gate;
pub(crate) mod grpc;
pub(crate) mod login_cookie;
pub(crate) mod passage;
pub(crate) mod password_attempts;
mod password_login;
pub(crate) mod responses;
mod service;
pub(crate) mod stranger;
mod xsrf_token;

pub use afterwards::ResponseAdditions;
pub use body::AuthBody;
pub use decision::Decision;
pub use form_request::FormSubmission;
pub use future::ResponseFuture;
pub(crate) use password_attempts::PasswordAttempts;
pub(crate) use password_login::Browser;
pub use password_login::LoginSuccess;
pub use responses::ResponseStyle;
pub use service::AuthService;
pub use xsrf_token::CsrfToken;
