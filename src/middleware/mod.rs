//! What happens to a request.
//!
//! Every request takes one path, `RouteAuth::decide`:
//!
//! ```text
//! 1  guards.check_target        host, scheme and method
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

mod attempt_queue;
mod body;
mod browser;
pub(crate) mod challenge;
pub(crate) mod cookies;
mod csrf_token;
pub(crate) mod decide;
mod decision;
pub(crate) mod denial_page;
pub(crate) mod endpoint;
pub(crate) mod error_response;
pub(crate) mod external_login;
pub(crate) mod form;
mod form_submission;
mod future;
pub(crate) mod grpc;
mod logins;
mod manual_login;
pub(crate) mod original_uri;
mod own_pages;
pub(crate) mod password_attempts;
mod password_login;
pub(crate) mod protected_resource;
mod refuse;
pub(crate) mod response_additions;
pub(crate) mod route;
mod service;
mod sessions;
pub(crate) mod state;
pub(crate) mod unauthenticated;

pub use crate::html::PageStyle;
pub use body::AuthBody;
pub(crate) use browser::{Browser, ExistingSession};
pub use challenge::Challenge;
pub use csrf_token::CsrfToken;
pub use decision::Decision;
pub use error_response::ResponseStyle;
pub use form_submission::FormSubmission;
pub use future::ResponseFuture;
pub(crate) use password_attempts::PasswordAttempts;
pub use password_login::LoginSuccess;
pub use protected_resource::ProtectedResource;
pub use response_additions::ResponseAdditions;
pub use service::{AuthService, NotFound};
pub use sessions::{SessionInfo, Sessions};
