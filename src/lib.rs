//! Authentication for tower services, as Jupyter Server and JupyterHub do it.

mod answer;
pub mod authenticate;
mod authorize;
mod base_url;
mod challenge;
pub mod cookie;
mod denial;
mod error;
mod event;
mod gate;
mod grant;
pub mod guard;
#[cfg(feature = "password")]
mod hashing;
mod head;
mod identity;
mod layer;
pub mod manual;
mod next_url;
mod page;
#[cfg(feature = "password")]
mod password;
mod peer;
mod percent;
mod query;
mod random;
mod scopes;
mod secret;
mod session;
pub mod source;
#[cfg(feature = "testing")]
pub mod testing;
mod time;
mod token;
#[cfg(feature = "tracing")]
mod tracing;
pub mod verify;

pub use answer::{Answer, BoxFuture};
pub use authenticate::{Authenticator, Outcome, TokenSource, authenticator_fn};
pub use authorize::Authorizer;
pub use base_url::BaseUrl;
pub use challenge::Challenge;
pub use cookie::{CookieJar, CookieName, CookieScope, Keyring, Lifetime, RequestCookies, SetCookies};
pub use denial::{Denial, Reason};
pub use error::{BoxError, ConfigError, Unavailable};
pub use event::{Event, LoggedPath, Observer};
pub use gate::{Afterwards, AuthBody, AuthService, Decision, ResponseFuture, Responses};
pub use grant::Grant;
pub use guard::{Hosts, Origins, TrustedProxies};
#[cfg(feature = "password")]
pub use hashing::{HashingError, HashingErrorKind, HashingPool, Verified};
pub use head::Head;
pub use identity::{Identity, IdentityError, IdentityErrorKind};
pub use layer::{AuthLayer, AuthLayerBuilder};
pub use next_url::{NextUrl, Premises};
#[cfg(feature = "password")]
pub use password::{
    HashCost, PASSWORD_LIMIT, PasswordError, PasswordErrorKind, PasswordHash, PasswordPolicy,
};
pub use peer::{Peer, Scheme};
pub use query::{Query, TokenBuffer, scrub_query};
pub use scopes::Scopes;
pub use secret::{Secret, SecretError, SecretErrorKind};
pub use session::{Credential, Session};
pub use source::{BytesSource, EnvSource, FileSource, FirstOf, SecretSource};
pub use time::{Clock, SystemClock, UnixTime};
pub use token::{PresentedToken, TOKEN_LIMIT, Token, TokenHash};
#[cfg(feature = "tracing")]
pub use tracing::TracingObserver;
#[cfg(feature = "password")]
pub use verify::{PasswordStore, SharedPassword, StoredPasswords, Users};
pub use verify::{PasswordVerifier, TokenSet, TokenVerifier, Verdict};
