//! Authentication for tower services, as Jupyter Server and JupyterHub do it.

mod answer;
pub mod authenticate;
mod authorize;
mod base_url;
mod challenge;
pub mod cookie;
mod denial;
mod digest;
mod error;
mod event;
mod gate;
mod grant;
pub mod guard;
mod head;
mod identity;
mod layer;
pub mod manual;
mod next_url;
mod page;
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
pub use head::Head;
pub use identity::{Identity, IdentityError, IdentityErrorKind};
pub use layer::{AuthLayer, AuthLayerBuilder};
pub use next_url::{NextUrl, Premises};
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
pub use verify::{TokenSet, TokenVerifier, Verdict};
