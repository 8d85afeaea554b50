//! A reverse proxy that adds logins to any web application, websockets included.
//!
//! ```text
//! jupyter lab --no-browser --port 8889 --IdentityProvider.token= --PasswordIdentityProvider.hashed_password= \
//!   --ServerApp.disable_check_xsrf=True
//! cargo run --example gateway -- --upstream http://127.0.0.1:8889
//! ```
//!
//! Jupyter requires an `_xsrf` for each request without a token, and programs that log in here by token have none.
//! With `disable_check_xsrf` it leaves that to the gateway, which refuses the requests of other sites.
//!
//! A user who is logged in sees the application as without the gateway. The application needs no login of its own. It must
//! listen where only the gateway reaches it.

use std::{convert::Infallible, future, net::SocketAddr, process::ExitCode, sync::Arc};

use clap::Parser;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use portcullis::{
    AuthLayer, BaseUrl, Event, RequestHead, Session, TrustedProxies,
    request::{Peer, is_page_request},
};
use tower::{Layer as _, service_fn};

use common::{
    browser,
    cli::{Credentials, Flags},
    connections, cookie_secret,
    exit::{self, Failure},
    forward::{Body, ClientInfo, Forward, ForwardError, Target},
    page,
    shutdown::Stop,
    startup,
};
use strip_credentials::Own;

#[path = "../common/mod.rs"]
mod common;
mod strip_credentials;

/// A reverse proxy that adds logins to any web application.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where the application is: `http://127.0.0.1:8889`, with a path if it is to see requests below one.
    #[arg(long, value_name = "URL")]
    upstream: String,

    #[command(flatten)]
    flags: Flags,
}

/// The application, and how requests are forwarded to it.
struct Upstream {
    target: Target,
    forward: Forward,
    proxies: TrustedProxies,
    https: bool,
    auth: AuthLayer,
    home: String,
}

fn main() -> ExitCode {
    exit::serve(run)
}

async fn run(Arguments { upstream, flags }: Arguments) -> Result<(), Failure> {
    let target: Target = upstream.parse().map_err(|error| format!("--upstream: {error}"))?;
    let base_url = flags.base_url()?;
    let (credentials, tls) = (flags.credentials()?, flags.tls()?);
    let listener = flags.listen().await?;
    let address = listener.local_addr()?;
    let auth = auth_layer(&flags, &credentials, base_url.clone(), address)?;
    let stop = Stop::on_signals()?;
    let content = format!("the application at {target}");
    let home = startup::announce(
        "gateway",
        &content,
        address,
        &base_url,
        &flags,
        &credentials,
        &auth,
    )?;

    let upstream = Arc::new(Upstream {
        target,
        forward: Forward::new(),
        proxies: flags.proxies()?,
        https: tls.is_some(),
        auth: auth.clone(),
        home: base_url.to_string(),
    });
    let service = auth.layer(service_fn(move |request: Request<Incoming>| {
        let upstream = Arc::clone(&upstream);
        async move { Ok::<_, Infallible>(upstream.ask(request).await) }
    }));
    let serving = connections::serve(listener, tls, service, flags.limits.room(1), stop);
    if flags.no_browser {
        return serving.await;
    }
    // A link of its own: the printed one is still good when this one was opened.
    let (link, directory) = (auth.launch_link(&home)?, cookie_secret::directory()?);
    tokio::select! {
        ended = serving => ended,
        never = browser::open(&link, &directory) => match never {},
    }
}

/// The authentication layer: who has access, and by what.
fn auth_layer(
    flags: &Flags,
    credentials: &Credentials,
    base_url: BaseUrl,
    address: SocketAddr,
) -> Result<AuthLayer, Failure> {
    let mut auth = AuthLayer::builder();
    if let Some(token) = &credentials.token {
        auth = auth.token(token.clone());
    }
    if let Some(password) = &credentials.password {
        auth = auth.password(password.clone());
    }
    if flags.has_tls() {
        // Not set without TLS: a proxy that is not configured here may use TLS in front of this server.
        auth = auth.https(true);
    }
    Ok(auth
        // Not the file of the Jupyter Server behind it, which writes another form and could make our cookies.
        .keyring(flags.keyring("gateway_cookie_secret")?)
        .base_url(base_url)
        .allowed_hosts(flags.hosts(address)?)
        .allowed_origins(flags.origins()?)
        .trusted_proxies(flags.proxies()?)
        // The pages are the application's, and do not have the layer's `_xsrf`. It may have one of its own.
        .csrf_by_origin()
        .observer(|event: &Event<'_>| startup::log(event))
        .build()?)
}

impl Upstream {
    /// The application's answer to an authenticated request.
    async fn ask(&self, mut request: Request<Incoming>) -> Response<Body> {
        let peer = request.extensions().get::<Peer>().copied();
        let client_info = ClientInfo {
            by: peer.and_then(Peer::ip),
            https: self.https,
            trusted: peer.is_some_and(|peer| self.proxies.contains(peer)),
        };
        let session = Session::from_extensions(request.extensions());
        let ended = session.map(|session| self.auth.session_ended(session));
        let ended = async move {
            match ended {
                Some(ended) => ended.await,
                None => future::pending().await,
            }
        };
        let own = Own::keep_from(&mut request);
        let is_page = is_page_request(RequestHead::new(&request));
        match self.forward.send(request, &self.target, client_info, ended).await {
            Ok(mut response) => {
                own.set_apart(response.headers_mut());
                response
            }
            Err(error) => no_answer(&error, is_page, &self.home),
        }
    }
}

fn no_answer(error: &ForwardError, is_page: bool, home: &str) -> Response<Body> {
    tracing::error!("cannot forward a request to the application: {error}");
    let message = match error {
        ForwardError::NoPath => "The request is for no path.",
        ForwardError::NoAnswer(_) | ForwardError::UnrequestedUpgrade => "The application does not answer.",
    };
    let page = page::error(is_page, error.status(), message, home);
    page.map(|body| body.map_err(Into::into).boxed_unsync())
}
